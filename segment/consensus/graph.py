"""Graphs of neighbors: sums over views, leading eigenvectors, and what clusters tell along edges."""

from __future__ import annotations

from typing import Any

import numpy as np

from segment.kernels.graph.links import count_links

VOTE_ROUNDS = 3
OWN_VOTE = 0.5
# With 1e-4, Lanczos misses the second eigenvector of a graph that falls into two pieces.
EIGEN_TOL = 1e-6


def neighbor_graph(neighbors: np.ndarray) -> Any:
    """Return the symmetric (n, n) affinity: 2 for mutual neighbors, 1 for one-sided ones.

    Neighbors named several times (by several views, side by side) are added up.
    """
    from scipy.sparse import csr_array

    n, k = neighbors.shape
    # As narrow as the neighbors: wider numbers would take the products with vectors longer.
    starts = np.arange(0, n * k + 1, k, dtype=neighbors.dtype)
    directed = csr_array((np.ones(n * k, np.float32), neighbors.ravel(), starts), shape=(n, n))
    directed.sum_duplicates()
    return (directed + directed.T).tocsr()


def normalized_eigenvectors(graph: Any, count: int, random_state: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the `count` largest eigenvalues of D^-1/2 A D^-1/2, falling, and their vectors (n, count)."""
    from scipy.sparse import diags_array
    from scipy.sparse.linalg import eigsh

    # The exact solution costs nothing where there are hardly more samples than vectors.
    if 2 * count >= graph.shape[0]:
        return _all_eigenvectors(graph, count)
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


def _all_eigenvectors(graph: Any, count: int) -> tuple[np.ndarray, np.ndarray]:
    from scipy.linalg import eigh

    root = 1 / np.sqrt(graph.sum(axis=1))
    values, vectors = eigh(root[:, None] * graph.toarray().astype(np.float64) * root)
    return values[::-1][:count], vectors[:, ::-1][:, :count].astype(np.float32)


def one_hot(labels: np.ndarray, n_clusters: int) -> np.ndarray:
    """Return the membership matrix, (n, n_clusters) float32."""
    return np.eye(n_clusters, dtype=np.float32)[labels]


def normalized_cut(graph: Any, labels: np.ndarray, n_clusters: int) -> float:
    """Return the sum over clusters of the share of their edges that leave them."""
    members = one_hot(labels, n_clusters)
    links = (members.T @ (graph @ members)).astype(np.float64)
    volumes = links.sum(axis=1)
    used = volumes > 0
    return float((1 - np.diag(links)[used] / volumes[used]).sum())


def vote(graph: Any, labels: np.ndarray, n_clusters: int) -> np.ndarray:
    """Let every sample take the label that weighs most among its neighbors and itself, a few rounds."""
    for _ in range(VOTE_ROUNDS):
        members = one_hot(labels, n_clusters)
        labels = (graph @ members + np.float32(OWN_VOTE) * members).argmax(axis=1).astype(np.int32)
    return labels


def support(graph: Any, labels: np.ndarray, n_clusters: int) -> np.ndarray:
    """Return the share of each sample's neighbors that have its label, (n,) float32."""
    shares = graph @ one_hot(labels, n_clusters)
    return shares[np.arange(len(labels)), labels] / shares.sum(axis=1)


def links_between(graph: Any, groups: np.ndarray, n_groups: int) -> np.ndarray:
    """Return the weight of the edges between any two groups, (n_groups, n_groups) float64.

    Parameters
    ----------
    graph : (n, n) csr_array, symmetric
    groups : (n,) int64 ndarray
        Below `n_groups`.
    """
    links = np.zeros((n_groups, n_groups))
    count_links(graph.indptr, graph.indices, graph.data, groups, links)
    return links


def information(links: np.ndarray) -> float:
    """Return what the cluster at one end of a random edge tells of that at the other: nats.

    The mutual information needs no label: it is high where edges stay within clusters, and clusters are many
    and of like volume. It is 0 for one cluster, and log K where no edge joins K equal ones.

    Parameters
    ----------
    links : (n_clusters, n_clusters) ndarray
        Of `links_between`.
    """
    total = links.sum()
    if total == 0:
        return 0.0
    shares = links / total
    own = shares.sum(axis=1)
    return _sum_xlogx(shares) - 2 * _sum_xlogx(own)


def _sum_xlogx(shares: np.ndarray) -> float:
    positive = shares[shares > 0]
    return float((positive * np.log(positive)).sum())
