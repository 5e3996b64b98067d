"""Write a clustering of digits: JSON, CSV and figures."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from segment.consensus.neighbors import is_exact
from segment.digits import draw
from segment.digits.cluster import DigitClustering
from segment.digits.digit_set import DigitSet
from segment.digits.scores import UNMATCHED, score
from segment.digits.settings import DigitSettings
from segment.output import versions, write_json, write_text
from segment.style import save_figure
from segment.words import say

EXAMPLES = 6
# Wrong digits of a cluster that are shown.
WRONG = 16


def summarize(
    clustering: DigitClustering, settings: DigitSettings, *, split: str, seconds: dict[str, float]
) -> dict[str, Any]:
    """Return what `digits.json` holds. Without labels, the scores are None.

    With a test part the top-level scores are those of the test part, and `train` holds the others.
    """
    fitted, result = clustering.digits, clustering.mixture.result
    scores, test = clustering.scores(), clustering.test_scores()
    top = test if clustering.test_digits is not None else scores
    summary: dict[str, Any] = {
        "data": fitted.name,
        "source": fitted.source,
        "split": split,
        "n_samples": len(fitted.images),
        "n_test_samples": 0 if clustering.test_digits is None else len(clustering.test_digits.images),
    }
    names = ("accuracy", "nmi", "ari", "purity", "recall", "precision", "mapping", "confusion")
    summary |= {name: top and getattr(top, name) for name in names}
    if clustering.test_digits is not None:
        summary["train"] = _three(scores)
    summary["mixture"] = _three(clustering.mixture_scores())
    if clustering.merging is not None:
        components = clustering.component_scores()
        summary["merging"] = {
            "method": settings.merge,
            "n_components": settings.components,
            "component_purity": components and components.purity,
            "groups": clustering.merging.groups,
        }
    if clustering.refinement is not None:
        summary["graph"] = {
            "normalized_cut": clustering.refinement.cut,
            "eigenvalues": clustering.refinement.eigenvalues,
            "neighbors": "exact" if is_exact(len(fitted.images)) else "approximate",
        }
    summary |= _consensus(clustering)
    sizes = np.bincount(clustering.labels, minlength=clustering.n_clusters)
    return summary | {
        "cluster_sizes": sizes,
        "log_likelihood": result.log_likelihood,
        "lower_bound": result.lower_bound,
        "n_iter": result.n_iter,
        "converged": result.converged,
        "restarts": list(_restarts(clustering)),
        "seconds": seconds,
        "random_state": settings.random_state,
        "parameters": asdict(settings) | {"explained_variance": clustering.model.features.explained},
        "versions": versions(),
    }


def _consensus(clustering: DigitClustering) -> dict[str, Any]:
    """Return what was chosen by the graph alone: the candidate taken, and the number of clusters."""
    chosen: dict[str, Any] = {}
    if clustering.consensus is not None:
        found = clustering.consensus
        chosen["consensus"] = {
            "information": found.candidates,
            "taken": found.taken,
            "spread": found.spread,
            "stability": found.stability,
            "mean_confidence": float(found.confidence.mean()),
        }
    if clustering.curve is not None:
        curve = clustering.curve
        chosen["number_of_clusters"] = {
            "chosen": curve.chosen,
            "sureness": curve.sureness,
            "counts": curve.counts,
            "stability": curve.stability,
            "clarity": curve.clarity,
        }
    return chosen


def _three(scores: Any) -> dict[str, float] | None:
    return scores and {name: getattr(scores, name) for name in ("accuracy", "nmi", "ari")}


def _restarts(clustering: DigitClustering) -> Iterator[dict[str, Any]]:
    """Yield lower bound and agreement of every short run (accuracy; purity where components are merged)."""
    mixture, labels = clustering.mixture, clustering.digits.labels
    n_components = mixture.responsibilities.shape[1]
    for run in mixture.short_runs:
        scores = None if labels is None else score(labels[mixture.short_run_rows], run.labels, n_components)
        yield {
            "lower_bound": run.lower_bound,
            "rounds": run.rounds,
            "accuracy": scores and scores.accuracy,
            "purity": scores and scores.purity,
        }


def write_outputs(clustering: DigitClustering, summary: dict[str, Any], folder: Path) -> list[Path]:
    """Write `digits.json`, `assignments.csv` and the figures; return the paths."""
    paths = [folder / "digits.json", folder / "assignments.csv"]
    write_json(paths[0], summary)
    write_text(paths[1], _assignments(clustering))
    for name, figure in figures(clustering, summary):
        paths.append(folder / f"{name}.png")
        save_figure(figure, paths[-1])
    return paths


def _assignments(clustering: DigitClustering) -> str:
    """Return one line a digit: part, index in that part, cluster, matched digit, label, certainty."""
    table = io.StringIO()
    table.write("part,index,cluster,digit,label,certainty\n")
    parts: list[tuple[str, DigitSet, Any, Any]] = [
        ("fitted", clustering.digits, clustering.labels, clustering.certainty)
    ]
    if clustering.test_digits is not None:
        parts.append(("test", clustering.test_digits, clustering.test_labels, clustering.test_certainty))
    for part, digits, clusters, certainty in parts:
        for i, cluster in enumerate(clusters):
            digit = clustering.model.mapping[cluster]
            matched = "" if digit == UNMATCHED else digit
            label = "" if digits.labels is None else digits.labels[i]
            table.write(f"{part},{i},{cluster},{matched},{label},{certainty[i]:.4f}\n")
    return table.getvalue()


def figures(clustering: DigitClustering, summary: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield name and `matplotlib.figure.Figure` of every figure that the clustering has the data for."""
    names, owner = _cluster_names(clustering), _owner(clustering)
    if summary["confusion"] is not None:
        yield "confusion_matrix", draw.draw_confusion(summary["confusion"])
        measure = "accuracy" if clustering.merging is None else "purity"
        runs = summary["restarts"]
        bounds, scores, rounds = (
            np.array([run[column] for run in runs]) for column in ("lower_bound", measure, "rounds")
        )
        yield "restarts", draw.draw_restarts(bounds, scores, rounds, measure)
    yield "components", _components(clustering, names)
    yield "samples", draw.draw_samples(list(_examples(clustering, names)))
    if clustering.consensus is not None and (wrong := list(_wrong(clustering, names))):
        yield "wrong", draw.draw_samples(wrong)
    if clustering.curve is not None:
        yield "number_of_clusters", draw.draw_stability(clustering.curve)
    if clustering.n_clusters > 2 and clustering.features.shape[1] > 1:
        yield "embedding", draw.draw_embedding(_discriminative(clustering), clustering.labels, names)
    merging = clustering.merging
    if merging is not None:
        merged = _cluster_names(clustering, clustering.mixture_labels)
        yield "overlap", draw.draw_overlap(merging.overlap, merging.groups, merged, owner)
        if merging.steps:
            yield "merge_tree", draw.draw_merge_tree(merging.steps, merging.groups, merged, owner)


