"""Exact nearest neighbors: reject a pair by a lower bound of its distance, measure the few that remain."""

import numpy as np

from segment.kernels.compile import kernel

_SUMS = ("reassoc", "contract", "nsz")
# Pairs are counted a group at a time, since a loop without a branch is vectorized.
_GROUP = 32


@kernel(fastmath=_SUMS)
def _count_near(bounds, own, limit, limits):
    """Count the pairs of a row that may be near enough to either; in float32, as wide as what is compared."""
    count = np.float32(0.0)
    for j in range(len(bounds)):
        bound = bounds[j] + own
        count += np.float32(1.0) if (bound < limit) | (bound < limits[j]) else np.float32(0.0)
    return count


@kernel(fastmath=_SUMS)
def _squared_distance(a, b):
    total = np.float32(0.0)
    for m in range(len(a)):
        difference = a[m] - b[m]
        total += difference * difference
    return total


@kernel
def _insert(distance, number, distances, numbers):
    """Insert a neighbor into a list by its distance and, of equally near ones, its number; drop the last."""
    place = len(distances)
    while place > 0 and (
        distances[place - 1] > distance or (distances[place - 1] == distance and numbers[place - 1] > number)
    ):
        place -= 1
    if place == len(distances):
        return
    for p in range(len(distances) - 1, place, -1):
        distances[p] = distances[p - 1]
        numbers[p] = numbers[p - 1]
    distances[place] = distance
    numbers[place] = number


@kernel
def update_neighbors(bounds, rows, norms, numbers, first, second, limits, distances, neighbors):
    """Offer all pairs of a row of one block and a row of another to the nearest neighbors of both.

    bounds         IN    (n_first, n_second) float32, no greater than the squared distance less the norm of
                         the row of the first block
    rows           IN    (n, d) float32
    norms          IN    (n,) float32, what `bounds` lacks
    numbers        IN    (n,) int32, what rows are called
    first, second  IN    int, the rows where the blocks begin; of a block with itself, each pair counts once
    limits         INOUT (n,) float32, the last column of `distances`
    distances      INOUT (n, k) float32, squared, increasing
    neighbors      INOUT (n, k) int32, their numbers
    """
    n_first, n_second = bounds.shape
    last = distances.shape[1] - 1
    for i in range(n_first):
        a = first + i
        for start in range(i + 1 if first == second else 0, n_second, _GROUP):
            stop = min(start + _GROUP, n_second)
            others = limits[second + start : second + stop]
            if _count_near(bounds[i, start:stop], norms[a], limits[a], others) == 0:
                continue
            for j in range(start, stop):
                b = second + j
                bound = bounds[i, j] + norms[a]
                if bound >= limits[a] and bound >= limits[b]:
                    continue
                distance = _squared_distance(rows[a], rows[b])
                if distance <= limits[a]:
                    _insert(distance, numbers[b], distances[a], neighbors[a])
                    limits[a] = distances[a, last]
                if distance <= limits[b]:
                    _insert(distance, numbers[a], distances[b], neighbors[b])
                    limits[b] = distances[b, last]
