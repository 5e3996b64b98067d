"""Poisson components: counts, independent given the component."""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, ClassVar, Self

import numpy as np

from segment.archive import Field
from segment.data.samples import Samples
from segment.data.source import Block, Source
from segment.errors import DataError
from segment.mixture.families.counts import check_counts, log_factorials, weighted_factorials
from segment.mixture.families.family import EMPTY, Family, Prepared
from segment.mixture.families.products import linear
from segment.mixture.families.saved import SavedParameters
from segment.mixture.families.sums import Sums

# Share of the overall mean in the rates of a start: EM never leaves a rate of 0.
SMOOTHING = 0.02


@dataclass(frozen=True, eq=False)
class PoissonParameters(SavedParameters):
    """Weights and rates of a mixture of K Poisson components over D counts.

    Attributes
    ----------
    weights : (K,) float64 ndarray
        Mixing proportions; they sum to 1. A component of weight zero is empty.
    rates : (K, D) float64 ndarray
        Mean of each count; 0 is legal.
    """

    weights: np.ndarray
    rates: np.ndarray

    family: ClassVar[str] = "poisson"
    fields = MappingProxyType({"weights": Field("f", 1), "rates": Field("f", 2)})

    def __post_init__(self) -> None:
        for name in ("weights", "rates"):
            object.__setattr__(self, name, np.ascontiguousarray(getattr(self, name), dtype=np.float64))
        if self.rates.ndim != 2 or self.weights.shape != self.rates.shape[:1]:
            raise DataError(
                f"weights {self.weights.shape} and rates {self.rates.shape} do not fit; "
                "(K,) and (K, D) are needed"
            )
        if not ((self.rates >= 0) & np.isfinite(self.rates)).all():
            raise DataError("rates must be finite and not negative")

    @property
    def n_components(self) -> int:
        """Number of components."""
        return self.rates.shape[0]

    @property
    def n_features(self) -> int:
        """Number of features."""
        return self.rates.shape[1]

    @property
    def n_parameters(self) -> int:
        """Number of free parameters, as BIC counts them."""
        return self.n_components - 1 + self.rates.size

    def reordered(self, order: Any) -> PoissonParameters:
        """Return the same mixture with component ``order[k]`` as number k."""
        return replace(self, weights=self.weights[order], rates=self.rates[order])

    def drawn(self, labels: np.ndarray, rng: np.random.RandomState) -> np.ndarray:
        """Draw one sample from the component of each label, (n_samples, n_features) float64."""
        return rng.poisson(self.rates[labels]).astype(np.float64)


class PreparedPoisson(Prepared[Sums]):
    """Poisson components ready for a pass."""

    def __init__(self, parameters: PoissonParameters) -> None:
        self.shape = parameters.rates.shape
        with np.errstate(divide="ignore"):
            self.log_weights = np.log(parameters.weights)
            slopes = np.log(parameters.rates)
        self.linear = linear(self.log_weights - parameters.rates.sum(axis=1), slopes)

    def accumulate(self, block: Block, n_jobs: int | None = 1) -> Sums:
        return self.linear.accumulate(block).raised(-weighted_factorials(block))

    def log_densities(self, X: np.ndarray) -> np.ndarray:
        return self.linear.log_densities(X) - log_factorials(X)[:, None]

    def far_log_densities(self, X: np.ndarray) -> np.ndarray:
        """Return the log weights for every row: what has probability 0 everywhere tells nothing."""
        return np.broadcast_to(self.log_weights, (len(X), self.shape[0])).copy()


@dataclass(frozen=True)
class PoissonChart:
    """Log weights and the roots of the rates: an estimate of 0 lies at a finite root."""

    n_components: int

    def pack(self, parameters: PoissonParameters) -> np.ndarray:
        """Return the parameters as a vector."""
        log_weights = np.log(np.maximum(parameters.weights, 1e-300))
        return np.concatenate([log_weights, np.sqrt(parameters.rates).ravel()])

    def unpack(self, vector: np.ndarray) -> PoissonParameters:
        """Undo `pack`; weights are normalized to sum to 1, negative roots end at 0."""
        weights = np.exp(vector[: self.n_components] - vector[: self.n_components].max())
        roots = np.clip(vector[self.n_components :], 0.0, 1e100).reshape(self.n_components, -1)
        return PoissonParameters(weights / weights.sum(), roots**2)


@dataclass(frozen=True, eq=False)
class Poisson(Family[PoissonParameters, Sums]):
    """Poisson components; `Poisson.of` checks that the samples are counts.

    Attributes
    ----------
    mean : (D,) float64 ndarray, or None
        Of each count over all samples; densities do not need it.

    References
    ----------
    .. [1] Hasselblad (1969), "Estimation of finite mixtures of distributions from the exponential family",
           JASA 64(328), 1459-1471.
    """

    mean: np.ndarray | None = None

    name = "poisson"
    parameters = PoissonParameters

    @classmethod
    def plain(cls, parameters: PoissonParameters) -> Self:
        """Return the family: it has no regularization."""
        return cls()

    @classmethod
    def of(cls, source: Source) -> Self:
        """Return the family for given samples.

        Raises
        ------
        DataError
            If a value is no count.
        """
        for _ in source.map(lambda block: check_counts(block.X), rows=16384):
            pass
        return cls(source.mean)

    def chart(self, n_components: int) -> PoissonChart:
        """Return the vector form of the parameters of so many components."""
        return PoissonChart(n_components)

    def prepare(self, parameters: PoissonParameters, dtype: np.dtype) -> PreparedPoisson:
        """Make parameters ready for a pass over samples."""
        return PreparedPoisson(parameters)

    def maximize(self, statistics: Sums, parameters: PoissonParameters) -> PoissonParameters:
        """Return the mean counts; an empty component gets weight 0 and keeps its rates."""
        total = statistics.counts.sum()
        empty = statistics.counts <= EMPTY * total
        counts = np.where(empty, 0.0, statistics.counts)
        means = statistics.sums / np.where(empty, 1.0, statistics.counts)[:, None]
        return PoissonParameters(
            counts / counts.sum(), np.where(empty[:, None], parameters.rates, np.maximum(means, 0.0))
        )

    def from_responsibilities(self, samples: Samples, responsibilities: np.ndarray) -> PoissonParameters:
        """Return an M-step from responsibilities, its rates drawn a little towards the mean."""
        shares = responsibilities * samples.sample_weight[:, None]
        mean = self._overall()
        start = PoissonParameters(
            np.full(shares.shape[1], 1.0 / shares.shape[1]), np.tile(mean, (shares.shape[1], 1))
        )
        found = self.maximize(Sums(shares.sum(axis=0), shares.T @ samples.X, 0.0), start)
        return replace(found, rates=(1 - SMOOTHING) * found.rates + SMOOTHING * mean)

    def reseeded(
        self, parameters: PoissonParameters, components: np.ndarray, rows: np.ndarray
    ) -> PoissonParameters:
        """Return parameters with the given components half way between the given rows and the mean."""
        rates = parameters.rates.copy()
        rates[components] = 0.5 * (rows + self._overall())
        return replace(parameters, rates=rates)

    def _overall(self) -> np.ndarray:
        if self.mean is None:
            raise TypeError("this Poisson family knows no data; make it with Poisson.of")
        return np.maximum(self.mean, 0.0)
