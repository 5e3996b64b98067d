"""Connected regions of a label map, and the merging of small ones into their neighbors."""

import numpy as np

from segment.kernels.compile import kernel


@kernel
def _root(parents, i):
    while parents[i] != i:
        parents[i] = parents[parents[i]]
        i = parents[i]
    return i


@kernel
def label_regions(labels, regions):
    """Number the 4-connected regions of equal label, in the order of their first pixels.

    labels IN (M, N) int32, below 0 part of no region; regions OUT (M * N,) int32, -1 there. Returns how many.
    """
    M, N = labels.shape
    for y in range(M):
        run = y * N
        for x in range(N):
            i, label = y * N + x, labels[y, x]
            begins = x == 0 or labels[y, x - 1] != label
            if begins:
                run = i
                regions[i] = i
            else:
                regions[i] = run
            # Where both rows go on as they were, their runs have met before.
            meets = y > 0 and label >= 0 and labels[y - 1, x] == label
            if meets and (begins or labels[y - 1, x - 1] != label):
                above, own = _root(regions, i - N), _root(regions, run)
                regions[max(above, own)] = min(above, own)
    # A parent comes before its children: one pass turns roots into numbers.
    n = 0
    for y in range(M):
        for x in range(N):
            i = y * N + x
            if labels[y, x] < 0:
                regions[i] = -1
            elif regions[i] == i:
                regions[i] = n
                n += 1
            else:
                regions[i] = regions[regions[i]]
    return n


@kernel
def measure_regions(regions, colors, labels, sums, counts, own):
    """Add up the colors of each region and take its label.

    regions IN (n,) int32, below 0 ignored; colors IN (n, 3) uint8; labels IN (n,) int32; sums INOUT (R, 3),
    counts INOUT (R,) int64; own OUT (R,) int32.
    """
    start = 0
    while start < regions.size:
        region, stop = regions[start], start
        red, green, blue = np.int64(0), np.int64(0), np.int64(0)
        while stop < regions.size and regions[stop] == region:
            red += colors[stop, 0]
            green += colors[stop, 1]
            blue += colors[stop, 2]
            stop += 1
        if region >= 0:
            counts[region] += stop - start
            sums[region, 0] += red
            sums[region, 1] += green
            sums[region, 2] += blue
            own[region] = labels[start]
        start = stop


@kernel
def borders_of_small(regions, small, pairs):
    """List the pairs of neighboring regions of which at least one is small.

    regions IN (M, N) int32; small IN (R,) bool; pairs OUT (p, 2) int32. Returns how many there are; only the
    first p are written.
    """
    M, N = regions.shape
    n = 0
    for y in range(M):
        for x in range(N):
            here = regions[y, x]
            if here < 0:
                continue
            for side in range(2):
                if (x if side == 0 else y) == 0:
                    continue
                there = regions[y, x - 1] if side == 0 else regions[y - 1, x]
                if there >= 0 and there != here and (small[here] or small[there]):
                    if n < pairs.shape[0]:
                        pairs[n, 0], pairs[n, 1] = here, there
                    n += 1
    return n


@kernel
def _offer(a, b, sizes, sums, least, distances, nearest):
    """Offer region b to the small region a as its most similar neighbor."""
    if sizes[a] < least:
        distance = 0.0
        for c in range(sums.shape[1]):
            difference = sums[a, c] / sizes[a] - sums[b, c] / sizes[b]
            distance += difference * difference
        if distance < distances[a]:
            distances[a] = distance
            nearest[a] = b


@kernel
def offer_all(pairs, n_pairs, sizes, sums, least, parents, distances, nearest):
    """Find the most similar neighbor of every small region; return how many pairs still part two regions."""
    distances[:] = np.inf
    kept = 0
    for i in range(n_pairs):
        a, b = _root(parents, pairs[i, 0]), _root(parents, pairs[i, 1])
        if a != b:
            pairs[kept, 0], pairs[kept, 1] = a, b
            kept += 1
            _offer(a, b, sizes, sums, least, distances, nearest)
            _offer(b, a, sizes, sums, least, distances, nearest)
    return kept


@kernel
def join_small(order, sizes, sums, least, parents, distances, nearest):
    """Join small regions to the neighbors found, in the given order; return whether any was joined."""
    merged = False
    for a in order:
        if parents[a] != a or sizes[a] >= least or distances[a] == np.inf:
            continue
        b = _root(parents, nearest[a])
        if a != b:
            parents[a] = b
            sizes[b] += sizes[a]
            for c in range(sums.shape[1]):
                sums[b, c] += sums[a, c]
            merged = True
    return merged


def merge_small(pairs, sizes, sums, least, parents):
    """Join each region smaller than `least` to the neighbor of the most similar mean color, smallest first.

    The order is NumPy's: Numba takes nine seconds to compile a stable sort.

    Parameters
    ----------
    pairs : INOUT (p, 2) int32
        Neighboring regions, of which at least one is small; used up.
    sizes, sums : INOUT (R,) float64, (R, D) float64
        Area and sum of colors; those of a region pass to the one that it joins.
    least : float
    parents : OUT (R,) int32
        The region that each has become part of.
    """
    n_pairs = len(pairs)
    parents[:] = np.arange(len(parents))
    distances, nearest = np.empty(len(parents)), np.empty(len(parents), dtype=np.int32)
    merged = True
    while merged:
        n_pairs = offer_all(pairs, n_pairs, sizes, sums, least, parents, distances, nearest)
        order = np.argsort(sizes, kind="stable")
        merged = join_small(order, sizes, sums, least, parents, distances, nearest)
    # The regions at the ends of the chains.
    while not np.array_equal(further := parents[parents], parents):
        parents[:] = further
