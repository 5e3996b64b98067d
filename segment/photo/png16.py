"""PNG with 16 bits a channel in color, which Pillow reads as 8 bits."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import numpy.typing as npt

from segment.errors import ImageError

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CHANNELS = {0: 1, 2: 3, 4: 2, 6: 4}


def png16_channels(data: bytes) -> int:
    """Return the number of channels of a 16-bit PNG that is not interlaced; 0 for any other file."""
    if len(data) < 33 or not data.startswith(_SIGNATURE):
        return 0
    depth, kind, _, _, interlaced = data[24:29]
    return _CHANNELS.get(kind, 0) if depth == 16 and not interlaced else 0


def read_png16(data: bytes, source: str) -> tuple[np.ndarray, bool]:
    """Decode a 16-bit PNG, (M, N, channels) uint16; tell whether the last channel is alpha.

    A transparent color (tRNS) becomes an alpha channel.

    Raises
    ------
    ImageError
        If the file is truncated or damaged.
    """
    from segment.kernels.image.png import unfilter

    width, height = struct.unpack(">II", data[16:24])
    channels = png16_channels(data)
    length = 1 + width * channels * 2
    try:
        raw = zlib.decompressobj().decompress(_chunks(data, b"IDAT"), height * length)
    except zlib.error as error:
        raise ImageError(f"{source}: damaged PNG ({error}); try another copy of the file") from error
    if len(raw) < height * length:
        raise ImageError(f"{source}: the PNG is truncated; try another copy of the file")
    rows = np.frombuffer(bytearray(raw), dtype=np.uint8).reshape(height, length)
    if not unfilter(rows, 2 * channels):
        raise ImageError(f"{source}: damaged PNG (unknown row filter); try another copy of the file")
    values = np.ascontiguousarray(rows[:, 1:]).view(">u2").astype(np.uint16)
    values = values.reshape(height, width, channels)
    key = np.frombuffer(_chunks(data, b"tRNS"), dtype=">u2")
    if channels in (1, 3) and len(key) == channels:
        return with_key(values, key), True
    return values, channels in (2, 4)


def with_key(values: np.ndarray, key: npt.ArrayLike) -> np.ndarray:
    """Append alpha to 16-bit channels: 0 where they are those of the transparent color, else opaque."""
    opaque = np.any(values != np.asarray(key), axis=2, keepdims=True)
    return np.concatenate([values, opaque.astype(np.uint16) * np.uint16(65535)], axis=2)


def _chunks(data: bytes, wanted: bytes) -> bytes:
    """Join the chunks of a kind, as far as they are complete."""
    parts, at = [], 8
    while at + 12 <= len(data):
        length, kind = struct.unpack(">I4s", data[at : at + 8])
        if kind == wanted:
            parts.append(data[at + 8 : at + 8 + length])
        at += 12 + length
    return b"".join(parts)
