"""What members agree on: random draws of them are merged, and those like the most telling one vote."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from segment.consensus.graph import information, links_between
from segment.consensus.kmeans import cells_of
from segment.consensus.members import Neighborhood, merged
from segment.mixture.matching import match
from segment.parallel import map_blocks

# Found on digits and kana with the accuracy in view (docs/decisions/digit-consensus.md).
N_CELLS, CELL_ROWS = 350, 10_000
N_DRAWS, DRAWN = 100, 0.25
# The share of the draws, most like the best, that votes.
VOTING = 1 / 3


@dataclass(frozen=True)
class Agreement:
    """Clusters that members agree on.

    Attributes
    ----------
    labels : (n,) int64 ndarray
    stability : float
        How much the draws are like the one that tells most: mean normalized mutual information.
    """

    labels: np.ndarray
    stability: float


def agree(
    graphs: Neighborhood,
    members: np.ndarray,
    n_clusters: int,
    rng: np.random.Generator,
    n_jobs: int | None = None,
) -> Agreement:
    """Merge cells by how often members put them together.

    A draw of members is merged like a graph: two cells are linked by how often their samples share a cluster.
    The draw whose clusters tell most along the edges of the near graph is the best; those most like it vote.

    Parameters
    ----------
    graphs : Neighborhood
    members : (n_members, n) int ndarray
    n_clusters : int

    References
    ----------
    .. [1] Fred & Jain (2005), "Combining multiple clusterings using evidence accumulation", IEEE PAMI 27(6).
    """
    n_cells = graphs.most_cells(N_CELLS, n_clusters)
    cells = cells_of(graphs.rows, n_cells, rng, max_rows=CELL_ROWS)
    masses = np.bincount(cells, minlength=n_cells)
    links = links_between(graphs.near, cells, n_cells)
    shares = np.stack([_shares(cells, member, n_cells, n_clusters) for member in members])
    n_drawn = max(1, round(DRAWN * len(members)))
    draws = [rng.permutation(len(members))[:n_drawn] for _ in range(N_DRAWS)]

    def merge_draw(drawn: np.ndarray) -> tuple[np.ndarray, float]:
        together = np.concatenate(list(shares[drawn]), axis=1)
        found = merged(together @ together.T, n_clusters, 1.0)
        is_in = np.eye(n_clusters)[found]
        return found, information(is_in.T @ links @ is_in)

    found, told = zip(*map_blocks(merge_draw, draws, n_jobs), strict=True)
    best = found[int(np.argmax(told))]
    likeness = np.array([mutual_share(best, other, masses) for other in found])
    voters = np.argsort(-likeness, kind="stable")[: max(1, round(VOTING * N_DRAWS))]
    votes = sum(np.eye(n_clusters)[renamed(found[i], best, n_clusters, masses)] for i in voters)
    return Agreement(np.asarray(votes).argmax(axis=1)[cells], float(likeness.mean()))


def _shares(cells: np.ndarray, member: np.ndarray, n_cells: int, n_clusters: int) -> np.ndarray:
    """Count samples by cell and cluster, over the root of the cluster's: products are links of cells."""
    counts = contingency(cells, member, n_cells, n_clusters)
    return counts / np.sqrt(np.maximum(counts.sum(axis=0), 1))


def contingency(
    first: np.ndarray, second: np.ndarray, n_first: int, n_second: int, masses: np.ndarray | None = None
) -> np.ndarray:
    """Count samples (or add up their masses) by two clusterings, (n_first, n_second) float64."""
    pairs = first.astype(np.int64) * n_second + second
    return np.bincount(pairs, masses, n_first * n_second).reshape(n_first, n_second).astype(np.float64)


def mutual_share(first: np.ndarray, second: np.ndarray, masses: np.ndarray | None = None) -> float:
    """Return the mutual information of two clusterings over the mean of their entropies: 1 for equal ones."""
    counts = contingency(first, second, int(first.max()) + 1, int(second.max()) + 1, masses)
    shares = counts / counts.sum()

    def entropy(probabilities: np.ndarray) -> float:
        positive = probabilities[probabilities > 0]
        return -float((positive * np.log(positive)).sum())

    one, other = entropy(shares.sum(axis=1)), entropy(shares.sum(axis=0))
    if one + other == 0:
        return 1.0
    return 2 * (one + other - entropy(shares)) / (one + other)


def renamed(
    labels: np.ndarray, reference: np.ndarray, n_clusters: int, masses: np.ndarray | None = None
) -> np.ndarray:
    """Give clusters the numbers of those of `reference` that they share most samples with, one to one."""
    rows, columns = match(contingency(labels, reference, n_clusters, n_clusters, masses))
    names = np.empty(n_clusters, np.int64)
    names[rows] = columns
    return names[labels]


def confidence(members: np.ndarray, labels: np.ndarray, n_clusters: int) -> np.ndarray:
    """Return the share of members that put each sample where `labels` does, (n,) float32."""
    agreeing = np.zeros(len(labels), np.int32)
    for member in members:
        agreeing += renamed(member, labels, n_clusters) == labels
    return agreeing.astype(np.float32) / np.float32(len(members))
