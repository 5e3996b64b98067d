"""The label map of a photo of any size: a tiled BigTIFF with a palette, a pyramid, and the photo's place."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from segment.output import atomic_path
from segment.photo.outputs.naming import at
from segment.photo.outputs.settings import OutputSettings
from segment.photo.tiles.pyramid import pyramid
from segment.photo.tiles.store import LabelStore

if TYPE_CHECKING:
    from segment.photo.tiles.segmentation import TiledSegmentation

ENDINGS = ("_labels.tif",)

_TILE = 512
_REDUCED = 1
_NODATA = 42113
_MICROMETERS_A_CENTIMETER = 1e4


def write(segmentation: TiledSegmentation, stem: Path, settings: OutputSettings) -> list[Path]:
    """Write labels as they are counted, their mean colors as palette; the largest value is no label."""
    import tifffile

    path = at(stem, ENDINGS[0])
    store, place = segmentation.store, segmentation.photo.layout.place
    nodata = (_NODATA, "s", 0, str(store.none), True)
    resolution = _resolution(place.pixel_size) if place.unit == "micrometer" else {}
    # Written by as few threads as the labels were made by.
    threads = segmentation.n_threads
    with (
        pyramid(store) as levels,
        atomic_path(path) as temporary,
        tifffile.TiffWriter(temporary, bigtiff=True) as file,
    ):
        for number, level in enumerate(levels):
            file.write(
                _tiles(level),
                shape=level.shape,
                dtype=level.dtype,
                tile=(_TILE, _TILE),
                photometric="palette",
                colormap=_colormap(segmentation.palette, level),
                compression="zlib",
                compressionargs={"level": 1},
                subfiletype=_REDUCED if number else 0,
                extratags=[nodata, *((*tag, True) for tag in (() if number else place.tags))],
                metadata=None,
                maxworkers=threads,
                **({} if number else resolution),
            )
    return [path]


def _tiles(store: LabelStore) -> Iterator[np.ndarray]:
    """Yield the tiles row by row, filled up with no label at the borders."""
    height, width = store.shape
    for top in range(0, height, _TILE):
        rows = store.read(top, min(top + _TILE, height))
        for left in range(0, width, _TILE):
            part = rows[:, left : left + _TILE]
            short = [(0, _TILE - size) for size in part.shape]
            yield np.pad(part, short, constant_values=store.none) if any(map(any, short)) else part


def _colormap(palette: np.ndarray, store: LabelStore) -> np.ndarray:
    """Return the palette as TIFF has it: 16 bits a color, white where there is no label."""
    colors = np.full((store.none + 1, 3), 255, dtype=np.uint16)
    colors[: len(palette)] = palette
    return np.ascontiguousarray(colors.T * np.uint16(257))


def _resolution(size: tuple[float, float] | None) -> dict[str, Any]:
    """Return the resolution tags for a pixel of some micrometers."""
    if size is None:
        return {}
    across, down = (_MICROMETERS_A_CENTIMETER / side for side in (size[1], size[0]))
    return {"resolution": (across, down), "resolutionunit": "CENTIMETER"}
