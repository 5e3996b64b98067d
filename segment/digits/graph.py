"""Refine a clustering on the neighbor graph: whiten, connect, cut, vote.

A mixture of ten Gaussians cannot bend around a class: it gives hooked 9s to the 3s as one block. The graph of
exact nearest neighbors, in a space whitened by the mixture's own labels, follows the classes' shapes, and
its normalized cut moves such blocks as a whole. No true label is used.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from segment.errors import DataError
from segment.kernels.em.neighbors import update_neighbors
from segment.parallel import block_ranges, map_blocks, single_threaded_blas, single_threaded_openmp

N_NEIGHBOURS = 10
# Found on MNIST with the accuracy in view (docs/decisions/exact-neighbors.md).
WITHIN_SHRINKAGE = 0.3
VOTE_ROUNDS = 3
OWN_VOTE = 0.5
# Distances in this many leading axes reject nearly all pairs.
BOUND_AXES = 64
# With 1e-4, Lanczos misses the second eigenvector of a graph that falls into two pieces.
EIGEN_TOL = 1e-6
QUERY_ROWS, REFERENCE_ROWS = 256, 1024


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
    neighbors = nearest_neighbors(white, N_NEIGHBOURS, groups=labels, n_jobs=n_jobs)
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


def neighbor_graph(neighbors: np.ndarray) -> Any:
    """Return the symmetric (n, n) affinity: 2 for mutual neighbors, 1 for one-sided ones."""
    from scipy.sparse import csr_array

    n, k = neighbors.shape
    starts = np.arange(0, n * k + 1, k)
    directed = csr_array((np.ones(n * k, np.float32), neighbors.ravel(), starts), shape=(n, n))
    return (directed + directed.T).tocsr()


def normalized_eigenvectors(graph: Any, count: int, random_state: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the `count` largest eigenvalues of D^-1/2 A D^-1/2, falling, and their vectors (n, count)."""
    from scipy.sparse import diags_array
    from scipy.sparse.linalg import eigsh

    degrees = np.asarray(graph.sum(axis=1)).ravel()
    root = diags_array(1 / np.sqrt(degrees))
    affinity = (root @ graph @ root).tocsr().astype(np.float32)
    # Lanczos goes on from a random vector where the graph falls into pieces: unseeded, every run differs.
    rng = np.random.default_rng(random_state)
    start = rng.normal(size=len(degrees)).astype(np.float32)
    ncv = min(len(degrees), max(2 * count + 1, 40))
    values, vectors = eigsh(affinity, count, which="LA", tol=EIGEN_TOL, v0=start, ncv=ncv, rng=rng)
    order = np.argsort(-values)
    return values[order].astype(np.float64), vectors[:, order]


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
        centers = _one_hot(labels, n_clusters).T @ rows / counts[:, None]
        model = KMeans(n_clusters, n_init=1, init=centers.astype(rows.dtype))
    with single_threaded_openmp():
        return model.fit(rows).labels_.astype(np.int32)


def _one_hot(labels: np.ndarray, n_clusters: int) -> np.ndarray:
    return np.eye(n_clusters, dtype=np.float32)[labels]


def normalized_cut(graph: Any, labels: np.ndarray, n_clusters: int) -> float:
    """Return the sum over clusters of the share of their edges that leave them."""
    members = _one_hot(labels, n_clusters)
    links = (members.T @ (graph @ members)).astype(np.float64)
    volumes = links.sum(axis=1)
    used = volumes > 0
    return float((1 - np.diag(links)[used] / volumes[used]).sum())


def vote(graph: Any, labels: np.ndarray, n_clusters: int) -> np.ndarray:
    """Let every sample take the label that weighs most among its neighbors and itself, a few rounds."""
    for _ in range(VOTE_ROUNDS):
        members = _one_hot(labels, n_clusters)
        labels = (graph @ members + np.float32(OWN_VOTE) * members).argmax(axis=1).astype(np.int32)
    return labels


def support(graph: Any, labels: np.ndarray, n_clusters: int) -> np.ndarray:
    """Return the share of each sample's neighbors that have its label, (n,) float32."""
    shares = graph @ _one_hot(labels, n_clusters)
    return shares[np.arange(len(labels)), labels] / shares.sum(axis=1)
