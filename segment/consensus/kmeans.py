"""K-means for many short runs side by side: float32 products between kernels, no threads of its own."""

from __future__ import annotations

import numpy as np

from segment.kernels.graph.kmeans import add_rows, spread_rows
from segment.parallel import block_ranges

BLOCK_ROWS = 4_096


def fit_centers(
    rows: np.ndarray, n_clusters: int, rng: np.random.Generator, max_iter: int = 20
) -> np.ndarray:
    """Return the centers of k-means from spread-out rows on, (n_clusters, d) float32.

    Parameters
    ----------
    rows : (n, d) float32 ndarray
    n_clusters : int
        Where there are fewer distinct rows, some centers are equal.
    """
    chosen = np.empty(n_clusters, np.int64)
    spread_rows(rows, rng.random(n_clusters), chosen)
    return improve_centers(rows, rows[chosen], max_iter)


def improve_centers(rows: np.ndarray, centers: np.ndarray, max_iter: int) -> np.ndarray:
    """Return centers after Lloyd's iterations; one that is nearest to no row stays where it is."""
    labels = np.full(len(rows), -1)
    for _ in range(max_iter):
        nearest = nearest_centers(rows, centers)
        if np.array_equal(nearest, labels):
            break
        labels = nearest
        centers = centers_of(rows, labels, centers)
    return centers


def centers_of(rows: np.ndarray, labels: np.ndarray, centers: np.ndarray) -> np.ndarray:
    """Return the mean of the rows of each label, or the center given where there is none."""
    sums, counts = np.zeros(centers.shape), np.zeros(len(centers), np.int64)
    add_rows(rows, labels, sums, counts)
    means = (sums / np.maximum(counts, 1)[:, None]).astype(np.float32)
    return np.where(counts[:, None] > 0, means, centers)


def nearest_centers(rows: np.ndarray, centers: np.ndarray) -> np.ndarray:
    """Return the nearest center of every row, (n,) int64; of equally near ones, the first."""
    half_norms = np.float32(0.5) * np.einsum("ij,ij->i", centers, centers)
    # The larger, the nearer: a row's own norm is the same for all centers.
    parts = [
        (rows[slice(*block)] @ centers.T - half_norms).argmax(axis=1)
        for block in block_ranges(len(rows), BLOCK_ROWS)
    ]
    return np.concatenate(parts)


def cells_of(
    rows: np.ndarray, n_cells: int, rng: np.random.Generator, *, max_rows: int, max_iter: int = 20
) -> np.ndarray:
    """Part rows into cells by centers that were fitted to some of them, (n,) int64.

    Parameters
    ----------
    rows : (n, d) float32 ndarray
    n_cells : int
    max_rows : int
        Rows, drawn at random, that the centers are fitted to.
    """
    some = rows[rng.permutation(len(rows))[:max_rows]]
    return nearest_centers(rows, fit_centers(some, n_cells, rng, max_iter))
