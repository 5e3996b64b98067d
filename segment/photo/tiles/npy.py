"""NumPy's own files, memory-mapped."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np

from segment.errors import ImageError
from segment.photo.tiles.grid import BadTile, Grid, Layout, checked_level

# Bytes of a tile, about: some rows of the array.
_TILE_BYTES = 1 << 22


def recognizes(path: Path) -> bool:
    """Tell whether a file is one of NumPy's."""
    if not os.path.isfile(path):
        return False
    with open(path, "rb") as stream:
        return stream.read(6) == b"\x93NUMPY"


def open_grid(source: str, path: Path, level: int, _memory: int | None = None) -> Grid:
    """Open an .npy file of shape (M, N) or (M, N, C)."""
    checked_level(source, level, 1)
    try:
        with open(path, "rb") as stream:
            version = np.lib.format.read_magic(stream)
            header = {1: np.lib.format.read_array_header_1_0, 2: np.lib.format.read_array_header_2_0}
            shape, is_fortran, dtype = header[version[0]](stream)
            start = stream.tell()
    except (OSError, ValueError, KeyError) as error:
        raise ImageError(f"{source}: a damaged .npy file ({error}); try another copy of the file") from error
    if len(shape) not in (2, 3) or 0 in shape or is_fortran or dtype.hasobject:
        raise ImageError(
            f"{source}: holds an array of shape {shape}, {dtype}{', Fortran order' if is_fortran else ''}; "
            "(M, N) or (M, N, C) of numbers in C order is needed"
        )
    return Npy(layout_of(source, "NPY", (*shape, 1)[:3], dtype), path, start)


def layout_of(source: str, format: str, shape: tuple[int, ...], dtype: np.dtype) -> Layout:
    """Return the layout of rows that lie one after the other in a file."""
    row_bytes = shape[1] * shape[2] * dtype.itemsize
    tile = (min(shape[0], max(1, _TILE_BYTES // row_bytes)), shape[1])
    # Four floats a pixel are bands: no alpha is stored so.
    has_alpha = shape[2] == 4 and dtype.kind == "u"
    is_color = shape[2] in (1, 3) or has_alpha
    layout = Layout(source, format, (shape[0], shape[1]), tile, shape[2], dtype, is_color)
    return replace(layout, has_alpha=has_alpha)


class Npy:
    """Rows that lie one after the other in a file, read by their place.

    Parameters
    ----------
    layout : Layout
    path : Path
    start : int
        Byte at which the first row begins.
    """

    mask: Grid | None = None

    def __init__(self, layout: Layout, path: Path, start: int) -> None:
        self.layout, self._path, self._start = layout, path, start

    def read(self, row: int, column: int) -> np.ndarray:
        layout = self.layout
        first = row * layout.tile[0]
        rows = min(layout.tile[0], layout.shape[0] - first)
        row_values = layout.shape[1] * layout.channels
        data = bytearray(rows * row_values * layout.dtype.itemsize)
        with io.FileIO(self._path) as stream:
            stream.seek(self._start + first * row_values * layout.dtype.itemsize)
            view, got = memoryview(data), 0
            while got < len(data) and (more := stream.readinto(view[got:])):
                got += more
        if got < len(data):
            raise BadTile(f"cut off: the file ends {len(data) - got} bytes too early")
        values = np.frombuffer(data, layout.dtype).reshape(rows, layout.shape[1], layout.channels)
        return values.astype(layout.dtype.newbyteorder("="), copy=False)

    def files(self) -> Iterable[Path]:
        return [self._path]

    def close(self) -> None:
        pass
