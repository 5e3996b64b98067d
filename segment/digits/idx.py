"""The IDX format: MNIST's container for arrays of any rank and six element types."""

from __future__ import annotations

import gzip
import math
import os
import zlib
from pathlib import Path

import numpy as np

from segment.errors import DatasetError

# Type code -> element type; the file is big-endian.
IDX_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def read_idx(path: str | os.PathLike[str]) -> np.ndarray:
    """Read an IDX file, plain or gzipped (told by its first bytes, not by its name).

    Parameters
    ----------
    path : path-like

    Returns
    -------
    ndarray
        Of the rank, shape and element type that the file states, in the machine's byte order.

    Raises
    ------
    DatasetError
        If the file cannot be read, is no IDX file, or holds fewer or more bytes than its header says.
    """
    path = Path(path)
    data = _read_bytes(path)
    shape, dtype = _header(path, data)
    start = 4 + 4 * len(shape)
    expected = start + math.prod(shape) * dtype.itemsize
    if len(data) != expected:
        what = "truncated" if len(data) < expected else "too long"
        raise DatasetError(
            f"{path}: {what}: {len(data)} bytes, expected {expected} for {dtype.newbyteorder('=')} of shape "
            f"{shape}; fetch it again (segment datasets fetch)"
        )
    return np.frombuffer(data, dtype, offset=start).reshape(shape).astype(dtype.newbyteorder("="))


def looks_like_idx(path: str | os.PathLike[str]) -> bool:
    """Tell whether a file begins as an IDX file does."""
    try:
        with open(path, "rb") as stream:
            head = stream.read(4)
        if head[:2] == b"\x1f\x8b":
            with gzip.open(path, "rb") as stream:
                head = stream.read(4)
    except (OSError, EOFError, zlib.error):
        return False
    return len(head) == 4 and head[:2] == b"\0\0" and head[2] in IDX_TYPES


def _read_bytes(path: Path) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read ({error.strerror})") from error
    if data[:2] != b"\x1f\x8b":
        return data
    try:
        return gzip.decompress(data)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DatasetError(
            f"{path}: the gzip stream is damaged or truncated ({error}); fetch it again"
        ) from error


def _header(path: Path, data: bytes) -> tuple[tuple[int, ...], np.dtype]:
    """Return the shape and the element type that the header states."""
    if len(data) < 4 or data[:2] != b"\0\0":
        raise DatasetError(
            f"{path}: no IDX file: it begins with {data[:4].hex(' ') or 'nothing'}, expected 00 00 TYPE RANK"
        )
    code, rank = data[2], data[3]
    if code not in IDX_TYPES:
        allowed = ", ".join(f"{known:#04x}" for known in IDX_TYPES)
        raise DatasetError(f"{path}: IDX type {code:#04x} is not defined; the format allows {allowed}")
    if rank == 0:
        raise DatasetError(f"{path}: IDX rank 0; expected at least one dimension")
    if len(data) < 4 + 4 * rank:
        raise DatasetError(
            f"{path}: truncated in its header: {len(data)} bytes, expected {4 + 4 * rank} or more"
        )
    shape = tuple(int(size) for size in np.frombuffer(data, ">u4", rank, offset=4))
    return shape, np.dtype(IDX_TYPES[code])
