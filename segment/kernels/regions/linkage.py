"""Average linkage of touching regions, and the heights of a tree that it starts from."""

from __future__ import annotations

import numpy as np

from segment.kernels.compile import kernel


@kernel
def fill_heights(merges, levels, heights):
    """Write for each two leaves the level at which a tree joins them.

    IN merges (n - 1, 2) int64: the leaf that stands for the region kept, and for the one that joins it;
    levels (n - 1,) float64. OUT heights (n, n) float64, the diagonal left as it is.
    """
    n = len(merges) + 1
    following, last = np.full(n, -1), np.arange(n)
    for i in range(n - 1):
        a, b = merges[i]
        p = a
        while p >= 0:
            q = b
            while q >= 0:
                heights[p, q] = heights[q, p] = levels[i]
                q = following[q]
            p = following[p]
        following[last[a]] = b
        last[a] = last[b]


@kernel
def average_linkage(distances, touching, areas, merges, levels):
    """Merge the two touching regions of least mean distance, again and again, until one is left.

    The distance of two regions is the mean over all pairs of their pixels. INOUT distances (n, n) float64,
    touching (n, n) bool, both symmetric, areas (n,) float64; OUT merges (n - 1, 2) int64: the region kept and
    the one that joins it, levels (n - 1,) float64.
    """
    n = len(areas)
    nearest, least = np.empty(n, np.int64), np.empty(n)
    # Those that are left, in order: half the work, and half the rows of a table that no cache holds.
    left, n_left = np.arange(n), n
    for a in range(n):
        _find_nearest(distances, touching, a, left, nearest, least)
    for step in range(n - 1):
        a = _closest(left[:n_left], least)
        b = nearest[a]
        merges[step] = a, b
        levels[step] = least[a]
        n_left = _remove(left, n_left, b)
        share = areas[a] / (areas[a] + areas[b])
        areas[a] += areas[b]
        for i in range(n_left):
            c = left[i]
            distances[a, c] = distances[c, a] = share * distances[a, c] + (1 - share) * distances[b, c]
            touching[a, c] = touching[c, a] = touching[a, c] or touching[b, c]
        touching[a, a] = False
        # Whoever was nearest to a or b touches a now.
        for i in range(n_left):
            c = left[i]
            if c == a or touching[a, c]:
                _find_nearest(distances, touching, c, left[:n_left], nearest, least)


@kernel
def _closest(left, least):
    found = left[0]
    for a in left:
        if least[a] < least[found]:
            found = a
    return found


@kernel
def _remove(left, n_left, gone):
    kept = 0
    for i in range(n_left):
        left[kept] = left[i]
        kept += left[i] != gone
    return kept


@kernel
def _find_nearest(distances, touching, a, left, nearest, least):
    least[a] = np.inf
    for b in left:
        if touching[a, b] and distances[a, b] < least[a]:
            least[a] = distances[a, b]
            nearest[a] = b
