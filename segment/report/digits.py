"""The digits section: what the clustering of digits found, and how each pipeline scores."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from segment.digits.cluster import DigitClustering, cluster_digits
from segment.digits.digit_set import DigitSet, load_digits
from segment.digits.settings import DigitSettings
from segment.digits.write import figures, summarize
from segment.lab.outcome import Column, Table
from segment.lab.write import FORMATS, PRINT_DPI, write_tables
from segment.report.blocks import Figure, Findings, Prose, Section, TableBlock, embedded_figure
from segment.report.settings import Settings
from segment.style import drawing, save_formats
from segment.words import say

# Simpler pipelines to compare the default with. That one's mixture, before the graph, is scored on the way.
_SIMPLER = {
    "pixels, mixture": {"features": "pixels", "refine": "none"},
    "deskewed pixels, mixture": {"features": "deskew", "refine": "none"},
}
_DEFAULT = ("scattering, mixture", "scattering, mixture, graph")

# Figure of the digits room -> (caption, what is to be seen).
_CAPTIONS = {
    "confusion_matrix": (
        "Confusion matrix: true digits by row, the matched digit of the cluster by column, with shares of "
        "the row.",
        "Matrix whose large numbers lie on the diagonal.",
    ),
    "components": (
        "What each cluster looks like: the mean image of its digits, weighted by responsibility.",
        "A row of blurred digits, one a cluster.",
    ),
    "samples": (
        "Examples of each cluster: the most typical, those whose cluster is most doubtful, and the wrong "
        "ones.",
        "Rows of handwritten digits, a block a cluster.",
    ),
    "restarts": (
        "Short runs of EM by the lower bound they reached, against their agreement with the labels, which "
        "no run has seen: the likeliest start is not always the best clustering.",
        "Scatter plot of runs.",
    ),
    "embedding": (
        "The clusters in the two directions that tell them apart best, with ellipses of two standard "
        "deviations.",
        "Scatter plot of overlapping colored clusters.",
    ),
}


# The same where there are no labels.
_UNLABELED = {
    "samples": (
        "Examples of each cluster: the most typical, and those whose cluster is most doubtful.",
        "Rows of handwritten digits, a block a cluster.",
    ),
}


def digits_section(settings: Settings) -> Section:
    """Cluster the digits by each pipeline; show the default's figures and everyone's scores."""
    digits = load_digits(settings.data)
    chosen = _settings(settings)
    clustering = cluster_digits(digits, chosen, n_jobs=settings.n_jobs)
    summary = summarize(clustering, chosen, split="all", seconds={})
    blocks = (
        Prose((_introduction(digits),)),
        Findings(_findings(clustering)),
        *_figures(clustering, summary, settings.folder),
        *_scores(digits, clustering, settings),
    )
    return Section("digits", "Digits", blocks, {"clustering": summary})


def _scores(digits: DigitSet, clustering: DigitClustering, settings: Settings) -> list[TableBlock]:
    """Score every pipeline, where there are labels to score by."""
    if digits.labels is None:
        return []
    simpler = {
        name: cluster_digits(digits, _settings(settings, **options), n_jobs=settings.n_jobs)
        for name, options in _SIMPLER.items()
    }
    table = _scores_table(simpler, clustering)
    write_tables([table], settings.folder / "tables")
    return [TableBlock(table)]


def _settings(settings: Settings, **options: Any) -> DigitSettings:
    return DigitSettings(random_state=settings.random_state, **options)


def _introduction(digits: DigitSet) -> str:
    height, width = digits.images.shape[1:]
    text = say(
        "{n} handwritten digits of {height} \N{MULTIPLICATION SIGN} {width} pixels ({name}) are clustered "
        "without a label: features, principal components, a Gaussian mixture with ten "
        "components, and a cut of the graph of nearest neighbors.",
        n=len(digits.images),
        height=height,
        width=width,
        name=digits.name,
    )
    if digits.labels is None:
        return text
    return say("{text} Labels only score the outcome.", text=text)


def _findings(clustering: DigitClustering) -> tuple[str, ...]:
    scores, mixture = clustering.scores(), clustering.mixture_scores()
    if scores is None or mixture is None:
        return (
            "These digits have no labels: nothing can be scored, and clusters are numbered instead of "
            "matched to digits.",
        )
    return (
        say(
            "{accuracy:.2%} of the digits are in the cluster that is matched to their label "
            "(normalized mutual information {nmi:.3f}, adjusted Rand index {ari:.3f}); the "
            "mixture alone has {accuracy_2:.2%}.",
            accuracy=scores.accuracy,
            nmi=scores.nmi,
            ari=scores.ari,
            accuracy_2=mixture.accuracy,
        ),
    )


def _scores_table(simpler: dict[str, DigitClustering], clustering: DigitClustering) -> Table:
    found = {name: each.scores() for name, each in simpler.items()}
    found |= dict(zip(_DEFAULT, (clustering.mixture_scores(), clustering.scores()), strict=True))
    rows = tuple(
        (name, scores.accuracy, scores.nmi, scores.ari)
        for name, scores in found.items()
        if scores is not None
    )
    columns = (
        Column("pipeline"),
        Column("accuracy", ".4f"),
        Column("normalized mutual information", ".4f"),
        Column("adjusted Rand index", ".4f"),
    )
    return Table("digits_scores", "Agreement with the labels, by pipeline.", columns, rows)


def _figures(clustering: DigitClustering, summary: dict[str, Any], folder: Path) -> list[Figure]:
    captions = _CAPTIONS if clustering.digits.labels is not None else _CAPTIONS | _UNLABELED
    found = []
    with drawing():
        for name, figure in figures(clustering, summary):
            stem = folder / "figures" / f"digits_{name}"
            paths = save_formats(figure, stem, FORMATS, PRINT_DPI)
            caption, alt = captions[name]
            found.append(Figure(stem.name, caption, embedded_figure(paths[0], alt, PRINT_DPI)))
    return found
