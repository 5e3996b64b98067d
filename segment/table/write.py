"""Write what was found of each row as it is found: in the kind of file that the rows came in, never half."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from segment.data.tables import needed
from segment.errors import OutputError
from segment.mixture.expectation import labels_of, map_rows, scores_of, shares_of
from segment.output import atomic_path
from segment.table.fit import TableClustering

# Output -> what finds it on rows, its dtype, and whether it has a column a component.
ROW_OUTPUTS: dict[str, tuple[Callable[..., np.ndarray], type, bool]] = {
    "labels": (labels_of, np.int32, False),
    "probabilities": (shares_of, np.float64, True),
    "scores": (scores_of, np.float64, False),
}
OUTPUTS = ("model", *ROW_OUTPUTS)


def write_npy(path: Path, blocks: Iterable[np.ndarray], shape: tuple[int, ...], dtype: type) -> None:
    """Write blocks of rows to an .npy file."""
    with atomic_path(path) as temporary, open(temporary, "wb") as stream:
        header = {
            "descr": np.lib.format.dtype_to_descr(np.dtype(dtype)),
            "fortran_order": False,
            "shape": shape,
        }
        np.lib.format.write_array_header_1_0(stream, header)
        for block in blocks:
            stream.write(np.ascontiguousarray(block, dtype=dtype).data)


def write_csv(path: Path, blocks: Iterable[np.ndarray], shape: tuple[int, ...], dtype: type) -> None:
    """Write blocks of rows to a CSV file with a header."""
    text = "%d" if np.issubdtype(dtype, np.integer) else "%.17g"
    with atomic_path(path) as temporary, open(temporary, "w", encoding="ascii") as stream:
        stream.write(",".join(_heads(path, shape)) + "\n")
        for block in blocks:
            np.savetxt(stream, block, delimiter=",", fmt=text)


def write_parquet(path: Path, blocks: Iterable[np.ndarray], shape: tuple[int, ...], dtype: type) -> None:
    """Write blocks of rows to a Parquet file, many blocks a row group."""
    pyarrow, parquet = needed("pyarrow", "writing Parquet"), needed("pyarrow.parquet", "writing Parquet")
    heads = _heads(path, shape)
    schema = pyarrow.schema([(name, pyarrow.from_numpy_dtype(dtype)) for name in heads])
    rest = iter(blocks)
    with atomic_path(path) as temporary, parquet.ParquetWriter(temporary, schema) as writer:
        while some := list(islice(rest, 64)):
            rows = np.concatenate(some).reshape(-1, len(heads))
            writer.write_table(
                pyarrow.table({name: rows[:, i] for i, name in enumerate(heads)}, schema=schema)
            )


def write_zarr(path: Path, blocks: Iterable[np.ndarray], shape: tuple[int, ...], dtype: type) -> None:
    """Write blocks of rows to a Zarr array; every chunk is written, so that a missing one is seen."""
    zarr = needed("zarr", "writing Zarr")
    temporary = path.with_name(f".{path.name}.partial")
    shutil.rmtree(temporary, ignore_errors=True)
    rows = 2**18
    try:
        array = zarr.create_array(
            temporary,
            shape=shape,
            dtype=np.dtype(dtype),
            chunks=(min(rows, shape[0]), *shape[1:]),
            config={"write_empty_chunks": True},
        )
        start = 0
        for chunk in _regrouped(blocks, rows):
            array[start : start + len(chunk)] = chunk
            start += len(chunk)
        if path.exists():
            shutil.rmtree(path)
        temporary.rename(path)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror or error})") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _regrouped(blocks: Iterable[np.ndarray], size: int) -> Iterable[np.ndarray]:
    """Yield the rows of blocks in groups of `size`: whole chunks, each written once."""
    held: list[np.ndarray] = []
    for block in blocks:
        held.append(block)
        while sum(map(len, held)) >= size:
            whole = np.concatenate(held)
            yield whole[:size]
            held = [whole[size:]]
    if any(map(len, held)):
        yield np.concatenate(held)


def _heads(path: Path, shape: tuple[int, ...]) -> list[str]:
    name = path.stem.rpartition("_")[2]
    return [name] if len(shape) == 1 else [f"component_{k}" for k in range(shape[1])]


# Ending of the input -> how what was found of its rows is written.
WRITERS: dict[str, tuple[str, Callable[..., None]]] = {
    "csv": ("csv", write_csv),
    "tsv": ("csv", write_csv),
    "txt": ("csv", write_csv),
    "parquet": ("parquet", write_parquet),
    "pq": ("parquet", write_parquet),
    "zarr": ("zarr", write_zarr),
}


def output_paths(folder: Path, stem: str, suffix: str, kinds: Iterable[str]) -> dict[str, Path]:
    """Return where each output goes."""
    ending = WRITERS.get(suffix, ("npy", write_npy))[0]
    return {
        kind: folder / (f"{stem}_model.npz" if kind == "model" else f"{stem}_{kind}.{ending}")
        for kind in kinds
    }


def write_outputs(
    clustering: TableClustering,
    paths: dict[str, Path],
    suffix: str,
    *,
    n_jobs: int | None = None,
    notify: Callable[[str], None] = lambda text: None,
) -> None:
    """Write the outputs asked for.

    Parameters
    ----------
    clustering : TableClustering
    paths : dict of str to Path
        Of `output_paths`.
    suffix : str
        Ending of the input.
    n_jobs : int, optional
    notify : callable
        Called with a line about what is being written.

    Raises
    ------
    OutputError
        If one cannot be written; nothing of it is left behind.
    """
    source, parameters = clustering.source, clustering.parameters
    write = WRITERS.get(suffix, ("npy", write_npy))[1]
    for kind, path in paths.items():
        notify(f"writing {kind}")
        if kind == "model":
            clustering.estimator().save(path)
            continue
        finish, dtype, is_wide = ROW_OUTPUTS[kind]
        shape = (source.n_samples, parameters.n_components) if is_wide else (source.n_samples,)
        found = map_rows(source, parameters, finish, n_jobs=n_jobs)
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path, _counted(found, source.n_samples, kind, notify), shape, dtype)


def _counted(blocks: Iterable[np.ndarray], total: int, kind: str, notify: Callable[[str], None]) -> Any:
    """Yield blocks, and say what share of the rows they are."""
    done, last = 0, -1
    for block in blocks:
        yield block
        done += len(block)
        if (share := 100 * done // total) != last:
            last = share
            notify(f"writing {kind}: {share} %")
