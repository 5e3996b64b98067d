"""Refine clusters on the graph: single samples move, then whole blocks, then a cut of the eigenvectors."""

from __future__ import annotations

from typing import Any

import numpy as np

from segment.consensus.agreement import CELL_ROWS, N_CELLS
from segment.consensus.graph import information, links_between, vote
from segment.consensus.kmeans import cells_of, centers_of, improve_centers, nearest_centers
from segment.consensus.members import Neighborhood, unit_rows
from segment.kernels.graph.moves import move_nodes
from segment.parallel import map_blocks

MAX_PASSES, LEAST_GAIN = 50, 1e-12
# Partitions into blocks, and the share of them that must agree before a sample moves with its block.
N_PARTITIONS, AGREED = 8, 0.75
BLOCK_ITERATIONS = 10
CUT_ITERATIONS = 300


def told(graph: Any, labels: np.ndarray, n_clusters: int) -> float:
    """Return how much clusters tell of each other along the edges: the judge of candidates."""
    return information(links_between(graph, labels, n_clusters))


def move_samples(graph: Any, labels: np.ndarray, n_clusters: int, rng: np.random.Generator) -> np.ndarray:
    """Move single nodes while the clusters tell more; return the new labels, (n,) int64."""
    moved = labels.astype(np.int64)
    links = links_between(graph, moved, n_clusters)
    order = rng.permutation(len(moved))
    move_nodes(graph.indptr, graph.indices, graph.data, order, MAX_PASSES, LEAST_GAIN, moved, links)
    return moved


def move_blocks(
    graphs: Neighborhood,
    labels: np.ndarray,
    n_clusters: int,
    rng: np.random.Generator,
    n_jobs: int | None = None,
) -> np.ndarray:
    """Move blocks of samples, by several partitions; what most of them agree on is kept.

    A block that no single sample leaves by itself moves as one, if that tells more.
    """
    n_cells = graphs.most_cells(N_CELLS, n_clusters)

    def move(generator: np.random.Generator) -> np.ndarray:
        cells = cells_of(graphs.rows, n_cells, generator, max_rows=CELL_ROWS, max_iter=BLOCK_ITERATIONS)
        used, blocks = np.unique(cells * n_clusters + labels, return_inverse=True)
        moved = move_samples(contracted(graphs.near, blocks), used % n_clusters, n_clusters, generator)
        return move_samples(graphs.near, moved[blocks], n_clusters, generator)

    votes = np.zeros((len(labels), n_clusters), np.int8)
    for moved in map_blocks(move, rng.spawn(N_PARTITIONS), n_jobs):
        votes[np.arange(len(labels)), moved] += 1
    agreed = votes.max(axis=1) >= AGREED * N_PARTITIONS
    return move_samples(graphs.near, np.where(agreed, votes.argmax(axis=1), labels), n_clusters, rng)


def contracted(graph: Any, groups: np.ndarray) -> Any:
    """Return the graph of groups: a node a group, edges added up, those within a group at the node itself."""
    from scipy.sparse import csr_array

    return csr_array(links_between(graph, groups, int(groups.max()) + 1))


def cut_spectrum(
    graphs: Neighborhood, labels: np.ndarray, n_clusters: int, rng: np.random.Generator
) -> np.ndarray:
    """Cluster the rows of the leading eigenvectors from `labels` on: a normalized cut near them.

    Neighbors vote on the cut, and single samples move.
    """
    rows = unit_rows(graphs.vectors[:, :n_clusters])
    start = centers_of(rows, labels, np.zeros((n_clusters, rows.shape[1]), np.float32))
    cut = nearest_centers(rows, improve_centers(rows, start, CUT_ITERATIONS))
    return move_samples(graphs.near, vote(graphs.near, cut, n_clusters), n_clusters, rng)
