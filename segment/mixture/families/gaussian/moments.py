"""Moments: what an E-step leaves of the samples. They add, and the M-step sees only their sum."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np


@lru_cache(maxsize=64)
def lower_triangle(D: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the row and column numbers of the lower triangle of a D x D matrix."""
    return np.tril_indices(D)


@dataclass(frozen=True, eq=False)
class Moments:
    """Responsibility-weighted moments about the current means, and the log-likelihood.

    Attributes
    ----------
    counts : (K,) float64 ndarray
        Sums of weighted responsibilities.
    first : (K, D) float64 ndarray
        Sums of responsibility times difference from the current mean.
    second : (K, D, D), (1, D, D) or (K, D) float64 ndarray
        Sums of the products of differences: all of them (lower triangle), the same summed over the components
        where they share a covariance, or the squares only.
    log_likelihood : float
        Weighted sum of the log densities of the samples, in nats.
    """

    counts: np.ndarray
    first: np.ndarray
    second: np.ndarray
    log_likelihood: float

    def __add__(self, other: Moments) -> Moments:
        return Moments(
            self.counts + other.counts,
            self.first + other.first,
            self.second + other.second,
            self.log_likelihood + other.log_likelihood,
        )

    def __iadd__(self, other: Moments) -> Moments:
        for name in ("counts", "first", "second"):
            mine = getattr(self, name)
            np.add(mine, getattr(other, name), out=mine)
        log_likelihood = self.log_likelihood + other.log_likelihood
        return Moments(self.counts, self.first, self.second, log_likelihood)

    def scaled(self, factor: float) -> Moments:
        """Return the moments of `factor` times the weight."""
        return Moments(
            factor * self.counts, factor * self.first, factor * self.second, factor * self.log_likelihood
        )

    def about(self, old: Any, new: Any) -> Moments:
        """Return moments about the means of `old` as moments about the means of `new`."""
        shifts = new.means - old.means
        first = self.first - self.counts[:, None] * shifts
        if self.second.ndim == 2:
            second = self.second - (self.first + first) * shifts
        else:
            cross = self.first[:, :, None] * shifts[:, None, :]
            own = self.counts[:, None, None] * shifts[:, :, None] * shifts[:, None, :]
            second = self.second + self._pooled(own - cross - cross.transpose(0, 2, 1))
        return Moments(self.counts, first, second, self.log_likelihood)

    def _pooled(self, each: np.ndarray) -> np.ndarray:
        """Return what belongs to each component, (K, ...), summed where the second moments are."""
        return each if len(self.second) == len(self.counts) else each.sum(axis=0, keepdims=True)

    def shifts(self) -> np.ndarray:
        """Return how far the means move in the M-step, (K, D)."""
        return self.first / self.counts[:, None]

    def scatters(self) -> np.ndarray:
        """Return second moments about the new means, whole matrices; the shape is that of `second`."""
        shifts = self.shifts()
        if self.second.ndim == 2:
            return np.maximum(self.second - self.first * shifts, 0.0)
        rows, columns = lower_triangle(shifts.shape[1])
        halves = self.second[:, rows, columns] - self._pooled(self.first[:, rows] * shifts[:, columns])
        whole = np.empty_like(self.second)
        whole[:, rows, columns] = halves
        whole[:, columns, rows] = halves
        return whole
