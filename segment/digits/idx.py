"""The IDX format: MNIST's container for arrays of any rank and six element types."""

from __future__ import annotations

import gzip
import math
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np

from segment.errors import DatasetError

# Type code -> element type; the file is big-endian.
IDX_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
GZIP = b"\x1f\x8b"
# NumPy 1 has no more dimensions.
MAX_RANK = 32
PIECE = 1 << 24


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
    with _opened(path) as stream:
        shape, dtype = _header(path, stream)
        expected = math.prod(shape) * dtype.itemsize
        data = _at_most(stream, expected + 1)
    if len(data) != expected:
        start = 4 + 4 * len(shape)
        what, found = "truncated", f"{start + len(data)} bytes"
        if len(data) > expected:
            what, found = "too long", f"more than {start + expected} bytes"
        raise DatasetError(
            f"{path}: {what}: {found}, expected {start + expected} for {dtype.newbyteorder('=')} of shape "
            f"{shape}; fetch it again (segment datasets fetch)"
        )
    return np.frombuffer(data, dtype).reshape(shape).astype(dtype.newbyteorder("="))


def looks_like_idx(path: str | os.PathLike[str]) -> bool:
    """Tell whether a file begins as an IDX file does."""
    try:
        with open(path, "rb") as stream:
            head = stream.read(4)
        if head[:2] == GZIP:
            with gzip.open(path, "rb") as stream:
                head = stream.read(4)
    except (OSError, EOFError, zlib.error):
        return False
    return len(head) == 4 and head[:2] == b"\0\0" and head[2] in IDX_TYPES


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    """Open a file to read, unzipped on the way if it is gzipped; name it in what goes wrong."""
    try:
        with open(path, "rb") as stream:
            zipped = stream.read(2) == GZIP
            stream.seek(0)
            if not zipped:
                yield stream
                return
            with gzip.GzipFile(fileobj=stream) as unzipped:
                yield cast(BinaryIO, unzipped)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DatasetError(
            f"{path}: the gzip stream is damaged or truncated ({error}); fetch it again"
        ) from error
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read ({error.strerror or error})") from error


def _at_most(stream: BinaryIO, n_bytes: int) -> bytes:
    """Read up to `n_bytes`, a piece at a time: memory follows what there is, not what a header claims."""
    pieces, left = [], n_bytes
    while left and (piece := stream.read(min(left, PIECE))):
        pieces.append(piece)
        left -= len(piece)
    return b"".join(pieces)


def _header(path: Path, stream: BinaryIO) -> tuple[tuple[int, ...], np.dtype]:
    """Read the header; return the shape and the element type that it states."""
    data = _at_most(stream, 4)
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
    if rank > MAX_RANK:
        raise DatasetError(f"{path}: IDX rank {rank}; at most {MAX_RANK} dimensions can be read")
    data += _at_most(stream, 4 * rank)
    if len(data) < 4 + 4 * rank:
        raise DatasetError(
            f"{path}: truncated in its header: {len(data)} bytes, expected {4 + 4 * rank} or more"
        )
    shape = tuple(int(size) for size in np.frombuffer(data, ">u4", rank, offset=4))
    return shape, np.dtype(IDX_TYPES[code])
