"""Gaussians over many features whose log densities are linear in few terms: products of matrices.

With diagonal covariances the terms of a row are its features and their squares. With one covariance for all,
what is quadratic in a row is the same under every component: the features are enough, and the M-step needs no
more of the second moments than their sum. A last term of 1 brings the constants and the counts.

Both expand the squares of differences, about an origin near the data. Where means lie so many standard
deviations from it that digits would be lost, or a square overflows, the plain engine serves.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator

import numpy as np

from segment.data.source import Block
from segment.kernels.em import narrow, wide
from segment.mixture.families.gaussian.moments import Moments
from segment.mixture.families.gaussian.parameters import Parameters
from segment.mixture.families.gaussian.prepared import WIDE_ROWS, PreparedGaussians

# Largest sum of what cancels in a log density: twelve digits behind the decimal point remain.
_LARGEST = 1e4

# Rows that are multiplied at a time: they stay in a core's cache between the two products.
_STEP = 512

# Stands for the logarithm of an empty component's weight.
_NEVER = -1e300


class _Expanded(PreparedGaussians):
    """What the two forms share. `plain` prepares the engine that serves where digits would be lost."""

    rows = WIDE_ROWS

    def __init__(
        self,
        plain: Callable[[Parameters, np.dtype, float], PreparedGaussians],
        parameters: Parameters,
        dtype: np.dtype,
        reg: float,
    ) -> None:
        super().__init__(parameters, dtype, reg)
        self.plain = plain(parameters, dtype, reg)
        self.origin = parameters.weights @ parameters.means
        self.means = parameters.means - self.origin
        with np.errstate(over="ignore", invalid="ignore"):
            slopes, constants, cancelled = self._expansion()
        self.expands = bool((cancelled < _LARGEST).all())
        self.slopes = np.hstack([slopes, np.maximum(self.log_scales + constants, _NEVER)[:, None]])

    @abstractmethod
    def _expansion(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return slopes (K, T - 1), constants (K,), and how much cancels under each component (K,)."""

    @abstractmethod
    def _write_terms(self, X: np.ndarray, out: np.ndarray) -> None:
        """Write the terms of rows, out (n, T)."""

    @abstractmethod
    def _moments(self, block: Block, sums: np.ndarray, log_likelihood: float) -> Moments:
        """Return the moments of a block from the sums of responsibility times term, (K, T)."""

    @abstractmethod
    def _plain_moments(self, block: Block) -> Moments:
        """Return the moments of a block by the plain engine, in the same form."""

    @abstractmethod
    def _shared(self, X: np.ndarray) -> np.ndarray:
        """Return what no component changes in the log densities of rows, (n,)."""

    def _terms(self, X: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
        scratch = np.empty((min(_STEP, len(X)), self.slopes.shape[1]))
        for start in range(0, len(X), _STEP):
            rows = slice(start, min(start + _STEP, len(X)))
            terms = scratch[: rows.stop - start]
            self._write_terms(X[rows], terms)
            yield rows, terms

    def accumulate(self, block: Block, n_jobs: int | None = 1) -> Moments:
        if not self.expands:
            return self._plain_moments(block)
        sums, log_likelihood = np.zeros_like(self.slopes), 0.0
        with np.errstate(over="ignore", invalid="ignore"):
            for rows, terms in self._terms(block.X):
                densities = self.slopes @ terms.T
                shares = np.empty_like(densities)
                log_likelihood += narrow.posterior(densities, block.sample_weight[rows], shares)
                sums += shares @ terms
            moments = self._moments(block, sums, log_likelihood)
        finite = np.isfinite(moments.second).all() and np.isfinite(moments.first).all()
        return moments if finite else self._plain_moments(block)

    def log_densities(self, X: np.ndarray) -> np.ndarray:
        if not self.expands:
            return self.plain.log_densities(X)
        out = np.empty((len(X), len(self.slopes)))
        with np.errstate(over="ignore", invalid="ignore"):
            for rows, terms in self._terms(X):
                np.dot(terms, self.slopes.T, out=out[rows])
            out += self._shared(X)[:, None]
        out[out <= 0.5 * _NEVER] = -np.inf
        return self.plain.log_densities(X) if np.isnan(out).any() else out


class DiagonalProducts(_Expanded):
    """Diagonal covariances: linear in squares and features."""

    def _expansion(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        precisions = np.square(self.parameters.factors)
        cancelled = (precisions * np.square(self.means)).sum(axis=1)
        return np.hstack([-0.5 * precisions, precisions * self.means]), -0.5 * cancelled, cancelled

    def _write_terms(self, X: np.ndarray, out: np.ndarray) -> None:
        wide.shifted_squares(X, self.origin, out)

    def _moments(self, block: Block, sums: np.ndarray, log_likelihood: float) -> Moments:
        D = self.means.shape[1]
        squares, linear, counts = sums[:, :D], sums[:, D:-1], sums[:, -1].copy()
        first = linear - counts[:, None] * self.means
        return Moments(counts, first, squares - self.means * (linear + first), log_likelihood)

    def _plain_moments(self, block: Block) -> Moments:
        return self.plain.accumulate(block)

    def _shared(self, X: np.ndarray) -> np.ndarray:
        return np.zeros(len(X))


class PooledProducts(_Expanded):
    """One covariance for all components: linear in the features. Second moments are summed over these."""

    def _expansion(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        factor = self.parameters.factors[0]
        whitened = self.means @ factor.T
        slopes = whitened @ factor
        deviations = np.sqrt(np.diagonal(self.parameters.covariances))
        cancelled = (np.abs(slopes) * (np.abs(self.means) + deviations)).sum(axis=1)
        return slopes, -0.5 * np.square(whitened).sum(axis=1), cancelled

    def _write_terms(self, X: np.ndarray, out: np.ndarray) -> None:
        wide.shifted(X, self.origin, out)

    def _moments(self, block: Block, sums: np.ndarray, log_likelihood: float) -> Moments:
        D = self.means.shape[1]
        weighted = np.empty((np.count_nonzero(block.sample_weight), D + 1))
        wide.weighted_differences(block.X, self.origin, block.sample_weight, weighted)
        scatter = (weighted.T @ weighted)[:D, :D]
        linear, counts = sums[:, :-1], sums[:, -1].copy()
        first = linear - counts[:, None] * self.means
        factor = self.parameters.factors[0]
        log_likelihood -= 0.5 * float(((factor @ scatter) * factor).sum())
        second = scatter - linear.T @ self.means - self.means.T @ first
        return Moments(counts, first, second[None], log_likelihood)

    def _plain_moments(self, block: Block) -> Moments:
        found = self.plain.accumulate(block)
        second = found.second.sum(axis=0, keepdims=True)
        return Moments(found.counts, found.first, second, found.log_likelihood)

    def _shared(self, X: np.ndarray) -> np.ndarray:
        return -0.5 * np.square((X - self.origin) @ self.parameters.factors[0].T).sum(axis=1)
