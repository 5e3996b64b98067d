"""The nearest neighbors of every row: exact up to `MOST_EXACT` rows, found by descent above."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from importlib.util import find_spec

import numpy as np

from segment.errors import SegmentWarning
from segment.kernels.graph.neighbors import update_neighbors
from segment.parallel import map_blocks, single_threaded_blas

# Distances in this many leading axes reject nearly all pairs.
BOUND_AXES = 64
# Rows of two blocks, and the bounds of their pairs, stay in the second-level cache.
MOST_ROWS = 768
# The cost of an exact search grows with the square of the rows.
MOST_EXACT = 70_000


def nearest_neighbors(
    X: np.ndarray, k: int, *, groups: np.ndarray | None = None, n_jobs: int | None = None
) -> np.ndarray:
    """Find the exact `k` nearest other rows of every row (Euclidean).

    A product over the leading axes bounds every distance from below; few pairs need more. Each pair is looked
    at once, for both of its rows (docs/decisions/exact-neighbors.md).

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
        Nearest first; of equally near ones, the first row. -1 where there are fewer.
    """
    n = len(X)
    order = np.argsort(groups, kind="stable") if groups is not None else np.arange(n)
    rows, numbers = np.ascontiguousarray(X[order], np.float32), order.astype(np.int32)
    leading = rows[:, :BOUND_AXES]
    norms = np.einsum("ij,ij->i", leading, leading)
    # A little less than the bound, so that rounding in the product rejects no neighbor, nor one equally near.
    slack = np.float32(2e-5) * norms.max(initial=0) + np.finfo(np.float32).tiny
    left = np.hstack([-2 * leading, np.ones((n, 1), np.float32)])
    right = np.hstack([leading, norms[:, None] - slack])
    distances, neighbors = np.full((n, k), np.inf, np.float32), np.full((n, k), -1, np.int32)
    limits = distances[:, -1].copy()
    n_blocks = 1
    while n > n_blocks * MOST_ROWS:
        n_blocks *= 2
    starts = np.arange(n_blocks + 1) * n // n_blocks

    def compare(pair: tuple[int, int]) -> None:
        (first, end), (second, stop) = (starts[block : block + 2] for block in pair)
        bounds = left[first:end] @ right[second:stop].T
        update_neighbors(bounds, rows, norms, numbers, first, second, limits, distances, neighbors)

    with single_threaded_blas():
        for pairs in meetings(n_blocks):
            map_blocks(compare, pairs, n_jobs)
    found = np.empty((n, k), np.int32)
    found[order] = neighbors
    return found


def meetings(n_blocks: int) -> Iterator[list[tuple[int, int]]]:
    """Yield rounds of pairs of blocks, in which each block meets one, until each has met each and itself.

    Blocks that stand `apart` on a circle meet in two rounds: adding `apart` turns its lowest bit over, so
    that those with that bit and those without face one another. Near ones meet first.

    Parameters
    ----------
    n_blocks : int
        A power of two.
    """
    yield [(block, block) for block in range(n_blocks)]
    for apart in range(1, n_blocks // 2 + 1):
        bit = apart & -apart
        pairs = [(block, (block + apart) % n_blocks) for block in range(n_blocks)]
        yield [pair for pair in pairs if not pair[0] & bit]
        if 2 * apart < n_blocks:
            yield [pair for pair in pairs if pair[0] & bit]


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
