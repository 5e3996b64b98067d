"""The region adjacency graph: sums over regions, features of an arc, and greedy merging.

All that is kept of a region is one row of sums, and of an arc (the common boundary of two regions) one row
of sums over its boundary points. Merging two regions adds rows, so every feature is exact at every stage.
"""

from __future__ import annotations

from heapq import heappop, heappush
from typing import NamedTuple

import numpy as np

from segment.kernels.compile import kernel

COLOR_BINS, TEXTURE_BINS, MODES, GRADIENTS, ACROSS = 12, 16, 16, 12, 7

# Columns of a region's row.
AREA = 0
COLOR = 1
TEXTURE = COLOR + COLOR_BINS
LAB = TEXTURE + TEXTURE_BINS  # 3 means, then 6 second moments: LL, aL, aa, bL, ba, bb
PLACE = LAB + 9  # y, x, yy, xx, xy in units of the image, pixels on the image border
INSIDE = PLACE + 6  # three gradients
MODE = INSIDE + 3
LEAVES = MODE + MODES
REGION_COLUMNS = LEAVES + 1

# Columns of an arc's row, all sums over its boundary points.
LENGTH = 0
STEEPEST = 1
NORMAL = STEEPEST + GRADIENTS
STEP = NORMAL + GRADIENTS
JUNCTION = STEP + ACROSS
LEAF = JUNCTION + 1  # the four contrasts of the two leaves
PRIOR = LEAF + 4  # leaf model: probability of a boundary, and its square
ARC_COLUMNS = PRIOR + 2

# Standardized features of a cost are kept within this many standard deviations.
FARTHEST = 4.0

# Variance (Lab units squared) added to a region's colors when they are compared.
LAB_NOISE = 16.0


class Graph(NamedTuple):
    """The state of a merging; merged rows are left as they were.

    ends (E, 2) int64, -1 where an arc has gone; arcs (E, ARC_COLUMNS); regions (n, REGION_COLUMNS); boxes
    (n, 4) first and last row and column; size (2,) rows and columns of the image.
    """

    ends: np.ndarray
    arcs: np.ndarray
    regions: np.ndarray
    boxes: np.ndarray
    size: np.ndarray


class Quadratic(NamedTuple):
    """Cost: bias + sum_i z_i (linear_i + sum_{j <= i} products_ij z_j), z = (x - mean) * scale.

    z is kept within +-FARTHEST: a product must not run away where nobody has looked.
    """

    mean: np.ndarray
    scale: np.ndarray
    linear: np.ndarray
    products: np.ndarray
    bias: float


