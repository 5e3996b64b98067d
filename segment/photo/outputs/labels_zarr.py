"""The label map of a photo of any size as an OME-Zarr 0.5 label image."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from segment.output import atomic_folder
from segment.photo.outputs.naming import at
from segment.photo.outputs.settings import OutputSettings
from segment.photo.tiles.grid import needed
from segment.photo.tiles.pyramid import pyramid
from segment.photo.tiles.store import LabelStore

if TYPE_CHECKING:
    from segment.photo.tiles.segmentation import TiledSegmentation

ENDINGS = ("_labels.zarr",)

_CHUNK = 1024


def write(segmentation: TiledSegmentation, stem: Path, settings: OutputSettings) -> list[Path]:
    """Write every level of the labels; the largest value is no label."""
    path = at(stem, ENDINGS[0])
    zarr = needed("zarr", str(path), "writing zarr")
    with pyramid(segmentation.store) as levels, atomic_folder(path) as temporary:
        attributes = {"ome": _metadata(segmentation, levels, stem.name)}
        group = zarr.open_group(str(temporary), mode="w", zarr_format=3, attributes=attributes)
        for number, level in enumerate(levels):
            _write_level(group, str(number), level)
    return [path]


def _write_level(group: Any, name: str, level: LabelStore) -> None:
    chunks = tuple(min(_CHUNK, size) for size in level.shape)
    array = group.create_array(
        name,
        shape=level.shape,
        chunks=chunks,
        dtype=level.dtype,
        fill_value=level.none,
        dimension_names=("y", "x"),
        config={"write_empty_chunks": True},
    )
    for start in range(0, level.shape[0], chunks[0]):
        stop = min(start + chunks[0], level.shape[0])
        array[start:stop] = level.read(start, stop)


def _metadata(segmentation: TiledSegmentation, levels: list[LabelStore], name: str) -> dict[str, Any]:
    """Return what OME-Zarr says of a label image: axes, scales, colors, areas."""
    place = segmentation.photo.layout.place
    unit = {"unit": place.unit} if place.unit else {}
    size = place.pixel_size or (1.0, 1.0)
    scales = [[side * 2**number for side in size] for number in range(len(levels))]
    colors = [
        {"label-value": k, "rgba": [*color, 255]} for k, color in enumerate(segmentation.palette.tolist())
    ]
    areas = [{"label-value": k, "pixels": n} for k, n in enumerate(segmentation.counts.tolist())]
    none = {"label-value": levels[0].none, "rgba": [255, 255, 255, 0]}
    return {
        "version": "0.5",
        "multiscales": [
            {
                "name": name,
                "axes": [{"name": axis, "type": "space", **unit} for axis in "yx"],
                "datasets": [
                    {"path": str(k), "coordinateTransformations": [{"type": "scale", "scale": scale}]}
                    for k, scale in enumerate(scales)
                ],
                "type": "nearest",
            }
        ],
        "image-label": {"colors": [*colors, none], "properties": areas},
    }
