"""Adding a covariance type or a family of densities: one class and one line of a table serve all the rest."""

import math
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
import pytest
from toys import four_gaussians

from segment import GaussianMixture
from segment.archive import Field
from segment.data import Samples
from segment.em.uncertainty import observed_information
from segment.mixture import Parameters, assign, bic, fit_mixture, score_samples
from segment.mixture.families import table
from segment.mixture.families.family import EMPTY, Family, Prepared
from segment.mixture.families.gaussian import covariance
from segment.mixture.families.saved import SavedParameters
from segment.mixture.fitting import fit_family
from segment.mixture.stepwise import stepwise_em
from segment.mixture.uncertainty import GaussianData


class Shared(covariance.Diag):
    """A toy type: one variance a feature, the same in all components, (D,)."""

    name = "shared"

    def shape(self, K, D):
        return (D,)

    def n_parameters(self, K, D):
        return D

    def pool(self, scatters, counts):
        return scatters.sum(axis=0) / counts.sum()

    def spread(self, covariances, K, D):
        return np.repeat(covariances[None], K, axis=0)

    def taken(self, covariances, order):
        return covariances

    def compact(self, factors):
        return factors[0]


@pytest.fixture
def shared(monkeypatch):
    monkeypatch.setitem(covariance.COVARIANCE_TYPES, "shared", Shared())


@pytest.mark.usefixtures("shared")
def test_a_new_covariance_type_is_fitted_saved_reordered_and_has_standard_errors(tmp_path):
    X, _ = four_gaussians()
    samples = Samples.of(X)
    result = fit_mixture(samples, 4, covariance_type="shared", tol=1e-12, max_iter=5000, relative_reg=0.0)
    assert result.parameters.covariances.shape == (2,)
    assert np.diff(result.lower_bounds).min() > -1e-11
    # Between the two types that it lies between.
    looser = fit_mixture(samples, 4, covariance_type="diag").log_likelihood
    assert result.log_likelihood < looser
    order = [2, 0, 3, 1]
    assert np.array_equal(
        assign(X, result.parameters.reordered(order)), np.argsort(order)[assign(X, result.parameters)]
    )
    result.parameters.save(tmp_path / "shared.npz")
    again, _ = Parameters.load(tmp_path / "shared.npz")
    assert bic(samples, again) == bic(samples, result.parameters)
    errors = observed_information(GaussianData(samples, 4, "shared"), result.parameters)
    assert len(errors.names) == 4 + 8 + 2
    assert (errors.errors > 0).all()


@dataclass(frozen=True, eq=False)
class Waits(SavedParameters):
    """Parameters of the toy family: K exponential components of one feature."""

    weights: np.ndarray
    rates: np.ndarray

    fields = MappingProxyType({"weights": Field("f", 1), "rates": Field("f", 1)})
    family = "exponential"
    n_features = 1

    @property
    def n_components(self):
        return len(self.weights)

    @property
    def n_parameters(self):
        return 2 * len(self.weights) - 1

    def reordered(self, order):
        return Waits(self.weights[order], self.rates[order])


@dataclass(frozen=True)
class Sums:
    counts: np.ndarray
    waits: np.ndarray
    log_likelihood: float

    def __add__(self, other):
        return Sums(*(getattr(self, n) + getattr(other, n) for n in ("counts", "waits", "log_likelihood")))

    def scaled(self, factor):
        return Sums(factor * self.counts, factor * self.waits, factor * self.log_likelihood)

    def about(self, old, new):
        return self


class PreparedWaits(Prepared):
    def __init__(self, parameters):
        self.parameters = parameters

    def log_densities(self, X):
        with np.errstate(divide="ignore"):
            constants = np.log(self.parameters.weights) + np.log(self.parameters.rates)
        return constants - X * self.parameters.rates

    def accumulate(self, block, n_jobs=1):
        densities = self.log_densities(block.X)
        largest = densities.max(axis=1, keepdims=True)
        shares = np.exp(densities - largest)
        totals = shares.sum(axis=1)
        shares *= (block.sample_weight / totals)[:, None]
        log_likelihood = float(block.sample_weight @ (largest[:, 0] + np.log(totals)))
        return Sums(shares.sum(axis=0), shares.T @ block.X[:, 0], log_likelihood)


class Exponential(Family):
    """A toy family: waiting times."""

    name = "exponential"
    parameters = Waits

    @classmethod
    def plain(cls, parameters):
        return cls()

    def prepare(self, parameters, dtype):
        return PreparedWaits(parameters)

    def maximize(self, statistics, parameters):
        empty = statistics.counts <= EMPTY * statistics.counts.sum()
        counts = np.where(empty, 0.0, statistics.counts)
        return Waits(counts / counts.sum(), np.where(empty, 1.0, statistics.counts / statistics.waits))

    def from_responsibilities(self, samples, responsibilities):
        shares = responsibilities * samples.sample_weight[:, None]
        return self.maximize(Sums(shares.sum(axis=0), shares.T @ samples.X[:, 0], 0.0), None)

    def reseeded(self, parameters, components, rows):
        rates = parameters.rates.copy()
        rates[components] = 1.0 / rows[:, 0]
        return replace(parameters, rates=rates)


def test_a_new_family_is_fitted_by_what_is_there(monkeypatch, tmp_path):
    monkeypatch.setitem(table.FAMILIES, "exponential", Exponential)
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.exponential(1.0, 6000), rng.exponential(25.0, 4000)])[:, None]
    samples = Samples.of(X)
    result = fit_family(samples, 2, Exponential(), tol=1e-9, max_iter=3000, random_state=1)
    assert result.converged
    assert np.diff(result.lower_bounds).min() > -1e-11
    found = result.parameters.reordered(np.argsort(-result.parameters.rates))
    assert found.rates.tolist() == pytest.approx([1.0, 1 / 25], rel=0.1)
    assert found.weights.tolist() == pytest.approx([0.6, 0.4], abs=0.03)
    by_hand = math.log(
        sum(w * r * math.exp(-r * 3.0) for w, r in zip(found.weights, found.rates, strict=True))
    )
    assert score_samples([[3.0]], found)[0] == pytest.approx(by_hand, rel=1e-12)
    assert bic(samples, found) == pytest.approx(-2 * result.log_likelihood + 3 * math.log(10_000), rel=1e-12)
    found.save(tmp_path / "waits.npz")
    again, _ = Waits.load(tmp_path / "waits.npz")
    assert again.rates.tobytes() == found.rates.tobytes()
    quick = stepwise_em(
        samples, Exponential(), Waits(np.array([0.5, 0.5]), np.array([0.5, 0.1])), rng, passes=2, n_blocks=10
    )
    assert np.sort(quick.rates).tolist() == pytest.approx([1 / 25, 1.0], rel=0.2)


def test_the_toys_leave_nothing_behind():
    assert "exponential" not in table.FAMILIES
    assert GaussianMixture(covariance_type="full").fit([[0.0], [1.0], [5.0]]).converged_
