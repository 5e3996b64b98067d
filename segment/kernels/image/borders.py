"""The borders between the areas of a label map, traced once each on the grid between pixels."""

import numpy as np

from segment.kernels.compile import kernel

# Steps east, south, west and north; the pixels ahead of a step to its left and right are the quadrants
# d and d + 1 of northeast, southeast, southwest and northwest.
_DOWN = np.array([0, 1, 0, -1])
_RIGHT = np.array([1, 0, -1, 0])


@kernel
def _parts(grid, y, x, d):
    """Tell whether a border leaves the grid point (y, x) in direction d."""
    if d == 0:
        return grid[y, x + 1] != grid[y + 1, x + 1]
    if d == 1:
        return grid[y + 1, x + 1] != grid[y + 1, x]
    if d == 2:
        return grid[y + 1, x] != grid[y, x]
    return grid[y, x] != grid[y, x + 1]


@kernel
def _degree(grid, y, x):
    """Return how many borders meet at a grid point; from three on it is a junction."""
    n = 0
    for d in range(4):
        n += _parts(grid, y, x, d)
    return n


@kernel
def _quadrant(grid, y, x, q):
    """Return the area northeast, southeast, southwest or northwest of a grid point."""
    if q == 0:
        return grid[y, x + 1]
    if q == 1:
        return grid[y + 1, x + 1]
    if q == 2:
        return grid[y + 1, x]
    return grid[y, x]


@kernel
def _walk(grid, y, x, d, seen, points, n_points):
    """Follow a border from a grid point to the next junction, or around; write start, turns and end."""
    first_y, first_x = y, x
    points[n_points, 0], points[n_points, 1] = x, y
    n_points += 1
    while True:
        if d == 0:
            seen[y, x] |= 1
        elif d == 1:
            seen[y, x] |= 2
        elif d == 2:
            seen[y, x - 1] |= 1
        else:
            seen[y - 1, x] |= 2
        y, x = y + _DOWN[d], x + _RIGHT[d]
        if (y == first_y and x == first_x) or _degree(grid, y, x) > 2:
            break
        if not _parts(grid, y, x, d):
            d = (d + 1) % 4 if _parts(grid, y, x, (d + 1) % 4) else (d + 3) % 4
            points[n_points, 0], points[n_points, 1] = x, y
            n_points += 1
    points[n_points, 0], points[n_points, 1] = x, y
    return n_points + 1


@kernel
def trace_arcs(grid, seen, points, starts, sides):
    """Trace every border between two areas once: from junction to junction, or around.

    Parameters
    ----------
    grid : IN (M + 2, N + 2) int32
        Areas with a frame of another number, that of what lies outside.
    seen : INOUT (M + 1, N + 1) uint8
        Zeros; used up.
    points : OUT (P, 2) int32
        x and y of each arc's start, turns and end; P of twice the number of sides of pixels is enough.
    starts : OUT (P,) int64
        Number of the first point of each arc, and of the one after the last.
    sides : OUT (P, 2) int32
        Areas to the left and to the right of each arc, as it is walked with y pointing down.

    Returns
    -------
    n_arcs : int
    """
    M, N = seen.shape
    n_arcs = n_points = 0
    starts[0] = 0
    # Junctions first: what is left are borders that run around and meet no other.
    for around in range(2):
        for y in range(M):
            for x in range(N):
                if around == 0 and _degree(grid, y, x) < 3:
                    continue
                for d in range(4):
                    if d == 2:
                        done = x == 0 or seen[y, x - 1] & 1
                    elif d == 3:
                        done = y == 0 or seen[y - 1, x] & 2
                    else:
                        done = seen[y, x] & (1 + d)
                    if done or not _parts(grid, y, x, d):
                        continue
                    sides[n_arcs, 0] = _quadrant(grid, y, x, d)
                    sides[n_arcs, 1] = _quadrant(grid, y, x, (d + 1) % 4)
                    n_points = _walk(grid, y, x, d, seen, points, n_points)
                    n_arcs += 1
                    starts[n_arcs] = n_points
    return n_arcs


@kernel
def turn_at_ends(grid, ends, directions, areas, turned):
    """Find where the border of an area goes on at the end of a walk along it, the area to the left.

    Where two pixels of the area touch only at a corner, the border keeps to the pixel on its right: no ring
    passes a point twice, and a hole touches the ring around it there.
    IN grid (M + 2, N + 2) int32; ends (H, 2) int32, x and y; directions (H,) int64, of the last steps;
    areas (H,) int32. OUT turned (H,) int64, the directions of the next steps.
    """
    for h in range(len(ends)):
        x, y = ends[h]
        d = directions[h]
        if _quadrant(grid, y, x, (d + 1) % 4) == areas[h]:
            turned[h] = (d + 1) % 4
        elif _quadrant(grid, y, x, d) == areas[h]:
            turned[h] = d
        else:
            turned[h] = (d + 3) % 4


@kernel
def follow_rings(following, wanted, order, starts):
    """Split a permutation into its cycles. Returns how many there are.

    IN following (H,) int64; wanted INOUT (H,) bool, whole cycles; used up. OUT order (H,) int64, the members
    cycle by cycle; starts (H + 1,) int64.
    """
    n = n_rings = 0
    starts[0] = 0
    for first in range(len(following)):
        h = first
        while wanted[h]:
            wanted[h] = False
            order[n] = h
            n += 1
            h = following[h]
        if n > starts[n_rings]:
            n_rings += 1
            starts[n_rings] = n
    return n_rings
