"""Tables in files: CSV, Parquet, Zarr. What needs a library that is not always there says which."""

from __future__ import annotations

import csv
import importlib
import itertools
import os
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from segment.data.rows import MappedRows, Rows, Stamp, check_numbers, column_number, matrix_shape, taken
from segment.errors import DataError
from segment.scratch import Scratch

_DELIMITERS = (",", ";", "\t")
# Lines of a CSV file that are parsed at a time.
_LINES = 65536


def needed(name: str, why: str) -> Any:
    """Import an optional library.

    Raises
    ------
    DataError
        If it is not installed; the message has the line that installs it.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise DataError(f"{why} needs {name}: pip install 'segment-em[scale]'") from error


class CsvRows(MappedRows):
    """A CSV file, converted once into a file of numbers that is mapped and goes away with this object.

    Only the columns asked for are converted: others may hold text.
    """

    def __init__(self, path: str | os.PathLike[str], wanted: Sequence[int | str] | None) -> None:
        source = Stamp.of(path)
        names, delimiter, has_header = _head(path)
        numbers = (
            range(len(names))
            if wanted is None
            else [column_number(c, names, path, len(names)) for c in wanted]
        )
        self._scratch = Scratch()
        n_rows = 0
        with open(self._scratch.path, "wb") as stream:
            for rows in _parsed(path, delimiter, has_header, list(numbers), names):
                stream.write(np.ascontiguousarray(rows).tobytes())
                n_rows += len(rows)
        if n_rows == 0:
            raise DataError(f"{path}: has no rows")
        super().__init__(
            self._scratch.path, np.dtype(np.float64), (n_rows, len(numbers)), name=os.fspath(path)
        )
        self.columns = tuple(names[i] for i in numbers) if has_header else None
        self.source, self.first_line = source, 1 + has_header
        self.names, self.numbers = names, list(numbers)

    def number_of(self, column: int | str) -> int:
        return self.numbers.index(column_number(column, self.names, self.name, len(self.names)))

    def place(self, row: int) -> str:
        return f"{self.name}, line {row + self.first_line}"

    def stamps(self) -> list[Any]:
        return [self.n_rows, self.n_columns, *self.source]

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_scratch"}


def _head(path: str | os.PathLike[str]) -> tuple[list[str], str, bool]:
    """Return the names of the columns, what parts them, and whether the first line holds names."""
    line = next(iter(_lines(path)), "").strip()
    if not line:
        raise DataError(f"{path}: is empty, or begins with an empty line")
    delimiter = max(_DELIMITERS, key=line.count)
    fields = _fields(line, delimiter)
    has_header = not all(map(_is_number, fields))
    return (fields if has_header else [str(i) for i in range(len(fields))]), delimiter, has_header


def _fields(line: str, delimiter: str) -> list[str]:
    found = next(csv.reader([line.rstrip("\r\n")], delimiter=delimiter), None)
    return [field.strip() for field in found or [""]]


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _lines(path: str | os.PathLike[str]) -> Iterator[str]:
    with open(path, encoding="utf-8-sig", errors="surrogateescape", newline=None) as stream:
        yield from stream


def _parsed(
    path: str | os.PathLike[str], delimiter: str, has_header: bool, numbers: list[int], names: list[str]
) -> Iterator[np.ndarray]:
    lines = itertools.islice(_lines(path), int(has_header), None)
    first = 1 + has_header
    while chunk := list(itertools.islice(lines, _LINES)):
        # The end of the file may have an empty line; one before the end is a row without fields.
        while chunk and not chunk[-1].strip() and len(chunk) < _LINES:
            chunk.pop()
        if not chunk:
            return
        try:
            # Numbers at once where all columns are wanted; others may hold text, and are parted as text.
            kind = np.float64 if numbers == list(range(len(names))) else str
            fields = np.loadtxt(chunk, delimiter=delimiter, comments=None, quotechar='"', dtype=kind, ndmin=2)
            if fields.shape != (len(chunk), len(names)):
                raise ValueError("ragged")
            rows = fields[:, numbers].astype(np.float64)
        except ValueError:
            raise _complaint(path, chunk, first, delimiter, numbers, names) from None
        yield rows
        first += len(chunk)


def _complaint(
    path: str | os.PathLike[str],
    chunk: list[str],
    first: int,
    delimiter: str,
    numbers: list[int],
    names: list[str],
) -> DataError:
    """Find the first line that cannot be read, and say why."""
    for line, text in enumerate(chunk, first):
        fields = _fields(text, delimiter)
        if len(fields) != len(names):
            return DataError(f"{path}, line {line}: has {len(fields)} fields, the first line {len(names)}")
        for i in numbers:
            if not _is_number(fields[i]):
                return DataError(
                    f"{path}, line {line}: column {names[i]!r} holds {fields[i][:40]!r}, which is no number; "
                    "mend or drop the line, or leave the column out (--columns, columns=)"
                )
    return DataError(f"{path}, lines {first} to {first + len(chunk) - 1}: cannot be read as numbers")


@lru_cache(maxsize=4)
def _row_group(stamp: Stamp, group: int, columns: tuple[str, ...]) -> np.ndarray:
    """Return the columns of a row group: neighbors in one group are read one after the other."""
    stamp.check()
    parquet = needed("pyarrow.parquet", "reading Parquet")
    try:
        table = parquet.ParquetFile(stamp.path).read_row_group(group, columns=list(columns))
    except Exception as error:
        # Damaged pages fail in ways of every kind.
        raise DataError(f"{stamp.path}: row group {group} cannot be read ({error})") from error
    return np.column_stack([table.column(name).to_numpy() for name in columns])


class ParquetRows(Rows):
    """A Parquet file, read by row groups."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        parquet = needed("pyarrow.parquet", "reading Parquet")
        self.stamp, self.name = Stamp.of(path), os.fspath(path)
        try:
            file = parquet.ParquetFile(path)
        except Exception as error:
            # Whatever the library raises for a file of another kind.
            raise DataError(f"{path}: not a Parquet file ({error})") from error
        schema = file.schema_arrow
        self.names = tuple(schema.names)
        self.columns, self.n_columns = self.names, len(self.names)
        self.types = [_numpy_type(field.type) for field in schema]
        sizes = [file.metadata.row_group(i).num_rows for i in range(file.metadata.num_row_groups)]
        self.edges = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        self.n_rows = int(self.edges[-1])

    def dtypes(self, columns: Sequence[int]) -> list[Any]:
        for i in columns:
            check_numbers(self.types[i], f"{self.name}, column {self.names[i]!r}")
        return [self.types[i] for i in columns]

    def read(self, start: int, stop: int, columns: Sequence[int]) -> np.ndarray:
        names = tuple(self.names[i] for i in columns)
        found = []
        for group in range(*np.searchsorted(self.edges, (start, stop - 1), side="right") - (1, 0)):
            low, high = self.edges[group : group + 2]
            rows = _row_group(self.stamp, int(group), names)
            found.append(rows[max(start, low) - low : min(stop, high) - low])
        return found[0] if len(found) == 1 else np.concatenate(found)

    def stamps(self) -> list[Any]:
        return [*super().stamps(), *self.stamp]


