"""The figures of the experiment on one Gaussian against two."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from segment.lab.drawing import draw_densities, draw_ellipses, draw_histogram, draw_points, draw_sum
from segment.lab.outcome import Picture
from segment.lab.single_or_mixture import SHOWN, SingleOrMixture
from segment.style import COLORS, FAINT, INK, new_figure, quiet_axes, quiet_legend
from segment.words import say, shown


def pictures(result: SingleOrMixture) -> tuple[Picture, ...]:
    """Return the figures of the experiment, in the order to be read."""
    return (
        Picture(
            "single_candidates",
            say(
                "Three candidate Gaussians for {sample} points (ticks) and their log-likelihoods; "
                "black the maximum-likelihood one, whose mean and standard deviation are the "
                "sample's own.",
                sample=len(result.sample),
            ),
            "Four bell curves over a row of ticks.",
            partial(draw_candidates, result),
        ),
        Picture(
            "single_bimodal",
            "One Gaussian (gray) on data with two modes fits neither; two components (colored, their sum "
            "black) fit both.",
            "Histogram with two peaks, a broad gray curve and two narrow colored ones.",
            partial(draw_bimodal, result),
        ),
        Picture(
            "single_plane",
            "Points from two normals in the plane, with the ellipse of two standard deviations of one fitted "
            "Gaussian (left) and of two (right).",
            "Two scatter plots, the left with one large ellipse, the right with two small ones.",
            partial(draw_plane, result),
        ),
        Picture(
            "single_jensen",
            "Jensen's inequality: the logarithm of a mean (circle on the curve) is never below the mean "
            "of the logarithms (cross under it), since the curve lies above every chord.",
            "A logarithmic curve with three points, their chords, and two marks one above the other.",
            partial(draw_jensen, result),
        ),
        Picture(
            "single_lower_bound",
            "The log-likelihood of one free mean of the heights mixture (black) and EM's lower bounds, which "
            "touch it at the current value (circle). The maximum of each bound (diamond) is the next value.",
            "A curve above two parabolas that touch it.",
            partial(draw_lower_bound, result),
        ),
    )


def draw_candidates(result: SingleOrMixture) -> Any:
    """Draw the candidates' densities over the sample."""
    figure = new_figure(6.4, 3.2)
    axes = figure.subplots()
    grid = np.linspace(-5, 7, 601)
    names = ("candidate 1", "candidate 2", "candidate 3", "maximum likelihood")
    for name, each, value, color in zip(
        names, result.candidates, result.candidate_log_likelihoods, (*COLORS[:3], INK), strict=True
    ):
        nats = f"{value:.1f}".replace("-", "\N{MINUS SIGN}")
        label = shown(say("{name}: {nats} nats", name=name, nats=nats))
        draw_densities(axes, grid, each, color=color, label=label, linewidth=2.2 if color == INK else 1.4)
    axes.plot(result.sample, np.full(len(result.sample), -0.012), "|", color=INK, markersize=8)
    axes.set_xlim(-5, 10.5)
    quiet_axes(axes, "", "x", "density")
    quiet_legend(axes, loc="upper right")
    return figure


def draw_bimodal(result: SingleOrMixture) -> Any:
    """Draw the bimodal data, one Gaussian and two."""
    figure = new_figure(6.4, 3.0)
    axes = figure.subplots()
    X = result.line.X
    grid = np.linspace(X.min() - 1, X.max() + 1, 801)
    draw_histogram(axes, X[:, 0])
    draw_densities(axes, grid, result.line.single, color=FAINT, linewidth=2.2, label="one Gaussian")
    draw_sum(axes, grid, result.line.double, label="two: sum")
    draw_densities(axes, grid, result.line.double)
    quiet_axes(axes, "", "x")
    quiet_legend(axes)
    return figure


def draw_plane(result: SingleOrMixture) -> Any:
    """Draw one ellipse and two over the points in the plane."""
    figure = new_figure(7.4, 3.4, layout="compressed")
    left, right = figure.subplots(1, 2, sharex=True, sharey=True)
    draw_points(left, result.plane.X)
    draw_ellipses(left, result.plane.single, colors=[INK])
    draw_points(right, result.plane.X, result.plane.truth)
    draw_ellipses(right, result.plane.double)
    one, two = (f"{value:.1f}".replace("-", "\N{MINUS SIGN}") for value in result.plane.log_likelihoods)
    quiet_axes(left, say("one Gaussian: log-likelihood {one}", one=one), "x", "y")
    quiet_axes(right, say("two Gaussians: log-likelihood {two}", two=two), "x")
    return figure


def draw_jensen(result: SingleOrMixture) -> Any:
    """Draw the logarithm, three points with their chords, and both sides of the inequality."""
    figure = new_figure(5.4, 3.4)
    axes = figure.subplots()
    points, weights = result.jensen
    grid = np.linspace(0.25, 4.6, 401)
    mean, mean_log = weights @ points, weights @ np.log(points)
    axes.fill(points, np.log(points), color=COLORS[0], alpha=0.12, linewidth=0)
    axes.plot([*points, points[0]], [*np.log(points), np.log(points[0])], color=COLORS[0], linewidth=0.9)
    axes.plot(grid, np.log(grid), color=INK, linewidth=1.8)
    axes.scatter(points, np.log(points), s=300 * weights**1.5, color=COLORS[0], zorder=3)
    axes.plot([mean, mean], [mean_log, np.log(mean)], color=COLORS[1], linewidth=1.2, linestyle=(0, (3, 2)))
    axes.plot(mean, np.log(mean), "o", color=COLORS[1], markersize=8, zorder=4)
    axes.plot(mean, mean_log, "X", color=COLORS[1], markersize=9, zorder=4)
    axes.annotate(
        "log E[x]", (mean, np.log(mean)), (-8, 8), textcoords="offset points", fontsize=9, ha="right"
    )
    axes.annotate("E[log x]", (mean, mean_log), (10, -10), textcoords="offset points", fontsize=9)
    quiet_axes(axes, "", "x", "log x")
    return figure


def draw_lower_bound(result: SingleOrMixture) -> Any:
    """Draw the log-likelihood of the free mean and the bounds of two iterations."""
    figure = new_figure(6.4, 3.8)
    axes = figure.subplots()
    grid = np.linspace(168.0, 198.0, 301)
    values = result.bound_model.log_likelihoods(grid)
    axes.plot(grid, values, color=INK, linewidth=2.0, label="log-likelihood")
    for i in range(SHOWN):
        current, following = result.climb.parameters[i], result.climb.parameters[i + 1]
        bounds = result.bound_model.lower_bounds(grid, current)
        peak = result.bound_model.lower_bounds(np.array([following]), current)[0]
        axes.plot(
            grid, bounds, color=COLORS[i], linewidth=1.6, label=shown(say("bound of iteration {i}", i=i + 1))
        )
        axes.plot(current, result.climb.log_likelihoods[i], "o", color=COLORS[i], markersize=7)
        axes.plot(following, peak, "D", color=COLORS[i], markersize=6)
        axes.plot(
            [following, following],
            [peak, result.climb.log_likelihoods[i + 1]],
            color=COLORS[i],
            linewidth=1.0,
            linestyle=(0, (3, 2)),
        )
    spread = values.max() - values.min()
    axes.set_ylim(values.min() - 0.35 * spread, values.max() + 0.08 * spread)
    quiet_axes(axes, "", "mean of the men's component (cm)", "nats")
    quiet_legend(axes, loc="lower center")
    return figure
