"""Samples in memory with missing entries: NaN where a value is not known."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np

from segment.data.samples import Samples
from segment.errors import DataError


@dataclass(frozen=True, eq=False)
class GappySamples(Samples):
    """Samples of which entries may be NaN; make them with `GappySamples.of`.

    Mean and variance of a feature are those of its known entries.
    """

    @classmethod
    def of(cls, X: Any, sample_weight: Any = None) -> Self:
        """Validate arrays and make samples of them.

        Raises
        ------
        DataError
            If `X` is not 2-D and numeric, holds infinity, or the weights do not fit.
        """
        if isinstance(X, GappySamples):
            X = X.X
        X = np.asarray(X)
        if X.dtype.kind not in "biuf":
            X = np.asarray(X, dtype=np.float64)
        known = ~np.isnan(X) if X.dtype.kind == "f" else np.ones(X.shape, dtype=bool)
        filled = Samples.of(np.where(known, X, X.dtype.type(0)), sample_weight)
        return cls(np.ascontiguousarray(X, dtype=filled.dtype), filled.sample_weight)

    @cached_property
    def _known(self) -> np.ndarray:
        return ~np.isnan(self.X)

    @cached_property
    def mean(self) -> np.ndarray:
        """Weighted mean of the known entries of each feature, (n_features,) float64.

        Raises
        ------
        DataError
            If nothing is known of a feature.
        """
        unknown = ~self._known[self.sample_weight > 0].any(axis=0)
        if unknown.any():
            raise DataError(
                f"column {int(np.argmax(unknown))} holds NaN only; nothing can be learned of it: drop it"
            )
        return self._averages(np.where(self._known, self.X, 0.0))

    @cached_property
    def variance(self) -> np.ndarray:
        """Weighted variance of the known entries of each feature, (n_features,) float64."""
        return self._averages(np.where(self._known, np.square(self.X - self.mean), 0.0))

    def _averages(self, values: np.ndarray) -> np.ndarray:
        return (self.sample_weight @ values) / (self.sample_weight @ self._known)

    def whole(self, least: int, rng: np.random.Generator) -> Samples:
        """Return the rows without gaps; if they are fewer than `least`, all, gaps drawn."""
        rows = np.flatnonzero(self._known.all(axis=1) & (self.sample_weight > 0))
        if len(rows) < least:
            return self._drawn(rng)
        return Samples(np.ascontiguousarray(self.X[rows]), self.sample_weight[rows])

    def _drawn(self, rng: np.random.Generator) -> Samples:
        """Fill gaps with values of other rows: the mean in many rows would look like a component."""
        X = self.X.copy()
        for column, known in zip(X.T, self._known.T, strict=True):
            weight = np.where(known, self.sample_weight, 0.0)
            column[~known] = rng.choice(column, int((~known).sum()), p=weight / weight.sum())
        return Samples(X, self.sample_weight)

    def filled(self) -> Samples:
        """Return the samples with the mean of its column in every gap."""
        return Samples(np.where(self._known, self.X, self.mean.astype(self.X.dtype)), self.sample_weight)
