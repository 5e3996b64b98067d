"""Samples that are not in memory: what is read of them, in which stretches, and who reads."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from typing import Any, Protocol, TypeVar

import numpy as np

from segment.data.reduction import map_in_order, reduce_blocks, reduce_tree
from segment.data.rows import Rows, plain_dtype
from segment.data.source import ROWS, Block, Source, Sums, differences
from segment.errors import DataError
from segment.parallel import block_ranges

S = TypeVar("S")
A = TypeVar("A")
Span = tuple[int, int]

# Rows and bytes of the stretches that are read at once: a power of two times the rows, of about these bytes.
_SPAN_ROWS = 16384
_SPAN_BYTES = 2**22


@lru_cache(maxsize=4)
def _ones(n: int) -> np.ndarray:
    return np.ones(n)


@dataclass(frozen=True, eq=False)
class Reader:
    """What is read of rows; picklable.

    Attributes
    ----------
    rows : Rows
    features : tuple of int
        Columns.
    dtype : numpy.dtype
    weight : int, or None
        Column that holds the weights.
    weights : (n_rows,) float64 ndarray, or None
        Weights that do not lie with the rows.
    """

    rows: Rows
    features: tuple[int, ...]
    dtype: np.dtype
    weight: int | None = None
    weights: np.ndarray | None = None

    def read(self, span: Span) -> Block:
        """Return a stretch of rows."""
        start, stop = span
        wanted = self.features if self.weight is None else (*self.features, self.weight)
        found = self.rows.read(start, stop, wanted)
        X = np.ascontiguousarray(found[:, : len(self.features)], dtype=self.dtype)
        if not X.flags.writeable:
            # Kernels are compiled for arrays that may be written, though they write none.
            X = X.copy()
        if self.weight is not None:
            weight = np.ascontiguousarray(found[:, -1], dtype=np.float64)
        elif self.weights is not None:
            weight = self.weights[start:stop]
        else:
            weight = _ones(stop - start)
        return Block(X, weight, start)

    def without_weights(self) -> Reader:
        """Return a reader that knows no weights beside the rows: they are sent with each stretch."""
        return Reader(self.rows, self.features, self.dtype, self.weight)


def _stretch(reader: Reader, rows: int) -> int:
    """Return the rows that are read at once, where blocks have `rows` rows."""
    while rows < _SPAN_ROWS or 2 * rows * len(reader.features) * reader.dtype.itemsize <= _SPAN_BYTES:
        rows *= 2
    return rows


def units(reader: Reader, span: Span) -> list[Span]:
    """Cut a stretch into those of the smallest blocks, which are kept once for passes of all kinds."""
    start, stop = span
    return [(start + low, start + high) for low, high in block_ranges(stop - start, _stretch(reader, 1))]


class Engine(Protocol):
    """Who applies a function to stretches of rows, and adds in the order of `reduce_tree`."""

    def reduce(
        self, reader: Reader, function: Callable[[Block], Any], spans: Sequence[Span], n_jobs: int | None
    ) -> Any:
        """Return the sum of what a function of read stretches finds."""

    def map(
        self, reader: Reader, function: Callable[[Block], Any], spans: Sequence[Span], n_jobs: int | None
    ) -> Iterator[Any]:
        """Yield what a function of read stretches finds, in order."""


class Threads:
    """Threads of this process."""

    def reduce(
        self, reader: Reader, function: Callable[[Block], Any], spans: Sequence[Span], n_jobs: int | None
    ) -> Any:
        """Return the sum of what a function of read stretches finds."""
        return reduce_blocks(lambda span: function(reader.read(span)), spans, n_jobs)

    def map(
        self, reader: Reader, function: Callable[[Block], Any], spans: Sequence[Span], n_jobs: int | None
    ) -> Iterator[Any]:
        """Yield what a function of read stretches finds, in order."""
        return map_in_order(lambda span: function(reader.read(span)), spans, n_jobs)


@dataclass(frozen=True, eq=False)
class InBlocks:
    """Applies a function to the blocks of a read stretch, and adds what it returns or lists it."""

    function: Callable[[Block], Any]
    rows: int
    adds: bool
    change: Callable[[np.ndarray], np.ndarray] | None = None

    def __call__(self, stretch: Block) -> Any:
        """Return the sum of what the function finds on each block, or the list."""
        X, weight, start = stretch
        X = self.change(X) if self.change else X
        found = (
            self.function(Block(X[a:b], weight[a:b], start + a)) for a, b in block_ranges(len(X), self.rows)
        )
        return reduce_tree(found) if self.adds else list(found)


class BadEntry(DataError):
    """A value that no sample or weight may have. Its arguments: row, column (-1: the weight), value."""


class StoredSamples(Source):
    """Samples that are read a stretch at a time, by threads or on a cluster; make them with `open_samples`.

    Parameters
    ----------
    reader : Reader
    columns : tuple of str, optional
        Names of the features.
    engine : Engine, optional
    change : callable, optional
        What is made of the rows that are read.
    """

    def __init__(
        self,
        reader: Reader,
        columns: tuple[str, ...] | None = None,
        engine: Engine | None = None,
        change: Callable[[np.ndarray], np.ndarray] | None = None,
    ) -> None:
        self.reader, self.columns, self.engine = reader, columns, engine or Threads()
        self.change = change
        self.is_weighted = reader.weight is not None or reader.weights is not None

    @property
    def n_samples(self) -> int:
        """Number of rows."""
        return self.reader.rows.n_rows

    @property
    def n_features(self) -> int:
        """Number of columns."""
        return len(self.reader.features)

    @property
    def dtype(self) -> np.dtype:
        """float32 or float64."""
        return self.reader.dtype

    def __repr__(self) -> str:
        weighted = ", weighted" if self.is_weighted else ""
        return f"<{self.reader.rows.name}: {self.n_samples} x {self.n_features} {self.dtype}{weighted}>"

    def spans(self, rows: int) -> list[Span]:
        """Cut the rows into stretches of blocks of `rows` rows, a power of two of them: by shape only."""
        return block_ranges(self.n_samples, _stretch(self.reader, rows))

    def reduce(self, function: Callable[[Block], S], *, rows: int, n_jobs: int | None = None) -> S:
        """Apply `function` to blocks of `rows` rows and return the sum of what it returns."""
        work = InBlocks(function, rows, True, self.change)
        return self.engine.reduce(self.reader, work, self.spans(rows), n_jobs)

    def map(self, function: Callable[[Block], A], *, rows: int, n_jobs: int | None = None) -> Iterator[A]:
        """Apply `function` to blocks of `rows` rows; yield what it returns, in order."""
        work = InBlocks(function, rows, False, self.change)
        for results in self.engine.map(self.reader, work, self.spans(rows), n_jobs):
            yield from results

    def first_row(self) -> np.ndarray:
        """Return the first row, (n_features,) float64."""
        return self._first

    @cached_property
    def _first(self) -> np.ndarray:
        return self._read((0, 1)).X[0].astype(np.float64)

    def _read(self, span: Span) -> Block:
        found = self.reader.read(span)
        return found._replace(X=self.change(found.X)) if self.change else found

    def changed(self, change: Callable[[np.ndarray], np.ndarray]) -> StoredSamples:
        """Return the source of what a function makes of the rows as they are read."""
        return StoredSamples(self.reader, self.columns, self.engine, change)

    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        """Return all rows and their weights, in memory."""
        _ = self.sums
        found = self._read((0, self.n_samples))
        return found.X, found.sample_weight

    @cached_property
    def sums(self) -> Sums:
        """Total weight, and sums of the differences from the first row; all values are looked at.

        Raises
        ------
        DataError
            If a value is NaN or infinite, or a weight negative; the message says where.
        """
        if self.change:
            _ = StoredSamples(self.reader, self.columns, self.engine).sums
        try:
            total = self.reduce(partial(checked_differences, origin=self.first_row()), rows=ROWS)
        except BadEntry as error:
            raise self._complaint(*error.args) from None
        if not total.weight > 0:
            raise DataError(f"{self.reader.rows.name}: every weight is zero; at least one row must count")
        return total

    def _complaint(self, row: int, column: int, value: float) -> DataError:
        where = self.reader.rows.place(row)
        if column < 0:
            return DataError(f"{where}: the weight is {value}; weights must be finite and not negative")
        name = repr(self.columns[column]) if self.columns else str(self.reader.features[column])
        return DataError(f"{where}: column {name} is {value}; drop or impute such rows")

    def stamps(self) -> list[Any]:
        """Return by what the samples are known again."""
        weights = [] if self.reader.weights is None else [float(self.reader.weights.sum())]
        return [*self.reader.rows.stamps(), *self.reader.features, self.reader.weight, *weights]


def checked_differences(block: Block, origin: np.ndarray) -> Sums:
    """Return the sums of a block.

    Raises
    ------
    BadEntry
        If a value is NaN or infinite, or a weight negative.
    """
    wrong = ~np.isfinite(block.X)
    if wrong.any():
        row, column = (int(i) for i in np.argwhere(wrong)[0])
        raise BadEntry(block.start + row, column, float(block.X[row, column]))
    wrong = ~(np.isfinite(block.sample_weight) & (block.sample_weight >= 0))
    if wrong.any():
        row = int(np.argmax(wrong))
        raise BadEntry(block.start + row, -1, float(block.sample_weight[row]))
    return differences(block, origin)


def stored(
    rows: Rows,
    features: Sequence[int] | None = None,
    *,
    weight: int | None = None,
    weights: Any = None,
    engine: Engine | None = None,
) -> StoredSamples:
    """Return columns of rows as samples.

    Parameters
    ----------
    rows : Rows
    features : sequence of int, optional
        All columns but that of the weight by default.
    weight : int, optional
        Column of the weights.
    weights : (n_rows,) array, optional
        Weights that do not lie with the rows.
    engine : Engine, optional

    Raises
    ------
    DataError
        If columns hold no numbers, or the weights do not fit the rows.
    """
    chosen = tuple(i for i in range(rows.n_columns) if i != weight) if features is None else tuple(features)
    if not chosen:
        raise DataError(f"{rows.name}: no column is left for the samples")
    if weight is not None:
        rows.dtypes([weight])
    if weights is not None:
        weights = np.ascontiguousarray(weights, dtype=np.float64)
        if weights.shape != (rows.n_rows,):
            raise DataError(
                f"{rows.name}: sample_weight has shape {weights.shape}; one for each of {rows.n_rows} rows "
                "is needed"
            )
    dtype = plain_dtype(*rows.dtypes(chosen))
    names = tuple(rows.columns[i] for i in chosen) if rows.columns else None
    return StoredSamples(Reader(rows, chosen, dtype, weight, weights), names, engine)
