"""Named arrays in one .npz file: equal arrays are equal bytes, and what is read is checked field by field."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from segment.errors import ModelError
from segment.output import atomic_path, refuse_special_file


class Field(NamedTuple):
    """What an array in an archive must be: its kinds (of ``dtype.kind``) and, if fixed, its dimensions."""

    kinds: str
    ndim: int | None


def write_archive(
    path: str | os.PathLike[str], arrays: Mapping[str, Any], *, compressed: bool = False
) -> None:
    """Write arrays (numbers, texts) to an .npz file, replaced at once if it exists.

    Parameters
    ----------
    path : path-like
    arrays : mapping of str to array-like
    compressed : bool
        Deflate the arrays.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    with atomic_path(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for name, value in arrays.items():
            # np.savez would write the time into the file: equal models are equal bytes.
            member = zipfile.ZipInfo(f"{name}.npy")
            member.compress_type = zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED
            with archive.open(member, "w", force_zip64=True) as stream:
                np.lib.format.write_array(stream, np.asanyarray(value), allow_pickle=False)


def read_archive(
    path: str | os.PathLike[str], what: str, cure: str, fields: Mapping[str, Field]
) -> dict[str, np.ndarray]:
    """Read an .npz file and check the fields that are needed; others come along unchecked.

    Parameters
    ----------
    path : path-like
    what : str
        What the file should be ("model"), for the error.
    cure : str
        What to do about a wrong one ("give one that --save model has written").
    fields : mapping of str to Field

    Returns
    -------
    dict of str to ndarray

    Raises
    ------
    ModelError
        If the file is missing or damaged, or a field is missing, of another kind or shape, or not finite.
    """
    try:
        refuse_special_file(path)
        data = np.load(path, allow_pickle=False)
        if not isinstance(data, np.lib.npyio.NpzFile):
            raise ValueError("it holds one array, not named ones")
        with data:
            found = {name: np.asarray(data[name]) for name in data.files}
    except FileNotFoundError as error:
        raise ModelError(f"{path}: no such file; {cure}") from error
    except Exception as error:
        # A damaged archive makes zipfile, zlib and NumPy fail in ways of every kind.
        raise ModelError(f"{path}: not a {what} that this program wrote ({error}); {cure}") from error
    for name, field in fields.items():
        if reason := _mismatch(found.get(name), field):
            raise ModelError(f"{path}: not a {what} that this program wrote ({name} {reason}); {cure}")
    return found


def _mismatch(array: np.ndarray | None, field: Field) -> str | None:
    if array is None:
        return "is missing"
    if array.dtype.kind not in field.kinds:
        return f"is of type {array.dtype}"
    if field.ndim is not None and array.ndim != field.ndim:
        return f"has shape {array.shape}; {field.ndim} dimensions are needed"
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        return "holds NaN or infinity"
    return None
