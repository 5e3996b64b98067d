"""Write PNG files with several threads: at 24 megapixels compression is what writing costs."""

from __future__ import annotations

import os
import struct
import zlib

import numpy as np

from segment.output import atomic_path
from segment.parallel import block_ranges, map_blocks

# Color type of the PNG specification by number of channels.
_KINDS = {1: 0, 3: 2, 4: 6}
_INDEXED = 3

# Bytes that are compressed in one piece. Pieces do not share a window, which costs less than 1 % here.
_PIECE = 1 << 20
_LEVEL = 1

# An indexed PNG has 256 colors, one of them for transparent pixels.
MOST_INDEXED = 255


def write_png(
    path: str | os.PathLike[str],
    image: np.ndarray,
    palette: np.ndarray | None = None,
    *,
    transparent: int | None = None,
    n_jobs: int | None = None,
) -> None:
    """Write a PNG, atomically; the bytes do not depend on the number of threads.

    Parameters
    ----------
    path : path-like
    image : (M, N), (M, N, 3) or (M, N, 4) uint8 or uint16 ndarray
        Gray (or indices into `palette`), color, color with alpha.
    palette : (K, 3) uint8 ndarray, optional
        At most 256 colors; as few bits a pixel are written as their number needs.
    transparent : int, optional
        Index that is transparent.
    n_jobs : int, optional
        Threads.
    """
    height, width = image.shape[:2]
    depth = 8 * image.dtype.itemsize
    extra = b""
    if palette is not None:
        kind, depth = _INDEXED, _depth(len(palette))
        rows = _packed(image, depth)
        extra = _chunk(b"PLTE", palette.astype(np.uint8).tobytes())
        if transparent is not None:
            alpha = np.full(transparent + 1, 255, dtype=np.uint8)
            alpha[transparent] = 0
            extra += _chunk(b"tRNS", alpha.tobytes())
    else:
        kind = _KINDS[1 if image.ndim == 2 else image.shape[2]]
        rows = image.astype(image.dtype.newbyteorder(">")).reshape(height, -1).view(np.uint8)
    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    with atomic_path(path) as temporary, open(temporary, "wb") as stream:
        stream.write(b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + extra)
        for part in _compressed(rows, palette is None, n_jobs):
            stream.write(_chunk(b"IDAT", part))
        stream.write(_chunk(b"IEND", b""))


def _depth(n_colors: int) -> int:
    return next(bits for bits in (1, 2, 4, 8) if n_colors <= 1 << bits)


def _packed(indices: np.ndarray, depth: int) -> np.ndarray:
    """Pack several indices into a byte, the first in the highest bits."""
    if depth == 8:
        return indices
    each = 8 // depth
    short = -indices.shape[1] % each
    if short:
        indices = np.pad(indices, ((0, 0), (0, short)))
    out = indices[:, ::each] << (8 - depth)
    for i in range(1, each):
        out |= indices[:, i::each] << (8 - depth * (i + 1))
    return out


def _compressed(rows: np.ndarray, with_filter: bool, n_jobs: int | None) -> list[bytes]:
    """Return the zlib stream of the rows in pieces, compressed independently."""
    height, length = rows.shape
    blocks = block_ranges(height, max(1, _PIECE // (length + 1)))

    def compress(block: tuple[int, int]) -> tuple[bytes, int, int]:
        start, stop = block
        lines = np.zeros((stop - start, length + 1), dtype=np.uint8)
        if with_filter:
            # "Up": what a row adds to the one above is small numbers in a photo, and cheap to find.
            lines[:, 0] = 2
            lines[:, 1:] = rows[start:stop]
            lines[0 if start else 1 :, 1:] -= rows[max(start - 1, 0) : stop - 1]
        else:
            lines[:, 1:] = rows[start:stop]
        data = lines.tobytes()
        deflate = zlib.compressobj(_LEVEL, zlib.DEFLATED, -15)
        # A full flush ends on a byte, so that pieces can be joined; the last one ends the stream.
        end = zlib.Z_FINISH if stop == height else zlib.Z_FULL_FLUSH
        return deflate.compress(data) + deflate.flush(end), zlib.adler32(data), len(data)

    pieces = map_blocks(compress, blocks, n_jobs)
    check = 1
    for _, adler, size in pieces:
        check = _adler32_combine(check, adler, size)
    parts = [piece for piece, _, _ in pieces]
    return [b"\x78\x01" + parts[0], *parts[1:], struct.pack(">I", check)]


def _adler32_combine(first: int, second: int, size: int) -> int:
    """Return the Adler-32 checksum of two joined texts from theirs and the size of the second."""
    base = 65521
    low = (first & 0xFFFF) + (second & 0xFFFF) - 1
    high = (first >> 16) + (second >> 16) + size * ((first & 0xFFFF) - 1)
    return (high % base) << 16 | low % base


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