def _owner(clustering: DigitClustering) -> str:
    """Return what the names of clusters are."""
    return "cluster" if clustering.digits.labels is None else draw.MATCHED


def _cluster_names(clustering: DigitClustering, labels: np.ndarray | None = None) -> list[str]:
    """Return the matched digit of every cluster, or its number where none is known."""
    mapping = clustering.model.mapping
    scores = clustering.mixture_scores() if labels is not None else None
    if scores is not None:
        mapping = scores.mapping
    return [str(digit) if digit != UNMATCHED else f"#{k}" for k, digit in enumerate(mapping)]


def _components(clustering: DigitClustering, names: list[str]) -> Any:
    """Draw responsibility-weighted mean images: that maps back to pixels whatever the features were."""
    if clustering.merging is None:
        posterior, owners = clustering.posterior, names
    else:
        posterior = clustering.mixture.responsibilities
        merged = _cluster_names(clustering, clustering.mixture_labels)
        owners = [merged[group] for group in clustering.merging.groups]
    images = clustering.digits.images
    flat = images.reshape(len(images), -1)
    sums = sum(
        posterior[i : i + 5000].T @ flat[i : i + 5000].astype(np.float32) for i in range(0, len(flat), 5000)
    )
    mass = posterior.sum(axis=0)
    means = (sums / np.maximum(mass, 1e-12)[:, None]).reshape(-1, *images.shape[1:])
    order = np.argsort(np.array(owners), kind="stable")
    return draw.draw_components(
        means[order], mass[order] / len(flat), [owners[k] for k in order], _owner(clustering)
    )


def _examples(clustering: DigitClustering, names: list[str]) -> Iterator[tuple[str, list]]:
    """Yield, by cluster, the most typical, the most doubtful and the wrongly clustered digits."""
    images, labels, truth = clustering.digits.images, clustering.labels, clustering.digits.labels
    sure = clustering.certainty
    own = clustering.posterior[np.arange(len(labels)), labels]
    density = clustering.log_densities + np.log(np.maximum(own, np.finfo(float).tiny))
    for k in sorted(range(len(names)), key=lambda k: names[k]):
        rows = np.flatnonzero(labels == k)
        # Of equally certain ones, the densest first.
        typical = rows[np.lexsort((-density[rows], -sure[rows]))[:EXAMPLES]]
        doubtful = rows[np.argsort(sure[rows], kind="stable")[:EXAMPLES]]
        kinds = [
            ("most typical", images[typical], [""] * len(typical)),
            (
                say("most doubtful ({certainty})", certainty=clustering.certainty_is),
                images[doubtful],
                [f"{p:.2f}" for p in sure[doubtful]],
            ),
        ]
        if truth is not None:
            wrong = rows[truth[rows] != clustering.model.mapping[k]]
            wrong = wrong[np.argsort(-sure[wrong], kind="stable")[:EXAMPLES]]
            kinds.append(("wrongly clustered (true digit)", images[wrong], [str(t) for t in truth[wrong]]))
        yield names[k], kinds


def _wrong(clustering: DigitClustering, names: list[str]) -> Iterator[tuple[str, list]]:
    """Yield, by cluster, the digits that do not belong there, the least certain first."""
    labels, truth, sure = clustering.labels, clustering.digits.labels, clustering.certainty
    if truth is None:
        return
    is_wrong = truth != clustering.model.mapping[labels]
    title = say("wrong: true digit, {certainty}; the least certain first", certainty=clustering.certainty_is)
    for k in sorted(np.unique(labels[is_wrong]), key=lambda k: names[k]):
        rows = np.flatnonzero(is_wrong & (labels == k))
        few = rows[np.argsort(sure[rows], kind="stable")[:WRONG]]
        captions = [f"{truth[i]}, {sure[i]:.2f}" for i in few]
        yield f"{names[k]} ({len(rows)})", [(title, clustering.digits.images[few], captions)]


def _discriminative(clustering: DigitClustering) -> np.ndarray:
    """Return the samples in the two directions that tell the clusters apart best, (n, 2)."""
    from segment.digits.graph import whiten

    # Whitened by the clusters' own pooled covariance: the leading axes are the discriminative ones.
    return whiten(clustering.features, clustering.labels, axes=2)
