"""GeoJSON (RFC 7946) in pixel coordinates, as --save geojson and QuPath write it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from segment.errors import ImageError
from segment.photo.shapes.shape import Shape, as_points

_NAMES = ("label", "name", "class")


def shapes_of(facts: dict[str, Any], source: str, shape: tuple[int, int]) -> list[Shape]:
    """Return the polygons, lines and points of a GeoJSON object."""
    return list(_within(facts, {}, source))


def _within(facts: dict[str, Any], properties: dict[str, Any], source: str) -> Iterator[Shape]:
    kind = facts["type"]
    if kind == "FeatureCollection":
        for feature in facts["features"]:
            yield from _within(feature, {}, source)
    elif kind == "Feature":
        if facts["geometry"] is not None:
            yield from _within(facts["geometry"], facts.get("properties") or {}, source)
    elif kind == "GeometryCollection":
        for geometry in facts["geometries"]:
            yield from _within(geometry, properties, source)
    elif kind in _GEOMETRIES:
        is_many, is_stroke, least = _GEOMETRIES[kind]
        for part in facts["coordinates"] if is_many else [facts["coordinates"]]:
            lines = part if not is_stroke else [[part]] if kind.endswith("Point") else [part]
            rings = tuple(
                as_points(line, source, least, "line" if is_stroke else "polygon") for line in lines
            )
            yield Shape(rings, is_stroke, _name(properties), _color(properties))
    else:
        raise ImageError(f"{source}: {kind!r} is no type of GeoJSON; allowed are {', '.join(_GEOMETRIES)}")


# Whether it holds many, is a stroke, and how many corners a line needs.
_GEOMETRIES = {
    "Polygon": (False, False, 3),
    "MultiPolygon": (True, False, 3),
    "LineString": (False, True, 1),
    "MultiLineString": (True, True, 1),
    "Point": (False, True, 1),
    "MultiPoint": (True, True, 1),
}


def _name(properties: dict[str, Any]) -> str:
    kind = properties.get("classification")
    if isinstance(kind, dict) and kind.get("name"):
        return str(kind["name"])
    return next((str(properties[key]) for key in _NAMES if properties.get(key) not in (None, "")), "")


def _color(properties: dict[str, Any]) -> tuple[int, int, int] | None:
    kind = properties.get("classification")
    value = kind.get("color") if isinstance(kind, dict) else properties.get("color")
    if isinstance(value, (list, tuple)) and len(value) >= 3:
        return int(value[0]), int(value[1]), int(value[2])
    if isinstance(value, str):
        from PIL import ImageColor

        try:
            return ImageColor.getrgb(value)[:3]
        except ValueError:
            return None
    return None
