"""The figures of Student's t."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from segment.lab.drawing import draw_ellipses, draw_points
from segment.lab.ecm_t import CENTERS, DARWIN, ECMT, STRAY_RANGE
from segment.lab.outcome import Picture
from segment.style import COLORS, FAINT, INK, new_figure, quiet_axes, quiet_legend


def pictures(result: ECMT) -> tuple[Picture, ...]:
    """Return the figures of the experiment, in the order to be read."""
    return (
        Picture(
            "ecm_t_darwin",
            "Left, Darwin's 15 differences, each as a dot whose area is how much it counts, the Gaussian "
            "(dashed) and the t distribution fitted to them. Right, how far the log-likelihood lies below "
            "the optimum, by step, on a logarithmic scale.",
            "A bell that leaves out two small dots far on the left, and a wider dashed bell; four straight "
            "falling lines.",
            partial(draw_darwin, result),
        ),
        Picture(
            "ecm_t_plane",
            "Three groups with stray points, three Gaussians (left) and three t components (right). Ellipses "
            "are two scales wide; crosses are the true centers.",
            "Left, a huge ellipse and one that covers two groups; right, an ellipse about each group.",
            partial(draw_plane, result),
        ),
    )


def draw_darwin(result: ECMT) -> Any:
    """Draw Darwin's values under both densities, and every variant's way to the optimum."""
    figure = new_figure(7.4, 3.4)
    left, right = figure.subplots(1, 2)
    grid = np.linspace(-110, 120, 400)
    deviation = DARWIN.std()
    bell = np.exp(-0.5 * np.square((grid - DARWIN.mean()) / deviation)) / (deviation * np.sqrt(2 * np.pi))
    left.plot(grid, bell, "--", color=FAINT, linewidth=1.4, label="Gaussian")
    heights = [np.exp(result.direct.log_likelihood(np.array([x]))) for x in grid]
    left.plot(grid, heights, color=COLORS[0], linewidth=1.8, label="t")
    sizes = 40 * result.direct.precisions(DARWIN)
    left.scatter(DARWIN, np.full(len(DARWIN), -0.0009), s=sizes, color=COLORS[1], alpha=0.7, linewidths=0)
    left.set_ylim(-0.002, None)
    left.set_yticks([])
    quiet_axes(left, "", "difference (eighths of an inch)", "")
    left.spines["left"].set_visible(False)
    quiet_legend(left, loc="upper left")
    for k, (name, curve) in enumerate(result.curves.items()):
        gap = np.maximum(result.best - curve, 1e-9)
        right.semilogy(gap, color=COLORS[k], linewidth=1.6, label=name)
    quiet_axes(right, "", "step", "nats below the optimum")
    quiet_legend(right)
    return figure


def draw_plane(result: ECMT) -> Any:
    """Draw both fits over the points."""
    figure = new_figure(7.0, 3.7, layout="compressed")
    fits = (("Gaussians", result.gaussian), ("t components", result.student))
    for axes, (title, parameters) in zip(figure.subplots(1, 2), fits, strict=True):
        draw_points(axes, result.X, size=5.0)
        draw_ellipses(axes, parameters)
        axes.plot(*CENTERS.T, "x", color=INK, markersize=6, markeredgewidth=1.4)
        axes.set_xlim(-STRAY_RANGE, STRAY_RANGE)
        axes.set_ylim(-STRAY_RANGE, STRAY_RANGE)
        quiet_axes(axes, title)
    return figure
