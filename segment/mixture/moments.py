"""Moments: what an E-step leaves of the samples. They add, and the M-step sees only their sum."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

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
    second : (K, D, D) or (K, D) float64 ndarray
        Sums of the products of differences: all of them (lower triangle), or the squares only.
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

    def shifts(self) -> np.ndarray:
        """Return how far the means move in the M-step, (K, D)."""
        return self.first / self.counts[:, None]

    def scatters(self) -> np.ndarray:
        """Return second moments about the new means, whole matrices, (K, D, D) or (K, D)."""
        shifts = self.shifts()
        if self.second.ndim == 2:
            return np.maximum(self.second - self.first * shifts, 0.0)
        rows, columns = lower_triangle(shifts.shape[1])
        halves = self.second[:, rows, columns] - self.first[:, rows] * shifts[:, columns]
        whole = np.empty_like(self.second)
        whole[:, rows, columns] = halves
        whole[:, columns, rows] = halves
        return whole
