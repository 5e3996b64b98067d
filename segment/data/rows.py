"""Rows of numbers in some place: picklable references, opened where they are read."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from segment.errors import DataError
from segment.output import refuse_special_file


def plain_dtype(*dtypes: Any) -> np.dtype:
    """Return float32 if all dtypes are, else float64."""
    return np.dtype(np.float32 if all(np.dtype(each) == np.float32 for each in dtypes) else np.float64)


class Stamp(NamedTuple):
    """By what a file is known again: its size and the time of its last change."""

    path: str
    size: int
    changed: int

    @classmethod
    def of(cls, path: str | os.PathLike[str]) -> Stamp:
        """Return the stamp of a file.

        Raises
        ------
        DataError
            If there is no such file.
        """
        try:
            refuse_special_file(path)
            found = os.stat(path)
        except OSError as error:
            raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error
        return cls(os.fspath(path), found.st_size, found.st_mtime_ns)

    def check(self) -> None:
        """Raise `DataError` if the file is not what it was."""
        if Stamp.of(self.path) != self:
            raise DataError(
                f"{self.path}: changed while it was being read, so no pass over it would fit the one before; "
                "start again when it is complete"
            )


class Rows(ABC):
    """A matrix of which any run of rows can be read. Picklable; whoever reads opens what it needs.

    Attributes
    ----------
    name : str
        For messages.
    n_rows, n_columns : int
    columns : tuple of str, or None
        The names of the columns, where they have names.
    is_mapped : bool
        Whether reading again costs next to nothing.
    """

    name: str
    n_rows: int
    n_columns: int
    columns: tuple[str, ...] | None = None
    is_mapped = False

    @abstractmethod
    def dtypes(self, columns: Sequence[int]) -> list[Any]:
        """Return the dtypes of columns.

        Raises
        ------
        DataError
            If one of them holds no numbers.
        """

    @abstractmethod
    def read(self, start: int, stop: int, columns: Sequence[int]) -> np.ndarray:
        """Return columns of the rows from `start` to before `stop`, (n, len(columns))."""

    def number_of(self, column: int | str) -> int:
        """Return the number of a column that is given by number or name."""
        return column_number(column, self.columns, self.name, self.n_columns)

    def place(self, row: int) -> str:
        """Say where a row lies."""
        return f"{self.name}, row {row}"

    def stamps(self) -> list[Any]:
        """Return by what the rows are known again: for checkpoints."""
        return [self.n_rows, self.n_columns]


def column_number(column: int | str, names: Sequence[str] | None, name: Any, n: int) -> int:
    """Return the number of a column given by number or name.

    Raises
    ------
    DataError
        If there is no such column.
    """
    known = list(names or [])
    text = str(column)
    if text in known:
        return known.index(text)
    if text.isdigit() and int(text) < n:
        return int(text)
    shown = f": {', '.join(known[:20])}" if known else ""
    raise DataError(f"{name}: has no column {column!r}; it has {n} (numbered from 0){shown}")


def taken(matrix: np.ndarray, columns: Sequence[int]) -> np.ndarray:
    """Return columns of a matrix: itself, if they are all of them in order."""
    return matrix if list(columns) == list(range(matrix.shape[1])) else matrix[:, list(columns)]


def check_numbers(dtype: np.dtype, where: str) -> None:
    """Raise `DataError` unless a dtype is one of real numbers or truth values."""
    if np.dtype(dtype).kind not in "fiub":
        raise DataError(f"{where}: holds {dtype}, no numbers; give columns of numbers (--columns, columns=)")


class ArrayRows(Rows):
    """Rows of an array of this process, a memory map among them."""

    is_mapped = True

    def __init__(self, array: np.ndarray, name: str) -> None:
        self.name = name
        self.n_rows, self.n_columns = matrix_shape(array.shape, name)
        self.array = array.reshape(self.n_rows, self.n_columns)

    def dtypes(self, columns: Sequence[int]) -> list[Any]:
        check_numbers(self.array.dtype, self.name)
        return [self.array.dtype]

    def read(self, start: int, stop: int, columns: Sequence[int]) -> np.ndarray:
        return taken(np.asarray(self.array[start:stop]), columns)


def matrix_shape(shape: Sequence[int], name: str) -> tuple[int, int]:
    """Return the shape of a matrix; that of a vector as one column.

    Raises
    ------
    DataError
        If it is neither, or has nothing in it.
    """
    n, d = (*shape, 1) if len(shape) == 1 else shape if len(shape) == 2 else (0, 0)
    if n == 0 or d == 0:
        raise DataError(
            f"{name}: has shape {tuple(shape)}; (n_samples, n_features) is needed, at least one of each"
        )
    return n, d


class MappedRows(Rows):
    """Rows that lie in a file as they lie in memory; each read maps its own stretch of it.

    Parameters
    ----------
    path : path-like
    dtype : numpy.dtype
    shape : (n_rows, n_columns)
    offset : int
        Bytes before the first row.
    fortran : bool
        Whether the file holds column after column.
    name : str, optional
    """

    is_mapped = True

    def __init__(
        self,
        path: str | os.PathLike[str],
        dtype: np.dtype,
        shape: tuple[int, int],
        *,
        offset: int = 0,
        fortran: bool = False,
        name: str | None = None,
    ) -> None:
        self.stamp = Stamp.of(path)
        self.name = name or os.fspath(path)
        self.dtype, self.offset, self.fortran = np.dtype(dtype), offset, fortran
        self.n_rows, self.n_columns = shape
        needed = offset + self.n_rows * self.n_columns * self.dtype.itemsize
        if self.stamp.size < needed:
            raise DataError(
                f"{self.name}: cut off: {self.n_rows} rows need {needed} bytes, it has {self.stamp.size}; "
                "copy it again"
            )

    def dtypes(self, columns: Sequence[int]) -> list[Any]:
        check_numbers(self.dtype, self.name)
        return [self.dtype]

    def read(self, start: int, stop: int, columns: Sequence[int]) -> np.ndarray:
        self.stamp.check()
        # Copy on write: kernels are compiled for arrays that may be written, and nothing is.
        if self.fortran:
            shape = (self.n_rows, self.n_columns)
            whole = np.memmap(self.stamp.path, self.dtype, "c", self.offset, shape, order="F")
            return np.asarray(taken(whole[start:stop], columns))
        row = self.n_columns * self.dtype.itemsize
        part = np.memmap(
            self.stamp.path, self.dtype, "c", self.offset + start * row, (stop - start, self.n_columns)
        )
        return np.asarray(taken(part, columns))

    def stamps(self) -> list[Any]:
        return [*super().stamps(), *self.stamp]


def npy_rows(path: str | os.PathLike[str]) -> MappedRows:
    """Return the rows of an .npy file, read from its header alone.

    Raises
    ------
    DataError
        If it is no .npy file, is cut off, or holds no matrix of numbers.
    """
    try:
        with open(path, "rb") as stream:
            version = np.lib.format.read_magic(stream)
            read = {1: np.lib.format.read_array_header_1_0, 2: np.lib.format.read_array_header_2_0}
            shape, fortran, dtype = read[version[0]](stream)
            offset = stream.tell()
    except (ValueError, KeyError, EOFError) as error:
        raise DataError(f"{path}: not an .npy file ({error}); write it with numpy.save") from error
    check_numbers(dtype, os.fspath(path))
    shape = matrix_shape(shape, os.fspath(path))
    return MappedRows(path, dtype, shape, offset=offset, fortran=fortran)


def npz_rows(path: str | os.PathLike[str]) -> ArrayRows:
    """Return the rows of the array "X", or the only one, of an .npz file; it is read into memory.

    Raises
    ------
    DataError
        If it is no .npz file, or has several arrays of which none is named X.
    """
    try:
        with np.load(path, allow_pickle=False) as data:
            names = list(data.files)
            chosen = "X" if "X" in names else names[0] if len(names) == 1 else None
            array = None if chosen is None else np.asarray(data[chosen])
    except Exception as error:
        # A damaged archive makes zipfile, zlib and NumPy fail in ways of every kind.
        raise DataError(
            f"{path}: not an .npz file of numbers ({error}); write it with numpy.savez"
        ) from error
    if array is None:
        raise DataError(f"{path}: holds arrays {', '.join(names) or 'none'}; one, or one named X, is needed")
    return ArrayRows(array, os.fspath(path))


class JoinedRows(Rows):
    """The rows of several places, one after the other."""

    def __init__(self, parts: Sequence[Rows]) -> None:
        self.parts = list(parts)
        first = self.parts[0]
        self.name = f"{first.name} and {len(self.parts) - 1} more"
        self.n_columns, self.columns = first.n_columns, first.columns
        for part in self.parts[1:]:
            if (part.n_columns, part.columns) != (first.n_columns, first.columns):
                raise DataError(
                    f"{part.name}: has {_columns_of(part)}, {first.name} has {_columns_of(first)}; "
                    "files of one kind are needed"
                )
        self.edges = [0, *accumulate(part.n_rows for part in self.parts)]
        self.n_rows = self.edges[-1]
        self.is_mapped = all(part.is_mapped for part in self.parts)

    def dtypes(self, columns: Sequence[int]) -> list[Any]:
        return [dtype for part in self.parts for dtype in part.dtypes(columns)]

    def read(self, start: int, stop: int, columns: Sequence[int]) -> np.ndarray:
        found = []
        for part, (low, high) in zip(self.parts, pairwise(self.edges), strict=True):
            if low < stop and high > start:
                found.append(part.read(max(start, low) - low, min(stop, high) - low, columns))
        return found[0] if len(found) == 1 else np.concatenate(found)

    def number_of(self, column: int | str) -> int:
        return self.parts[0].number_of(column)

    def place(self, row: int) -> str:
        number = bisect_right(self.edges, row) - 1
        return self.parts[number].place(row - self.edges[number])

    def stamps(self) -> list[Any]:
        return [stamp for part in self.parts for stamp in part.stamps()]


def _columns_of(rows: Rows) -> str:
    names = "" if rows.columns is None else f" ({', '.join(rows.columns[:8])})"
    return f"{rows.n_columns} columns{names}"


def suffix_of(path: str | os.PathLike[str]) -> str:
    """Return the ending of a name, in lower case, without the dot."""
    return Path(path).suffix.lower().removeprefix(".")
