"""Potts fields: updates and sums by their formulas, what a fit must hold, and what smoothing buys."""

import itertools
import math

import numpy as np
import pytest

from segment.data.samples import Samples
from segment.errors import DataError
from segment.grid import fit_field
from segment.grid.model import FieldModel
from segment.kernels.em import potts
from segment.lab.matching import agreement
from segment.mixture import fit_mixture
from segment.mixture.expectation import assign
from segment.mixture.families.gaussian.family import Gaussian


def voronoi(noise, size=256, seed=0):
    """Return three classes with means 0, 1, 2 in twelve cells, as a noisy image, and the truth."""
    rng = np.random.default_rng(seed)
    sites, classes = rng.uniform(0, size, (12, 2)), np.arange(12) % 3
    places = np.stack(np.mgrid[:size, :size], axis=-1)
    truth = classes[np.square(places[:, :, None] - sites).sum(axis=3).argmin(axis=2)]
    return truth + noise * rng.standard_normal(truth.shape), truth


def neighbors(M, N, i, j, diagonal):
    for a, b in itertools.product((-1, 0, 1), repeat=2):
        near = abs(a) + abs(b) == 1 or (diagonal and abs(a) + abs(b) == 2)
        if near and 0 <= i + a < M and 0 <= j + b < N:
            yield i + a, j + b


def random_field(M=5, N=7, K=3, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(M, N, K)), rng.dirichlet(np.ones(K), (M, N))


@pytest.mark.kernels
@pytest.mark.parametrize("diagonal", [False, True])
@pytest.mark.parametrize("odd", list(itertools.product((0, 1), repeat=2)))
def test_a_class_of_pixels_is_updated_from_its_neighbors(diagonal, odd):
    densities, field = random_field()
    expected = field.copy()
    for i, j in itertools.product(range(5), range(7)):
        if (i % 2, j % 2) == odd:
            near = sum(field[a, b] for a, b in neighbors(5, 7, i, j, diagonal))
            shares = np.exp(densities[i, j] + 0.7 * near)
            expected[i, j] = shares / shares.sum()
    for band in ((0, 3), (3, 5)):
        potts.update_class(densities, field, 0.7, diagonal, *band, *odd)
    np.testing.assert_allclose(field, expected, rtol=1e-12)


@pytest.mark.kernels
@pytest.mark.parametrize("diagonal", [False, True])
def test_sums_of_a_field_are_those_of_their_formulas(diagonal):
    densities, field = random_field()
    pairs = pseudo = 0.0
    slopes = []
    for i, j in itertools.product(range(5), range(7)):
        near = sum(field[a, b] for a, b in neighbors(5, 7, i, j, diagonal))
        pairs += field[i, j] @ near / 2
        slopes.append((field[i, j], near))

    def log_pseudo(strength):
        return sum(own @ (strength * near) - math.log(np.exp(strength * near).sum()) for own, near in slopes)

    own = float((field * (densities - np.log(field))).sum())
    found = np.sum([potts.energies(densities, field, diagonal, *band) for band in ((0, 2), (2, 5))], axis=0)
    assert found == pytest.approx([own, pairs], rel=1e-12)
    slope, curvature = potts.pseudo_slopes(field, 0.7, diagonal, 0, 5)
    assert slope == pytest.approx((log_pseudo(0.7 + 1e-5) - log_pseudo(0.7 - 1e-5)) / 2e-5, rel=1e-6)
    pseudo = (log_pseudo(0.7 + 1e-4) - 2 * log_pseudo(0.7) + log_pseudo(0.7 - 1e-4)) / 1e-8
    assert curvature == pytest.approx(pseudo, rel=1e-4)


# Noise, accuracy that a mixture of single pixels reaches at most, accuracy by mean field of strength 1.5.
@pytest.mark.parametrize(
    ("noise", "plain", "smooth"), [(0.5, 0.79, 0.996), (0.8, 0.649, 0.992), (1.0, 0.6, 0.989)]
)
def test_neighbors_tell_what_noise_hides(noise, plain, smooth):
    image, truth = voronoi(noise)
    alone = fit_mixture(Samples.of(image.reshape(-1, 1)), 3, covariance_type="tied")
    labels = assign(image.reshape(-1, 1), alone.parameters)
    assert agreement(truth.ravel(), labels).accuracy < plain + 0.03
    found = fit_field(image, 3)
    assert found.converged
    assert np.diff(found.lower_bounds).min() > -1e-10
    assert agreement(truth.ravel(), found.parameters.labels.ravel()).accuracy > smooth


def test_any_family_can_lie_on_a_grid():
    _, truth = voronoi(0.0, size=64)
    bits = np.random.default_rng(0).uniform(size=(64, 64, 6)) < 0.25 + 0.5 * (
        truth[..., None] == np.arange(3).repeat(2)
    )
    found = fit_field(bits.astype(float), 3, family="bernoulli", strength=1.0, neighbors=8)
    assert agreement(truth.ravel(), found.parameters.labels.ravel()).accuracy > 0.96


def test_the_strength_of_a_drawn_field_is_found_again():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, (120, 120))
    field = np.eye(3)[labels]
    for _ in range(80):
        for odd in itertools.product((0, 1), repeat=2):
            # One Gibbs step: the mean-field update computes the conditional distribution of hard neighbors.
            shares = field.copy()
            potts.update_class(np.zeros((120, 120, 3)), shares, 0.8, False, 0, 120, *odd)
            here = np.s_[odd[0] :: 2, odd[1] :: 2]
            cumulated = shares[here].cumsum(axis=2)
            drawn = (rng.uniform(size=cumulated.shape[:2])[..., None] > cumulated).sum(axis=2)
            field[here] = np.eye(3)[np.minimum(drawn, 2)]
    samples = Samples.of(np.zeros((120 * 120, 1)))
    model = FieldModel(samples, (120, 120), Gaussian.of(samples, reg_covar=1.0), estimates_strength=True)
    assert model._strength(field, 1.5) == pytest.approx(0.8, abs=0.04)


def test_an_estimated_strength_smooths_as_well():
    image, truth = voronoi(0.8, size=96)
    found = fit_field(image, 3, strength=None)
    assert found.parameters.strength > 1.0
    assert agreement(truth.ravel(), found.parameters.labels.ravel()).accuracy > 0.97


def test_without_strength_the_pixels_are_a_mixture_of_equal_weights():
    image, _ = voronoi(0.5, size=40)
    found = fit_field(image, 3, strength=0.0).parameters
    densities = FieldModel(
        Samples.of(image.reshape(-1, 1)), (40, 40), Gaussian.of(Samples.of(image.reshape(-1, 1)))
    ).densities(found.emissions)
    alone = np.exp(densities) / np.exp(densities).sum(axis=2, keepdims=True)
    np.testing.assert_allclose(found.field, alone, atol=2e-2)


def test_threads_leave_every_bit():
    image, _ = voronoi(0.8, size=80)
    one, three = (fit_field(image, 3, n_jobs=n).parameters for n in (1, 3))
    np.testing.assert_array_equal(one.field, three.field)
    np.testing.assert_array_equal(one.emissions.means, three.emissions.means)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"neighbors": 6}, "6 neighbors"),
        ({"strength": -1.0}, "strength is -1"),
        ({"family": "cauchy"}, "cauchy"),
    ],
)
def test_wrong_requests_are_refused(options, message):
    with pytest.raises(DataError, match=message):
        fit_field(np.zeros((4, 4)), 2, **options)
