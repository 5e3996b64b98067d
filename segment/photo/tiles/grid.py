"""A photo as a grid of tiles: what a reader of a format must offer, and the table of readers."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from segment.errors import ImageError
from segment.photo.formats import SCALE_EXTRA as EXTRA
from segment.photo.read import SIDEWAYS, UPRIGHT

# Orientations whose first row lies last.
_FROM_BELOW = frozenset({3, 4, 7, 8})


class BadTile(Exception):
    """A tile that cannot be read; the text says why."""


class MissingTile(BadTile):
    """A tile that the file leaves out: where a nodata value is known, it is nothing but that."""


class Place(NamedTuple):
    """Where a photo's pixels lie in the world.

    Attributes
    ----------
    pixel_size : (float, float) or None
        Height and width of a pixel.
    unit : str
        Of the pixel size: "micrometer", or "" for that of the map.
    tags : tuple of (code, type, count, value)
        GeoTIFF tags, as tifffile writes them.
    """

    pixel_size: tuple[float, float] | None = None
    unit: str = ""
    tags: tuple[tuple[int, str, int, Any], ...] = ()


NOWHERE = Place()


@dataclass(frozen=True)
class Layout:
    """What is known of a photo before its tiles are read.

    Attributes
    ----------
    source, format : str
    shape : (int, int)
        Rows and columns of the level that is read.
    tile : (int, int)
        Rows and columns of a tile; those at the lower and right border are cut.
    channels : int
    dtype : numpy.dtype
    is_color : bool
        Whether the channels are gray or sRGB (with alpha as the last, if `has_alpha`), or any bands.
    has_alpha : bool
    nodata : float or None
        A pixel whose channels all have this value counts nothing.
    profile : bytes or None
        ICC profile of the colors.
    level, n_levels : int
        Level of the pyramid, 0 the largest.
    place : Place
    facts : dict
        For the sidecar.
    orientation : int
        How the photo, whose `shape` is the upright one, lies in its tiles: as EXIF tells it, 1 .. 8.
    """

    source: str
    format: str
    shape: tuple[int, int]
    tile: tuple[int, int]
    channels: int
    dtype: np.dtype
    is_color: bool = True
    has_alpha: bool = False
    nodata: float | None = None
    profile: bytes | None = None
    level: int = 0
    n_levels: int = 1
    place: Place = NOWHERE
    facts: dict[str, Any] = field(default_factory=dict)
    orientation: int = UPRIGHT

    @property
    def n_pixels(self) -> int:
        """Number of pixels."""
        return self.shape[0] * self.shape[1]

    @property
    def tile_rows(self) -> int:
        """Rows of the upright photo that a tile takes part in."""
        return self.tile[self.orientation in SIDEWAYS]

    def box(self, start: int, stop: int) -> tuple[slice, slice]:
        """Return the rows and columns, as they lie, that some rows of the upright photo are."""
        if self.orientation in _FROM_BELOW:
            start, stop = self.shape[0] - stop, self.shape[0] - start
        rows, across = slice(start, stop), slice(0, self.shape[1])
        return (across, rows) if self.orientation in SIDEWAYS else (rows, across)


class Grid(Protocol):
    """A photo whose tiles can be read in any order, by several threads at once.

    Attributes
    ----------
    layout : Layout
    mask : Grid or None
        One channel, 0 where the file itself says that the photo has no pixels.
    """

    layout: Layout
    mask: Grid | None

    def read(self, row: int, column: int) -> np.ndarray:
        """Return a tile, (h, w, channels), cut at the photo's border.

        Raises
        ------
        BadTile
            If it is missing, cut off or damaged.
        """

    def files(self) -> Iterable[Path]:
        """Return the files whose change would change what is read."""

    def close(self) -> None:
        """Let go of the file."""


class Reader(NamedTuple):
    """A module with `recognizes(path)` and `open_grid(source, path, level, memory)`: it reads a format."""

    module: str

    def loaded(self) -> Any:
        """Return the module."""
        return importlib.import_module(self.module)


# The first that recognizes a file reads it.
READERS = (
    Reader("segment.photo.tiles.zarr"),
    Reader("segment.photo.tiles.npy"),
    Reader("segment.photo.tiles.tiff"),
    Reader("segment.photo.tiles.decoded"),
)


def open_grid(source: str | os.PathLike[str], level: int = 0, memory: int | None = None) -> Grid:
    """Open a photo by its tiles.

    Parameters
    ----------
    source : path
        TIFF of any kind (BigTIFF, COG, OME-TIFF, SVS, NDPI), zarr or OME-Zarr, .npy; JPEG, PNG and the like
        are decoded once into a temporary file.
    level : int
        Of a pyramid; 0 is the largest.
    memory : int, optional
        Bytes that decoding may take where that must be done first.

    Raises
    ------
    ImageError
        If there is no such file or level, or no reader for it, or it takes too much memory.
    OutputError
        If there is no space for a temporary file.
    """
    path = Path(source)
    if not path.exists():
        raise ImageError(f"{source}: no such file")
    for reader in READERS:
        if reader.loaded().recognizes(path):
            return reader.loaded().open_grid(str(source), path, level, memory)
    raise ImageError(
        f"{source}: not an image that can be read by tiles; TIFF, zarr, .npy, JPEG and PNG can be"
    )


def checked_level(source: str, level: int, n_levels: int, beside: Sequence[str] = ()) -> int:
    """Return a level that a pyramid has, or raise an `ImageError` that names the images `beside` it."""
    if 0 <= level < n_levels:
        return level
    has = "one level, 0" if n_levels == 1 else f"the levels 0 (largest) to {n_levels - 1}"
    others = f"; its images {', '.join(beside)} are no levels, and are not read" if beside else ""
    raise ImageError(f"{source}: there is no level {level}; the file has {has}{others}")


def needed(name: str, source: str, what: str, extra: str = EXTRA) -> Any:
    """Import an optional library, or say how to install it."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ImageError(f"{source}: {what} needs {name}: {extra}") from error
