"""Exact nearest neighbors: reject a pair by a lower bound of its distance, measure the few that remain."""

import numpy as np

from segment.kernels.compile import kernel

# Comparisons are counted a group at a time, since a loop without a branch is vectorized.
_GROUP = 32


@kernel(fastmath=("reassoc", "contract", "nsz"))
def update_neighbors(bounds, queries, references, query_start, reference_start, distances, indices):
    """Offer a tile of references to the running k nearest neighbors of a block of queries.

    bounds     IN    (n_queries, n_references) float32, no greater than the squared distance, less the
                     query's own part of it: compare with `limit` below
    queries    IN    (n_queries, d + 1) float32; its last column is the part that `bounds` lacks
    references IN    (n_references, d) float32
    query_start, reference_start IN  int, the rows where block and tile begin (a row is not its own neighbor)
    distances  INOUT (n_queries, k) float32, squared, increasing
    indices    INOUT (n_queries, k) int32
    """
    n_queries, n_references = bounds.shape
    d = references.shape[1]
    k = distances.shape[1]
    for i in range(n_queries):
        row = bounds[i]
        own = queries[i, d]
        limit = distances[i, k - 1] - own
        for start in range(0, n_references, _GROUP):
            stop = min(start + _GROUP, n_references)
            hits = 0
            for j in range(start, stop):
                hits += row[j] < limit
            if hits == 0:
                continue
            for j in range(start, stop):
                if row[j] >= limit or query_start + i == reference_start + j:
                    continue
                distance = np.float32(0.0)
                for m in range(d):
                    difference = queries[i, m] - references[j, m]
                    distance += difference * difference
                if distance >= distances[i, k - 1]:
                    continue
                place = k - 1
                while place > 0 and distances[i, place - 1] > distance:
                    distances[i, place] = distances[i, place - 1]
                    indices[i, place] = indices[i, place - 1]
                    place -= 1
                distances[i, place] = distance
                indices[i, place] = reference_start + j
                limit = distances[i, k - 1] - own
