"""Shapes as pixels: a pixel belongs to a polygon if its center does."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from segment.photo.shapes.shape import Shape


def covered(drawn: Shape, rows: tuple[int, int], width: int, stroke_width: float = 1.0) -> np.ndarray:
    """Return which pixels a shape covers.

    Parameters
    ----------
    drawn : Shape
    rows : (int, int)
        First row and the row after the last.
    width : int
        Columns of the photo.
    stroke_width : float
        In pixels, of strokes that have none of their own.

    Returns
    -------
    (rows, width) bool ndarray
    """
    if drawn.is_stroke:
        return _stroked(drawn.rings[0], rows, width, drawn.width or stroke_width)
    return _filled(drawn.rings, rows, width)


def _filled(rings: tuple[np.ndarray, ...], rows: tuple[int, int], width: int) -> np.ndarray:
    """Fill by the even-odd rule: each edge turns what lies right of it, in the rows that it passes."""
    start, stop = rows
    before = np.concatenate(rings)
    after = np.concatenate([np.roll(ring, -1, axis=0) for ring in rings])
    first, last = np.sort(np.clip(np.ceil([before[:, 1] - 0.5, after[:, 1] - 0.5]), start, stop), axis=0)
    heights = (last - first).astype(np.int64)
    edge = np.repeat(np.arange(len(before)), heights)
    offsets = np.arange(len(edge)) - np.repeat(np.cumsum(heights) - heights, heights)
    row = first[edge].astype(np.int64) + offsets
    run = after[edge] - before[edge]
    x = before[edge, 0] + (row + 0.5 - before[edge, 1]) * run[:, 0] / run[:, 1]
    column = np.clip(np.ceil(x - 0.5), 0, width).astype(np.int64)
    turns = np.bincount((row - start) * (width + 1) + column, minlength=(stop - start) * (width + 1))
    parity = np.cumsum(turns.reshape(stop - start, width + 1), axis=1)[:, :width]
    return (parity % 2).astype(bool)


def _stroked(points: np.ndarray, rows: tuple[int, int], width: int, thickness: float) -> np.ndarray:
    """Cover the pixels whose centers lie within half the thickness of a line."""
    start, stop = rows
    out = np.zeros((stop - start, width), dtype=bool)
    # Thinner lines would miss the centers of pixels that they pass.
    reach = max(thickness, 1.0) / 2
    for a, b in pairwise(points if len(points) > 1 else np.repeat(points, 2, axis=0)):
        (left, top), (right, bottom) = np.minimum(a, b) - reach, np.maximum(a, b) + reach
        y0, y1 = (int(np.clip(value, start, stop)) for value in (np.floor(top), np.ceil(bottom)))
        x0, x1 = (int(np.clip(value, 0, width)) for value in (np.floor(left), np.ceil(right)))
        y, x = np.mgrid[y0:y1, x0:x1] + 0.5
        along = b - a
        share = ((x - a[0]) * along[0] + (y - a[1]) * along[1]) / max(float(along @ along), 1e-12)
        share = np.clip(share, 0, 1)
        distance = np.hypot(x - a[0] - share * along[0], y - a[1] - share * along[1])
        out[y0 - start : y1 - start, x0:x1] |= distance <= reach
    return out
