"""labelme's JSON: polygons, rectangles, circles, lines and points, each with a label."""

from __future__ import annotations

from typing import Any

import numpy as np

from segment.errors import ImageError
from segment.photo.shapes.shape import Shape, as_points

_CIRCLE_CORNERS = 64
_STROKES = {"line": 2, "linestrip": 2, "point": 1, "points": 1}
_POLYGONS = ("polygon", "rectangle", "circle")


def shapes_of(facts: dict[str, Any], source: str, shape: tuple[int, int]) -> list[Shape]:
    """Return the shapes of a file of labelme for a photo of some rows and columns."""
    size = (facts.get("imageHeight"), facts.get("imageWidth"))
    if None not in size and size != shape:
        raise ImageError(
            f"{source}: drawn on a photo of {size[1]} x {size[0]} pixels, not on one of {shape[1]} x "
            f"{shape[0]}"
        )
    return [_shape(entry, source) for entry in facts["shapes"]]


def _shape(entry: dict[str, Any], source: str) -> Shape:
    kind, name = entry.get("shape_type") or "polygon", str(entry.get("label") or "")
    if kind in _STROKES:
        # The end of a line may be its beginning: nothing is left out.
        points = as_points(entry["points"], source, 1, kind)
        return Shape((points,), is_stroke=True, name=name)
    if kind not in _POLYGONS:
        allowed = ", ".join((*_POLYGONS, *_STROKES))
        raise ImageError(f"{source}: shapes of the type {kind!r} are not read; allowed are {allowed}")
    points = as_points(entry["points"], source, 3 if kind == "polygon" else 2, kind)
    if kind == "rectangle":
        (left, top), (right, bottom) = points.min(axis=0), points.max(axis=0)
        points = np.array([(left, top), (right, top), (right, bottom), (left, bottom)])
    if kind == "circle":
        angles = np.linspace(0, 2 * np.pi, _CIRCLE_CORNERS, endpoint=False)
        radius = np.hypot(*(points[1] - points[0]))
        points = points[0] + radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return Shape((points,), name=name)
