"""Formats without tiles (JPEG, PNG and others), decoded once into a temporary file of plain rows."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import replace
from itertools import chain
from pathlib import Path

import numpy as np

from segment.photo.read import SIDEWAYS, SUFFIXES, oriented
from segment.photo.tiles.grid import Grid, checked_level
from segment.photo.tiles.npy import Npy, layout_of
from segment.photo.tiles.strips import Decoding, decode
from segment.scratch import Scratch

# What undoes an orientation, where that is another one.
_BACK = {6: 8, 8: 6}


def recognizes(path: Path) -> bool:
    """Tell whether a file may be one that Pillow reads."""
    return os.path.isfile(path) and path.suffix.lower() in SUFFIXES


def open_grid(source: str, path: Path, level: int, memory: int | None = None) -> Grid:
    """Decode a photo; its rows are read from a temporary file from then on."""
    checked_level(source, level, 1)
    return Decoded(source, path, memory)


class Decoded(Npy):
    """A photo decoded into a temporary file, upright: colors, and alpha where there is any."""

    def __init__(self, source: str, path: Path, memory: int | None) -> None:
        found = decode(source, path, memory)
        self._scratch = Scratch()
        try:
            shape, dtype, has_alpha = _write(found, self._scratch)
        except BaseException:
            self._scratch.close()
            raise
        layout = layout_of(source, found.reader["format"], shape, dtype)
        layout = replace(layout, is_color=found.is_color, has_alpha=has_alpha, facts=found.reader)
        super().__init__(layout, Path(self._scratch.path), 0)
        self._original = path

    def files(self) -> Iterable[Path]:
        return [self._original]

    def close(self) -> None:
        self._scratch.close()


def _write(found: Decoding, scratch: Scratch) -> tuple[tuple[int, int, int], np.dtype, bool]:
    """Write all strips, turned upright; return shape and type of the photo, and whether it has alpha."""
    strips = iter(found.strips)
    colors, alpha = first = next(strips)
    channels, dtype = colors.shape[2] + (alpha is not None), colors.dtype
    height, width = found.shape[::-1] if found.orientation in SIDEWAYS else found.shape
    scratch.reserve(height * width * channels * dtype.itemsize)
    start = 0
    with scratch.mapped((height, width, channels), dtype) as upright:
        lying = oriented(upright, _BACK.get(found.orientation, found.orientation))
        for colors, alpha in chain([first], strips):
            rows = lying[start : start + len(colors)]
            rows[:, :, : colors.shape[2]] = colors
            if alpha is not None:
                rows[:, :, -1] = alpha
            start += len(colors)
    return (height, width, channels), dtype, alpha is not None
