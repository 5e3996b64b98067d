"""The arcs between leaves: normals, and what is measured along an arc."""

from __future__ import annotations

import numpy as np

from segment.kernels.compile import kernel

# Half the side of the window in which an arc's normal is found.
REACH = 4

# Where boundaries are refined: a vote falls to 1/e at this squared distance (working pixels), and at this
# squared Hellinger distance of the posteriors. Milder than what scores best on reduced photos: large ones
# have more grain (docs/decisions/region-refinement.md).
NEAR = 2.0
ALIKE = 1 / 16


@kernel
def sum_inside(labels, magnitude, shift, column, regions):
    """Sum a gradient over the pixels of each region into a column of `regions` (INOUT)."""
    M, N = labels.shape
    for y in range(M):
        for x in range(N):
            regions[labels[y, x], column] += magnitude[y >> shift, x >> shift]


@kernel
def find_normals(labels, ends, arc_of, points, normals, junctions):
    """Find the unit normal at each boundary point: from one region's share of a window to the other's.

    IN labels (M, N) int32; ends (E, 2); arc_of (P,) int64; points (P, 4) int64: row and column on both sides.
    OUT normals (P, 2) float64, row and column. INOUT junctions (E,): sums of the share of third regions.
    """
    M, N = labels.shape
    for p in range(len(points)):
        y, x = points[p, 0], points[p, 1]
        a, b = ends[arc_of[p]]
        n_a = n_b = y_a = x_a = y_b = x_b = 0.0
        for v in range(max(0, y - REACH), min(M, y + REACH + 1)):
            for u in range(max(0, x - REACH), min(N, x + REACH + 1)):
                if labels[v, u] == a:
                    n_a += 1
                    y_a += v
                    x_a += u
                elif labels[v, u] == b:
                    n_b += 1
                    y_b += v
                    x_b += u
        down, right = y_b / n_b - y_a / n_a, x_b / n_b - x_a / n_a
        length = np.sqrt(down * down + right * right) + 1e-9
        normals[p, 0] = down / length
        normals[p, 1] = right / length
        junctions[arc_of[p]] += 1 - (n_a + n_b) / (2 * REACH + 1) ** 2


@kernel
def sum_gradient(tensor, shift, once_more, arc_of, points, normals, steepest, along):
    """Sum a channel's gradient over the points of each arc: the steepest, and along the arc's normal.

    IN tensor (m, n, 3) float32; once_more: take the root twice; arc_of, points, normals as `find_normals`.
    INOUT steepest, along (E,) float64.
    """
    for p in range(len(points)):
        down, right = normals[p]
        arc = arc_of[p]
        for side in range(2):
            xx, xy, yy = tensor[points[p, 2 * side] >> shift, points[p, 2 * side + 1] >> shift]
            top = 0.5 * (xx + yy + np.sqrt((xx - yy) ** 2 + 4 * xy * xy))
            normal = right * right * xx + 2 * right * down * xy + down * down * yy
            top, normal = np.sqrt(max(top, 0.0)), np.sqrt(max(normal, 0.0))
            if once_more:
                top, normal = np.sqrt(top), np.sqrt(normal)
            steepest[arc] += 0.5 * top
            along[arc] += 0.5 * normal


@kernel
def sum_step(level, shift, distance, arc_of, points, normals, steps):
    """Sum the Hellinger distance of the smoothed posteriors on both sides, `distance` pixels from the arc.

    IN level (m, n, K) float32; INOUT steps (E,) float64.
    """
    m, n, K = level.shape
    for p in range(len(points)):
        y = 0.5 * (points[p, 0] + points[p, 2])
        x = 0.5 * (points[p, 1] + points[p, 3])
        down, right = normals[p, 0] * distance, normals[p, 1] * distance
        before = level[_inside(y - down, shift, m), _inside(x - right, shift, n)]
        after = level[_inside(y + down, shift, m), _inside(x + right, shift, n)]
        common = 0.0
        for k in range(K):
            common += np.sqrt(max(before[k] * after[k], 0.0))
        steps[arc_of[p]] += np.sqrt(max(1 - common, 0.0))


@kernel
def _inside(position, shift, size):
    return min(max(int(position + 0.5) >> shift, 0), size - 1)


@kernel
def refine_pixels(rows, columns, shares, step, working_shares, working_leaves, leaves):
    """Give each pixel the leaf of those working pixels around it that are near and of the same components.

    A working pixel's vote falls off with its distance and with the squared Hellinger distance of posteriors.
    IN rows, columns (P,) int64; shares (P, K) float64, roots of the pixels' posteriors; step (2,) float64:
    height and width of a pixel in working pixels; working_shares (m, n, K) float32; working_leaves (m, n)
    int32. OUT leaves (P,) int32.
    """
    m, n = working_leaves.shape
    found, votes = np.empty(9, np.int32), np.empty(9)
    for p in range(len(rows)):
        y, x = (rows[p] + 0.5) * step[0], (columns[p] + 0.5) * step[1]
        v, u = int(y), int(x)
        n_found = 0
        for i in range(max(0, v - 1), min(m, v + 2)):
            for j in range(max(0, u - 1), min(n, u + 2)):
                down, right = y - i - 0.5, x - j - 0.5
                common = 0.0
                for k in range(shares.shape[1]):
                    common += shares[p, k] * working_shares[i, j, k]
                k = 0
                while k < n_found and found[k] != working_leaves[i, j]:
                    k += 1
                if k == n_found:
                    found[k] = working_leaves[i, j]
                    votes[k] = 0.0
                    n_found += 1
                votes[k] += np.exp(-(down * down + right * right) / NEAR - (1 - common) / ALIKE)
        best = 0
        for k in range(1, n_found):
            if votes[k] > votes[best]:
                best = k
        leaves[p] = found[best]
