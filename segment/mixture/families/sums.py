"""Sums: the statistics of families whose components are told by the mean of each feature."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True, eq=False)
class Sums:
    """What an E-step leaves of samples of which only the sums matter.

    Attributes
    ----------
    counts : (K,) float64 ndarray
        Sums of weighted responsibilities.
    sums : (K, D) float64 ndarray
        Sums of responsibility times feature.
    log_likelihood : float
        Weighted sum of the log probabilities of the samples, in nats.
    """

    counts: np.ndarray
    sums: np.ndarray
    log_likelihood: float

    def __add__(self, other: Sums) -> Sums:
        return Sums(
            self.counts + other.counts, self.sums + other.sums, self.log_likelihood + other.log_likelihood
        )

    def raised(self, gain: float) -> Sums:
        """Return the sums with another log-likelihood: it gains what no component changes."""
        return Sums(self.counts, self.sums, self.log_likelihood + gain)

    def scaled(self, factor: float) -> Sums:
        """Return the sums of `factor` times the weight."""
        return Sums(factor * self.counts, factor * self.sums, factor * self.log_likelihood)

    def about(self, old: Any, new: Any) -> Sums:
        """Return itself: these sums are about no parameters."""
        return self
