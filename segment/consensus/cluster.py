"""From graphs to clusters: members, what they agree on, refinement, and the judge of the candidates."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from segment.consensus.agreement import agree, confidence
from segment.consensus.members import N_MEMBERS, Neighborhood, find_members
from segment.consensus.refinement import cut_spectrum, move_blocks, move_samples, told
from segment.parallel import single_threaded_blas

# Members are agreed on several times, by other cells and draws: the judge takes the best.
N_ROUNDS = 3
# What the candidates are called that a cut of the eigenvectors has refined.
CUT = ", cut"
Step = Callable[[str, float], None]


@dataclass(frozen=True)
class Consensus:
    """The outcome of `cluster_graphs`.

    Attributes
    ----------
    labels : (n,) int64 ndarray
    confidence : (n,) float32 ndarray
        Share of the members that agree with each label.
    stability : float
        How much draws of members are like the best one (1: they all are the same).
    candidates : dict of str to float
        What each candidate tells along the edges of the near graph, nats: no label is needed for it.
    taken : str
        The candidate whose labels these are (see `take`).
    spread : float
        How much the rounds differ, nats: candidates nearer to each other than that are as good.
    """

    labels: np.ndarray
    confidence: np.ndarray
    stability: float
    candidates: dict[str, float]
    taken: str
    spread: float


@single_threaded_blas()
def cluster_graphs(
    graphs: Neighborhood,
    n_clusters: int,
    *,
    others: Mapping[str, np.ndarray] | None = None,
    n_members: int = N_MEMBERS,
    random_state: int = 0,
    n_jobs: int | None = None,
    step: Step = lambda name, share: None,
) -> Consensus:
    """Cluster samples by the graphs of their neighbors.

    Parameters
    ----------
    graphs : Neighborhood
    n_clusters : int
    others : mapping of str to (n,) int ndarray, optional
        Clusterings by other means: candidates too, once refined on the graph.
    n_members : int
    random_state : int
    step : callable
        Called with the name of each stage as it begins, and again with the share of it that is done.
    """
    rng = np.random.default_rng(random_state)
    step("members", 0.0)
    members = find_members(
        graphs, n_clusters, rng, n_members=n_members, n_jobs=n_jobs, progress=partial(step, "members")
    )
    found: dict[str, np.ndarray] = {}
    stabilities = []
    for i, generator in enumerate(rng.spawn(N_ROUNDS)):
        step("consensus", i / N_ROUNDS)
        agreement = agree(graphs, members, n_clusters, generator, n_jobs)
        stabilities.append(agreement.stability)
        moved = move_samples(graphs.near, agreement.labels, n_clusters, generator)
        name = f"consensus {i + 1}"
        found[name] = move_blocks(graphs, moved, n_clusters, generator, n_jobs)
        found[name + CUT] = cut_spectrum(graphs, found[name], n_clusters, generator)
    for name, labels in (others or {}).items():
        # It has its own shape: only single samples move.
        found[name] = move_samples(graphs.near, labels, n_clusters, rng)
    found = {name: _in_order(labels) for name, labels in found.items()}
    values = {name: told(graphs.near, labels, n_clusters) for name, labels in found.items()}
    taken, spread = take(values, list(others or ()))
    labels = found[taken]
    return Consensus(
        labels, confidence(members, labels, n_clusters), float(np.mean(stabilities)), values, taken, spread
    )


def take(values: Mapping[str, float], others: Sequence[str]) -> tuple[str, float]:
    """Return the candidate to take, and how much the rounds of the consensus differ.

    What tells most is taken. But rounds differ by chance: another clustering that comes as near to the best
    as rounds do to each other is as good, and is taken as the simpler description.

    Parameters
    ----------
    values : mapping of str to float
        What each candidate tells.
    others : sequence of str
        Those that are not of the consensus.
    """
    by_round = [max(values[name], values[name + CUT]) for name in values if name + CUT in values]
    spread = max(by_round) - min(by_round)
    best = max(values, key=lambda name: values[name])
    near = [name for name in others if values[name] >= values[best] - spread]
    return max(near, key=lambda name: values[name], default=best), spread


def _in_order(labels: np.ndarray) -> np.ndarray:
    """Number clusters in the order in which they first appear: equal clusterings are equal labels."""
    _, first, which = np.unique(labels, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[which]
