"""A photo of any size: strips of full width, with what counts nothing (alpha, nodata, masks) as weights."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from segment.errors import ImageError
from segment.parallel import block_ranges
from segment.photo.batch import content_hash
from segment.photo.photo import Photo, to_uint8
from segment.photo.read import oriented
from segment.photo.shapes.read import holds_shapes
from segment.photo.tiles.grid import BadTile, Grid, Layout, MissingTile, open_grid
from segment.photo.tiles.reference import reopened
from segment.photo.where import Mask, Where, check_range, product

EVERYWHERE = Where()

REFUSE, MASK = "refuse", "mask"
BAD_TILES = (REFUSE, MASK)

# Pixels of a strip, about, where tiles are small.
STRIP_PIXELS = 1 << 22


@dataclass(frozen=True)
class Selection:
    """What of a file is taken.

    Attributes
    ----------
    level : int
        Of a pyramid, 0 the largest.
    where : Where
        Which part counts; region and mask are of the size of the level.
    bands : tuple of int
        Numbers from 1 on; none stands for all.
    nodata : float or None
        Instead of the file's own.
    bad_tiles : {"refuse", "mask"}
        What a tile that cannot be read leads to: an error, or pixels that count nothing.
    """

    level: int = 0
    where: Where = EVERYWHERE
    bands: tuple[int, ...] = ()
    nodata: float | None = None
    bad_tiles: str = REFUSE


class Strip(NamedTuple):
    """Rows of a photo.

    Attributes
    ----------
    start : int
        Number of the first.
    pixels : (h, N, D) ndarray, read-only
    weight : (h, N) float32 ndarray or None
        None if all pixels count alike.
    """

    start: int
    pixels: np.ndarray
    weight: np.ndarray | None

    @property
    def stop(self) -> int:
        """Number of the row after the last."""
        return self.start + len(self.pixels)


class TiledPhoto:
    """A photo that is read in strips, as often as needed and by several threads at once.

    Parameters
    ----------
    source : str
    selection : Selection
    memory : int, optional
        Bytes that decoding may take where that must be done first.

    Raises
    ------
    ImageError
        If it cannot be opened, or the selection does not fit it.
    """

    def __init__(
        self,
        source: str | os.PathLike[str],
        selection: Selection | None = None,
        memory: int | None = None,
    ) -> None:
        self.source, self.selection = str(source), selection or Selection()
        self.name = Path(source).stem
        self._grid: Grid = open_grid(source, self.selection.level, memory)
        self.layout: Layout = self._grid.layout
        self._lock = threading.Lock()
        self.bad: set[tuple[int, int]] = set()
        self._range: tuple[np.ndarray, np.ndarray] | None = None
        self._bands = self._checked_bands()
        self.is_color = self.layout.is_color and not self._bands
        self._given: Grid | None = None
        self._where = self.selection.where.placed(self.shape, self.source, self.is_color, self._mask())
        self._outside: dict[int, dict[str, int]] = {}
        self._before = self._state()

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as a reference: whoever takes it opens the file, which must be the same."""
        where = self.selection.where
        if where.mask is not None:
            where = replace(where, mask=os.path.abspath(where.mask))
        found = TiledPhoto, os.path.abspath(self.source), replace(self.selection, where=where), self.stamps
        return reopened, found, {"_range": self._range, "strips": self.strips}

    @property
    def stamps(self) -> tuple[tuple[int, int], ...]:
        """Sizes and times of the files, as they were opened."""
        return tuple(stamp[1:] for stamp in self._before)

    def _checked_bands(self) -> list[int]:
        channels = self.layout.channels
        wrong = [band for band in self.selection.bands if not 1 <= band <= channels]
        if wrong:
            raise ImageError(f"{self.source}: there is no band {wrong[0]}; the file has 1 to {channels}")
        return [band - 1 for band in self.selection.bands]

    def _mask(self) -> Mask | None:
        """Return what reads the given mask strip by strip; None for none, and for polygons."""
        path = self.selection.where.mask
        if path is None or holds_shapes(path):
            return None
        grid = self._given = open_grid(path)
        if grid.layout.shape != self.shape:
            raise ImageError(
                f"{path}: the mask has {_size(grid.layout)} pixels, {self.source} has {_size(self.layout)} "
                f"(level {self.layout.level}); they must agree"
            )

        def values(start: int, stop: int) -> np.ndarray:
            channels, there = self._assembled(grid, start, stop)
            value = channels[:, :, -1] if grid.layout.has_alpha else channels.max(axis=2)
            return value.astype(np.float32) if there is None else value * there.astype(np.float32)

        ranges = [(part.min(), part.max()) for part in (values(*strip) for strip in self.strips)]
        top = max(high for _, high in ranges)
        check_range(path, float(min(low for low, _ in ranges)), float(top))
        return lambda start, stop: values(start, stop) / top

    @property
    def _grids(self) -> list[Grid]:
        return [grid for grid in (self._grid, self._grid.mask, self._given) if grid is not None]

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.layout.shape

    @property
    def n_pixels(self) -> int:
        """Number of pixels."""
        return self.layout.n_pixels

    @property
    def n_bands(self) -> int:
        """Values of a pixel: three of a color."""
        return 3 if self.is_color else len(self._bands) or self.layout.channels

    @property
    def dtype(self) -> np.dtype:
        """Type of the pixels."""
        dtype = self.layout.dtype
        if dtype in (np.uint8, np.uint16, np.float32, np.float64):
            return dtype
        return np.dtype(np.float32 if dtype.itemsize <= 2 else np.float64)

    @property
    def nodata(self) -> float | None:
        """Value of pixels that count nothing."""
        return self.layout.nodata if self.selection.nodata is None else self.selection.nodata

    @cached_property
    def strips(self) -> list[tuple[int, int]]:
        """First row and the row after the last of each strip: rows of whole tiles."""
        height, width = self.layout.tile_rows, self.shape[1]
        return block_ranges(self.shape[0], height * max(1, STRIP_PIXELS // (height * width)))

    @property
    def strip_bytes(self) -> int:
        """Bytes of a strip's pixels."""
        start, stop = self.strips[0]
        return (stop - start) * self.shape[1] * self.layout.channels * self.layout.dtype.itemsize

    @property
    def reader(self) -> dict[str, Any]:
        """What was done while reading."""
        layout = self.layout
        weights = ["alpha"] * layout.has_alpha + ["mask"] * (
            len(self._grids) > 1 or self._where.mask is not None
        )
        weights += [f"nodata {self.nodata:g}"] if self.nodata is not None else []
        return {
            "format": layout.format,
            **layout.facts,
            "depth": 8 * layout.dtype.itemsize,
            "level": layout.level,
            "n_levels": layout.n_levels,
            "bands": list(self.selection.bands) or self.n_bands,
            "weights": weights,
            "bad_tiles": [list(tile) for tile in sorted(self.bad)],
            **({"outside": self.outside} if self.outside else {}),
        }

    @property
    def outside(self) -> dict[str, int]:
        """Pixels that count nothing by reason, of the strips read so far; each for the first reason only."""
        found: dict[str, int] = {}
        for strip in list(self._outside.values()):
            for reason, n in strip.items():
                found[reason] = found.get(reason, 0) + n
        return found

    def told(self) -> tuple[set[tuple[int, int]], dict[int, dict[str, int]]]:
        """Return what reading has told beside pixels, for `hear` of this photo in another process."""
        return set(self.bad), dict(self._outside)

    def hear(self, told: tuple[set[tuple[int, int]], dict[int, dict[str, int]]]) -> None:
        """Note what reading in another process has told."""
        self.bad |= told[0]
        self._outside |= told[1]

    def read(self, strip: tuple[int, int]) -> Strip:
        """Read a strip of `strips`.

        Raises
        ------
        ImageError
            If a tile cannot be read, and tiles that cannot are refused; or a value is not allowed.
        """
        start, stop = strip
        channels, readable = self._assembled(self._grid, start, stop)
        weights: list[tuple[str, np.ndarray]] = [] if readable is None else [("bad tiles", readable)]
        if self._grid.mask is not None:
            values, there = self._assembled(self._grid.mask, start, stop)
            weights += [("mask", values[:, :, 0] > 0), *([] if there is None else [("bad tiles", there)])]
        if self.layout.has_alpha:
            alpha, channels = channels[:, :, -1], channels[:, :, :-1]
            if (alpha < np.iinfo(alpha.dtype).max).any():
                weights.append(
                    ("transparent", alpha.astype(np.float32) / np.float32(np.iinfo(alpha.dtype).max))
                )
        if self._bands:
            channels = channels[:, :, self._bands]
        if (valid := self._valid(channels)) is not None:
            weights.append(("nodata", valid))
            channels = np.where(valid[:, :, None], channels, channels.dtype.type(0))
        pixels = self._as_pixels(channels, start)
        if not self.selection.where.is_everywhere:
            weights += self._where.weigh(start, to_uint8(pixels) if self.is_color else pixels)
        if not weights:
            return Strip(start, pixels, None)
        weight, self._outside[start] = product(weights)
        return Strip(start, pixels, weight)

    def _assembled(self, grid: Grid, start: int, stop: int) -> tuple[np.ndarray, np.ndarray | None]:
        """Return the channels of some rows, and where tiles could be read (None: everywhere)."""
        layout = grid.layout
        height, width = layout.tile
        rows, columns = layout.box(start, stop)
        size = (rows.stop - rows.start, columns.stop - columns.start)
        out = np.zeros((*size, layout.channels), layout.dtype)
        readable: np.ndarray | None = None
        for row in range(rows.start // height, -(-rows.stop // height)):
            for column in range(columns.start // width, -(-columns.stop // width)):
                down, to_row = _overlap(rows, row * height, height)
                across, to_column = _overlap(columns, column * width, width)
                try:
                    out[to_row, to_column] = grid.read(row, column)[down, across]
                except BadTile as error:
                    self._judge(grid, row, column, error)
                    readable = np.ones(size, dtype=bool) if readable is None else readable
                    readable[to_row, to_column] = False
        there = None if readable is None else oriented(readable, layout.orientation)
        return oriented(out, layout.orientation), there

    def _judge(self, grid: Grid, row: int, column: int, error: BadTile) -> None:
        """Count a tile that cannot be read, or refuse it."""
        if isinstance(error, MissingTile) and self.nodata is not None:
            return
        if self.selection.bad_tiles == REFUSE:
            height, width = grid.layout.tile
            raise ImageError(
                f"{grid.layout.source}: tile {row}, {column} (rows from {row * height}, columns from "
                f"{column * width}): {error}; try another copy of the file, or --bad-tiles mask to leave "
                "such tiles out"
            ) from error
        with self._lock:
            self.bad.add((row, column))

    def _valid(self, channels: np.ndarray) -> np.ndarray | None:
        """Return where pixels are not the nodata value; None where none is."""
        nodata = self.nodata
        if nodata is None:
            return None
        if np.isnan(nodata):
            wrong = np.isnan(channels).any(axis=2) if channels.dtype.kind == "f" else None
        else:
            wrong = (
                (channels == channels.dtype.type(nodata)).all(axis=2)
                if _fits(nodata, channels.dtype)
                else None
            )
        return None if wrong is None or not wrong.any() else ~wrong

    def _as_pixels(self, channels: np.ndarray, start: int) -> np.ndarray:
        """Return a strip's channels as pixels: checked, in sRGB, read-only."""
        try:
            photo = Photo.of(channels.astype(self.dtype, copy=False), bands=not self.is_color)
        except ImageError as error:
            hint = (
                "; pixels that are not finite can be left out: --nodata nan" if "finite" in str(error) else ""
            )
            raise ImageError(f"{self.source}: rows from {start}: {error}{hint}") from error
        if self.layout.profile is None or not self.is_color:
            return photo.pixels
        from PIL import Image

        from segment.photo.read import is_srgb, to_srgb

        if is_srgb(self.layout.profile):
            return photo.pixels
        # Profiles are applied to 8 bits, as to whole photos.
        gray = self.layout.channels - self.layout.has_alpha == 1
        image = Image.fromarray(np.ascontiguousarray(photo.display[:, :, 0]) if gray else photo.display)
        return Photo(np.asarray(to_srgb(image, self.layout.profile, "RGB")[0])).pixels

    def show_range(self, low: np.ndarray, high: np.ndarray) -> None:
        """Set between which values bands are shown."""
        self._range = low, high

    def display(self, pixels: np.ndarray) -> np.ndarray:
        """Return pixels as they are shown, (h, N, 3) uint8 sRGB."""
        if self.is_color:
            return to_uint8(pixels)
        if self._range is None:
            raise ValueError("bands are shown once show_range has set how")
        low, high = self._range
        bands = pixels[:, :, shown_bands(pixels.shape[2])]
        spread = np.where(high > low, high - low, 1.0)
        return to_uint8(np.clip((bands - low) / spread, 0.0, 1.0).astype(np.float32))

    def check_unchanged(self) -> None:
        """Raise an `ImageError` if a file has been changed since it was opened."""
        if self._state() != self._before:
            raise ImageError(
                f"{self.source}: the file was changed while it was read; run again when it rests"
            )

    def _state(self) -> list[tuple[str, int, int]]:
        files = sorted(path for grid in self._grids for path in grid.files())
        try:
            return [(str(path), os.stat(path).st_size, os.stat(path).st_mtime_ns) for path in files]
        except OSError:
            return []

    @cached_property
    def sha256(self) -> str | None:
        """Of the file; of a folder, of the names, sizes and times of its files."""
        return content_hash(self.source)

    def close(self) -> None:
        """Let go of the files."""
        for grid in self._grids:
            grid.close()


def _overlap(wanted: slice, first: int, size: int) -> tuple[slice, slice]:
    """Return what of a tile along a side is wanted, and where in the wanted that is."""
    start, stop = max(wanted.start, first), min(wanted.stop, first + size)
    return slice(start - first, stop - first), slice(start - wanted.start, stop - wanted.start)


def shown_bands(n_bands: int) -> Sequence[int]:
    """Return which bands are shown as red, green and blue."""
    return [0, 0, 0] if n_bands < 3 else [0, 1, 2]


def _size(layout: Layout) -> str:
    return f"{layout.shape[1]} x {layout.shape[0]}"


def _fits(value: float, dtype: np.dtype) -> bool:
    """Tell whether a value can occur in a type."""
    if dtype.kind == "f":
        return True
    info = np.iinfo(dtype)
    return float(value).is_integer() and info.min <= value <= info.max
