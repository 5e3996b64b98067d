"""The Gaussian family: densities and M-step, regularized or shrunk as asked."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from segment.data.samples import Samples
from segment.data.source import Block, Source
from segment.em.result import Repair
from segment.errors import DataError
from segment.mixture.families.family import EMPTY, Family
from segment.mixture.families.gaussian.chart import GaussianChart
from segment.mixture.families.gaussian.covariance import SINGULAR, CovarianceType, covariance_type_of
from segment.mixture.families.gaussian.engines import PreparedGaussians, engine_of
from segment.mixture.families.gaussian.moments import Moments
from segment.mixture.families.gaussian.parameters import Parameters

# A component whose smallest variance is below this multiple of reg_covar is held up by reg_covar alone.
COLLAPSED = 1.5

# Variances below this have lost digits, or will lose them in a determinant.
_TINY = 1e-280

_ROWS = 65536


@dataclass(frozen=True, eq=False)
class Gaussian(Family[Parameters, Moments]):
    """Gaussian components of one covariance type; `Gaussian.of` fits the constants to the data.

    Attributes
    ----------
    type : CovarianceType
    reg_covar : float
        Added to every variance (the data's squared unit).
    shrinkage : float in [0, 1]
        Share of the pooled within-component covariance in each component's own.
    mean, deviations : (D,) float64 ndarrays, or None
        Origin and unit of each feature; densities need neither.
    """

    type: CovarianceType
    reg_covar: float = 0.0
    shrinkage: float = 0.0
    mean: np.ndarray | None = None
    deviations: np.ndarray | None = None

    name = "gaussian"
    parameters = Parameters

    @classmethod
    def plain(cls, parameters: Parameters) -> Self:
        """Return the family of given parameters, without regularization: for densities."""
        return cls(parameters.type)

    @classmethod
    def of(
        cls,
        source: Source,
        covariance_type: str = "full",
        *,
        reg_covar: float | None = None,
        relative_reg: float = 1e-6,
        covariance_shrinkage: float = 0.0,
    ) -> Self:
        """Return the family for given samples.

        Parameters
        ----------
        source : Source
        covariance_type : {"full", "diag", "tied", "spherical"}
        reg_covar : float, optional
            Added to every variance, in the squared unit of the data.
        relative_reg : float
            The same as a multiple of the data's mean feature variance; it counts where `reg_covar` is None.
        covariance_shrinkage : float in [0, 1]

        Raises
        ------
        DataError
            If an option is not allowed, or the variances of the data underflow.
        """
        kind = covariance_type_of(covariance_type)
        for name, value in (("reg_covar", reg_covar or 0.0), ("relative_reg", relative_reg)):
            if not 0 <= value < np.inf:
                raise DataError(f"{name} is {value}; it must not be negative, and finite")
        if not 0 <= covariance_shrinkage <= 1:
            raise DataError(f"covariance_shrinkage is {covariance_shrinkage}; it must lie in [0, 1]")
        variance = source.variance
        # Samples that are all alike have no scale of their own: then 1 is as good as any.
        average = float(variance.mean()) or 1.0
        reg = relative_reg * average if reg_covar is None else reg_covar
        if reg < _TINY:
            _check_underflow(source, variance)
        scale = variance + reg
        return cls(kind, reg, covariance_shrinkage, source.mean, np.sqrt(np.where(scale > 0, scale, average)))

    def prepare(self, parameters: Parameters, dtype: np.dtype) -> PreparedGaussians:
        """Make parameters ready for a pass over samples of a dtype."""
        if parameters.type is not self.type:
            raise DataError(
                f"the parameters are of covariance_type {parameters.covariance_type!r}, the family of "
                f"{self.type.name!r}; they must agree"
            )
        engine = engine_of(self.type, parameters.n_features)
        return engine.prepare(parameters, np.dtype(dtype), self.reg_covar)

    def rounding(self, n_features: int, dtype: np.dtype) -> float:
        """Return the share of the objective that rounding may take away."""
        return engine_of(self.type, n_features).rounding(dtype)

    @property
    def is_plain(self) -> bool:
        return self.reg_covar == 0

    @property
    def is_monotone(self) -> bool:
        return self.shrinkage == 0

    def chart(self, n_components: int) -> GaussianChart:
        """Return the vector form of the parameters of so many components."""
        mean, deviations = self._units()
        return GaussianChart(self.type, n_components, mean, deviations)

    def _units(self) -> tuple[np.ndarray, np.ndarray]:
        if self.mean is None or self.deviations is None:
            raise TypeError("this Gaussian family knows no data; make it with Gaussian.of")
        return self.mean, self.deviations

    def maximize(self, statistics: Moments, parameters: Parameters) -> Parameters:
        """Return the parameters that the moments are best explained by; an empty component gets weight 0."""
        total = statistics.counts.sum()
        empty = statistics.counts <= EMPTY * total
        counts = np.where(empty, 0.0, statistics.counts)
        if empty.any():
            statistics = _with_filled(statistics, empty, EMPTY * total)
        means = parameters.means + statistics.shifts()
        covariances = self.type.estimate(statistics, self._units()[1], self.reg_covar, self.shrinkage)
        return Parameters(counts / counts.sum(), means, covariances, self.type.name)

    def from_responsibilities(self, samples: Samples, responsibilities: np.ndarray) -> Parameters:
        """Return the parameters of an M-step from responsibilities, (n_samples, K)."""
        K, D = responsibilities.shape[1], samples.n_features
        means, counts, second = np.empty((K, D)), np.empty(K), []
        for k, mean in enumerate(means):
            # One component at a time, over its own rows: never the whole weighted matrix at once.
            share = responsibilities[:, k] * samples.sample_weight
            rows = np.flatnonzero(share)
            share = share[rows]
            counts[k] = share.sum()
            X = samples.X[rows].astype(np.float64)
            mean[:] = share @ X / counts[k] if counts[k] > 0 else samples.mean
            X -= mean
            second.append((X * share[:, None]).T @ X if self.type.form == "full" else share @ np.square(X))
        moments = Moments(counts, np.zeros_like(means), np.array(second), 0.0)
        start = Parameters(np.full(K, 1 / K), means, np.ones(self.type.shape(K, D)), self.type.name)
        return self.maximize(moments, start)

    def reseeded(self, parameters: Parameters, components: np.ndarray, rows: np.ndarray) -> Parameters:
        """Return parameters with the means of the given components at the given rows."""
        means = parameters.means.copy()
        means[components] = rows
        return replace(parameters, means=means)

    def blemishes(
        self, parameters: Parameters, source: Source, n_jobs: int | None = None
    ) -> tuple[Repair, ...]:
        """Name the components that only a rule keeps from being singular."""
        if self.shrinkage > 0:
            return ()
        if self.reg_covar == 0:
            scaled = self.type.scale(parameters.covariances, 1.0 / self._units()[1])
            parameters, kind, floor = replace(parameters, covariances=scaled), "singular", SINGULAR
        else:
            kind, floor = "collapsed", self.reg_covar
        flat = np.flatnonzero(_smallest_variances(parameters) < COLLAPSED * floor)
        if len(flat) == 0 or (kind == "collapsed" and self._is_flat(source, n_jobs)):
            return ()
        return (Repair(kind, tuple(flat.tolist()), floor),)

    def _is_flat(self, source: Source, n_jobs: int | None) -> bool:
        """Tell whether the data themselves are flat in some direction: then no component is to blame."""
        mean = source.mean

        def scatter(block: Block) -> np.ndarray:
            differences = block.X - mean
            if self.type.form == "diag":
                return block.sample_weight @ np.square(differences)
            return (differences * block.sample_weight[:, None]).T @ differences

        whole = source.reduce(scatter, rows=_ROWS, n_jobs=n_jobs) / source.total_weight
        return bool(_smallest(whole[None])[0] < 10 * COLLAPSED * self.reg_covar)


def _check_underflow(source: Source, variance: np.ndarray) -> None:
    """Refuse data of which a feature varies, but by so little that its square is lost."""
    small = np.flatnonzero(variance < _TINY)
    if len(small) == 0:
        return
    ends = source.map(
        lambda block: (block.X[:, small].min(axis=0), block.X[:, small].max(axis=0)), rows=_ROWS
    )
    lows, highs = (np.array(values) for values in zip(*ends, strict=True))
    varying = small[highs.max(axis=0) > lows.min(axis=0)]
    if len(varying):
        raise DataError(
            f"the variance of column {varying[0]} underflows ({variance[varying[0]]:.3g}); "
            "give the samples in a smaller unit, or a larger reg_covar"
        )


def _with_filled(moments: Moments, empty: np.ndarray, mass: float) -> Moments:
    """Give empty components the average scatter of the others, at a negligible mass."""
    counts, first, second = moments.counts.copy(), moments.first.copy(), moments.second.copy()
    if len(second) != len(counts):
        # Summed over the components: what is missing of it is negligible.
        counts[empty], first[empty] = mass, 0.0
        return replace(moments, counts=counts, first=first)
    others = Moments(counts[~empty], first[~empty], second[~empty], 0.0)
    scatter = others.scatters().sum(axis=0) * (mass / others.counts.sum())
    counts[empty], first[empty], second[empty] = mass, 0.0, scatter
    return replace(moments, counts=counts, first=first, second=second)


def _smallest_variances(parameters: Parameters) -> np.ndarray:
    return _smallest(parameters.type.spread(parameters.covariances, *parameters.means.shape))


def _smallest(spread: np.ndarray) -> np.ndarray:
    """Return the smallest variance in any direction of each covariance, (K, D, D) or (K, D)."""
    return np.linalg.eigvalsh(spread)[:, 0] if spread.ndim == 3 else spread.min(axis=1)
