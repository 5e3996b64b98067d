"""Whiten features by the differences between neighbors: how classes vary, learned without a label."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from segment.consensus.neighbors import nearest_neighbors
from segment.parallel import block_ranges, map_blocks, single_threaded_blas

# Found on digits and kana with the accuracy in view (docs/decisions/digit-consensus.md).
N_NEIGHBORS, ROUNDS, RIDGE = 10, 3, 0.1
MAX_ROWS = 20_000
BLOCK_ROWS = 4_096


@dataclass(frozen=True)
class Whitening:
    """A linear map after which neighbors differ alike in every direction.

    Attributes
    ----------
    mean : (d,) float32 ndarray
    transform : (d, d) float32 ndarray
        Axes by falling total variance: the first bound distances best.
    """

    mean: np.ndarray
    transform: np.ndarray

    def apply(self, X: np.ndarray) -> np.ndarray:
        """Return whitened rows, (n, d) float32."""
        return np.concatenate(
            [(X[slice(*b)] - self.mean) @ self.transform for b in block_ranges(len(X), BLOCK_ROWS)]
        )


@single_threaded_blas()
def whiten_by_neighbors(X: np.ndarray, n_jobs: int | None = None) -> Whitening:
    """Find the whitening of rows by half the mean square difference to their nearest neighbors.

    Neighbors mostly are of one class, so that their differences show how it varies. What they were found by
    is poor at first: they are found anew in the whitened space, `ROUNDS` times in all. A ridge of `RIDGE`
    times the mean variance keeps directions without differences from counting for everything.

    Parameters
    ----------
    X : (n, d) float32 ndarray
        At least two rows.

    References
    ----------
    .. [1] Mahamud & Hebert (2003), "The optimal distance measure for object detection", CVPR.
    """
    n, d = X.shape
    mean = X.mean(axis=0, dtype=np.float64).astype(np.float32)
    total = _covariance(X - mean) / n
    # A fixed draw: features then depend on the samples alone, and serve every seed.
    few = X[np.random.default_rng(0).permutation(n)[:MAX_ROWS]]
    k = min(N_NEIGHBORS, len(few) - 1)
    ridge = RIDGE * np.trace(total) / d
    transform = np.eye(d, dtype=np.float32)
    if ridge == 0:
        return Whitening(mean, transform)
    for _ in range(ROUNDS):
        neighbors = nearest_neighbors((few - mean) @ transform, k, n_jobs=n_jobs)
        within = _differences(few, neighbors, n_jobs) / (2 * k * len(few))
        transform = inverse_root(within + ridge * np.eye(d), total)
    return Whitening(mean, transform)


def _covariance(centered: np.ndarray) -> np.ndarray:
    """Return the sum of the outer products of rows, (d, d) float64."""
    parts = [centered[slice(*block)] for block in block_ranges(len(centered), BLOCK_ROWS)]
    return np.sum([(part.T @ part).astype(np.float64) for part in parts], axis=0)


def _differences(rows: np.ndarray, neighbors: np.ndarray, n_jobs: int | None) -> np.ndarray:
    """Return the sum of the outer products of differences to neighbors, (d, d) float64."""

    def add_up(column: np.ndarray) -> np.ndarray:
        return _covariance(rows - rows[column])

    return np.sum(map_blocks(add_up, list(neighbors.T), n_jobs), axis=0)


def inverse_root(within: np.ndarray, total: np.ndarray) -> np.ndarray:
    """Return the map that makes `within` the identity, and `total` diagonal and falling."""
    from scipy.linalg import cholesky, eigh, solve_triangular

    inverse = solve_triangular(cholesky(within, lower=True), np.eye(len(within)), lower=True)
    _, axes = eigh(inverse @ total @ inverse.T)
    return (inverse.T @ axes[:, ::-1]).astype(np.float32)
