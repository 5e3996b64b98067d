"""One-to-one matching of points that are near each other: as many pairs as can be."""

from __future__ import annotations

import numpy as np

from segment.kernels.compile import kernel


@kernel
def match_near(starts, partners, order, owner, match, taken):
    """Match rows to columns one-to-one, with the largest number of pairs; the closest are tried first.

    IN starts (n + 1,), partners (E,): the columns that each row may have, as in a CSR matrix; order (E,):
    the edges from short to long; owner (E,): the row of each edge. OUT match (n,): the column of each row,
    taken (m,): the row of each column, -1 where there is none. All int64.

    Augmenting paths by depth-first search (Kuhn 1955, Naval Research Logistics 2, 83-97). What a failed
    search has seen cannot lie on any later path and stays marked: otherwise every search would run through
    a whole contour again (docs/decisions/boundary-matching.md).
    """
    match[:] = -1
    taken[:] = -1
    for e in order:
        if match[owner[e]] < 0 and taken[partners[e]] < 0:
            match[owner[e]] = partners[e]
            taken[partners[e]] = owner[e]
    seen = np.zeros(len(taken), np.bool_)
    visited, stack, following = np.empty(len(taken), np.int64), np.empty_like(match), np.empty_like(match)
    for row in range(len(match)):
        if match[row] < 0:
            n_visited = _augment(row, starts, partners, match, taken, seen, visited, stack, following)
            for i in range(n_visited):
                seen[visited[i]] = False


@kernel
def _augment(root, starts, partners, match, taken, seen, visited, stack, following):
    """Look for a path from an unmatched row to a free column and flip it.

    Returns how many columns the search has seen (listed in `visited`), 0 if there is no path.
    """
    n_visited = 0
    depth = 0
    stack[0] = root
    following[0] = starts[root]
    while depth >= 0:
        if following[depth] == starts[stack[depth] + 1]:
            depth -= 1
            continue
        column = partners[following[depth]]
        following[depth] += 1
        if seen[column]:
            continue
        seen[column] = True
        visited[n_visited] = column
        n_visited += 1
        if taken[column] >= 0:
            depth += 1
            stack[depth] = taken[column]
            following[depth] = starts[stack[depth]]
            continue
        for d in range(depth, -1, -1):
            row, its = stack[d], partners[following[d] - 1]
            match[row] = its
            taken[its] = row
        return n_visited
    return 0
