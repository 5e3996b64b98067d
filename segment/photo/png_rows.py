"""PNG files by their rows: in little memory, and with the 16 bits a channel of which Pillow gives 8."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt

from segment.errors import ImageError

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}

# Bytes of rows, and of compressed data, that are in memory at once, about.
_BLOCK = 1 << 22
_PIECE = 1 << 20


class Header(NamedTuple):
    """What the first chunk says."""

    width: int
    height: int
    depth: int
    kind: int
    interlaced: bool

    @property
    def channels(self) -> int:
        """Samples of a pixel."""
        return _CHANNELS.get(self.kind, 1)

    @property
    def row_bytes(self) -> int:
        """Bytes of a row's samples."""
        return -(-self.width * self.channels * self.depth // 8)

    @property
    def is_deep(self) -> bool:
        """Whether it has 16 bits a channel and more than one channel: Pillow reads 8 bits of these."""
        return self.depth == 16 and self.channels > 1 and not self.interlaced


def png_header(data: bytes) -> Header | None:
    """Return the header of a PNG from the beginning of its file; None for any other."""
    if len(data) < 33 or not data.startswith(SIGNATURE):
        return None
    width, height, depth, kind, _, _, interlaced = struct.unpack(">IIBBBBB", data[16:29])
    return Header(width, height, depth, kind, bool(interlaced))


def small_chunks(stream: BinaryIO) -> dict[bytes, bytes]:
    """Return the transparent color (tRNS) and the EXIF (eXIf), which may stand behind the data."""
    found = {}
    for kind, length in _chunks(stream):
        if kind in (b"tRNS", b"eXIf"):
            found[kind] = stream.read(length)
    return found


def png_rows(stream: BinaryIO, header: Header, source: str) -> Iterator[np.ndarray]:
    """Yield the rows of a PNG that is not interlaced, some at a time.

    Parameters
    ----------
    stream : binary file
    header : Header
    source : str
        Named in errors.

    Yields
    ------
    rows : (h, row_bytes) uint8 ndarray
        Samples as they are packed in the file, big-endian, filters undone.

    Raises
    ------
    ImageError
        If the file is truncated or damaged.
    """
    from segment.kernels.image.png import unfilter

    length = 1 + header.row_bytes
    step = max(1, header.channels * header.depth // 8)
    above, left = np.zeros((1, length), np.uint8), header.height
    for block in _inflated(_compressed(stream), length * max(1, _BLOCK // length), source):
        n_rows = min(len(block) // length, left)
        packed = np.frombuffer(block, np.uint8, n_rows * length).reshape(n_rows, length)
        # The filters of the first row look at the one before it, which has none any more.
        rows = np.concatenate([above, packed])
        if not unfilter(rows, step):
            raise ImageError(f"{source}: damaged PNG (unknown row filter); try another copy of the file")
        yield rows[1:, 1:]
        above, left = rows[-1:].copy(), left - n_rows
        above[0, 0] = 0
    if left:
        raise ImageError(f"{source}: the PNG is truncated; try another copy of the file")


def _chunks(stream: BinaryIO) -> Iterator[tuple[bytes, int]]:
    """Yield kind and length of each chunk, the file being where its data begin."""
    at = len(SIGNATURE)
    while stream.seek(at) == at and len(head := stream.read(8)) == 8:
        length, kind = struct.unpack(">I4s", head)
        yield kind, length
        at += 12 + length


def _compressed(stream: BinaryIO) -> Iterator[bytes]:
    """Yield the compressed data piece by piece, as far as it goes."""
    for kind, length in _chunks(stream):
        while kind == b"IDAT" and length and (piece := stream.read(min(length, _PIECE))):
            length -= len(piece)
            yield piece


def _inflated(pieces: Iterator[bytes], size: int, source: str) -> Iterator[bytearray]:
    """Yield what a zlib stream holds, so many bytes at a time."""
    inflate, waiting = zlib.decompressobj(), bytearray()
    try:
        for piece in pieces:
            while piece and not inflate.eof:
                waiting += inflate.decompress(piece, size - len(waiting))
                piece = inflate.unconsumed_tail
                if len(waiting) == size:
                    yield waiting
                    waiting = bytearray()
        yield waiting + inflate.flush()
    except zlib.error as error:
        raise ImageError(f"{source}: damaged PNG ({error}); try another copy of the file") from error


def deep_pixels(rows: np.ndarray, header: Header, key: bytes) -> tuple[np.ndarray, bool]:
    """Return rows of 16 bits a channel as (h, N, channels) uint16; tell whether the last one is alpha.

    A transparent color, the content of tRNS, becomes an alpha channel.
    """
    values = np.ascontiguousarray(rows).view(">u2").astype(np.uint16)
    values = values.reshape(len(rows), header.width, header.channels)
    color = np.frombuffer(key, dtype=">u2")
    if header.channels in (1, 3) and len(color) == header.channels:
        return with_key(values, color), True
    return values, header.channels in (2, 4)


def read_deep(data: bytes, header: Header, source: str) -> tuple[np.ndarray, bool]:
    """Decode the content of a PNG of 16 bits a channel; see `deep_pixels`.

    Raises
    ------
    ImageError
        If the file is truncated or damaged.
    """
    stream = io.BytesIO(data)
    key = small_chunks(stream).get(b"tRNS", b"")
    return deep_pixels(np.concatenate(list(png_rows(stream, header, source))), header, key)


def with_key(values: np.ndarray, key: npt.ArrayLike) -> np.ndarray:
    """Append alpha to 16-bit channels: 0 where they are those of the transparent color, else opaque."""
    opaque = np.any(values != np.asarray(key), axis=2, keepdims=True)
    return np.concatenate([values, opaque.astype(np.uint16) * np.uint16(65535)], axis=2)