def _numpy_type(kind: Any) -> np.dtype:
    try:
        return np.dtype(kind.to_pandas_dtype())
    except (NotImplementedError, TypeError):
        return np.dtype(object)


class ZarrRows(Rows):
    """A two-dimensional Zarr array. A chunk that is missing would read as zeros: it is refused."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = self.name = os.fspath(path)
        array = self._opened()
        self.dtype = np.dtype(array.dtype)
        self.n_rows, self.n_columns = matrix_shape(array.shape, self.name)
        stored, whole = array.nchunks_initialized, array.nchunks
        if stored < whole:
            raise DataError(
                f"{path}: {whole - stored} of {whole} chunks are missing, and would be read as the "
                f"fill value {array.fill_value}; copy it again, or, if they are meant, write them out "
                "(config={'write_empty_chunks': True})"
            )
        self.metadata = [Stamp.of(file) for file in _metadata(Path(path))]

    def _opened(self) -> Any:
        zarr = needed("zarr", "reading Zarr")
        try:
            found = zarr.open(self.path, mode="r")
        except Exception as error:
            # Whatever the library raises for a folder of another kind.
            raise DataError(f"{self.path}: not a Zarr array ({error})") from error
        if not hasattr(found, "nchunks"):
            names = ", ".join(sorted(found.array_keys()))
            raise DataError(
                f"{self.path}: a group of arrays ({names}), not an array; name one: {self.path}/NAME"
            )
        return found

    def dtypes(self, columns: Sequence[int]) -> list[Any]:
        check_numbers(self.dtype, self.name)
        return [self.dtype]

    def read(self, start: int, stop: int, columns: Sequence[int]) -> np.ndarray:
        for stamp in self.metadata:
            stamp.check()
        try:
            rows = np.asarray(self._opened()[start:stop])
        except Exception as error:
            # A damaged chunk fails in the ways of its compressor.
            raise DataError(f"{self.name}, rows {start} to {stop - 1}: cannot be read ({error})") from error
        return taken(rows.reshape(len(rows), self.n_columns), columns)

    def stamps(self) -> list[Any]:
        return [*super().stamps(), *(value for stamp in self.metadata for value in stamp)]


def _metadata(path: Path) -> list[Path]:
    return [path / name for name in ("zarr.json", ".zarray") if (path / name).exists()]
