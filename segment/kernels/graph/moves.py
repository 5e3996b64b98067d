"""Move nodes between clusters while the clusters tell more of each other along the edges."""

import numpy as np

from segment.kernels.compile import kernel


@kernel
def _xlogx(x):
    return x * np.log(x) if x > 1e-12 else 0.0


@kernel
def _gain(links, volumes, to, own, degree, a, b):
    """Return by how much the sum of x log x of links less that of volumes grows if a node moves from a to b.

    `to` has the node's links to each cluster without those to itself, which are `own`.
    """
    gain = _xlogx(links[a, a] - 2 * to[a] - own) - _xlogx(links[a, a])
    gain += _xlogx(links[b, b] + 2 * to[b] + own) - _xlogx(links[b, b])
    gain += 2 * (_xlogx(links[a, b] + to[a] - to[b]) - _xlogx(links[a, b]))
    gain -= 2 * (_xlogx(volumes[a] - degree) - _xlogx(volumes[a]))
    gain -= 2 * (_xlogx(volumes[b] + degree) - _xlogx(volumes[b]))
    for c in range(len(to)):
        # What is linked to the node not at all loses and gains nothing.
        if c != a and c != b and to[c] > 0:
            gain += 2 * (_xlogx(links[a, c] - to[c]) - _xlogx(links[a, c]))
            gain += 2 * (_xlogx(links[b, c] + to[c]) - _xlogx(links[b, c]))
    return gain


@kernel
def _move(links, volumes, to, own, degree, a, b):
    """Take a node's links from cluster a, and give them to b."""
    for c in range(len(to)):
        if c != a and c != b:
            links[a, c] -= to[c]
            links[c, a] -= to[c]
            links[b, c] += to[c]
            links[c, b] += to[c]
    links[a, a] -= 2 * to[a] + own
    links[b, b] += 2 * to[b] + own
    links[a, b] += to[a] - to[b]
    links[b, a] = links[a, b]
    volumes[a] -= degree
    volumes[b] += degree


@kernel
def move_nodes(starts, neighbors, weights, order, max_passes, least, groups, links):
    """Let every node move to the cluster where the mutual information along the edges grows most.

    A cluster never loses its last node. Ends after a pass without a move.

    starts      IN    (n + 1,) int, where each node's edges begin
    neighbors   IN    (n_edges,) int; a node may be linked to itself
    weights     IN    (n_edges,) float
    order       IN    (n,) int, in which nodes are asked
    max_passes  IN    int
    least       IN    float, the gain in nats below which nothing moves
    groups      INOUT (n,) int64
    links       INOUT (n_groups, n_groups) float64, between the groups at first, and at the end

    Returns the number of passes.
    """
    n_groups = len(links)
    volumes = np.empty(n_groups)
    sizes = np.zeros(n_groups, np.int64)
    to = np.empty(n_groups)
    total = 0.0
    for a in range(n_groups):
        volumes[a] = links[a].sum()
        total += volumes[a]
    for i in range(len(groups)):
        sizes[groups[i]] += 1
    for done in range(max_passes):
        n_moved = 0
        for i in order:
            a = groups[i]
            to[:] = 0
            degree, own = 0.0, 0.0
            for edge in range(starts[i], starts[i + 1]):
                degree += weights[edge]
                if neighbors[edge] == i:
                    own += weights[edge]
                else:
                    to[groups[neighbors[edge]]] += weights[edge]
            best, most = -1, least * total
            for b in range(n_groups):
                if b != a and to[b] > 0:
                    gain = _gain(links, volumes, to, own, degree, a, b)
                    if gain > most:
                        best, most = b, gain
            if best >= 0 and sizes[a] > 1:
                _move(links, volumes, to, own, degree, a, best)
                sizes[a] -= 1
                sizes[best] += 1
                groups[i] = best
                n_moved += 1
        if n_moved == 0:
            return done + 1
    return max_passes
