"""Merging: six Gaussians follow four clusters, two of which are crosses; entropy tells which belong "
"together."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from segment.data.samples import Samples
from segment.lab.drawing import draw_ellipses, draw_points
from segment.lab.lesson import Lesson
from segment.lab.matching import agreement
from segment.lab.outcome import Check, Column, Outcome, Picture, Table, at_least, at_most, close
from segment.mixture.expectation import responsibilities
from segment.mixture.families.gaussian.parameters import Parameters
from segment.mixture.fitting import fit_mixture
from segment.mixture.merging import MergeStep, Merging, merge_components, merged_entropies
from segment.mixture.selection import bic, icl
from segment.style import COLORS, INK, new_figure, quiet_axes
from segment.words import say

# After example 4.1 of Baudry and others: two crosses and two round clusters. The clusters' components:
SHARES = np.array([0.17, 0.17, 0.17, 0.17, 0.16, 0.16])
CENTERS = np.array([[0.0, 0.0], [0.0, 0.0], [7.0, 5.0], [7.0, 5.0], [1.0, 5.0], [7.0, -0.5]])
DEVIATIONS = np.array([[1.5, 0.2], [0.2, 1.5], [1.5, 0.2], [0.2, 1.5], [0.4, 0.4], [0.4, 0.4]])
CLUSTERS = np.array([0, 0, 1, 1, 2, 3])
N_SAMPLES = 600
N_COMPONENTS = range(2, 8)
# Of the original data, by mclust's clustCombi; a test compares with them where the data are at hand.
PUBLISHED = (122.218, 40.897, 4.731, 1.041, 0.0)

LESSON = Lesson(
    given="600 points in the plane that one would call four clusters: two crosses and two round ones.",
    hidden="The cluster of each point. A mixture's components are not it: a cross needs two Gaussians.",
    e_step="As in any mixture of Gaussians: responsibilities of the components that BIC asks for.",
    m_step="As in any mixture of Gaussians. Merging comes afterwards and fits nothing anew: the "
    "responsibilities of merged components are added.",
    look="The entropy of the responsibilities, that is, how uncertain the labels are, while two "
    "components at a time become one: it falls steeply as long as components that share "
    "points are merged, then no more. The number of clusters is where two straight lines "
    "meet.",
    references=("Baudry et al. 2010", "Hennig 2010"),
)


@dataclass(frozen=True, eq=False, kw_only=True)
class MergedClusters(Outcome):
    """Outcome of the experiment.

    Attributes
    ----------
    X, truth : (600, 2), (600,) ndarrays
    parameters : Parameters
        Of the mixture that BIC chooses.
    merging : Merging
        At the elbow.
    steps : tuple of MergeStep
        Down to one cluster.
    entropies : ndarray
        Before the first of them and after each.
    """

    X: np.ndarray
    truth: np.ndarray
    parameters: Parameters
    merging: Merging
    steps: tuple[MergeStep, ...]
    entropies: np.ndarray

    @property
    def labels(self) -> np.ndarray:
        """The cluster of every point after merging."""
        return self.merging.merge(responsibilities(self.X, self.parameters)).argmax(axis=1)

    def record(self) -> dict[str, Any]:
        return {
            "entropies": self.entropies,
            "steps": [step._asdict() if hasattr(step, "_asdict") else vars(step) for step in self.steps],
            "groups": self.merging.groups,
        }


def run(random_state: int = 0) -> MergedClusters:
    """Run the experiment: BIC's mixture, then merging by three rules."""
    rng = np.random.default_rng(random_state)
    drawn = rng.choice(6, N_SAMPLES, p=SHARES)
    X = CENTERS[drawn] + DEVIATIONS[drawn] * rng.standard_normal((N_SAMPLES, 2))
    samples, truth = Samples.of(X), CLUSTERS[drawn]
    fits = {
        K: fit_mixture(samples, K, n_init=12, random_state=random_state, n_jobs=1).parameters
        for K in N_COMPONENTS
    }
    criteria = {K: (bic(samples, fit), icl(samples, fit)) for K, fit in fits.items()}
    best = min(criteria, key=lambda K: criteria[K][0])
    posterior = responsibilities(X, fits[best])
    steps = merge_components(posterior, 1, "entropy").steps
    entropies = merged_entropies(posterior, steps)
    rules: dict[str, Merging] = {
        "entropy, at the elbow": merge_components(posterior, None, "entropy"),
        "DEMP, threshold 0.025": merge_components(posterior, None, "demp", threshold=0.025),
        "overlap, at the elbow": merge_components(posterior, None, "overlap", random_state=random_state),
    }
    merging = rules["entropy, at the elbow"]
    return MergedClusters(
        random_state=random_state,
        tables=(_criteria_table(criteria), _rules_table(posterior, truth, rules)),
        checks=_checks(posterior, truth, best, rules, entropies),
        findings=_findings(best, criteria, merging, entropies),
        X=X,
        truth=truth,
        parameters=fits[best],
        merging=merging,
        steps=steps,
        entropies=entropies,
    )


def _accuracy(posterior: np.ndarray, truth: np.ndarray, merging: Merging) -> float:
    labels = merging.merge(posterior).argmax(axis=1)
    return agreement(truth, labels).ari


