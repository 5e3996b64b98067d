"""How many clusters: the number at which members tell most of the graph, and all tell the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from segment.consensus.agreement import agree, contingency
from segment.consensus.members import Neighborhood, find_members
from segment.consensus.refinement import told
from segment.errors import DataError
from segment.parallel import map_blocks, single_threaded_blas

COUNTS = range(2, 21)
# Members at each number of clusters, and the panels that they are divided into: each panel chooses by itself.
N_MEMBERS, N_PANELS = 40, 5


@dataclass(frozen=True)
class StabilityCurve:
    """How well each number of clusters does, and which was chosen.

    Attributes
    ----------
    counts : (n_counts,) int64 ndarray
        Numbers of clusters.
    stability : (n_counts,) float64 ndarray
        Mean adjusted Rand index of two members.
    information : (n_counts,) float64 ndarray
        What the clusters that members agree on tell along the edges, nats.
    chosen : int
        The number of largest stability times clarity.
    sureness : float
        Share of the panels of members that choose it as well.
    """

    counts: np.ndarray
    stability: np.ndarray
    information: np.ndarray
    chosen: int
    sureness: float

    @property
    def clarity(self) -> np.ndarray:
        """Information over the most that so many clusters could tell, (n_counts,) float64: 1 at best."""
        return self.information / np.log(self.counts)

    @property
    def value(self) -> np.ndarray:
        """What is chosen by, (n_counts,) float64: the largest."""
        return self.stability * self.clarity


@single_threaded_blas()
def choose_n_clusters(
    graphs: Neighborhood,
    counts: Sequence[int] = COUNTS,
    *,
    random_state: int = 0,
    n_jobs: int | None = None,
    progress: Callable[[float], None] = lambda share: None,
) -> StabilityCurve:
    """Choose the number of clusters by how stable clusterings of the graph are.

    Parameters
    ----------
    graphs : Neighborhood
    counts : sequence of int
        Numbers to choose from; those above a fifth of the samples are left out.

    References
    ----------
    .. [1] Ben-Hur, Elisseeff & Guyon (2002), "A stability based method for discovering structure in clustered
       data", Pacific Symposium on Biocomputing 7, 6-17.
    """
    possible = [n for n in counts if n <= graphs.n_samples // 5]
    if not possible:
        raise DataError(f"{graphs.n_samples} samples are too few to choose the number of clusters; give it")
    agreed, told_by = [], []
    for i, n_clusters in enumerate(possible):
        progress(i / len(possible))
        rng = np.random.default_rng([random_state, n_clusters])
        members = find_members(graphs, n_clusters, rng, n_members=N_MEMBERS, n_jobs=n_jobs)
        labels = agree(graphs, members, n_clusters, rng, n_jobs).labels
        agreed.append(_by_panel(members, n_clusters, n_jobs))
        told_by.append(told(graphs.near, labels, n_clusters))
    by_panel, information = np.array(agreed), np.array(told_by)
    clarity = information / np.log(possible)
    best = int(np.argmax(by_panel.mean(axis=1) * clarity))
    sureness = float(np.mean(np.argmax(by_panel * clarity[:, None], axis=0) == best))
    return StabilityCurve(np.array(possible), by_panel.mean(axis=1), information, possible[best], sureness)


def _by_panel(members: np.ndarray, n_clusters: int, n_jobs: int | None) -> np.ndarray:
    """Return the mean adjusted Rand index of two members of each panel, (N_PANELS,)."""

    def mean_index(panel: np.ndarray) -> float:
        return float(np.mean([rand_index(*pair, n_clusters) for pair in combinations(panel, 2)]))

    return np.array(map_blocks(mean_index, np.array_split(members, N_PANELS), n_jobs))


def rand_index(first: np.ndarray, second: np.ndarray, n_clusters: int) -> float:
    """Return the adjusted Rand index of two clusterings into at most `n_clusters`: 1 for equal ones.

    References
    ----------
    .. [1] Hubert & Arabie (1985), "Comparing partitions", Journal of Classification 2, 193-218.
    """
    counts = contingency(first, second, n_clusters, n_clusters)
    pairs = _pairs(counts).sum()
    own, other = _pairs(counts.sum(axis=1)).sum(), _pairs(counts.sum(axis=0)).sum()
    expected = own * other / max(_pairs(counts.sum()), 1)
    largest = (own + other) / 2
    return 1.0 if largest == expected else float((pairs - expected) / (largest - expected))


def _pairs(counts: np.ndarray) -> np.ndarray:
    return counts * (counts - 1) / 2
