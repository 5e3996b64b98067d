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
    one_hot,
    support,
    vote,
)
from segment.consensus.neighbors import find_neighbors
from segment.errors import DataError
from segment.parallel import single_threaded_openmp

N_NEIGHBOURS = 10
# Found on MNIST with the accuracy in view (docs/decisions/exact-neighbors.md).
WITHIN_SHRINKAGE = 0.3


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
    white = whiten(X, labels)
    neighbors = find_neighbors(white, N_NEIGHBOURS, groups=labels, random_state=random_state, n_jobs=n_jobs)
    graph = neighbor_graph(neighbors)
    eigenvalues, vectors = normalized_eigenvectors(graph, n_clusters + 1, random_state)
    cut_labels = _kmeans_of_rows(vectors[:, :n_clusters], labels, n_clusters, random_state)
    voted = vote(graph, cut_labels, n_clusters)
    cut = normalized_cut(graph, cut_labels, n_clusters)
    return Refinement(voted, support(graph, voted, n_clusters), cut, eigenvalues)


def whiten(X: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Scale by the inverse root of the within-cluster covariance (plus a ridge); axes by falling variance.

    Returns
    -------
    (n, d) float32 ndarray
        Centred; Euclidean distances are Mahalanobis distances of the pooled within-cluster covariance.
    """
    from scipy.linalg import cholesky, eigh, solve_triangular

    n, d = X.shape
    mean = X.mean(axis=0, dtype=np.float64)
    within = np.zeros((d, d))
    total = np.zeros((d, d))
    for label in np.unique(labels):
        rows = X[labels == label]
        center = rows.mean(axis=0, dtype=np.float64)
        deviations = rows - center.astype(np.float32)
        within += deviations.T @ deviations
        total += len(rows) * np.outer(center - mean, center - mean)
    total = (total + within) / n
    ridge = WITHIN_SHRINKAGE * np.trace(total) / d
    if ridge == 0:
        return np.zeros((n, d), np.float32)
    factor = cholesky(within / n + ridge * np.eye(d), lower=True)
    inverse = solve_triangular(factor, np.eye(d), lower=True)
    # The rotation changes no distance; it puts the most telling axes first, which `BOUND_AXES` lives on.
    _, axes = eigh(inverse @ total @ inverse.T)
    transform = (inverse.T @ axes[:, ::-1]).astype(np.float32)
    return (X - mean.astype(np.float32)) @ transform


def _kmeans_of_rows(
    vectors: np.ndarray, labels: np.ndarray, n_clusters: int, random_state: int
) -> np.ndarray:
    """Cluster the rows of the eigenvectors, each scaled to length one, from the centers of `labels` on.

    From random centers, MNIST comes out the same, but small sets are cut along their writers.
    """
    from sklearn.cluster import KMeans

    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    rows = vectors / np.maximum(lengths, np.finfo(np.float32).tiny)
    counts = np.bincount(labels, minlength=n_clusters)
    if counts.min() == 0:
        model = KMeans(n_clusters, n_init=10, random_state=random_state)
    else:
        centers = one_hot(labels, n_clusters).T @ rows / counts[:, None]
        model = KMeans(n_clusters, n_init=1, init=centers.astype(rows.dtype))
    with single_threaded_openmp():
        return model.fit(rows).labels_.astype(np.int32)
