"""A place of samples: its shape, its summary, and passes over its blocks.

Whatever looks at every row is `reduce` or `map`, over blocks that are cut by the number of rows alone and
added in one fixed pairwise tree. So the same samples give the same bits, be they in memory, in files or on a
cluster, with any number of threads or workers.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, NamedTuple, TypeVar

import numpy as np

from segment.errors import DataError

S = TypeVar("S")
A = TypeVar("A")

# Rows of a block where the work a row is small.
ROWS = 65536


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


@dataclass(frozen=True, eq=False)
class Sums:
    """Weight and weighted sums of rows. Sums add.

    Attributes
    ----------
    weight : float
    values : (n_features,) float64 ndarray
    """

    weight: float
    values: np.ndarray

    def __add__(self, other: Sums) -> Sums:
        return Sums(self.weight + other.weight, self.values + other.values)


class Source(ABC):
    """An ordered list of rows with weights, walked in blocks.

    A weight of w means exactly "this row, w times"; rows of weight zero are legal and count nothing.
    What `reduce` and `map` apply to blocks must be picklable where a source hands it to other processes.
    """

    columns: tuple[str, ...] | None = None
    """Names of the features, where they have names."""
    is_weighted: bool = True
    """False where every weight is known to be 1."""
    shares_threads: bool = False
    """Whether threads may work on one block together: it lies in memory, in this process."""

    @property
    @abstractmethod
    def n_samples(self) -> int:
        """Number of rows."""

    @property
    @abstractmethod
    def n_features(self) -> int:
        """Number of columns."""

    @property
    @abstractmethod
    def dtype(self) -> np.dtype:
        """float32 or float64."""

    @abstractmethod
    def reduce(self, function: Callable[[Block], S], *, rows: int, n_jobs: int | None = None) -> S:
        """Apply `function` to blocks of `rows` rows and return the sum of what it returns."""

    @abstractmethod
    def map(self, function: Callable[[Block], A], *, rows: int, n_jobs: int | None = None) -> Iterator[A]:
        """Apply `function` to blocks of `rows` rows; yield what it returns, in order."""

    @abstractmethod
    def first_row(self) -> np.ndarray:
        """Return the first row, (n_features,) float64."""

    @abstractmethod
    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        """Return all rows and their weights, in memory."""

    @abstractmethod
    def changed(self, change: Callable[[np.ndarray], np.ndarray]) -> Source:
        """Return the source of what a picklable function makes of the rows, as many features."""

    @abstractmethod
    def stamps(self) -> list[Any]:
        """Return by what the samples are known again: for checkpoints."""

    @cached_property
    def sums(self) -> Sums:
        """Total weight, and weighted sums of the differences from the first row."""
        return self.reduce(partial(differences, origin=self.first_row()), rows=ROWS)

    @property
    def total_weight(self) -> float:
        """Sum of the sample weights: the number of rows if each weight were spelled out."""
        return self.sums.weight

    @cached_property
    def mean(self) -> np.ndarray:
        """Weighted mean of each feature, (n_features,) float64."""
        return self.first_row() + self.sums.values / self.total_weight

    @cached_property
    def variance(self) -> np.ndarray:
        """Weighted variance of each feature about its mean, (n_features,) float64.

        Raises
        ------
        DataError
            If it overflows.
        """
        total = self.reduce(partial(_squares, mean=self.mean), rows=ROWS)
        if not np.isfinite(total).all():
            column = int(np.argmin(np.isfinite(total)))
            largest = max(self.map(partial(_largest, column=column), rows=ROWS))
            raise DataError(
                f"the variance of column {column} overflows: it reaches {largest:.3g}; "
                "give the samples in a larger unit"
            )
        return total / self.total_weight


def weight_of(block: Block) -> float:
    """Return the total weight of a block."""
    return float(block.sample_weight.sum())


def differences(block: Block, origin: np.ndarray) -> Sums:
    """Return the weight of a block, and its weighted sums of the differences from `origin`."""
    return Sums(weight_of(block), block.sample_weight @ (block.X - origin))


def _squares(block: Block, mean: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore", invalid="ignore"):
        return block.sample_weight @ np.square(block.X - mean)


def _largest(block: Block, column: int) -> float:
    return float(np.abs(block.X[:, column]).max())
