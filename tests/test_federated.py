"""Federated fits: the pooled fit, and nothing but sums over the wires."""

import numpy as np
import pytest

from segment.em import SmallGain, run_em
from segment.errors import DataError
from segment.mixture import Samples
from segment.mixture.expectation import log_likelihood, worst_explained
from segment.mixture.families.bernoulli import Bernoulli
from segment.mixture.families.gaussian.family import Gaussian
from segment.mixture.federated import FederatedModel, Federation, fit_federated, random_starts
from segment.mixture.fitting import fit_mixture
from segment.mixture.model import MixtureModel


def sites(sizes=(900, 60, 2100, 400), seed=0):
    rng = np.random.default_rng(seed)
    means = np.array([[0.0, 0.0, 1.0], [4.0, 1.0, 0.0], [0.0, 5.0, -2.0]])
    found = []
    for number, size in enumerate(sizes):
        # Every site sees the components in other shares.
        truth = rng.choice(3, size, p=np.roll([0.7, 0.2, 0.1], number))
        found.append(Samples.of(means[truth] + rng.normal(size=(size, 3)), rng.integers(1, 4, size)))
    return found


def pooled(parts):
    return Samples.of(
        np.concatenate([part.X for part in parts]), np.concatenate([part.sample_weight for part in parts])
    )


@pytest.mark.parametrize("kind", ["full", "diag", "tied", "spherical"])
def test_the_joint_fit_is_the_pooled_fit(kind):
    parts = sites()
    federation, together = Federation(parts), pooled(parts)
    np.testing.assert_allclose(federation.mean, together.mean, rtol=1e-12)
    np.testing.assert_allclose(federation.variance, together.variance, rtol=1e-12)
    start = random_starts(federation, 3, Gaussian.of(federation, kind), 1, np.random.default_rng(0))[0]
    stopping = SmallGain(-1.0, 40)
    one = run_em(
        FederatedModel(federation, Gaussian.of(federation, kind), 3),
        start,
        stopping=stopping,
        acceleration=None,
    )
    other = run_em(
        MixtureModel(together, Gaussian.of(together, kind), 3), start, stopping=stopping, acceleration=None
    )
    np.testing.assert_allclose(one.lower_bounds, other.lower_bounds, rtol=1e-12)
    np.testing.assert_allclose(one.parameters.means, other.parameters.means, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(
        one.parameters.covariances, other.parameters.covariances, rtol=1e-12, atol=1e-12
    )


def test_starts_from_sums_alone_lead_to_the_pooled_optimum():
    parts = sites()
    found = fit_federated(Federation(parts), 3, relative_reg=0.0, tol=1e-9)
    best = fit_mixture(pooled(parts), 3, relative_reg=0.0, tol=1e-9)
    assert found.result.converged
    assert found.result.log_likelihood == pytest.approx(best.log_likelihood, rel=1e-8)


def test_traffic_is_the_sums_of_every_round():
    federation = Federation(sites())
    family = Gaussian.of(federation)
    before = federation.traffic
    start = random_starts(federation, 3, family, 1, np.random.default_rng(0))[0]
    found = fit_federated(federation, 3, family=family, starts=[start], acceleration=None)
    rounds, sent, received = (after - b for after, b in zip(found.traffic, before, strict=True))
    assert rounds == found.result.n_evaluations
    # Weights, means, covariances; counts, first and second moments and the log-likelihood.
    assert sent == 4 * rounds * 8 * (3 + 9 + 27)
    assert received == 4 * rounds * 8 * (3 + 9 + 27 + 1)


def test_bits_are_checked_where_they_lie():
    rng = np.random.default_rng(0)
    parts = [Samples.of((rng.uniform(size=(n, 4)) < 0.4).astype(float)) for n in (200, 300)]
    federation, together = Federation(parts), pooled(parts)
    family = Bernoulli.of(federation)
    start = Bernoulli.of(together).from_responsibilities(together, rng.dirichlet([1, 1], 500))
    found = fit_federated(federation, 2, family=family, starts=[start], acceleration=None, tol=1e-8)
    assert found.result.log_likelihood == pytest.approx(
        log_likelihood(together, found.result.parameters), rel=1e-12
    )
    with pytest.raises(DataError, match="needs starts"):
        fit_federated(federation, 2, family=family)


def test_rows_never_leave_a_site():
    federation = Federation(sites())
    for ask in (
        federation.arrays,
        lambda: list(federation.map(lambda block: block.X[0], rows=100)),
        lambda: worst_explained(federation, fit_mixture(sites()[0], 2).parameters, 3),
    ):
        with pytest.raises(DataError, match="rows never leave"):
            ask()
    assert federation.first_row().tolist() == [0.0, 0.0, 0.0]


def test_tiny_and_unlike_sites_are_refused():
    tiny = Samples.of(np.ones((3, 3)))
    with pytest.raises(DataError, match="site 4 weighs 3"):
        Federation([*sites(), tiny])
    with pytest.raises(DataError, match=r"\[2, 3\] features"):
        Federation([*sites(), Samples.of(np.ones((20, 2)))])
    with pytest.raises(DataError, match="at least one site"):
        Federation([])


def test_what_a_site_of_one_row_sends_is_the_row():
    """Why tiny sites are refused: the first moments about known means, divided by the counts, are its row."""
    parts = [*sites(), Samples.of(np.array([[1.25, -3.5, 0.75]]))]
    parameters = fit_mixture(parts[0], 3).parameters
    alone = Federation(parts[-1:], least_weight=0.0)
    moments = FederatedModel(alone, Gaussian.of(parts[0]), 3).expect(parameters).statistics
    row = parameters.means[0] + moments.first[0] / moments.counts[0]
    np.testing.assert_allclose(row, [1.25, -3.5, 0.75], rtol=1e-9)
