"""The nearest neighbors of every row: exact up to `MOST_EXACT` rows, found by descent above."""

from __future__ import annotations

import warnings
from importlib.util import find_spec

import numpy as np

from segment.errors import SegmentWarning
from segment.kernels.graph.neighbors import update_neighbors
from segment.parallel import block_ranges, map_blocks, single_threaded_blas

# Distances in this many leading axes reject nearly all pairs.
BOUND_AXES = 64
QUERY_ROWS, REFERENCE_ROWS = 256, 1024
# The cost of an exact search grows with the square of the rows.
MOST_EXACT = 70_000


def nearest_neighbors(
    X: np.ndarray, k: int, *, groups: np.ndarray | None = None, n_jobs: int | None = None
) -> np.ndarray:
    """Find the exact `k` nearest other rows of every row (Euclidean).

    A product over the leading axes bounds every distance from below; few pairs need more
    (docs/decisions/exact-neighbors.md).

    Parameters
    ----------
    X : (n, d) float32 ndarray
        Best with the axes of largest variance first: the first 64 bound the distance from below.
    k : int
    groups : (n,) int ndarray, optional
        Rows of a group are searched first, which tightens the bounds early; it changes no result.

    Returns
    -------
    (n, k) int32 ndarray
        Nearest first.
    """
    n = len(X)
    order = np.argsort(groups, kind="stable") if groups is not None else np.arange(n)
    rows = np.ascontiguousarray(X[order], np.float32)
    leading = rows[:, :BOUND_AXES]
    norms = np.einsum("ij,ij->i", leading, leading)
    # A little less than the bound, so that rounding in the product never rejects a true neighbor.
    slack = np.float32(1e-5) * norms.max(initial=0)
    left = np.hstack([-2 * leading, np.ones((n, 1), np.float32)])
    right = np.ascontiguousarray(np.hstack([leading, norms[:, None] - 2 * slack]).T)
    queries = np.hstack([rows, norms[:, None]])
    tiles = block_ranges(n, REFERENCE_ROWS)

    def search(block: tuple[int, int]) -> np.ndarray:
        start, stop = block
        distances = np.full((stop - start, k), np.inf, np.float32)
        indices = np.full((stop - start, k), -1, np.int32)
        for first, last in sorted(tiles, key=lambda tile: (abs(tile[0] + REFERENCE_ROWS // 2 - start), tile)):
            bounds = left[start:stop] @ right[:, first:last]
            update_neighbors(bounds, queries[start:stop], rows[first:last], start, first, distances, indices)
        return indices

    with single_threaded_blas():
        found = np.concatenate(map_blocks(search, block_ranges(n, QUERY_ROWS), n_jobs))
    neighbors = np.empty((n, k), np.int32)
    neighbors[order] = order[found]
    return neighbors


def is_exact(n_samples: int) -> bool:
    """Return whether so many samples are searched exactly: few, or without another way."""
    return n_samples <= MOST_EXACT or not find_spec("pynndescent")


def find_neighbors(
    X: np.ndarray,
    k: int,
    *,
    groups: np.ndarray | None = None,
    random_state: int = 0,
    n_jobs: int | None = None,
) -> np.ndarray:
    """Find `k` near other rows of every row: the nearest up to `MOST_EXACT` rows, most of them above.

    Parameters
    ----------
    X, k, groups : as `nearest_neighbors`
    random_state : int
        Where an approximate search begins.

    Returns
    -------
    (n, k) int32 ndarray
        Nearest first.

    Warns
    -----
    SegmentWarning
        If there are more rows and pynndescent is not installed: the exact search takes long.
    """
    if is_exact(len(X)):
        if len(X) > MOST_EXACT:
            warnings.warn(
                f"the nearest neighbors of {len(X)} samples are found exactly, which takes long; "
                "pip install 'segment-em[neighbors]' for an approximate search",
                SegmentWarning,
                stacklevel=2,
            )
        return nearest_neighbors(X, k, groups=groups, n_jobs=n_jobs)
    from pynndescent import NNDescent

    # One thread: its descent depends on who comes first. A row is its own first neighbor.
    found = NNDescent(X, n_neighbors=k + 1, random_state=random_state, n_jobs=1).neighbor_graph[0]
    return _without_self(found)


def _without_self(found: np.ndarray) -> np.ndarray:
    """Drop each row's own number, or its last neighbor where the search missed it, (n, k) int32."""
    own = found == np.arange(len(found))[:, None]
    own[~own.any(axis=1), -1] = True
    return found[~own].reshape(len(found), -1).astype(np.int32)
