"""The mouse: a large round head and two small ears; k-means cuts the head, EM does not."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from segment.data.samples import Samples
from segment.lab.drawing import draw_climb, draw_ellipses, draw_points
from segment.lab.lesson import Lesson
from segment.lab.matching import Agreement, agreement, best_order, matched
from segment.lab.outcome import SAMPLING, Column, Outcome, Picture, Table, at_least
from segment.lab.trace import Trace, never_falls, plain_trace, trace_em
from segment.mixture.expectation import assign
from segment.mixture.families.gaussian.parameters import Parameters
from segment.mixture.seeding import kmeans
from segment.style import COLORS, FAINT, new_figure, quiet_axes, quiet_legend
from segment.words import say, shown

PARTS = ("head", "left ear", "right ear")
COUNTS = (290, 100, 100)
CENTERS = np.array([[0.5, 0.5], [0.25, 0.75], [0.75, 0.75]])
DEVIATIONS = np.array([0.13, 0.04, 0.04])
N_STARTS = 10
TOL = 1e-8

LESSON = Lesson(
    given="490 points in the shape of a mouse: a wide round head of 290 points (standard deviation "
    "0.13) and two tight ears of 100 points each (0.04).",
    hidden="Which part each point belongs to.",
    e_step="The responsibilities of three round or elliptic components. k-means has a harder step: "
    "each point goes wholly to the nearest center, whatever the sizes.",
    m_step="Weights, means and covariances from the responsibilities; k-means moves its centers to the "
    "means of their points and knows no sizes.",
    look="The points on which both differ: k-means evens out the sizes and cuts the head, EM lets one "
    "component be wide.",
    references=("Bishop 2006", "Dempster et al. 1977"),
)


@dataclass(frozen=True, eq=False, kw_only=True)
class Mouse(Outcome):
    """Outcome of the experiment; the clusters are named in the order of the parts.

    Attributes
    ----------
    X : (490, 2) float64 ndarray
    truth : (490,) int64 ndarray
        0 head, 1 left ear, 2 right ear.
    trace : Trace
        EM from the k-means centers' start.
    kmeans_centers : tuple of (3, 2) float64 ndarray
        Before the first iteration of k-means, then after each.
    kmeans_labels : tuple of (490,) int64 ndarray
        The assignment to each of those centers.
    em, kmeans : Agreement
    """

    X: np.ndarray
    truth: np.ndarray
    trace: Trace[Parameters]
    kmeans_centers: tuple[np.ndarray, ...]
    kmeans_labels: tuple[np.ndarray, ...]
    em: Agreement
    kmeans: Agreement

    @property
    def em_labels(self) -> np.ndarray:
        """The most probable component of every point, (490,) int32."""
        return assign(self.X, self.trace.last)

    def record(self) -> dict[str, Any]:
        return {
            "trace": plain_trace(self.trace),
            "kmeans_centers": self.kmeans_centers,
            "em": self.em._asdict(),
            "kmeans": self.kmeans._asdict(),
        }


def draw_mouse(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw the points and the part that each belongs to."""
    truth = np.repeat(np.arange(3), COUNTS)
    return CENTERS[truth] + DEVIATIONS[truth, None] * rng.standard_normal((len(truth), 2)), truth


