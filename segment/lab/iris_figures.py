"""The figures of the experiment on iris."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from segment.lab.drawing import draw_ellipses
from segment.lab.iris import SAME, Iris
from segment.lab.matching import agreement
from segment.lab.outcome import Picture
from segment.mixture.expectation import assign, score_samples
from segment.mixture.families.gaussian.parameters import Parameters
from segment.style import COLORS, FAINT, INK, new_figure, quiet_axes, quiet_legend
from segment.words import say

SPECIES = ("setosa", "versicolor", "virginica")
FEATURES = ("sepal length", "sepal width", "petal length", "petal width")


def pictures(result: Iris) -> tuple[Picture, ...]:
    """Return the figures of the experiment, in the order to be read."""
    top = result.spurious
    return (
        Picture(
            "iris_clusters",
            "Iris in its two petal measurements, standardized: training part (dots) and test part (rings) in "
            "the color of their most probable component, with ellipses of two standard deviations; black "
            "crosses are wrong.",
            "Scatter plot of three clusters along a diagonal, a few crosses between two of them.",
            partial(draw_clusters, result),
        ),
        Picture(
            "iris_starts",
            say(
                "Each of {starts} random starts by the mean log-likelihood it reached on the "
                "training part, against its accuracy and its test log-likelihood. The highest, "
                "{train:.2f}, has {accuracy:.0%} accuracy. The diamond is the k-means start.",
                starts=len(result.starts),
                train=top.train,
                accuracy=top.accuracy,
            ),
            "Two scatter plots, the starts that ended higher than the k-means start in color.",
            partial(draw_starts, result),
        ),
        Picture(
            "iris_bic",
            "BIC on the iris training part by number of components and covariance type; smaller is better. "
            "Rings mark fits of which a component has collapsed: their BIC means nothing.",
            "Four curves over one to six components.",
            partial(draw_bic, result),
        ),
    )


def draw_clusters(result: Iris) -> Any:
    """Draw both parts in the petal plane, colored by component, with ellipses."""
    figure = new_figure(6.0, 4.4)
    axes = figure.subplots()
    parts = ((result.X, result.truth, True), (result.X_test, result.truth_test, False))
    for X, truth, filled in parts:
        labels = assign(X, result.trace.last)
        wrong = labels != truth
        colors = np.array(COLORS)[labels]
        face = colors if filled else "none"
        axes.scatter(X[:, 2], X[:, 3], s=22, facecolors=face, edgecolors=colors, linewidths=1.1, alpha=0.85)
        axes.scatter(X[wrong, 2], X[wrong, 3], s=46, marker="x", c=INK, linewidths=1.4)
    petals = Parameters(
        result.trace.last.weights, result.trace.last.means[:, 2:], result.trace.last.covariances[:, 2:, 2:]
    )
    draw_ellipses(axes, petals)
    for k, name in enumerate(SPECIES):
        axes.plot([], [], "o", color=COLORS[k], label=name)
    quiet_axes(
        axes,
        "",
        say("{features} (standard deviations)", features=FEATURES[2]),
        say("{features} (standard deviations)", features=FEATURES[3]),
    )
    quiet_legend(axes, loc="upper left")
    return figure


def draw_starts(result: Iris) -> Any:
    """Draw accuracy and test log-likelihood of every random start by its training log-likelihood."""
    figure = new_figure(7.4, 3.3)
    starts = np.array(result.starts)
    here = (
        float(score_samples(result.X, result.trace.last).mean()),
        float(score_samples(result.X_test, result.trace.last).mean()),
        agreement(result.truth, assign(result.X, result.trace.last)).accuracy,
    )
    titles = ((2, "accuracy, training part"), (1, "mean log-likelihood, test part (nats)"))
    for axes, (column, title) in zip(figure.subplots(1, 2), titles, strict=True):
        axes.scatter(starts[:, 0], starts[:, column], s=20, c=FAINT, alpha=0.6, linewidths=0)
        high = starts[:, 0] > here[0] + SAME
        axes.scatter(
            starts[high, 0],
            starts[high, column],
            s=24,
            c=COLORS[1],
            linewidths=0,
            label="higher than from k-means",
        )
        axes.plot(here[0], here[column], "D", color=COLORS[0], markersize=7, label="k-means start")
        quiet_axes(axes, "", "mean log-likelihood, training part (nats)", title)
    handles, names = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=2, fontsize=8, frameon=False)
    return figure


def draw_bic(result: Iris) -> Any:
    """Draw BIC by number of components, one curve a covariance type."""
    figure = new_figure(6.0, 3.2)
    axes = figure.subplots()
    for color, (name, values) in zip(COLORS, result.bics.values.items(), strict=False):
        n = np.arange(1, len(values) + 1)
        axes.plot(n, values, "o-", color=color, markersize=4, linewidth=1.6, label=name)
        flat = result.bics.collapsed[name]
        axes.plot(n[flat], values[flat], "o", color="white", markeredgecolor=color, markersize=7)
    quiet_axes(axes, "", "components", "BIC")
    quiet_legend(axes, ncols=2)
    return figure
