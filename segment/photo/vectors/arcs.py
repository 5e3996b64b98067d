"""The topology of a label map: areas, the arcs that part them, and the rings of arcs around each area.

Every border between two areas is one arc, whoever draws it: neighbors share its points, so that nothing gapes
and nothing overlaps, whatever is done to the arcs afterwards. TopoJSON keeps maps in the same way.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# Outside of the photo; -1 is inside, without a label.
OUTSIDE = -2

# Directions of steps by the signs of x and y: east 0, south 1, west 2, north 3.
_DIRECTIONS = np.array([[-1, 3, -1], [2, -1, 0], [-1, 1, -1]])


@dataclass(frozen=True, eq=False)
class Topology:
    """Areas of a label map and the arcs between them.

    An area is 4-connected: pixels that touch at a corner only are different areas, unless they are connected
    elsewhere. A half-arc is an arc in one of its directions: 2 a forward, 2 a + 1 backward.

    Attributes
    ----------
    shape : (int, int)
        Rows and columns of the label map.
    labels : (R,) int32 ndarray
        Label of each area, in the order of the areas' first pixels.
    areas : (M, N) int32 ndarray
        Area of each pixel; -1 where there is no label.
    points : (P, 2) int32 ndarray
        x and y of the arcs' starts, turns and ends, arc after arc; y points down, (0, 0) is the upper left
        corner of the first pixel.
    starts : (A + 1,) int64 ndarray
        Number of the first point of each arc.
    sides : (A, 2) int32 ndarray
        Areas to the left and to the right of each arc; -1 without a label, -2 outside.
    half_arcs : (H,) int64 ndarray
        Those of each ring, ring after ring; each area lies to their left.
    ring_starts : (Q + 1,) int64 ndarray
        Number of the first half-arc of each ring.
    ring_areas : (Q,) int32 ndarray
        Area that each ring belongs to, never falling; the outer ring of an area comes first, then its holes.
    """

    shape: tuple[int, int]
    labels: np.ndarray
    areas: np.ndarray
    points: np.ndarray
    starts: np.ndarray
    sides: np.ndarray
    half_arcs: np.ndarray
    ring_starts: np.ndarray
    ring_areas: np.ndarray

    @property
    def n_arcs(self) -> int:
        """Number of arcs."""
        return len(self.sides)

    @property
    def is_frame(self) -> np.ndarray:
        """Which arcs run along the border of the photo, (A,) bool."""
        return (self.sides == OUTSIDE).any(axis=1)

    def rings_of(self, area: int) -> list[np.ndarray]:
        """Return the half-arcs of each ring of an area, the outer ring first."""
        first, last = np.searchsorted(self.ring_areas, [area, area + 1])
        return [
            self.half_arcs[self.ring_starts[ring] : self.ring_starts[ring + 1]] for ring in range(first, last)
        ]


def trace(label_map: np.ndarray) -> Topology:
    """Find the areas of a label map and the arcs between them.

    Parameters
    ----------
    label_map : (M, N) int32 ndarray
        Below 0 where there is no label.
    """
    from segment.kernels.image.borders import trace_arcs
    from segment.kernels.image.specks import label_regions

    height, width = label_map.shape
    regions = np.empty(label_map.size, dtype=np.int32)
    n_areas = label_regions(np.ascontiguousarray(label_map, dtype=np.int32), regions)
    areas = regions.reshape(height, width)
    labels = np.empty(n_areas, dtype=np.int32)
    inside = areas >= 0
    labels[areas[inside]] = label_map[inside]
    grid = np.full((height + 2, width + 2), OUTSIDE, dtype=np.int32)
    grid[1:-1, 1:-1] = areas
    n_sides = np.count_nonzero(grid[1:] != grid[:-1]) + np.count_nonzero(grid[:, 1:] != grid[:, :-1])
    points = np.empty((2 * n_sides, 2), dtype=np.int32)
    starts = np.empty(n_sides + 1, dtype=np.int64)
    sides = np.empty((n_sides, 2), dtype=np.int32)
    n_arcs = trace_arcs(grid, np.zeros((height + 1, width + 1), dtype=np.uint8), points, starts, sides)
    starts, sides = starts[: n_arcs + 1].copy(), sides[:n_arcs].copy()
    points = points[: starts[-1]].copy()
    return Topology(
        (height, width), labels, areas, points, starts, sides, *_rings(grid, points, starts, sides)
    )


def _rings(
    grid: np.ndarray, points: np.ndarray, starts: np.ndarray, sides: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return half-arcs by ring, the starts of the rings, and their areas."""
    from segment.kernels.image.borders import follow_rings, turn_at_ends

    first, last = starts[:-1], starts[1:] - 1
    steps = np.sign(np.stack([points[first + 1] - points[first], points[last] - points[last - 1]]))
    leaving, arriving = _DIRECTIONS[steps[:, :, 1] + 1, steps[:, :, 0] + 1]
    froms = np.stack([points[first], points[last]], axis=1).reshape(-1, 2)
    ends = np.stack([points[last], points[first]], axis=1).reshape(-1, 2)
    out = np.stack([leaving, (arriving + 2) % 4], axis=1).ravel()
    into = np.stack([arriving, (leaving + 2) % 4], axis=1).ravel()
    areas = sides.ravel()
    turned = np.empty(len(ends), dtype=np.int64)
    turn_at_ends(grid, ends, into, areas, turned)
    # A half-arc is known by where it begins and in which direction it leaves.
    keys = (froms[:, 1].astype(np.int64) * grid.shape[1] + froms[:, 0]) * 4 + out
    wanted = (ends[:, 1].astype(np.int64) * grid.shape[1] + ends[:, 0]) * 4 + turned
    order = np.argsort(keys, kind="stable")
    found = np.minimum(np.searchsorted(keys[order], wanted), len(keys) - 1)
    following = order[found]
    half_arcs, ring_starts = np.empty(len(keys), dtype=np.int64), np.empty(len(keys) + 1, dtype=np.int64)
    n_rings = follow_rings(following, areas >= 0, half_arcs, ring_starts)
    return _sorted_rings(half_arcs, ring_starts[: n_rings + 1], areas, points, starts)


def _sorted_rings(
    half_arcs: np.ndarray, ring_starts: np.ndarray, areas: np.ndarray, points: np.ndarray, starts: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sort rings by area, the outer ring first: the one that is walked around its inside."""
    lengths = np.diff(ring_starts)
    half_arcs = half_arcs[: ring_starts[-1]]
    ring_areas = areas[half_arcs[ring_starts[:-1]]]
    sizes = arc_integrals(points, starts)[half_arcs // 2] * np.where(half_arcs % 2, -1, 1)
    is_hole = np.add.reduceat(sizes, ring_starts[:-1]) < 0 if len(lengths) else np.zeros(0, dtype=bool)
    order = np.lexsort([is_hole, ring_areas])
    begins = np.concatenate([[0], np.cumsum(lengths[order])])
    # Half-arcs in the order of the sorted rings, each ring as it was.
    moved = np.repeat(ring_starts[:-1][order] - begins[:-1], lengths[order]) + np.arange(len(half_arcs))
    return half_arcs[moved], begins, ring_areas[order]


def arc_integrals(points: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Return what each arc, walked forward, adds to twice the area to its left, (A,) int64."""
    x, y = points.astype(np.int64).T
    crossed = np.append(x[1:] * y[:-1] - x[:-1] * y[1:], 0)
    # From the end of an arc to the start of the next one is no step of either.
    crossed[starts[1:] - 1] = 0
    return np.add.reduceat(crossed, starts[:-1])
