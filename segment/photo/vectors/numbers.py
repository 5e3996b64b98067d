"""Where the number of each area stands: at its widest point, or beside it at the end of a line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from segment.photo.vectors.arcs import Topology

# Sizes of type in points: the largest, the smallest that still reads well, that at the end of a line, and
# what is left where there is no room for a line either.
LARGEST, SMALLEST, LED, TINY = 8.0, 4.5, 5.0, 3.5

# A digit's width and height, of the size of type.
_DIGIT = (0.64, 0.74)

# Room around a number, of what it takes itself.
_ROOM = 1.15

# A line is no longer than this, in points.
_REACH = 45.0


@dataclass(frozen=True)
class Number:
    """A number on the page.

    Attributes
    ----------
    text : str
    x, y : float
        Its middle, in pixels of the label map.
    size : float
        Of its type, in points.
    anchor : (float, float) or None
        The point of its area that a line leads to; None if it stands within its area.
    """

    text: str
    x: float
    y: float
    size: float
    anchor: tuple[float, float] | None = None


def radius_of(text: str, size: float) -> float:
    """Return half the diagonal of a number with some room, in points."""
    return 0.5 * _ROOM * size * float(np.hypot(_DIGIT[0] * len(text), _DIGIT[1]))


def place_numbers(topology: Topology, texts: Sequence[str], scale: float) -> list[Number]:
    """Place a number in every area.

    Parameters
    ----------
    topology : Topology
    texts : sequence of str
        The number of each label.
    scale : float
        Points a pixel.

    Returns
    -------
    list of Number
        In the order of the areas; each in the widest place of its area if it can be read there.
    """
    from scipy import ndimage

    clearance = _clearance(_borders(topology.areas)) * scale
    index = np.arange(len(topology.labels))
    widest = ndimage.maximum_position(clearance, topology.areas, index)
    numbers: list[Number | None] = []
    for label, (row, column) in zip(topology.labels.tolist(), widest, strict=True):
        text = texts[label]
        size = min(LARGEST, clearance[row, column] / radius_of(text, 1.0))
        inside = Number(text, column + 0.5, row + 0.5, size)
        numbers.append(inside if size >= SMALLEST else None)
    return _lead_out(topology, numbers, widest, texts, scale)


def _borders(areas: np.ndarray) -> np.ndarray:
    """Return the pixels on a border of two areas or of the photo."""
    grid = np.pad(areas, 1, constant_values=-2)
    inner = grid[1:-1, 1:-1]
    found = inner < 0
    for rows, columns in ((0, 1), (2, 1), (1, 0), (1, 2)):
        found |= inner != grid[rows : rows + areas.shape[0], columns : columns + areas.shape[1]]
    return found


def _clearance(taken: np.ndarray) -> np.ndarray:
    """Return how far each pixel's middle is from the outer side of those taken, in pixels."""
    from scipy import ndimage

    return ndimage.distance_transform_edt(~taken) + 0.5


def _lead_out(
    topology: Topology,
    numbers: list[Number | None],
    widest: Sequence[tuple[int, int]],
    texts: Sequence[str],
    scale: float,
) -> list[Number]:
    """Find room for the numbers that do not fit into their areas."""
    taken = _borders(topology.areas)
    for number in numbers:
        if number is not None:
            _take(taken, number, scale)
    clearance = _clearance(taken) * scale
    reach = int(_REACH / scale) + 1
    placed = []
    for label, (row, column), number in zip(topology.labels.tolist(), widest, numbers, strict=True):
        if number is None:
            text, here = texts[label], (column + 0.5, row + 0.5)
            top, left = max(0, row - reach), max(0, column - reach)
            window = clearance[top : row + reach + 1, left : column + reach + 1]
            rows, columns = np.nonzero(window >= radius_of(text, LED))
            away = np.hypot(rows + top - row, columns + left - column) * scale
            number = Number(text, *here, TINY)
            if len(away) and away.min() <= _REACH:
                nearest = int(np.argmin(away))
                x, y = columns[nearest] + left + 0.5, rows[nearest] + top + 0.5
                number = Number(text, float(x), float(y), LED, here)
                _block(clearance, number, scale)
        placed.append(number)
    return placed


def _box(number: Number, margin: float) -> tuple[slice, slice]:
    """Return the pixels around a number, to a margin in pixels."""
    y, x = int(number.y), int(number.x)
    reach = int(margin) + 1
    return slice(max(0, y - reach), y + reach + 1), slice(max(0, x - reach), x + reach + 1)


def _take(taken: np.ndarray, number: Number, scale: float) -> None:
    """Mark the pixels that a number covers."""
    taken[_box(number, 0.8 * radius_of(number.text, number.size) / scale)] = True


def _block(clearance: np.ndarray, number: Number, scale: float) -> None:
    """Leave no room for another number over this one."""
    clearance[_box(number, 1.8 * radius_of(number.text, number.size) / scale)] = 0.0
