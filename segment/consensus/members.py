"""Members of a consensus: each parts the samples into many cells, and merges them by the graph."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import count
from typing import Any

import numpy as np

from segment.consensus.graph import links_between, neighbor_graph, normalized_eigenvectors
from segment.consensus.kmeans import cells_of
from segment.kernels.graph.links import merge_smallest
from segment.parallel import map_blocks

# Found on digits and kana with the accuracy in view (docs/decisions/digit-consensus.md).
NEAR, FAR = 10, 30
N_MEMBERS = 240
# Cells a cluster of a member: one of these by chance. There is an eigenvector for every two cells.
CELLS_EACH = (6, 8, 10)
ROWS = 5_000
# A cell holds this many samples on average, or more.
SAMPLES_EACH = 10
MOST_VECTORS = 50
# A group goes where it is linked to most: links / volume ** POWER.
POWER = 0.5


@dataclass(frozen=True)
class Neighborhood:
    """The graphs of neighbors summed over views, and the leading eigenvectors of the near one.

    Attributes
    ----------
    near, far : (n, n) csr_array of float32
        Of few and of many neighbors a view.
    vectors : (n, n_vectors) float32 ndarray
    """

    near: Any
    far: Any
    vectors: np.ndarray

    @classmethod
    def of(cls, views: list[np.ndarray], n_near: int = NEAR) -> Neighborhood:
        """Sum the graphs of views, each the (n, n_far) neighbors of every sample, nearest first."""
        near = neighbor_graph(np.hstack([neighbors[:, :n_near] for neighbors in views]))
        far = neighbor_graph(np.hstack(views))
        n_vectors = min(MOST_VECTORS, len(views[0]) - 1)
        return cls(near, far, normalized_eigenvectors(near, n_vectors, 0)[1])

    @property
    def n_samples(self) -> int:
        """Number of samples."""
        return len(self.vectors)

    @cached_property
    def rows(self) -> np.ndarray:
        """The rows of all eigenvectors, scaled to length one."""
        return unit_rows(self.vectors)

    def most_cells(self, n_cells: int, n_clusters: int) -> int:
        """Return `n_cells`, or what few samples allow: at least as many as clusters."""
        return max(min(n_cells, self.n_samples // SAMPLES_EACH), n_clusters)


def unit_rows(vectors: np.ndarray) -> np.ndarray:
    """Scale rows to length one, float32; a row of zeros stays."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.ascontiguousarray(vectors / np.maximum(lengths, np.finfo(np.float32).tiny), np.float32)


def find_members(
    graphs: Neighborhood,
    n_clusters: int,
    rng: np.random.Generator,
    *,
    n_members: int = N_MEMBERS,
    n_jobs: int | None = None,
    progress: Callable[[float], None] = lambda share: None,
) -> np.ndarray:
    """Cluster the samples many times: other cells each time, merged by the near or the far graph in turn.

    Parameters
    ----------
    graphs : Neighborhood
    n_clusters : int
    rng : numpy.random.Generator
    n_members : int
    progress : callable
        Called with the share of the members that are done.

    Returns
    -------
    (n_members, n) int16 ndarray
        The cluster of each sample according to each member, below `n_clusters`.
    """
    done = count(1)

    def find(member: tuple[np.random.Generator, Any]) -> np.ndarray:
        generator, graph = member
        n_cells = graphs.most_cells(int(generator.choice(CELLS_EACH)) * n_clusters, n_clusters)
        rows = unit_rows(graphs.vectors[:, : max(n_cells // 2, 1)])
        cells = cells_of(rows, n_cells, generator, max_rows=ROWS)
        found = merge_cells(graph, cells, n_clusters, POWER)[cells].astype(np.int16)
        progress(next(done) / n_members)
        return found

    generators = rng.spawn(n_members)
    members = [(generator, (graphs.near, graphs.far)[i % 2]) for i, generator in enumerate(generators)]
    return np.stack(map_blocks(find, members, n_jobs))


def merge_cells(graph: Any, cells: np.ndarray, n_clusters: int, power: float) -> np.ndarray:
    """Merge cells to clusters, the smallest first; return the cluster of each cell, (n_cells,) int64."""
    n_cells = int(cells.max()) + 1
    return merged(links_between(graph, cells, n_cells), n_clusters, power)


def merged(links: np.ndarray, n_clusters: int, power: float) -> np.ndarray:
    """Merge groups by their links (kept as they are), the smallest first, to at most `n_clusters`."""
    groups = np.empty(len(links), np.int64)
    merge_smallest(links.copy(), min(n_clusters, len(links)), power, groups)
    return groups
