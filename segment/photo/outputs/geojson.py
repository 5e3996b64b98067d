"""Areas as polygons for maps and other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from segment.output import json_text, write_text
from segment.photo.colors import hex_code
from segment.photo.outputs.naming import at
from segment.photo.outputs.settings import OutputSettings
from segment.photo.segmentation import Segmentation
from segment.photo.vectors.labels import drawn_labels
from segment.photo.vectors.place import MapPlace, place_of
from segment.photo.vectors.polygons import Area, trace_areas

ENDINGS = (".geojson",)

_IN_PIXELS = "pixels: x to the right and y down from the upper left corner of the first pixel"


def write(segmentation: Segmentation, stem: Path, settings: OutputSettings) -> list[Path]:
    """Write a FeatureCollection with a polygon a connected area, along the sides of its pixels.

    A GeoTIFF gives map coordinates, the reference system being named as GDAL does it.
    """
    path = at(stem, ENDINGS[0])
    place = place_of(segmentation)
    codes = [hex_code(color) for color in segmentation.palette]
    features = [
        {
            "type": "Feature",
            "id": number,
            "properties": {"label": area.label, "color": codes[area.label], "area": area.n_pixels},
            "geometry": {"type": "Polygon", "coordinates": _rings(area, place)},
        }
        for number, area in enumerate(trace_areas(drawn_labels(segmentation, settings)))
    ]
    facts: dict[str, Any] = {"type": "FeatureCollection", "name": stem.name}
    facts |= {"coordinates": _IN_PIXELS} if place is None else _crs(place)
    lines = ",\n".join(json_text(feature, indent=None) for feature in features)
    write_text(path, f'{json_text(facts, indent=None)[:-1]}, "features": [\n{lines}\n]}}\n')
    return [path]


def _rings(area: Area, place: MapPlace | None) -> list[Any]:
    """Return the rings as GeoJSON wants them: the outer one counterclockwise where y points up."""
    if place is None:
        return [ring[::-1].tolist() for ring in area.rings]
    (a, b), (c, d) = place.matrix[:, :2]
    step = 1 if a * d - b * c < 0 else -1
    return [place.apply(ring)[::step].tolist() for ring in area.rings]


def _crs(place: MapPlace) -> dict[str, Any]:
    return {"crs": {"type": "name", "properties": {"name": place.crs}}} if place.crs else {}
