"""SVG: closed shapes and paths as polygons, strokes that are not filled as lines; curves as short lines."""

from __future__ import annotations

import io
from typing import Any
from xml.etree import ElementTree

import numpy as np

from segment.errors import ImageError
from segment.photo.shapes.shape import EXTRA, Shape, as_points
from segment.photo.tiles.grid import needed

# A curve becomes so many lines.
_LINES = 24


def shapes_of(data: bytes, source: str, shape: tuple[int, int]) -> list[Shape]:
    """Return the shapes of an SVG whose view box is that of a photo of some rows and columns."""
    svg = needed("svgelements", source, "an SVG", EXTRA)
    try:
        root = ElementTree.fromstring(data)
    except ElementTree.ParseError as error:
        raise ImageError(f"{source}: damaged SVG ({error})") from error
    _check_size(root, source, shape)
    # Units of the view box are the photo's pixels, whatever size the drawing is shown at.
    for name in ("width", "height", "viewBox", "x", "y"):
        root.attrib.pop(name, None)
    try:
        drawn = svg.SVG.parse(io.StringIO(ElementTree.tostring(root, encoding="unicode")), reify=True, ppi=96)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
        raise ImageError(f"{source}: damaged SVG ({error})") from error
    elements = [element for element in drawn.elements() if isinstance(element, svg.Shape)]
    return [shape for element in elements for shape in _shapes(svg, element, source)]


def _check_size(root: ElementTree.Element, source: str, shape: tuple[int, int]) -> None:
    box = root.get("viewBox", "").replace(",", " ").split()
    texts = box if len(box) == 4 else ["0", "0", root.get("width", ""), root.get("height", "")]
    try:
        x, y, width, height = (float(text.removesuffix("px")) for text in texts)
    except ValueError as error:
        raise ImageError(f"{source}: an SVG without a viewBox, or a width and a height in pixels") from error
    if (x, y) != (0, 0) or abs(width - shape[1]) > 0.5 or abs(height - shape[0]) > 0.5:
        at = "" if (x, y) == (0, 0) else f" from {x:g}, {y:g} on"
        raise ImageError(
            f"{source}: drawn on {width:g} x {height:g} pixels{at}, not on the photo's {shape[1]} x "
            f"{shape[0]}"
        )


def _shapes(svg: Any, element: Any, source: str) -> list[Shape]:
    """Return what an element draws: each line of a stroke is one."""
    lines = [line for part in svg.Path(element).as_subpaths() if (line := _corners(svg, part))]
    fill, stroke = element.fill, element.stroke
    has_fill = fill is not None and fill.value is not None
    has_stroke = stroke is not None and stroke.value is not None
    name = str(element.values.get("class") or element.id or "")
    if has_stroke and not has_fill:
        color = (stroke.red, stroke.green, stroke.blue)
        width = float(element.stroke_width or 1)
        return [Shape((as_points(line, source, 1, "line"),), True, name, color, width) for line in lines]
    rings = tuple(as_points(line, source, 3, "polygon") for line in lines)
    filling = (fill.red, fill.green, fill.blue) if has_fill else None
    return [Shape(rings, name=name, color=filling)] if rings else []


def _corners(svg: Any, path: Any) -> list[tuple[float, float]]:
    corners: list[tuple[float, float]] = []
    for segment in svg.Path(path):
        if isinstance(segment, (svg.Move, svg.Line, svg.Close)):
            places = [] if segment.end is None else [segment.end]
        else:
            places = [segment.point(t) for t in np.linspace(0, 1, _LINES + 1)[1:]]
        corners += [(place.x, place.y) for place in places]
    return corners
