"""Components whose log density is linear in the features: a kernel for few, products of matrices for many."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from segment.data.source import Block
from segment.kernels.em import discrete, narrow
from segment.mixture.families.sums import Sums

# From here on products through BLAS beat the kernel that is vectorized across samples.
WIDE = 32

# Rows that are multiplied at a time: they stay in a core's cache between the two products.
_ROWS = 256

# Stands for an infinite logarithm: 0 times it is 0.
_NEVER = -1e300


class Linear(ABC):
    """Log densities ``constants + slopes x``, less what no component changes, ready for a pass."""

    @abstractmethod
    def accumulate(self, block: Block) -> Sums:
        """Return the sums of a block."""

    @abstractmethod
    def log_densities(self, X: np.ndarray) -> np.ndarray:
        """Return the log densities of rows, (n, K)."""


def linear(constants: np.ndarray, slopes: np.ndarray) -> Linear:
    """Return what serves so many features best.

    Parameters
    ----------
    constants : (K,) float64 ndarray
        -inf for an empty component.
    slopes : (K, D) float64 ndarray
        -inf where a feature can only be 0.
    """
    return (Products if slopes.shape[1] >= WIDE else Vectorized)(constants, slopes)


class Vectorized(Linear):
    """The kernel that is vectorized across samples (see `linear`)."""

    def __init__(self, constants: np.ndarray, slopes: np.ndarray) -> None:
        self.constants = constants, slopes

    def accumulate(self, block: Block) -> Sums:
        K, D = self.constants[1].shape
        counts, sums = np.zeros(K), np.zeros((K, D))
        found = discrete.accumulate_counts(block.X, block.sample_weight, *self.constants, counts, sums)
        return Sums(counts, sums, found)

    def log_densities(self, X: np.ndarray) -> np.ndarray:
        out = np.empty((len(X), len(self.constants[0])))
        discrete.densities_counts(X, *self.constants, out)
        return out


class Products(Linear):
    """Products through BLAS (see `linear`).

    Parameters
    ----------
    constants, slopes : ndarray
        As `linear`.
    ones : (K, D) bool ndarray, optional
        Where a binary feature can only be 1; the slope there does not matter.
    """

    def __init__(self, constants: np.ndarray, slopes: np.ndarray, ones: np.ndarray | None = None) -> None:
        self.constants = constants[:, None]
        self.slopes = np.where(slopes == -np.inf, _NEVER, slopes)
        self.where_ones = np.zeros(0, dtype=np.intp)
        if ones is not None:
            self.slopes[ones] = 0.0
            self.where_ones = np.flatnonzero(ones.any(axis=0))
            self.ones = ones[:, self.where_ones] * _NEVER

    def _of(self, x: np.ndarray) -> np.ndarray:
        """Return the log densities of some rows, (K, n)."""
        with np.errstate(over="ignore"):
            found = self.slopes @ x.T + self.constants
            if len(self.where_ones):
                found += self.ones @ (1.0 - x[:, self.where_ones].T)
        found[found < 0.5 * _NEVER] = -np.inf
        return found

    def accumulate(self, block: Block) -> Sums:
        K, D = self.slopes.shape
        counts, sums, log_likelihood = np.zeros(K), np.zeros((K, D)), 0.0
        for start in range(0, len(block.X), _ROWS):
            x = block.X[start : start + _ROWS].astype(np.float64, copy=False)
            found = self._of(x)
            shares = np.empty_like(found)
            weights = block.sample_weight[start : start + _ROWS]
            log_likelihood += narrow.posterior(found, weights, shares)
            counts += shares.sum(axis=1)
            sums += shares @ x
        return Sums(counts, sums, log_likelihood)

    def log_densities(self, X: np.ndarray) -> np.ndarray:
        out = np.empty((len(X), len(self.slopes)))
        for start in range(0, len(X), _ROWS):
            x = X[start : start + _ROWS].astype(np.float64, copy=False)
            out[start : start + _ROWS] = self._of(x).T
        return out
