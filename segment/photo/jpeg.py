"""JPEG files by their markers: whether they are whole, and what decoding one takes."""

from __future__ import annotations

import mmap
import re
import struct
from typing import NamedTuple

from segment.errors import ImageError

SIGNATURE = b"\xff\xd8\xff"

# What follows 0xff in coded data, as filling, or between stretches that restart is no marker.
_MARKER = re.compile(rb"\xff[^\x00\x01\xff\xd0-\xd8]")
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_SCAN, _END = 0xDA, 0xD9
_PROGRESSIVE = frozenset({0xC2, 0xC6, 0xCA, 0xCE})


class Jpeg(NamedTuple):
    """What the markers of a JPEG say.

    Attributes
    ----------
    shape : (int, int, int)
        Rows, columns, components.
    held_bytes : int
        Of coefficients that a decoder must hold: 0 where it can go row by row, all of them where the file
        tells of a row in several scans, as progressive ones do.
    """

    shape: tuple[int, int, int]
    held_bytes: int


def read_markers(data: bytes | mmap.mmap, source: str) -> Jpeg:
    """Walk the markers of a JPEG from its beginning to its end.

    Raises
    ------
    ImageError
        If it does not end: what is cut off, decoders fill with gray and say nothing.
    """
    found: Jpeg | None = None
    held, at = 0, 2
    while marker := _MARKER.search(data, at):
        kind, at = data[marker.start() + 1], marker.end()
        if kind == _END and found:
            return found._replace(held_bytes=held)
        if at + 2 > len(data):
            break
        length = int.from_bytes(data[at : at + 2], "big")
        if kind in _FRAMES and found is None and at + length <= len(data):
            rows, columns, components = struct.unpack(">HHB", data[at + 3 : at + 8])
            found = Jpeg((rows, columns, components), 0)
            all_bytes = _coefficient_bytes(rows, columns, data[at + 8 : at + 8 + 3 * components])
            held = all_bytes if kind in _PROGRESSIVE else 0
        elif kind == _SCAN and found and at + 2 < len(data) and data[at + 2] < found.shape[2]:
            held = all_bytes
        at += length
    raise ImageError(f"{source}: damaged or truncated (the JPEG does not end); try another copy of the file")


def _coefficient_bytes(rows: int, columns: int, components: bytes) -> int:
    """Return two bytes for each sample of all components, each of which has its own resolution."""
    factors = [(byte >> 4, byte & 15) for byte in components[1::3]]
    across, down = (max((pair[axis] for pair in factors), default=1) or 1 for axis in (0, 1))
    return sum(2 * (columns * h // across) * (rows * v // down) for h, v in factors)
