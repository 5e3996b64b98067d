"""Cut a sheet of writing into its digits: connected pieces of ink, in rows, left to right."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from segment.errors import DatasetError

# Of a pixel's full ink: what counts when pieces are told apart.
INK = 64
# Of the largest piece of ink: smaller ones are specks.
MIN_SIZE = 0.3
# A page of writing has no more digits than this; a texture falls into thousands of pieces.
MAX_DIGITS = 1000
# Of a digit's longer side: a thinner stroke would fade as the digit shrinks, and is drawn as thick as most.
THIN, COMMON = 0.06, 0.1
# A stroke is thickened on so many pixels: a digit is read from 20.
ROUGH = 160


class Piece(NamedTuple):
    """A digit or a part of one: its box, and the numbers of the connected pieces of ink that make it up."""

    top: int
    bottom: int
    left: int
    right: int
    parts: tuple[int, ...]

    @property
    def size(self) -> int:
        """Longer side."""
        return max(self.bottom - self.top, self.right - self.left)

    def joined(self, other: Piece) -> Piece:
        """Return both as one."""
        top, left = min(self.top, other.top), min(self.left, other.left)
        bottom, right = max(self.bottom, other.bottom), max(self.right, other.right)
        return Piece(top, bottom, left, right, self.parts + other.parts)

    def stands_over(self, other: Piece, size: float) -> bool:
        """Tell whether one stands above the other within the height of one digit of this `size`."""
        shared = min(self.right, other.right) - max(self.left, other.left)
        gap = max(self.top, other.top) - min(self.bottom, other.bottom)
        height = max(self.bottom, other.bottom) - min(self.top, other.top)
        narrower = min(self.right - self.left, other.right - other.left)
        return shared > 0.25 * narrower and gap < 0.15 * size and height <= 1.2 * size


def cut_sheet(ink: np.ndarray) -> list[np.ndarray]:
    """Return the digits of a sheet, row by row, left to right.

    Pieces that stand above each other (the bar of a 5 and its bowl) are one digit; specks are left out.

    Parameters
    ----------
    ink : (height, width) uint8 ndarray, ink bright on a dark ground

    Raises
    ------
    DatasetError
        If there are more than `MAX_DIGITS`.
    """
    from scipy.ndimage import find_objects, label

    labels, _ = label(ink >= INK, np.ones((3, 3)))
    boxes = find_objects(labels)
    pieces = [
        Piece(rows.start, rows.stop, columns.start, columns.stop, (number,))
        for number, (rows, columns) in enumerate(boxes, start=1)
    ]
    size = max(piece.size for piece in pieces)
    pieces = [piece for piece in pieces if piece.size >= MIN_SIZE * size]
    if len(pieces) > MAX_DIGITS:
        raise DatasetError(f"{len(pieces)} pieces of ink (at most {MAX_DIGITS} are read from a page)")
    return [_cut_out(ink, labels, piece) for piece in _in_rows(_join(pieces, size))]


def _join(pieces: list[Piece], size: float) -> list[Piece]:
    """Join pieces that stand above each other, until no two do."""
    waiting: list[Piece] = pieces[::-1]
    settled: list[Piece] = []
    while waiting:
        piece = waiting.pop()
        other = next((other for other in settled if piece.stands_over(other, size)), None)
        if other is None:
            settled.append(piece)
        else:
            # What is joined may reach what neither part reached: it is compared anew.
            settled.remove(other)
            waiting.append(other.joined(piece))
    return settled


def _in_rows(pieces: list[Piece]) -> Iterator[Piece]:
    """Yield pieces row by row: a piece whose middle is above the row's bottom belongs to the row."""
    left = sorted(pieces)
    while left:
        bottom = left[0].bottom
        row = [piece for piece in left if piece.top + piece.bottom < 2 * bottom]
        left = [piece for piece in left if piece.top + piece.bottom >= 2 * bottom]
        yield from sorted(row, key=lambda piece: piece.left)


def _cut_out(ink: np.ndarray, labels: np.ndarray, piece: Piece) -> np.ndarray:
    """Return a piece with its soft edges, without the ink of its neighbors."""
    rows = slice(max(piece.top - 1, 0), piece.bottom + 1)
    columns = slice(max(piece.left - 1, 0), piece.right + 1)
    own = np.isin(labels[rows, columns], (0, *piece.parts))
    return np.where(own, ink[rows, columns], 0).astype(np.uint8)


def thicken(ink: np.ndarray) -> np.ndarray:
    """Draw a digit's thin strokes as thick as most people's; thick ones are left as they are.

    Parameters
    ----------
    ink : (height, width) uint8 ndarray, one digit, bright on a dark ground
    """
    from scipy.ndimage import distance_transform_edt, maximum_filter

    stroke = np.pad(ink >= INK, 1)
    depths: Any = distance_transform_edt(stroke)
    # In a stroke of even width, depths run from its edge to its middle: their mean is a fourth of it.
    width, side = 4 * depths[stroke].mean() - 2, max(ink.shape)
    if width >= THIN * side:
        return ink
    block = -(-side // ROUGH)
    filled = np.pad(ink, [(0, -length % block) for length in ink.shape])
    height, length = (extent // block for extent in filled.shape)
    rough = filled.reshape(height, block, length, block).max(axis=(1, 3))
    radius = max(1, round((COMMON * side - width) / 2 / block))
    y, x = np.ogrid[-radius : radius + 1, -radius : radius + 1]
    disc = y**2 + x**2 <= radius**2
    return maximum_filter(np.pad(rough, radius), footprint=disc, mode="constant")


def separation(ink: np.ndarray) -> float:
    """Return how well one threshold parts ink from ground: the share of the variance between the two.

    Ink on paper has two tones and reaches .86 to 1, blurred and in pencil too; most photos stay below .83.

    References
    ----------
    .. [1] Otsu (1979), "A threshold selection method from gray-level histograms", IEEE Transactions on
       Systems, Man, and Cybernetics 9(1), 62-66.
    """
    counts = np.bincount(ink.ravel(), minlength=256).astype(np.float64)
    tones = np.arange(256.0)
    mean = counts @ tones / counts.sum()
    below = np.cumsum(counts)[:-1]
    above = counts.sum() - below
    # (mean above - mean below) at each threshold, from the deviations below it.
    deviations = np.cumsum(counts * (tones - mean))[:-1]
    between = deviations**2 * counts.sum() / np.maximum(below * above, 1)
    total = counts @ (tones - mean) ** 2
    return float(between.max() / max(total, np.finfo(float).tiny))
