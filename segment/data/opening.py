"""From a path or a foreign array to a source: a table of the kinds."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from segment.data.rows import ArrayRows, JoinedRows, Rows, npy_rows, npz_rows, suffix_of
from segment.data.source import Source
from segment.data.stored import Engine, StoredSamples, stored
from segment.data.tables import CsvRows, ParquetRows, ZarrRows
from segment.errors import DataError

Column = int | str

# Ending of a name -> what reads such a file.
READERS: dict[str, Callable[[Any], Rows]] = {
    "npy": npy_rows,
    "npz": npz_rows,
    "parquet": ParquetRows,
    "pq": ParquetRows,
    "zarr": ZarrRows,
}
CSV = ("csv", "tsv", "txt")


def open_samples(
    path: Any,
    columns: Sequence[Column] | None = None,
    weight: Column | Any = None,
    *,
    client: Any = None,
) -> StoredSamples:
    """Open samples that need not fit into memory.

    Parameters
    ----------
    path : path-like, a list of them, a Dask array or dataframe, or a 2-D array
        .npy (memory-mapped), .npz (read into memory), .csv or .tsv (converted once, to a temporary file),
        .parquet (by row groups), .zarr (an array). Files of a list are one after the other, of equal columns.
    columns : sequence of int or str, optional
        The features, by number from 0 or by name; all, but that of the weight, by default.
    weight : int, str or (n_samples,) array, optional
        The column of the sample weights, or the weights themselves.
    client : dask.distributed.Client or str, optional
        Where the passes run: a client, "tcp://host:port", or "local:2" for two processes of this machine. A
        Dask collection goes to the client that is current, if there is one.

    Returns
    -------
    StoredSamples
        For `fit`, `predict` and so on of an estimator; only what a pass needs is read, and float32 stays so.

    Raises
    ------
    DataError
        If it cannot be read, holds no numbers, or a column is not there. That every value is finite is seen
        in the first pass.
    """
    is_column = weight is None or isinstance(weight, (int, str, np.integer))
    wanted = None
    if columns is not None:
        wanted = [*columns, *([weight] if is_column and weight is not None else [])]
    rows, engine = _rows_and_engine(path, wanted, client)
    features = None if columns is None else [rows.number_of(column) for column in columns]
    if not is_column:
        return stored(rows, features, weights=weight, engine=engine)
    number = None if weight is None else rows.number_of(weight)
    return stored(rows, features, weight=number, engine=engine)


def _rows_and_engine(path: Any, wanted: Sequence[Column] | None, client: Any) -> tuple[Rows, Engine | None]:
    if is_dask(path) or client is not None:
        from segment.data.dask import DaskRows, engine_of

        rows = DaskRows(path) if is_dask(path) else _rows_of(path, wanted)
        return rows, engine_of(client, is_dask(path))
    return _rows_of(path, wanted), None


def _rows_of(path: Any, wanted: Sequence[Column] | None) -> Rows:
    if isinstance(path, np.ndarray):
        return ArrayRows(path, "samples")
    if isinstance(path, (list, tuple)):
        if not path:
            raise DataError("no file is given; give at least one")
        parts = [_rows_of(each, wanted) for each in path]
        return JoinedRows(parts) if len(parts) > 1 else parts[0]
    suffix, path = suffix_of(path), os.fspath(path)
    if not Path(path).exists():
        raise DataError(f"{path}: no such file")
    if suffix in CSV:
        return CsvRows(path, wanted)
    # A Zarr array may lie within a group: x.zarr/rows.
    if suffix not in READERS and any(part.endswith(".zarr") for part in Path(path).parts):
        suffix = "zarr"
    if suffix not in READERS:
        kinds = ", ".join(f".{name}" for name in (*READERS, *CSV))
        raise DataError(f"{path}: not a kind of table that is known; allowed are {kinds}")
    return READERS[suffix](path)


def is_dask(value: Any) -> bool:
    """Tell whether a value is a Dask collection, without importing Dask."""
    return type(value).__module__.partition(".")[0] == "dask" and hasattr(value, "__dask_graph__")


def as_source(X: Any, sample_weight: Any = None, client: Any = None) -> Source | None:
    """Return what is no plain array as a source, else None.

    Parameters
    ----------
    X : Source, Dask collection, memory map, or anything else
    sample_weight : (n_samples,) array, optional
    client : dask.distributed.Client or str, optional
        As `open_samples`.

    Raises
    ------
    DataError
        If a source that has its own weights is given others.
    """
    if isinstance(X, Source):
        if sample_weight is not None:
            raise DataError(
                "the samples were opened, and their weights belong to them: open_samples(..., weight=...)"
            )
        return X
    if is_dask(X):
        return open_samples(X, weight=sample_weight, client=client)
    if isinstance(X, np.memmap) and X.ndim == 2 and X.dtype.kind in "fiub":
        return open_samples(X, weight=sample_weight)
    return None