def _checks(
    posterior: np.ndarray, truth: np.ndarray, best: int, rules: dict[str, Merging], entropies: np.ndarray
) -> tuple[Check, ...]:
    merging = rules["entropy, at the elbow"]
    after = entropies[best - merging.n_clusters]
    return (
        at_least("components that BIC asks for", best, 6, "d"),
        *(
            close(say("clusters by {name}", name=name), rule.n_clusters, 4, 0, "d")
            for name, rule in rules.items()
        ),
        *(
            at_least(say("adjusted Rand index, {name}", name=name), _accuracy(posterior, truth, rule), 0.97)
            for name, rule in rules.items()
        ),
        at_most("entropy at the elbow, share of that before merging", float(after / entropies[0]), 0.15),
    )


def _criteria_table(criteria: dict[int, tuple[float, float]]) -> Table:
    rows = tuple((K, *values) for K, values in criteria.items())
    columns = (Column("components", "d"), Column("BIC", ".1f"), Column("ICL", ".1f"))
    return Table("merging_criteria", "Merging: how many Gaussians? Smaller is better.", columns, rows)


def _rules_table(posterior: np.ndarray, truth: np.ndarray, rules: dict[str, Merging]) -> Table:
    rows = tuple((name, rule.n_clusters, _accuracy(posterior, truth, rule)) for name, rule in rules.items())
    columns = (Column("rule"), Column("clusters", "d"), Column("adjusted Rand index", ".3f"))
    return Table("merging_rules", "Merging: clusters by three rules.", columns, rows)


def _findings(
    best: int, criteria: dict[int, tuple[float, float]], merging: Merging, entropies: np.ndarray
) -> tuple[str, ...]:
    charged = min(criteria, key=lambda K: criteria[K][1])
    path = ", ".join(f"{value:.1f}" for value in entropies)
    return (
        say(
            "BIC asks for {best} Gaussians, since it counts what a density needs; ICL, which "
            "charges for overlap, for {charged}. Merging keeps BIC's density and counts "
            "clusters: {n_clusters}.",
            best=best,
            charged=charged,
            n_clusters=merging.n_clusters,
        ),
        say(
            "The entropy of the responsibilities falls along {path}: steeply while the arms of a "
            "cross are joined, then hardly at all. On the data of the original paper the path is "
            "{published}.",
            path=path,
            published=", ".join(f"{value:g}" for value in PUBLISHED),
        ),
    )


def pictures(result: MergedClusters) -> tuple[Picture, ...]:
    """Return the figures of the experiment, in the order to be read."""
    return (
        Picture(
            "merging_clusters",
            say(
                "The mixture that BIC chooses ({n_components} Gaussians, ellipses at two standard "
                "deviations) and its {n_clusters} clusters after merging.",
                n_components=result.parameters.n_components,
                n_clusters=result.merging.n_clusters,
            ),
            "Two scatter plots: crosses in two colors each, then in one.",
            partial(draw_clusters, result),
        ),
        Picture(
            "merging_dendrogram",
            "The tree of the merges, joined at the entropy that is gone by then, and the entropy of the "
            "responsibilities by number of clusters with its elbow.",
            "A dendrogram of the components beside a curve that falls to an elbow and then lies flat.",
            partial(draw_dendrogram, result),
        ),
    )


def draw_clusters(result: MergedClusters) -> Any:
    """Draw components and clusters."""
    figure = new_figure(7.4, 3.0, layout="compressed")
    panels = figure.subplots(1, 2, sharex=True, sharey=True)
    components = responsibilities(result.X, result.parameters).argmax(axis=1)
    for axes, labels, title in zip(
        panels, (components, result.labels), ("components", "clusters"), strict=True
    ):
        draw_points(axes, result.X, labels, size=6)
        quiet_axes(axes, title)
    draw_ellipses(panels[0], result.parameters, colors=[INK] * len(COLORS), linewidth=1.1)
    return figure


def leaves_in_order(steps: tuple[MergeStep, ...], n_components: int) -> list[int]:
    """Return the components so that what is merged stands side by side."""
    members = {k: [k] for k in range(n_components)}
    for step in steps:
        members[step.first] += members.pop(step.second)
    return [k for group in members.values() for k in group]


def draw_dendrogram(result: MergedClusters) -> Any:
    """Draw the tree of the merges and the entropies."""
    figure = new_figure(7.4, 3.2)
    left, right = figure.subplots(1, 2)
    K = result.parameters.n_components
    places = {k: float(i) for i, k in enumerate(leaves_in_order(result.steps, K))}
    tops = dict.fromkeys(range(K), 0.0)
    left.set_xticks(list(places.values()), [str(k) for k in places])
    cut = K - result.merging.n_clusters
    for i, step in enumerate(result.steps):
        height = float(result.entropies[0] - result.entropies[i + 1])
        xs = [places[step.first]] * 2 + [places[step.second]] * 2
        ys = [tops[step.first], height, height, tops[step.second]]
        left.plot(xs, ys, color=COLORS[0] if i < cut else "#BBBBBB", linewidth=1.6)
        places[step.first] = 0.5 * (places[step.first] + places[step.second])
        tops[step.first] = height
    quiet_axes(left, "tree of the merges", "component", "entropy gone (nats)")
    numbers = np.arange(K, 0, -1)
    right.plot(numbers, result.entropies, "o-", color=COLORS[0], markersize=4, linewidth=1.6)
    right.axvline(result.merging.n_clusters, color=COLORS[1], linewidth=1.0, linestyle="--")
    quiet_axes(right, "the elbow", "clusters", "entropy (nats)")
    return figure
