"""Where the pixels of a GeoTIFF lie on the map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from segment.errors import SegmentError
from segment.photo.segmentation import Segmentation

# Tags (OGC GeoTIFF 1.1), and keys of the directory among them.
_SCALE, _TIES, _MATRIX, _KEYS, _TEXTS = 33550, 33922, 34264, 34735, 34737
_RASTER_TYPE, _GEODETIC, _PROJECTED = 1025, 2048, 3072
_CITATIONS = (1026, 2049, 3073)
_PIXEL_IS_POINT, _USER_DEFINED = 2, 32767


@dataclass(frozen=True)
class MapPlace:
    """From corners of pixels to map coordinates.

    Attributes
    ----------
    matrix : (2, 3) float64 ndarray
        x and y on the map are `matrix @ (x, y, 1)`.
    crs : str
        The reference system as a URN if it has a number, else as the file cites it; "" if it says nothing.
    """

    matrix: np.ndarray
    crs: str

    def apply(self, points: np.ndarray) -> np.ndarray:
        """Return the map coordinates of points (n, 2)."""
        return points @ self.matrix[:, :2].T + self.matrix[:, 2]


def place_of(segmentation: Segmentation) -> MapPlace | None:
    """Return where a photo lies on the map; None if it does not say so."""
    layout = getattr(segmentation.photo, "layout", None)
    return map_place(layout.place.tags if layout is not None else _tags_of(segmentation.photo.source))


def _tags_of(source: str) -> Sequence[tuple[int, str, int, Any]]:
    """Return the GeoTIFF tags of a file that was read as a whole."""
    from segment.photo.tiles import tiff

    path = Path(source)
    try:
        if not tiff.recognizes(path):
            return ()
        grid = tiff.open_grid(source, path, 0)
    except (OSError, SegmentError):
        # Of kinds that are not read by tiles, turned ones among them, nothing is known.
        return ()
    try:
        return grid.layout.place.tags
    finally:
        grid.close()


def map_place(tags: Sequence[tuple[int, str, int, Any]]) -> MapPlace | None:
    """Return what GeoTIFF tags (code, type, count, value) say of the place; None if that is nothing."""
    values = {code: value for code, _, _, value in tags}
    keys = _keys(values)
    if _MATRIX in values:
        matrix = np.asarray(values[_MATRIX], dtype=np.float64).reshape(4, 4)[:2][:, [0, 1, 3]]
    elif _SCALE in values and _TIES in values:
        across, down = values[_SCALE][:2]
        column, row, _, x, y = values[_TIES][:5]
        matrix = np.array([[across, 0, x - column * across], [0, -down, y + row * down]], dtype=np.float64)
    else:
        return None
    if keys.get(_RASTER_TYPE) == _PIXEL_IS_POINT:
        # What is given are the middles of pixels then, which lie half a pixel from their corners.
        matrix[:, 2] -= matrix[:, :2].sum(axis=1) / 2
    return MapPlace(matrix, _crs(keys))


def _keys(values: dict[int, Any]) -> dict[int, Any]:
    """Return the directory of keys: numbers, or texts of the text tag."""
    directory = values.get(_KEYS, ())
    texts = str(values.get(_TEXTS, ""))
    found: dict[int, Any] = {}
    for start in range(4, len(directory) - 3, 4):
        key, location, count, value = (int(number) for number in directory[start : start + 4])
        if location == 0:
            found[key] = value
        elif location == _TEXTS:
            found[key] = texts[value : value + count].rstrip("|\0")
    return found


def _crs(keys: dict[int, Any]) -> str:
    for key in (_PROJECTED, _GEODETIC):
        code = keys.get(key, _USER_DEFINED)
        if isinstance(code, int) and 0 < code < _USER_DEFINED:
            return f"urn:ogc:def:crs:EPSG::{code}"
    return next((str(keys[key]) for key in reversed(_CITATIONS) if keys.get(key)), "")
