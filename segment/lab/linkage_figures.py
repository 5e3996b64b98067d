"""The figures of genetic linkage."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from segment.lab.linkage import COUNTS, START, Linkage, LinkageModel
from segment.lab.outcome import Picture
from segment.style import COLORS, INK, new_figure, quiet_axes, quiet_legend


def pictures(result: Linkage) -> tuple[Picture, ...]:
    """Return the figures of the experiment, in the order to be read."""
    return (
        Picture(
            "linkage_errors",
            "Distance of p from its limit by step, on a logarithmic scale: EM, EM with one Newton step in "
            "place of the M-step, Newton's method, and Monte Carlo EM, which stays within its draws' noise.",
            "Straight falling lines for EM, a steep curve for Newton's method, a ragged line levelling off.",
            partial(draw_errors, result),
        ),
        Picture(
            "linkage_log_likelihood",
            "The log-likelihood of p, and how EM climbs it from 1/2 (its first steps); the band is two "
            "standard errors (observed information) about the estimate.",
            "A curve with one summit and three points that approach it.",
            partial(draw_climb_of_p, result),
        ),
    )


def draw_errors(result: Linkage) -> Any:
    """Draw the distance to the limit by step."""
    figure = new_figure(6.4, 3.6)
    axes = figure.subplots()
    limit = (15 + np.sqrt(15**2 + 4 * 197 * 68)) / (2 * 197)
    for k, (label, path) in enumerate(
        (
            ("EM", result.trace.parameters),
            ("one Newton step as M-step", result.lange.parameters),
            ("Newton's method", result.newton),
            ("Monte Carlo EM", [START, *(step.parameters for step in result.drawn.steps)]),
        )
    ):
        off = np.abs(np.array(path[:16]) - limit)
        seen = off > 1e-15
        axes.semilogy(np.flatnonzero(seen), off[seen], "o-", color=COLORS[k], markersize=3.5, label=label)
    quiet_axes(axes, "", "step", "distance of p from its limit")
    quiet_legend(axes, loc="lower right")
    return figure


def draw_climb_of_p(result: Linkage) -> Any:
    """Draw the log-likelihood and the steps of EM on it."""
    figure = new_figure(6.4, 3.4)
    axes = figure.subplots()
    model, grid = LinkageModel(COUNTS), np.linspace(0.42, 0.78, 200)
    error = float(result.errors["observed information"].errors[0])
    last = result.trace.last
    axes.axvspan(last - 2 * error, last + 2 * error, color=COLORS[0], alpha=0.12, linewidth=0)
    axes.plot(grid, [model.log_likelihood(p) for p in grid], color=INK, linewidth=1.4)
    steps = result.trace.parameters[:3]
    axes.plot(steps, [model.log_likelihood(p) for p in steps], "o", color=COLORS[1], markersize=5)
    for i, p in enumerate(steps):
        axes.annotate(
            str(i), (p, model.log_likelihood(p)), (0, 7), textcoords="offset points", ha="center", fontsize=8
        )
    quiet_axes(axes, "", "p", "log-likelihood (nats)")
    return figure
