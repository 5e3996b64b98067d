"""Areas of a label map as polygons with holes, exactly along the sides of the pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from segment.errors import DataError
from segment.photo.vectors.arcs import Topology, trace


@dataclass(frozen=True, eq=False)
class Area:
    """A connected area of one label.

    Attributes
    ----------
    label : int
    n_pixels : int
        Also the polygon's area, to the last digit.
    outer : (n, 2) int32 ndarray
        x and y of the corners, the first one again at the end; y points down, and pixel (row, column) reaches
        from (column, row) to (column + 1, row + 1). The area lies to the left of the way around it as it is
        seen (counterclockwise).
    holes : tuple of (n, 2) int32 ndarray
        The same of what is left out, the other way around.
    """

    label: int
    n_pixels: int
    outer: np.ndarray
    holes: tuple[np.ndarray, ...] = ()

    @property
    def rings(self) -> list[np.ndarray]:
        """The outer ring and those of the holes."""
        return [self.outer, *self.holes]


def trace_areas(label_map: Any) -> list[Area]:
    """Trace the connected areas of a label map as polygons.

    Pixels are connected by their sides; areas of one label that touch at a corner only are several. No ring
    passes a point twice: where an area touches itself at a corner, a hole touches the outer ring. The
    polygons fill the labelled pixels exactly, without overlaps.

    Parameters
    ----------
    label_map : (M, N) array of integers
        Below 0 where there is no label.

    Returns
    -------
    list of Area
        In the order of their first pixels, row by row.

    Raises
    ------
    DataError
        If it is no such array.
    """
    array = np.asarray(label_map)
    if array.ndim != 2 or array.size == 0 or array.dtype.kind not in "iub":
        raise DataError(
            f"label_map is an array of {array.dtype} and shape {array.shape}; integers of shape (M, N), "
            "one a pixel, are needed"
        )
    if array.dtype != bool and (array.max() > np.iinfo(np.int32).max or array.min() < np.iinfo(np.int32).min):
        raise DataError(f"label_map reaches from {array.min()} to {array.max()}; labels have 32 bits")
    return polygons_of(trace(array.astype(np.int32)))


def polygons_of(topology: Topology) -> list[Area]:
    """Return the areas of a topology as polygons."""
    counts = np.bincount(topology.areas.ravel() + 1, minlength=len(topology.labels) + 1)[1:].tolist()
    rings: list[list[np.ndarray]] = [[] for _ in counts]
    for area, ring in zip(topology.ring_areas.tolist(), _closed_rings(topology), strict=True):
        rings[area].append(ring)
    labels = topology.labels.tolist()
    return [
        Area(label, count, ring[0], tuple(ring[1:]))
        for label, count, ring in zip(labels, counts, rings, strict=True)
    ]


def _closed_rings(topology: Topology) -> list[np.ndarray]:
    """Return the corners of each ring, closed; where arcs meet, only if the ring turns there."""
    if not len(topology.ring_areas):
        return []
    arcs, backward = topology.half_arcs // 2, topology.half_arcs % 2 == 1
    # Every arc without its end, which is where the next one starts.
    lengths = np.diff(topology.starts)[arcs] - 1
    begins = np.concatenate([[0], np.cumsum(lengths)])
    within = np.arange(begins[-1]) - np.repeat(begins[:-1], lengths)
    step = np.repeat(np.where(backward, -1, 1), lengths)
    origin = np.where(backward, topology.starts[arcs + 1] - 1, topology.starts[arcs])
    points = topology.points[np.repeat(origin, lengths) + step * within]
    firsts = begins[topology.ring_starts[:-1]]
    lasts = begins[topology.ring_starts[1:]] - 1
    before, after = np.arange(len(points)) - 1, np.arange(len(points)) + 1
    before[firsts], after[lasts] = lasts, firsts
    come, go = points - points[before], points[after] - points
    turns = come[:, 0] * go[:, 1] != come[:, 1] * go[:, 0]
    ring_ends = np.cumsum(np.add.reduceat(turns.astype(np.int64), firsts))
    return [np.concatenate([ring, ring[:1]]) for ring in np.split(points[turns], ring_ends[:-1])]
