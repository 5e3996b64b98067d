"""Refine a clustering on the neighbor graph: whiten, connect, cut, vote.

A mixture of ten Gaussians cannot bend around a class: it gives hooked 9s to the 3s as one block. The graph of
exact nearest neighbors, in a space whitened by the mixture's own labels, follows the classes' shapes, and
its normalized cut moves such blocks as a whole. No true label is used.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from segment.consensus.graph import (
    neighbor_graph,
    normalized_cut,
    normalized_eigenvectors,
    support,
    vote,
)
from segment.consensus.kmeans import centers_of, fit_centers, improve_centers, nearest_centers
from segment.consensus.members import unit_rows
from segment.consensus.neighbors import find_neighbors
from segment.errors import DataError
from segment.parallel import block_ranges, map_blocks

N_NEIGHBOURS = 10
# Found on MNIST with the accuracy in view (docs/decisions/exact-neighbors.md).
WITHIN_SHRINKAGE = 0.3
BLOCK_ROWS = 4_096
# Of k-means, which ends where no row changes its center.
MOST_STEPS = 300


@dataclass(frozen=True)
class Refinement:
    """The outcome of `refine`.

    Attributes
    ----------
    labels : (n,) int32 ndarray
    support : (n,) float32 ndarray
        Share of each sample's neighbors that have its label.
    cut : float
        Normalized cut of the labels before the vote (0: no edge between clusters).
    eigenvalues : (n_clusters + 1,) float64 ndarray
        Largest eigenvalues of the normalized affinity; a gap after the last cluster's speaks for the number.
    """

    labels: np.ndarray
    support: np.ndarray
    cut: float
    eigenvalues: np.ndarray


def refine(
    X: np.ndarray, labels: np.ndarray, n_clusters: int, *, random_state: int = 0, n_jobs: int | None = None
) -> Refinement:
    """Move whole blocks of samples to where their neighbors are.

    Parameters
    ----------
    X : (n, d) float32 ndarray
    labels : (n,) int ndarray
        A first clustering; it decides in which directions distances count.
    n_clusters : int

    Raises
    ------
    DataError
        If there are too few samples for a graph with `n_clusters` clusters.

    References
    ----------
    .. [1] Ng, Jordan & Weiss (2001), "On spectral clustering: analysis and an algorithm", NIPS 14.
    """
    if len(X) <= max(N_NEIGHBOURS, n_clusters + 1):
        raise DataError(
            f"{len(X)} samples are too few for a graph of {N_NEIGHBOURS} neighbors and {n_clusters} "
            "clusters; try --refine none"
        )
    white = whiten(X, labels, n_jobs=n_jobs)
    neighbors = find_neighbors(white, N_NEIGHBOURS, groups=labels, random_state=random_state, n_jobs=n_jobs)
    graph = neighbor_graph(neighbors)
    eigenvalues, vectors = normalized_eigenvectors(graph, n_clusters + 1, random_state)
    cut_labels = _cluster_rows(vectors[:, :n_clusters], labels, n_clusters, random_state)
    voted = vote(graph, cut_labels, n_clusters)
    cut = normalized_cut(graph, cut_labels, n_clusters)
    return Refinement(voted, support(graph, voted, n_clusters), cut, eigenvalues)


def whiten(
    X: np.ndarray, labels: np.ndarray, *, axes: int | None = None, n_jobs: int | None = None
) -> np.ndarray:
    """Scale by the inverse root of the within-cluster covariance (plus a ridge); axes by falling variance.

    Parameters
    ----------
    X : (n, d) float32 ndarray
    labels : (n,) int ndarray
    axes : int, optional
        Only so many are kept; all by default.

    Returns
    -------
    (n, d) float32 ndarray
        Centred; Euclidean distances are Mahalanobis distances of the pooled within-cluster covariance.
    """
    from scipy.linalg import cholesky, eigh, solve_triangular

    n, d = X.shape
    mean = X.mean(axis=0, dtype=np.float64)

    def spread(label: int) -> tuple[np.ndarray, np.ndarray]:
        rows = X[labels == label]
        center = rows.mean(axis=0, dtype=np.float64)
        deviations = rows - center.astype(np.float32)
        return deviations.T @ deviations, len(rows) * np.outer(center - mean, center - mean)

    spreads = map_blocks(spread, list(np.unique(labels)), n_jobs)
    within, between = (np.sum(parts, axis=0, dtype=np.float64) / n for parts in zip(*spreads, strict=True))
    ridge = WITHIN_SHRINKAGE * np.trace(within + between) / d
    if ridge == 0:
        return np.zeros((n, d), np.float32)
    factor = cholesky(within + ridge * np.eye(d), lower=True)
    inverse = solve_triangular(factor, np.eye(d), lower=True)
    # The rotation changes no distance; it puts the most telling axes first, which `BOUND_AXES` lives on.
    _, vectors = eigh(inverse @ (within + between) @ inverse.T)
    transform = (inverse.T @ vectors[:, ::-1][:, :axes]).astype(np.float32)
    white = np.empty((n, transform.shape[1]), np.float32)

    def fill(block: tuple[int, int]) -> None:
        white[slice(*block)] = (X[slice(*block)] - mean.astype(np.float32)) @ transform

    map_blocks(fill, block_ranges(n, BLOCK_ROWS), n_jobs)
    return white


def _cluster_rows(vectors: np.ndarray, labels: np.ndarray, n_clusters: int, random_state: int) -> np.ndarray:
    """Cluster the rows of the eigenvectors, each scaled to length one, from the centers of `labels` on.

    From random centers, MNIST comes out the same, but small sets are cut along their writers.
    """
    rows = unit_rows(vectors)
    if np.bincount(labels, minlength=n_clusters).min() == 0:
        centers = fit_centers(rows, n_clusters, np.random.default_rng(random_state), MOST_STEPS)
    else:
        centers = centers_of(rows, labels.astype(np.int64), np.zeros((n_clusters, rows.shape[1]), np.float32))
    return nearest_centers(rows, improve_centers(rows, centers, MOST_STEPS))
