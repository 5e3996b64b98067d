"""Gaussians over samples with missing entries (NaN): the E-step by patterns of what is known.

Rows that lack the same entries pass together through the engine of the known features' marginal. What is
missing is linear in what is known, so that moments of whole rows follow from those of the known features.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from segment.data.gaps import GappySamples
from segment.data.samples import Samples
from segment.data.source import Block, Source
from segment.mixture.families.family import Prepared
from segment.mixture.families.gaussian.chart import GaussianChart
from segment.mixture.families.gaussian.engines import engine_of
from segment.mixture.families.gaussian.family import COLLAPSED, Gaussian
from segment.mixture.families.gaussian.moments import Moments
from segment.mixture.families.gaussian.parameters import Parameters

# Rows of a block: enough of each pattern, so that what is done once a pattern costs little.
_ROWS = 65536


@dataclass(frozen=True, eq=False)
class GappyParameters(Parameters):
    """Parameters of a Gaussian mixture whose samples may lack entries."""

    family: ClassVar[str] = "gaussian-gaps"

    @classmethod
    def of(cls, parameters: Parameters) -> GappyParameters:
        """Return the same numbers, for samples with gaps."""
        return cls(parameters.weights, parameters.means, parameters.covariances, parameters.covariance_type)


class Pattern:
    """What rows have in common that lack the same entries.

    Parameters
    ----------
    parameters : Parameters
    known : (D,) bool ndarray
    dtype : numpy.dtype
        Of the samples.
    reg : float
        As `PreparedGaussians`.

    Attributes
    ----------
    slopes : (K, n_missing, n_known) float64 ndarray
        Of the missing entries by the known ones.
    covariances : (K, n_missing, n_missing) float64 ndarray
        Of the missing entries, given the known ones.
    """

    def __init__(self, parameters: Parameters, known: np.ndarray, dtype: np.dtype, reg: float) -> None:
        self.parameters, self.reg = parameters, reg
        self.known, self.missing = np.flatnonzero(known), np.flatnonzero(~known)
        self.form = parameters.type.form
        whole = parameters.spread_covariances()
        self.covariances = whole[:, self.missing[:, None], self.missing]
        self.slopes = np.zeros((len(whole), len(self.missing), len(self.known)))
        if len(self.known) == 0:
            return
        of_known = whole[:, self.known[:, None], self.known]
        if self.form == "diag":
            of_known = np.diagonal(of_known, axis1=1, axis2=2)
        marginal = Parameters(parameters.weights, parameters.means[:, self.known], of_known, self.form)
        self.prepared = engine_of(marginal.type, len(self.known)).prepare(marginal, dtype, reg)
        if self.form == "full":
            across, factors = whole[:, self.missing[:, None], self.known], marginal.factors
            self.slopes = across @ np.swapaxes(factors, 1, 2) @ factors
            self.covariances = self.covariances - self.slopes @ np.swapaxes(across, 1, 2)

    def accumulate(self, X: np.ndarray, sample_weight: np.ndarray) -> Moments:
        """Return the moments of whole rows, of which X has the known entries."""
        if len(self.known) == 0:
            return self._of_nothing(float(sample_weight.sum()))
        found = self.prepared.accumulate(Block(X, sample_weight, 0))
        return self._expanded(found) if len(self.missing) else found

    def _of_nothing(self, weight: float) -> Moments:
        counts = weight * self.parameters.weights
        nothing = np.zeros((len(counts), 0))
        second = nothing if self.form == "diag" else np.zeros((len(counts), 0, 0))
        return self._expanded(Moments(counts, nothing, second, 0.0))

    def _expanded(self, found: Moments) -> Moments:
        """Return moments of whole rows from those of the known entries.

        A blur of the known entries, of variance `reg`, moves the missing ones as well: that is in the second
        moments, less the blur that the M-step adds to every variance.
        """
        K, D = self.parameters.means.shape
        if self.form == "diag":
            first, second = np.zeros((K, D)), np.zeros((K, D))
            first[:, self.known], second[:, self.known] = found.first, found.second
            variances = np.diagonal(self.covariances, axis1=1, axis2=2)
            second[:, self.missing] = found.counts[:, None] * (variances - self.reg)
            return Moments(found.counts, first, second, found.log_likelihood)
        spread = np.zeros((K, D, len(self.known)))
        spread[:, self.known] = np.eye(len(self.known))
        spread[:, self.missing] = self.slopes
        back = np.swapaxes(spread, 1, 2)
        own = self.reg * (spread @ back - np.eye(D))
        own[:, self.missing[:, None], self.missing] += self.covariances
        # The engines fill the lower triangle.
        lower = np.tril(found.second)
        whole = lower + np.swapaxes(np.tril(lower, -1), 1, 2)
        second = spread @ whole @ back + found.counts[:, None, None] * own
        first = (spread @ found.first[:, :, None])[:, :, 0]
        return Moments(found.counts, first, second, found.log_likelihood)

    def log_densities(self, X: np.ndarray, *, far: bool = False) -> np.ndarray:
        """Return log(weight) + log density of the known entries X, (n, K)."""
        if len(self.known) == 0:
            with np.errstate(divide="ignore"):
                return np.tile(np.log(self.parameters.weights), (len(X), 1))
        return self.prepared.far_log_densities(X) if far else self.prepared.log_densities(X)

    def conditional_means(self, X: np.ndarray) -> np.ndarray:
        """Return the means of the missing entries, given the known ones X, by component (K, n, n_missing)."""
        differences = X - self.parameters.means[:, None, self.known]
        return self.parameters.means[:, None, self.missing] + differences @ np.swapaxes(self.slopes, 1, 2)


class PreparedGaps(Prepared[Moments]):
    """Gaussians ready for a pass over samples with gaps; the arguments are those of `PreparedGaussians`."""

    rows = _ROWS

    def __init__(self, parameters: Parameters, dtype: np.dtype, reg: float) -> None:
        self.parameters, self.dtype, self.reg = parameters, dtype, reg
        self.patterns: dict[bytes, Pattern] = {}

    def groups(self, X: np.ndarray) -> Iterator[tuple[np.ndarray, Pattern]]:
        """Yield the numbers of rows that lack the same entries, and their pattern."""
        codes = np.packbits(np.isnan(X), axis=1)
        distinct, group = np.unique(codes, axis=0, return_inverse=True)
        order = np.argsort(group, kind="stable")
        edges = np.searchsorted(group[order], np.arange(len(distinct) + 1))
        for code, start, stop in zip(distinct, edges[:-1], edges[1:], strict=True):
            rows, key = order[start:stop], code.tobytes()
            if key not in self.patterns:
                known = ~np.isnan(X[rows[0]])
                self.patterns[key] = Pattern(self.parameters, known, self.dtype, self.reg)
            yield rows, self.patterns[key]

    def accumulate(self, block: Block, n_jobs: int | None = 1) -> Moments:
        total = None
        for rows, pattern in self.groups(block.X):
            found = pattern.accumulate(block.X[np.ix_(rows, pattern.known)], block.sample_weight[rows])
            total = found if total is None else total + found
        if total is None:
            raise ValueError("a block has no rows")
        return total

    def log_densities(self, X: np.ndarray) -> np.ndarray:
        return self._densities(X, far=False)

    def far_log_densities(self, X: np.ndarray) -> np.ndarray:
        return self._densities(X, far=True)

    def _densities(self, X: np.ndarray, *, far: bool) -> np.ndarray:
        out = np.empty((len(X), self.parameters.n_components))
        for rows, pattern in self.groups(X):
            out[rows] = pattern.log_densities(X[np.ix_(rows, pattern.known)], far=far)
        return out


class GappyChart(GaussianChart):
    """The vector form of `GaussianChart`, of parameters for samples with gaps."""

    def unpack(self, vector: np.ndarray) -> GappyParameters:
        """Undo `pack`."""
        return GappyParameters.of(super().unpack(vector))


@dataclass(frozen=True, eq=False)
class GappyGaussian(Gaussian):
    """Gaussian components over samples that lack entries at random: the likelihood of what is known.

    References
    ----------
    .. [1] Ghahramani & Jordan (1994), "Supervised learning from incomplete data via an EM approach", NIPS 6.
    .. [2] Little & Rubin (2019), "Statistical analysis with missing data", chapters 8 and 11.
    """

    name = "gaussian-gaps"
    parameters = GappyParameters

    def prepare(self, parameters: Parameters, dtype: np.dtype) -> PreparedGaps:  # type: ignore[override]
        """Make parameters ready for a pass over samples of a dtype."""
        return PreparedGaps(parameters, np.dtype(dtype), self.reg_covar)

    def chart(self, n_components: int) -> GappyChart:
        """Return the vector form of the parameters of so many components."""
        mean, deviations = self._units()
        return GappyChart(self.type, n_components, mean, deviations)

    def maximize(self, statistics: Moments, parameters: Parameters) -> GappyParameters:
        """Return the parameters that the moments are best explained by."""
        return GappyParameters.of(super().maximize(statistics, parameters))

    def from_responsibilities(self, samples: Samples, responsibilities: np.ndarray) -> Parameters:
        """Return an M-step from responsibilities, with the mean of its column in every gap."""
        filled = samples.filled() if isinstance(samples, GappySamples) else samples
        return super().from_responsibilities(filled, responsibilities)

    def reseeded(self, parameters: Parameters, components: np.ndarray, rows: np.ndarray) -> Parameters:
        """Return parameters with the means of the given components at the given rows, gaps at the mean."""
        return super().reseeded(parameters, components, np.where(np.isnan(rows), self._units()[0], rows))

    def _is_flat(self, source: Source, n_jobs: int | None) -> bool:
        return bool(source.variance.min() < 10 * COLLAPSED * self.reg_covar)
