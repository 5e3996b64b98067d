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
    for a in range(n):
        _find_nearest(distances, touching, a, nearest, least)
    for step in range(n - 1):
        a = int(np.argmin(least))
        b = nearest[a]
        merges[step] = a, b
        levels[step] = least[a]
        share = areas[a] / (areas[a] + areas[b])
        areas[a] += areas[b]
        for c in range(n):
            distances[a, c] = distances[c, a] = share * distances[a, c] + (1 - share) * distances[b, c]
            touching[a, c] = touching[c, a] = touching[a, c] or touching[b, c]
            touching[b, c] = touching[c, b] = False
        touching[a, a] = False
        least[b] = np.inf
        # Whoever was nearest to a or b touches a now.
        for c in range(n):
            if c == a or touching[a, c]:
                _find_nearest(distances, touching, c, nearest, least)


@kernel
def _find_nearest(distances, touching, a, nearest, least):
    least[a] = np.inf
    for b in range(len(least)):
        if touching[a, b] and distances[a, b] < least[a]:
            least[a] = distances[a, b]
            nearest[a] = b