def kmeans_steps(samples: Samples, random_state: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return centers and assignment before every iteration of k-means, and after the last."""
    centers: list[np.ndarray] = []
    labels: list[np.ndarray] = []
    while len(centers) < 2 or not np.array_equal(centers[-1], centers[-2]):
        # The same seed takes the same way: one iteration more each time.
        found, _ = kmeans(samples, 3, np.random.default_rng(random_state), max_iter=len(centers))
        distances = np.square(samples.X[:, None, :] - found).sum(axis=2)
        centers.append(found)
        labels.append(distances.argmin(axis=1))
    return centers[:-1], labels[:-1]


def _spread(X: np.ndarray, centers: np.ndarray, labels: np.ndarray) -> float:
    return float(np.square(X - centers[labels]).sum())


def run(random_state: int = 0) -> Mouse:
    """Run the experiment: k-means (best of ten) and EM, both from the same three centers."""
    X, truth = draw_mouse(np.random.default_rng(random_state))
    samples = Samples.of(X)
    runs = [kmeans_steps(samples, random_state + i) for i in range(N_STARTS)]
    centers, labels = min(runs, key=lambda steps: _spread(X, steps[0][-1], steps[1][-1]))
    order = best_order(truth, labels[-1], 3)
    centers = [step[order] for step in centers]
    labels = [np.argsort(order)[step] for step in labels]
    # EM starts where k-means does: its centers, equal weights, and the spread about them for all.
    variance = _spread(X, centers[0], labels[0]) / X.size
    start = Parameters(np.full(3, 1 / 3), centers[0], np.repeat(variance * np.eye(2)[None], 3, axis=0))
    trace = matched(trace_em(samples, start, tol=TOL), X, truth)
    em, hard = agreement(truth, assign(X, trace.last)), agreement(truth, labels[-1])
    return Mouse(
        random_state=random_state,
        tables=(_table(truth, assign(X, trace.last), labels[-1], em, hard),),
        checks=(
            at_least("accuracy of EM, against that of the true mixture", em.accuracy, _attainable(X, truth)),
            at_least("accuracy that EM gains over k-means", em.accuracy - hard.accuracy, 0.05),
            never_falls(trace),
        ),
        findings=_findings(truth, assign(X, trace.last), labels[-1], em, hard),
        X=X,
        truth=truth,
        trace=trace,
        kmeans_centers=tuple(centers),
        kmeans_labels=tuple(labels),
        em=em,
        kmeans=hard,
    )


def _attainable(X: np.ndarray, truth: np.ndarray) -> float:
    """Return the accuracy of the mixture the points were drawn from, less four standard errors."""
    covariances = np.square(DEVIATIONS)[:, None, None] * np.eye(2)
    best = agreement(truth, assign(X, Parameters(np.array(COUNTS) / sum(COUNTS), CENTERS, covariances)))
    return best.accuracy - SAMPLING * float(np.sqrt(best.accuracy * (1 - best.accuracy) / len(X)))


def _table(
    truth: np.ndarray, em_labels: np.ndarray, kmeans_labels: np.ndarray, em: Agreement, hard: Agreement
) -> Table:
    rows = [
        (name, *(int(n) for n in np.bincount(labels, minlength=3)), scores.accuracy, scores.ari)
        for name, labels, scores in (
            ("truth", truth, Agreement(1.0, 1.0)),
            ("k-means", kmeans_labels, hard),
            ("EM", em_labels, em),
        )
    ]
    columns = (
        Column("method"),
        *(Column(part, "d") for part in PARTS),
        Column("accuracy", ".3f"),
        Column("adjusted Rand index", ".3f"),
    )
    return Table("mouse", "The mouse: cluster sizes and agreement with the truth.", columns, tuple(rows))


def _findings(
    truth: np.ndarray, em_labels: np.ndarray, kmeans_labels: np.ndarray, em: Agreement, hard: Agreement
) -> tuple[str, ...]:
    stolen = int(((truth == 0) & (kmeans_labels != 0)).sum())
    kept = int(((truth == 0) & (em_labels != 0)).sum())
    return (
        say(
            "k-means gives {stolen} of the head's {head} points to the ears, EM {kept}: "
            "k-means draws its borders half-way between the centers, whatever the sizes; EM "
            "learns that the ears are small.",
            stolen=stolen,
            head=COUNTS[0],
            kept=kept,
        ),
        say(
            "Accuracy {accuracy:.3f} against {accuracy_em:.3f}, adjusted Rand index {ari:.3f} "
            "against {ari_em:.3f}; the two differ on {n} of {total} points.",
            accuracy=hard.accuracy,
            accuracy_em=em.accuracy,
            ari=hard.ari,
            ari_em=em.ari,
            n=int((em_labels != kmeans_labels).sum()),
            total=len(truth),
        ),
    )


def pictures(result: Mouse) -> tuple[Picture, ...]:
    """Return the figures of the experiment, in the order to be read."""
    return (
        Picture(
            "mouse_clusters",
            say(
                "The mouse: the parts the points were drawn from, the clusters of k-means (accuracy "
                "{accuracy:.1%}) and those of EM (accuracy {accuracy_em:.1%}) with ellipses of two "
                "standard deviations.",
                accuracy=result.kmeans.accuracy,
                accuracy_em=result.em.accuracy,
            ),
            "Three scatter plots of a round head with two ears; k-means' ears reach into the head.",
            partial(draw_clusters, result),
        ),
        Picture(
            "mouse_differences",
            say(
                "The {n} points on which k-means and EM differ, in the color that EM gives them; "
                "gray where they agree.",
                n=int((result.em_labels != result.kmeans_labels[-1]).sum()),
            ),
            "Scatter plot in which the colored points lie on the head near the ears.",
            partial(draw_differences, result),
        ),
        Picture(
            "mouse_log_likelihood",
            say("Log-likelihood of EM on the mouse, {n_iter} iterations.", n_iter=result.trace.n_iter),
            "A rising curve that levels off.",
            partial(draw_log_likelihood, result),
        ),
    )


def draw_clusters(result: Mouse) -> Any:
    """Draw truth, k-means and EM side by side."""
    figure = new_figure(7.4, 2.9, layout="compressed")
    panels = figure.subplots(1, 3, sharex=True, sharey=True)
    hard = result.kmeans_labels[-1]
    for axes, title, labels in zip(
        panels, ("truth", "k-means", "EM"), (result.truth, hard, result.em_labels), strict=True
    ):
        draw_points(axes, result.X, labels, size=7)
        quiet_axes(axes, title)
    panels[1].plot(*result.kmeans_centers[-1].T, "k+", markersize=9, markeredgewidth=1.8)
    draw_ellipses(panels[2], result.trace.last, colors=["black"] * 3, linewidth=1.3)
    return figure


def draw_differences(result: Mouse) -> Any:
    """Draw the points on which the methods differ."""
    figure = new_figure(4.6, 3.8, layout="compressed")
    axes = figure.subplots()
    differ = result.em_labels != result.kmeans_labels[-1]
    axes.scatter(*result.X[~differ].T, s=8, c=FAINT, linewidths=0, alpha=0.5, label="both agree")
    for k, part in enumerate(PARTS):
        here = differ & (result.em_labels == k)
        if here.any():
            axes.scatter(
                *result.X[here].T, s=14, c=COLORS[k], linewidths=0, label=shown(say("EM: {part}", part=part))
            )
    axes.set_aspect("equal")
    quiet_axes(axes, "where k-means and EM differ")
    quiet_legend(axes, loc="upper center", bbox_to_anchor=(0.5, -0.06), ncols=4)
    return figure


def draw_log_likelihood(result: Mouse) -> Any:
    """Draw the log-likelihood by iteration."""
    figure = new_figure(6.4, 2.6)
    draw_climb(figure.subplots(), result.trace.log_likelihoods)
    return figure
