"""A polygon or a stroke on a photo, and which of them can be used."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from segment.errors import ImageError
from segment.photo.tiles.grid import needed

EXTRA = "pip install 'segment-em[shapes]'"


@dataclass(frozen=True, eq=False)
class Shape:
    """A polygon with holes, or a stroke.

    Attributes
    ----------
    rings : tuple of (n, 2) float64 ndarray
        x and y of the corners: of a polygon's outline and its holes, the last corner not the first again; of
        the one line that a stroke is.
    is_stroke : bool
    name : str
        What the file calls it; "" where it does not.
    color : tuple of 3 int, or None
        sRGB, where the file has one.
    width : float or None
        Of a stroke, in pixels.
    """

    rings: tuple[np.ndarray, ...]
    is_stroke: bool = False
    name: str = ""
    color: tuple[int, int, int] | None = None
    width: float | None = None

    def is_outside(self, shape: tuple[int, int]) -> bool:
        """Tell whether none of it can lie on a photo of some rows and columns."""
        x, y = self.rings[0].T
        return bool(x.max() <= 0 or y.max() <= 0 or x.min() >= shape[1] or y.min() >= shape[0])


def as_points(values: Any, source: str, least: int, what: str) -> np.ndarray:
    """Return corners (n, 2) float64, or raise an `ImageError` if they are no such numbers."""
    try:
        points = np.asarray(values, dtype=np.float64)
        if points.ndim != 2 or points.shape[1] < 2:
            raise ValueError("each corner needs x and y")
    except (TypeError, ValueError) as error:
        raise ImageError(f"{source}: the corners of a {what} are no list of x and y ({error})") from error
    points = np.ascontiguousarray(points[:, :2])
    if not np.isfinite(points).all():
        raise ImageError(f"{source}: a {what} has corners that are not finite")
    if len(points) > 1 and least > 1 and np.array_equal(points[0], points[-1]):
        points = points[:-1]
    if len(points) < least:
        raise ImageError(f"{source}: a {what} has {len(points)} corners; at least {least} are needed")
    return points


def check_shapes(shapes: list[Shape], source: str, shape: tuple[int, int]) -> None:
    """Refuse polygons that cross themselves, and what lies outside a photo of some rows and columns.

    Raises
    ------
    ImageError
        That names the shape.
    """
    for number, drawn in enumerate(shapes, 1):
        what = f"{'stroke' if drawn.is_stroke else 'polygon'} {number}" + (
            f" ({drawn.name})" if drawn.name else ""
        )
        if not drawn.is_stroke:
            _check_polygon(drawn, source, what)
        if drawn.is_outside(shape):
            left, top = drawn.rings[0].min(axis=0)
            right, bottom = drawn.rings[0].max(axis=0)
            raise ImageError(
                f"{source}: {what} lies outside the photo: x from {left:g} to {right:g}, y from {top:g} to "
                f"{bottom:g}; the photo has {shape[1]} x {shape[0]} pixels. Coordinates are pixels, y down"
            )


def _check_polygon(drawn: Shape, source: str, what: str) -> None:
    shapely = needed("shapely", source, "a file of polygons", EXTRA)
    polygon = shapely.Polygon(drawn.rings[0], drawn.rings[1:])
    if not polygon.is_valid:
        reason = shapely.is_valid_reason(polygon).replace("[", " at ").rstrip("]")
        raise ImageError(
            f"{source}: {what} is not simple ({reason}); outlines must not cross or touch themselves, and "
            "holes lie within: draw it anew, or mend it (shapely.make_valid)"
        )
