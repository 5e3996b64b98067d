"""Stepwise EM: what it must share with EM on all samples, and that it is quicker at first."""

from dataclasses import replace

import numpy as np
import pytest

from segment import GaussianMixture
from segment.errors import DataError
from segment.mixture import Samples, fit_em, initial_parameters
from segment.mixture.expectation import accumulate, score_samples
from segment.mixture.families.gaussian.family import Gaussian
from segment.mixture.stepwise import stepwise_em


def samples_of(n=3000, d=4, seed=0):
    rng = np.random.default_rng(seed)
    centers = rng.normal(size=(6, d)) * 2.5
    return Samples.of(centers[rng.integers(0, 6, n)] + rng.normal(size=(n, d)))


@pytest.mark.parametrize("covariance_type", ["full", "diag", "tied", "spherical"])
def test_moved_moments_are_those_about_the_other_means(covariance_type):
    samples = samples_of()
    parameters = initial_parameters(samples, 3, covariance_type=covariance_type, random_state=0)
    moments = accumulate(samples, parameters)
    shifts = np.random.default_rng(1).normal(size=parameters.means.shape)
    moved = moments.about(parameters, replace(parameters, means=parameters.means + shifts))
    np.testing.assert_allclose(moved.first, moments.first - moments.counts[:, None] * shifts)
    # The scatter about the mean of the samples does not depend on where the moments were taken.
    np.testing.assert_allclose(moved.scatters(), moments.scatters(), rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(moved.shifts() + shifts, moments.shifts(), atol=1e-10)


def test_scaled_moments_are_those_of_heavier_samples():
    samples = samples_of(500)
    parameters = initial_parameters(samples, 3, random_state=0)
    scaled = accumulate(samples, parameters).scaled(2.5)
    heavier = accumulate(Samples.of(samples.X, np.full(500, 2.5)), parameters)
    for name in ("counts", "first", "second"):
        np.testing.assert_allclose(getattr(scaled, name), getattr(heavier, name), rtol=1e-12, atol=1e-12)
    assert scaled.log_likelihood == pytest.approx(heavier.log_likelihood, rel=1e-12)


@pytest.mark.parametrize("covariance_type", ["full", "diag", "tied", "spherical"])
def test_two_passes_climb_higher_than_two_steps_of_em(covariance_type):
    samples = samples_of()
    start = initial_parameters(samples, 6, covariance_type=covariance_type, method="random", random_state=3)
    rng = np.random.default_rng(0)
    family = Gaussian.of(samples, covariance_type, relative_reg=1e-3)
    quick = stepwise_em(samples, family, start, rng, passes=2, n_blocks=10)
    with pytest.warns(UserWarning, match="not converged"):
        slow = fit_em(samples, start, max_iter=3, relative_reg=1e-3, acceleration=None)
    assert score_samples(samples.X, quick).mean() > score_samples(samples.X, slow.parameters).mean()
    assert quick.weights.sum() == pytest.approx(1.0)


def test_the_result_does_not_depend_on_the_number_of_threads():
    samples = samples_of()
    family, start = Gaussian.of(samples), initial_parameters(samples, 6, random_state=0)
    one, two = (
        stepwise_em(samples, family, start, np.random.default_rng(5), passes=1, n_blocks=4, n_jobs=n)
        for n in (1, 2)
    )
    np.testing.assert_array_equal(one.covariances, two.covariances)


def test_batches_of_a_stream_come_near_what_all_rows_give():
    rng = np.random.default_rng(0)
    labels = rng.random(60_000) < 0.3
    X = rng.normal(size=(60_000, 2)) * [1.0, 3.0] + np.where(labels, 5.0, 0.0)[:, None]
    whole = GaussianMixture(2, random_state=0, tol=1e-6).fit(X)
    stream = GaussianMixture(2, random_state=0, tol=1e-6)
    for batch in np.split(X, 60):
        stream.partial_fit(batch)
    assert stream.n_iter_ == len(stream.lower_bounds_) == 60
    assert stream.score(X) > whole.score(X) - 0.002
    assert np.sort(stream.weights_) == pytest.approx(np.sort(whole.weights_), abs=0.02)


def test_a_stream_depends_on_the_order_of_its_batches_and_weights_are_repetitions():
    rng = np.random.default_rng(1)
    X = np.concatenate([rng.normal(0, 1, (300, 1)), rng.normal(6, 1, (300, 1))])[rng.permutation(600)]
    weight = rng.integers(1, 4, 600)

    def streamed(batches):
        mixture = GaussianMixture(2, random_state=0)
        for batch, w in batches:
            mixture.partial_fit(batch, sample_weight=w)
        return np.sort(mixture.means_.ravel())

    parts = [(X[i : i + 200], weight[i : i + 200]) for i in (0, 200, 400)]
    repeated = [(np.repeat(batch, w, axis=0), None) for batch, w in parts]
    assert streamed(parts) == pytest.approx(streamed(repeated), abs=1e-9)
    assert streamed(parts) != pytest.approx(streamed([parts[0], parts[2], parts[1]]), abs=1e-9)


def test_a_batch_of_other_features_is_refused():
    mixture = GaussianMixture(1).partial_fit([[0.0], [1.0]])
    with pytest.raises(ValueError, match="2 features"):
        mixture.partial_fit([[0.0, 1.0], [1.0, 2.0]])
    with pytest.raises(DataError, match="2 rows for 3 components"):
        GaussianMixture(3).partial_fit([[0.0], [1.0]])


def test_a_stream_goes_on_from_a_fit():
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(0, 1, (500, 1)), rng.normal(6, 1, (500, 1))])[rng.permutation(1000)]
    mixture = GaussianMixture(2, random_state=0).fit(X)
    before = mixture.means_.copy()
    assert np.array_equal(mixture.partial_fit(X[:300]).means_, before)
    moved = mixture.partial_fit(X[300:] + 0.5).means_ - before
    assert (moved > 0).all()
    assert (moved < 0.5).all()
