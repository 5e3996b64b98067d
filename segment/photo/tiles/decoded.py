"""Formats without tiles (JPEG, PNG and others), decoded once into a temporary file of plain rows."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np

from segment.errors import ImageError
from segment.photo.read import SUFFIXES, read_photo
from segment.photo.tiles.grid import Grid, checked_level
from segment.photo.tiles.npy import Npy, layout_of
from segment.scratch import Scratch

_ROWS = 256


def recognizes(path: Path) -> bool:
    """Tell whether a file may be one that Pillow reads."""
    return os.path.isfile(path) and path.suffix.lower() in SUFFIXES


def open_grid(source: str, path: Path, level: int) -> Grid:
    """Decode a photo; its rows are read from a temporary file from then on."""
    checked_level(source, level, 1)
    return Decoded(source, path)


class Decoded(Npy):
    """A photo decoded into a temporary file: colors, and alpha where there is any."""

    def __init__(self, source: str, path: Path) -> None:
        photo = read_photo(source, allow_large=True)
        if not photo.is_color and photo.weight is not None:
            raise ImageError(f"{source}: bands with alpha are not read by tiles; give a TIFF or zarr")
        has_alpha = photo.weight is not None
        shape = (*photo.shape, photo.pixels.shape[2] + has_alpha)
        self._scratch = Scratch()
        top = np.iinfo(photo.pixels.dtype).max if photo.pixels.dtype.kind == "u" else 1
        with open(self._scratch.path, "wb") as stream:
            for start in range(0, photo.shape[0], _ROWS):
                rows = photo.pixels[start : start + _ROWS]
                if photo.weight is not None:
                    alpha = np.rint(photo.weight[start : start + _ROWS, :, None] * top).astype(rows.dtype)
                    rows = np.concatenate([rows, alpha], axis=2)
                stream.write(np.ascontiguousarray(rows).data)
        layout = layout_of(source, photo.reader["format"], shape, photo.pixels.dtype)
        layout = replace(layout, is_color=photo.is_color, has_alpha=has_alpha, facts=photo.reader)
        super().__init__(layout, Path(self._scratch.path), 0)
        self._original = path

    def files(self) -> Iterable[Path]:
        return [self._original]

    def close(self) -> None:
        self._scratch.close()
