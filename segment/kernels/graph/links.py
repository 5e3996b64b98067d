"""Weights of links between groups of a graph's nodes, and groups merged by them."""

import numpy as np

from segment.kernels.compile import kernel


@kernel
def count_links(starts, neighbors, weights, groups, links):
    """Add up the weight of the edges between any two groups, each edge from both of its ends.

    starts     IN    (n + 1,) int, where each node's edges begin
    neighbors  IN    (n_edges,) int
    weights    IN    (n_edges,) float
    groups     IN    (n,) int
    links      INOUT (n_groups, n_groups) float64
    """
    for i in range(len(groups)):
        row = links[groups[i]]
        for edge in range(starts[i], starts[i + 1]):
            row[groups[neighbors[edge]]] += weights[edge]


@kernel
def merge_smallest(links, n_left, power, merged):
    """Merge the smallest group into the one it is linked to most, until `n_left` groups are left.

    Small is what has a small volume (weight of its edges). The group merged with is the one of largest
    links / volume ** power; of equals, the first.

    links   INOUT (n, n) float64, symmetric; used up
    n_left  IN    int
    power   IN    float
    merged  OUT   (n,) int64, the group of each group, 0, 1, ... in the order of the first of each
    """
    n = len(links)
    is_left = np.ones(n, np.bool_)
    volumes = np.empty(n)
    for i in range(n):
        merged[i] = i
        volumes[i] = links[i].sum()
    for _ in range(n - n_left):
        smallest, partner = -1, -1
        least, most = np.inf, -np.inf
        for i in range(n):
            if is_left[i] and volumes[i] < least:
                least, smallest = volumes[i], i
        for j in range(n):
            if is_left[j] and j != smallest:
                pull = links[smallest, j] / max(volumes[j], 1e-300) ** power
                if pull > most:
                    most, partner = pull, j
        for j in range(n):
            links[partner, j] += links[smallest, j]
        for j in range(n):
            links[j, partner] += links[j, smallest]
        volumes[partner] += volumes[smallest]
        is_left[smallest] = False
        for i in range(n):
            if merged[i] == smallest:
                merged[i] = partner
    names = np.full(n, -1, np.int64)
    count = 0
    for i in range(n):
        if names[merged[i]] < 0:
            names[merged[i]] = count
            count += 1
        merged[i] = names[merged[i]]
