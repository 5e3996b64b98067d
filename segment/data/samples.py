"""Samples in memory: rows of features, each standing for `sample_weight` copies of itself."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from segment.data.reduction import map_in_order, reduce_blocks
from segment.data.source import Block, Source
from segment.errors import DataError
from segment.parallel import block_ranges

S = TypeVar("S")
A = TypeVar("A")


@dataclass(frozen=True, eq=False)
class Samples(Source):
    """Validated samples; make them with `Samples.of`.

    Attributes
    ----------
    X : (n_samples, n_features) float32 or float64 ndarray, C-contiguous
    sample_weight : (n_samples,) float64 ndarray
        A weight of w means exactly "this row, w times"; rows of weight zero are legal and count nothing.
    """

    X: np.ndarray
    sample_weight: np.ndarray

    shares_threads = True

    @classmethod
    def of(cls, X: Any, sample_weight: Any = None) -> Samples:
        """Validate arrays and make samples of them; float32 stays float32, all else becomes float64.

        Raises
        ------
        DataError
            If `X` is not 2-D and numeric, holds NaN or infinity, or the weights do not fit it.
        """
        X = as_matrix(X)
        if sample_weight is None:
            return cls(X, np.ones(len(X)))
        weight = np.ascontiguousarray(sample_weight, dtype=np.float64)
        if weight.shape != (len(X),):
            raise DataError(
                f"sample_weight has shape {weight.shape}; one weight for each of {len(X)} rows is needed"
            )
        wrong = ~np.isfinite(weight) | (weight < 0)
        if wrong.any():
            i = int(np.argmax(wrong))
            raise DataError(f"sample_weight[{i}] is {weight[i]}; weights must be finite and not negative")
        if not weight.any():
            raise DataError("every sample_weight is zero; at least one row must count")
        return cls(X, weight)

    @property
    def n_samples(self) -> int:
        """Number of rows."""
        return self.X.shape[0]

    @property
    def n_features(self) -> int:
        """Number of columns."""
        return self.X.shape[1]

    @property
    def dtype(self) -> np.dtype:
        """float32 or float64."""
        return self.X.dtype

    def reduce(self, function: Callable[[Block], S], *, rows: int, n_jobs: int | None = None) -> S:
        """Apply `function` to blocks of `rows` rows, in threads; return the sum of what it returns."""
        return reduce_blocks(
            lambda cut: function(self._block(cut)), block_ranges(self.n_samples, rows), n_jobs
        )

    def map(self, function: Callable[[Block], A], *, rows: int, n_jobs: int | None = None) -> Iterator[A]:
        """Apply `function` to blocks of `rows` rows, in threads; yield what it returns, in order."""
        return map_in_order(
            lambda cut: function(self._block(cut)), block_ranges(self.n_samples, rows), n_jobs
        )

    def _block(self, cut: tuple[int, int]) -> Block:
        rows = slice(*cut)
        return Block(self.X[rows], self.sample_weight[rows], cut[0])

    def first_row(self) -> np.ndarray:
        """Return the first row, (n_features,) float64."""
        return self.X[0].astype(np.float64)

    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        """Return all rows and their weights."""
        return self.X, self.sample_weight

    def changed(self, change: Callable[[np.ndarray], np.ndarray]) -> Samples:
        """Return samples of what a function makes of the rows."""
        return Samples(change(self.X), self.sample_weight)

    def stamps(self) -> list[Any]:
        """Return by what the samples are known again: for checkpoints."""
        return [*self.X.shape, zlib.crc32(self.X.data), zlib.crc32(self.sample_weight.data)]


def as_matrix(X: Any) -> np.ndarray:
    """Return `X` as a finite, C-contiguous (n, d) float32 or float64 array.

    Raises
    ------
    DataError
        If it is not 2-D and numeric, is empty, or holds NaN or infinity; the message says where.
    """
    try:
        array = np.asarray(X)
        dtype = array.dtype if array.dtype in (np.float32, np.float64) else np.float64
        array = np.ascontiguousarray(array, dtype=dtype)
    except (TypeError, ValueError) as error:
        raise DataError(f"samples must be numbers in a 2-D array (rows are samples): {error}") from error
    if array.ndim != 2:
        raise DataError(
            f"samples have shape {array.shape}; a 2-D array (n_samples, n_features) is needed: "
            "reshape one feature with X.reshape(-1, 1)"
        )
    if 0 in array.shape:
        raise DataError(f"samples have shape {array.shape}; at least one row and one column are needed")
    # One pass without a temporary: a sum is finite unless an entry is not (or the sum overflows).
    with np.errstate(over="ignore", invalid="ignore"):
        total = array.sum(dtype=np.float64)
    if not np.isfinite(total):
        wrong = ~np.isfinite(array)
        if wrong.any():
            row, column = (int(i) for i in np.argwhere(wrong)[0])
            raise DataError(
                f"{int(wrong.sum())} of {array.size} entries are NaN or infinite, the first at row {row}, "
                f"column {column} ({array[row, column]}); drop or impute such rows; "
                "GaussianMixture(missing='em') takes NaN as not known"
            )
    return array