@kernel
def sum_regions(labels, lab, color, texture, regions, boxes):
    """Sum over the pixels of each region; INOUT regions, boxes as in `Graph` (zeros before)."""
    M, N = labels.shape
    boxes[:, 0] = M
    boxes[:, 2] = N
    boxes[:, 1::2] = -1
    for y in range(M):
        for x in range(N):
            a = labels[y, x]
            row, box = regions[a], boxes[a]
            row[AREA] += 1
            for k in range(COLOR_BINS):
                row[COLOR + k] += color[y, x, k]
            for k in range(TEXTURE_BINS):
                row[TEXTURE + k] += texture[y // 2, x // 2, k]
            m = LAB + 3
            for d in range(3):
                row[LAB + d] += lab[y, x, d]
                for e in range(d + 1):
                    row[m] += lab[y, x, d] * lab[y, x, e]
                    m += 1
            v, u = (y + 0.5) / M, (x + 0.5) / N
            row[PLACE] += v
            row[PLACE + 1] += u
            row[PLACE + 2] += v * v
            row[PLACE + 3] += u * u
            row[PLACE + 4] += u * v
            if y == 0 or x == 0 or y == M - 1 or x == N - 1:
                row[PLACE + 5] += 1
            box[0], box[1] = min(box[0], y), max(box[1], y)
            box[2], box[3] = min(box[2], x), max(box[3], x)


@kernel
def _hellinger(one, other, start, n, mass):
    common = 0.0
    for k in range(start, start + n):
        common += np.sqrt(one[k] * other[k])
    return np.sqrt(max(1 - common / mass, 0.0))


@kernel
def _log_det(one, other, share, rest):
    """Log determinant of the Lab covariance of share * one + rest * other."""
    m = LAB
    L = share * one[m] + rest * other[m]
    a = share * one[m + 1] + rest * other[m + 1]
    b = share * one[m + 2] + rest * other[m + 2]
    LL = share * one[m + 3] + rest * other[m + 3] - L * L + LAB_NOISE
    La = share * one[m + 4] + rest * other[m + 4] - L * a
    aa = share * one[m + 5] + rest * other[m + 5] - a * a + LAB_NOISE
    Lb = share * one[m + 6] + rest * other[m + 6] - L * b
    ab = share * one[m + 7] + rest * other[m + 7] - a * b
    bb = share * one[m + 8] + rest * other[m + 8] - b * b + LAB_NOISE
    determinant = LL * (aa * bb - ab * ab) - La * (La * bb - ab * Lb) + Lb * (La * ab - aa * Lb)
    return np.log(max(determinant, 1.0))


@kernel
def _arc_features(arc, out):
    """Means over the boundary points: gradients, steps, junctions, leaf contrasts, prior and its spread."""
    for i in range(STEEPEST, PRIOR + 1):
        out[i - 1] = arc[i] / arc[LENGTH]
    prior = arc[PRIOR] / arc[LENGTH]
    out[PRIOR] = np.sqrt(max(arc[PRIOR + 1] / arc[LENGTH] - prior * prior, 0.0))
    return PRIOR + 1


@kernel
def _contrast_features(small, large, out, i):
    """Distances between the two regions: color and texture histograms, Gaussians of Lab, means, modes."""
    A, B = small[AREA], large[AREA]
    out[i] = _hellinger(small, large, COLOR, COLOR_BINS, np.sqrt(A * B))
    out[i + 1] = _hellinger(small, large, TEXTURE, TEXTURE_BINS, np.sqrt(A * B))
    both = _log_det(small, large, 0.5 / A, 0.5 / B)
    each = _log_det(small, large, 1 / A, 0.0) + _log_det(small, large, 0.0, 1 / B)
    out[i + 2] = np.sqrt(max(0.5 * both - 0.25 * each, 0.0))
    squares = 0.0
    for d in range(3):
        squares += (small[LAB + d] / A - large[LAB + d] / B) ** 2
    out[i + 3] = np.sqrt(np.sqrt(squares) / 20)
    out[i + 4] = abs(small[LAB] / A - large[LAB] / B) / 20
    squares = 0.0
    for d in range(MODES):
        squares += (small[MODE + d] / A - large[MODE + d] / B) ** 2
        if d == 3:
            out[i + 5] = np.sqrt(np.sqrt(squares))
    out[i + 6] = np.sqrt(np.sqrt(squares))
    return i + 7


@kernel
def _shape_features(graph, a, b, length, rims, out, i):
    """Sizes, how much of the rims is shared, compactness of both and of the union, boxes, image border."""
    small, large = graph.regions[a], graph.regions[b]
    A, B = small[AREA], large[AREA]
    n_pixels = graph.size[0] * graph.size[1]
    rim_a, rim_b = rims[a, 0] + small[PLACE + 5], rims[b, 0] + large[PLACE + 5]
    compact_a, compact_b = rim_a / np.sqrt(A), rim_b / np.sqrt(B)
    compact_both = (rim_a + rim_b - 2 * length) / np.sqrt(A + B)
    box_a, box_b = graph.boxes[a], graph.boxes[b]
    rows = max(box_a[1], box_b[1]) - min(box_a[0], box_b[0]) + 1
    columns = max(box_a[3], box_b[3]) - min(box_a[2], box_b[2]) + 1
    out[i] = np.log2(A / n_pixels) / 8
    out[i + 1] = np.log2(B / n_pixels) / 8
    out[i + 2] = np.log2(length / np.sqrt(A)) / 4
    out[i + 3] = length / rim_a
    out[i + 4] = length / rim_b
    out[i + 5] = compact_a
    out[i + 6] = compact_b
    out[i + 7] = compact_both
    out[i + 8] = compact_both - max(compact_a, compact_b)
    out[i + 9] = A / ((box_a[1] - box_a[0] + 1) * (box_a[3] - box_a[2] + 1))
    out[i + 10] = B / ((box_b[1] - box_b[0] + 1) * (box_b[3] - box_b[2] + 1))
    out[i + 11] = (A + B) / (rows * columns)
    out[i + 12] = small[PLACE + 5] / rim_a
    out[i + 13] = large[PLACE + 5] / rim_b
    out[i + 14] = _elongation(small, graph.size)
    out[i + 15] = _elongation(large, graph.size)
    return i + 16


@kernel
def _elongation(region, size):
    n = region[AREA]
    y, x = region[PLACE] / n, region[PLACE + 1] / n
    yy = max(region[PLACE + 2] / n - y * y, 0.0) * size[0] ** 2
    xx = max(region[PLACE + 3] / n - x * x, 0.0) * size[1] ** 2
    xy = (region[PLACE + 4] / n - x * y) * size[0] * size[1]
    spread = np.sqrt((yy - xx) ** 2 + 4 * xy * xy)
    return 0.25 * np.log2((yy + xx + spread + 1) / (max(yy + xx - spread, 0.0) + 1))


@kernel
def _look_features(small, large, out, i):
    """Where the two regions lie, their mean colors, spread of lightness and gradients inside."""
    A, B = small[AREA], large[AREA]
    out[i] = small[PLACE] / A
    out[i + 1] = large[PLACE] / B
    out[i + 2] = out[i] - out[i + 1]
    out[i + 3] = abs(small[PLACE + 1] / A - 0.5)
    out[i + 4] = abs(large[PLACE + 1] / B - 0.5)
    i += 5
    for d in range(3):
        out[i + d] = small[LAB + d] / A
        out[i + 3 + d] = large[LAB + d] / B
    out[i + 6] = np.sqrt(max(small[LAB + 3] / A - (small[LAB] / A) ** 2, 0.0))
    out[i + 7] = np.sqrt(max(large[LAB + 3] / B - (large[LAB] / B) ** 2, 0.0))
    i += 8
    for d in range(3):
        out[i + 2 * d] = small[INSIDE + d] / A
        out[i + 2 * d + 1] = large[INSIDE + d] / B
    i += 6
    out[i] = np.log2(small[LEAVES])
    out[i + 1] = np.log2(large[LEAVES])
    return i + 2


@kernel
def _rim_features(arc, rim_a, rim_b, out, i):
    """The arc against the rest of both rims: is it weaker than what else surrounds the region?"""
    prior, edge = arc[PRIOR] / arc[LENGTH], _edge(arc) / arc[LENGTH]
    out[i] = prior - rim_a[1] / rim_a[0]
    out[i + 1] = prior - rim_b[1] / rim_b[0]
    out[i + 2] = edge - rim_a[2] / rim_a[0]
    out[i + 3] = edge - rim_b[2] / rim_b[0]
    return i + 4


@kernel
def _edge(arc):
    return arc[STEEPEST + 1] + arc[STEEPEST + 7]


@kernel
def _features(graph, rims, e, n_regions, out):
    """Write all features of arc e, in the order of `segment.photo.regions.cost.FEATURES`."""
    a, b = graph.ends[e]
    if graph.regions[a, AREA] > graph.regions[b, AREA]:
        a, b = b, a
    small, large, arc = graph.regions[a], graph.regions[b], graph.arcs[e]
    i = _arc_features(arc, out)
    i = _contrast_features(small, large, out, i)
    i = _shape_features(graph, a, b, arc[LENGTH], rims, out, i)
    i = _look_features(small, large, out, i)
    i = _rim_features(arc, rims[a], rims[b], out, i)
    out[i] = np.log2(n_regions)


@kernel
def _rims(graph):
    """Sum over the arcs around each region: length, prior, edge."""
    rims = np.zeros((len(graph.regions), 3))
    for e in range(len(graph.arcs)):
        arc = graph.arcs[e]
        for side in range(2):
            a = graph.ends[e, side]
            if a >= 0:
                for i, share in enumerate((arc[LENGTH], arc[PRIOR], _edge(arc))):
                    rims[a, i] += share
    return rims


@kernel
def arc_features(graph, n_regions, features):
    """Write the features of every arc there is; OUT features (E, F) float64."""
    rims = _rims(graph)
    for e in range(len(graph.arcs)):
        if graph.ends[e, 0] >= 0:
            _features(graph, rims, e, n_regions, features[e])


# Reassociation lets the sums run in SIMD lanes.
@kernel(fastmath={"reassoc", "contract"})
def _cost(x, quadratic):
    z = np.empty(len(x))
    total = quadratic.bias
    for i in range(len(x)):
        z[i] = min(max((x[i] - quadratic.mean[i]) * quadratic.scale[i], -FARTHEST), FARTHEST)
        slope = quadratic.linear[i]
        row = quadratic.products[i]
        for j in range(i + 1):
            slope += row[j] * z[j]
        total += slope * z[i]
    return total


@kernel
def arc_costs(features, quadratic, costs):
    """Write the cost of every row of features (E, F); OUT costs (E,)."""
    for e in range(len(features)):
        costs[e] = _cost(features[e], quadratic)


@kernel
def merge_until(graph, quadratic, n_regions, n_stop, merges, costs):
    """Merge the two neighbors of least cost, again and again, until `n_stop` regions are left.

    INOUT graph; IN quadratic, n_regions (now); OUT merges (n, 2) int64: the region kept and the one that
    joins it, costs (n,) float64. Returns how many merges were done.
    """
    rims = _rims(graph)
    first, last, following = _half_arcs(graph)
    slot = np.full(len(graph.regions), -1)
    version = np.zeros(len(graph.arcs), np.int64)
    x = np.empty(len(quadratic.mean))
    # Entries go stale instead of being removed: an arc's entry counts only if its version is the newest.
    heap = [(0.0, 0, 0)]
    heap.pop()
    for e in range(len(graph.arcs)):
        if graph.ends[e, 0] >= 0:
            _features(graph, rims, e, n_regions, x)
            heappush(heap, (_cost(x, quadratic), e, 0))
    done = 0
    while n_regions - done > n_stop and len(heap) > 0:
        cost, e, of_version = heappop(heap)
        if version[e] != of_version or graph.ends[e, 0] < 0:
            continue
        a, b = graph.ends[e]
        merges[done] = a, b
        costs[done] = cost
        done += 1
        _join(graph, rims, e, a, b)
        _rewire(graph, a, b, first, last, following, slot)
        half = first[a]
        while half >= 0:
            f = half // 2
            version[f] += 1
            _features(graph, rims, f, n_regions - done, x)
            heappush(heap, (_cost(x, quadratic), f, version[f]))
            half = following[half]
    return done


@kernel
def _half_arcs(graph):
    """Chain the arcs of each region; half-arc 2 e + s is arc e as seen from its end s."""
    first = np.full(len(graph.regions), -1)
    last = np.full(len(graph.regions), -1)
    following = np.full(2 * len(graph.arcs), -1)
    for half in range(2 * len(graph.arcs)):
        a = graph.ends[half // 2, half % 2]
        if a < 0:
            continue
        if first[a] < 0:
            first[a] = half
        else:
            following[last[a]] = half
        last[a] = half
    return first, last, following


@kernel
def _join(graph, rims, e, a, b):
    """Add region b to a and take arc e between them away."""
    arc = graph.arcs[e]
    graph.regions[a] += graph.regions[b]
    rims[a] += rims[b]
    for i, share in enumerate((arc[LENGTH], arc[PRIOR], _edge(arc))):
        rims[a, i] -= 2 * share
    box_a, box_b = graph.boxes[a], graph.boxes[b]
    box_a[0], box_a[1] = min(box_a[0], box_b[0]), max(box_a[1], box_b[1])
    box_a[2], box_a[3] = min(box_a[2], box_b[2]), max(box_a[3], box_b[3])
    graph.ends[e] = -1


@kernel
def _rewire(graph, a, b, first, last, following, slot):
    """Hand the arcs of b to a, adding up those that lead to the same region; rebuild the chain of a."""
    following[last[a]] = first[b]
    half = first[a]
    tail = first[a] = -1
    while half >= 0:
        after = following[half]
        e, side = half // 2, half % 2
        if graph.ends[e, 0] >= 0:
            other = graph.ends[e, 1 - side]
            if slot[other] >= 0:
                graph.arcs[slot[other]] += graph.arcs[e]
                graph.ends[e] = -1
            else:
                slot[other] = e
                graph.ends[e, side] = a
                if tail >= 0:
                    following[tail] = half
                else:
                    first[a] = half
                tail = half
        half = after
    if tail >= 0:
        following[tail] = -1
    last[a] = tail
    half = first[a]
    while half >= 0:
        slot[graph.ends[half // 2, 1 - half % 2]] = -1
        half = following[half]
