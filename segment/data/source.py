"""What a place of data must offer: its shape, its summary, and passes over its blocks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol, TypeVar

import numpy as np

S = TypeVar("S")
A = TypeVar("A")


class Block(NamedTuple):
    """Consecutive rows of a source.

    Attributes
    ----------
    X : (n, n_features) float32 or float64 ndarray, C-contiguous
    sample_weight : (n,) float64 ndarray
    start : int
        Number of the first row.
    """

    X: np.ndarray
    sample_weight: np.ndarray
    start: int


class Source(Protocol):
    """An ordered list of rows with weights, walked in blocks.

    Blocks are cut by the number of rows alone, and what is found on them is added in one fixed pairwise tree:
    any number of threads or workers gives the same bits.
    """

    @property
    def n_samples(self) -> int:
        """Number of rows."""

    @property
    def n_features(self) -> int:
        """Number of columns."""

    @property
    def dtype(self) -> np.dtype:
        """float32 or float64."""

    @property
    def total_weight(self) -> float:
        """Sum of the sample weights: the number of rows if each weight were spelled out."""

    @property
    def mean(self) -> np.ndarray:
        """Weighted mean of each feature, (n_features,) float64."""

    @property
    def variance(self) -> np.ndarray:
        """Weighted variance of each feature about its mean, (n_features,) float64."""

    def reduce(self, function: Callable[[Block], S], *, rows: int, n_jobs: int | None = None) -> S:
        """Apply `function` to blocks of `rows` rows and return the sum of what it returns."""

    def map(self, function: Callable[[Block], A], *, rows: int, n_jobs: int | None = None) -> Iterator[A]:
        """Apply `function` to blocks of `rows` rows; yield what it returns, in order."""
