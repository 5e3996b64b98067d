"""The figures of the heights experiment."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from segment.lab.drawing import draw_densities, draw_histogram, draw_sum
from segment.lab.heights import WORSE, Heights, six
from segment.lab.heights_fits import GROUPS, STARTS, TRUTH, starting_means
from segment.lab.outcome import Picture
from segment.style import COLORS, FAINT, INK, new_figure, quiet_axes, quiet_legend
from segment.words import say, shown


def pictures(result: Heights) -> tuple[Picture, ...]:
    """Return the figures of the experiment, in the order to be read."""
    ends = {name: trace.log_likelihoods[-1] for name, trace in result.traces.items()}
    return (
        Picture(
            "heights_fits",
            say(
                "Heights of 600 men and 400 women, the components they were drawn from (dashed), "
                "those fitted from each start (solid, in the color of the group whose name they "
                "began with) and their sum (black). Log-likelihoods at the end: A {a:.2f}, B "
                "{b:.2f}, C {c:.2f} nats.",
                a=ends["A"],
                b=ends["B"],
                c=ends["C"],
            ),
            "Three histograms of heights with fitted densities, one for each start.",
            partial(draw_fits, result),
        ),
        Picture(
            "heights_log_likelihood",
            "Log-likelihood by iteration from the three starts: it never falls. B and C lie on one another, "
            "since C is B with the names of the components exchanged.",
            "Three rising curves that level off.",
            partial(draw_log_likelihoods, result),
        ),
        Picture(
            "heights_paths",
            "Means, standard deviations and weights by iteration (logarithmic) from start A; dashed the "
            "truth. They still move long after the log-likelihood looks flat.",
            "Three panels with two curves each, men in blue and women in vermilion.",
            partial(draw_paths, result),
        ),
        Picture(
            "heights_basin",
            _of_the_basin(result),
            "Heat map over the starting means of both components, symmetric about the diagonal.",
            partial(draw_basin, result),
        ),
        Picture(
            "heights_errors",
            say(
                "Estimates from start A with intervals of two standard errors by three methods; the "
                "dashed line is the truth. They differ by a factor of at most {disagreement:.2f} "
                "between methods, and all are wide: the groups overlap.",
                disagreement=_disagreement(result),
            ),
            "Six small panels, each with three intervals about one estimate.",
            partial(draw_errors, result),
        ),
        Picture(
            "heights_repeats",
            _of_repeats(result),
            "Histogram of differences in log-likelihood, a tall bar at zero and a wide hill to its right.",
            partial(draw_repeats, result),
        ),
    )


def _of_the_basin(result: Heights) -> str:
    return say(
        "The basin map: where plain EM ends from each of {size} pairs of starting means, as "
        "nats below the best log-likelihood found. {lost:.1%} of the starts miss it: those "
        "on the diagonal too, whose two components are equal and stay so. Letters mark the "
        "starts A, B and C.",
        size=result.basin.size,
        lost=float((result.basin < result.basin.max() - WORSE).mean()),
    )


def _disagreement(result: Heights) -> float:
    """Return the largest ratio of one method's standard error to another's."""
    errors = np.array([found.errors for found in result.errors.values()])
    return float((errors.max(axis=0) / errors.min(axis=0)).max())


def _of_repeats(result: Heights) -> str:
    """Say what the bars are, and what the one at zero hides."""
    below = _below(result)
    higher = int((below < -WORSE).sum())
    bars = say(
        "How far below start A start B ended on {n} new data sets, a bar a nat (C is B mirrored). The bar "
        "at zero holds those within half a nat of A, above or below.",
        n=len(below),
    )
    if not higher:
        return bars
    return say(
        "{bars} On {higher} of them B ended higher, by at most {most:.2f} nats.",
        bars=bars,
        higher=higher,
        most=-below.min(),
    )


def _below(result: Heights) -> np.ndarray:
    return result.repeats["A"].log_likelihoods - result.repeats["B"].log_likelihoods


def draw_fits(result: Heights) -> Any:
    """Draw histogram, true and fitted components and their sum, one panel a start."""
    figure = new_figure(7.4, 2.9)
    grid = np.linspace(result.heights.min() - 3, result.heights.max() + 3, 1201)
    top = 1.25 * np.histogram(result.heights, 40, density=True)[0].max()
    for axes, (name, trace) in zip(figure.subplots(1, 3, sharex=True), result.traces.items(), strict=True):
        draw_histogram(axes, result.heights)
        draw_densities(axes, grid, TRUTH, linestyle=(0, (4, 3)), linewidth=1.0)
        draw_sum(axes, grid, trace.last, linewidth=1.2)
        draw_densities(axes, grid, trace.last)
        axes.set_ylim(0, top)
        quiet_axes(axes, say("start {name}", name=name), "height (cm)")
    handles = [
        _line(COLORS[0], "-", GROUPS[0]),
        _line(COLORS[1], "-", GROUPS[1]),
        _line(INK, "-", "sum"),
        _line(FAINT, (0, (4, 3)), "truth (dashed)"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=4, fontsize=8, frameon=False)
    return figure


def _line(color: str, style: Any, label: str) -> Any:
    from matplotlib.lines import Line2D

    return Line2D([], [], color=color, linestyle=style, label=label)


def draw_log_likelihoods(result: Heights) -> Any:
    """Draw the log-likelihood by iteration, one curve a start; the first, steep steps apart."""
    figure = new_figure(6.4, 3.2)
    axes = figure.subplots()
    for name, color, style in zip(STARTS, COLORS[2:], ("-", "-", (0, (2, 2))), strict=False):
        values = result.traces[name].log_likelihoods
        axes.plot(
            np.arange(1, len(values)),
            values[1:],
            color=color,
            linestyle=style,
            linewidth=1.8,
            label=shown(say("start {name}", name=name)),
        )
    axes.set_xscale("log")
    quiet_axes(axes, "", "iteration", "log-likelihood (nats)")
    quiet_legend(axes, loc="lower right")
    return figure


def draw_paths(result: Heights) -> Any:
    """Draw the six parameters by iteration from start A."""
    figure = new_figure(7.4, 2.7)
    steps = np.array([six(parameters) for parameters in result.traces["A"].parameters])
    truth = six(TRUTH)
    titles = ("mean (cm)", "standard deviation (cm)", "weight")
    for i, axes in enumerate(figure.subplots(1, 3)):
        for k, group in enumerate(GROUPS):
            values = steps[1:, 3 * k + i]
            axes.plot(np.arange(1, len(steps)), values, color=COLORS[k], linewidth=1.8, label=group)
            axes.axhline(truth[3 * k + i], color=COLORS[k], linewidth=1.0, linestyle=(0, (4, 3)))
        axes.set_xscale("log")
        quiet_axes(axes, titles[i], "iteration")
        if i == 0:
            quiet_legend(axes)
    return figure


def draw_basin(result: Heights) -> Any:
    """Draw the final log-likelihood over the starting means, as nats below the best."""
    figure = new_figure(5.6, 4.6, layout="compressed")
    axes = figure.subplots()
    below = result.basin.max() - result.basin
    image = axes.pcolormesh(
        result.basin_means,
        result.basin_means,
        below,
        cmap="Blues",
        vmin=0,
        shading="nearest",
        rasterized=True,
    )
    for name, (first, second) in starting_means(result.heights).items():
        axes.annotate(
            name,
            (second, first),
            ha="center",
            va="center",
            fontsize=10,
            fontweight="bold",
            bbox={"boxstyle": "circle,pad=0.2", "fc": "white", "ec": INK},
        )
    bar = figure.colorbar(image, shrink=0.9)
    bar.set_label("nats below the best optimum found", fontsize=9)
    bar.ax.tick_params(labelsize=8)
    axes.set_aspect("equal")
    quiet_axes(
        axes, "", "starting mean of the second component (cm)", "starting mean of the first component (cm)"
    )
    return figure


def draw_errors(result: Heights) -> Any:
    """Draw the estimates with two standard errors either way, by method."""
    figure = new_figure(7.4, 3.6)
    first = next(iter(result.errors.values()))
    truth = (*TRUTH.weights, *TRUTH.means.ravel(), *np.sqrt(TRUTH.covariances.ravel()))
    panels = figure.subplots(2, 3).T.ravel()
    for i, axes in enumerate(panels):
        for row, found in enumerate(result.errors.values()):
            axes.errorbar(
                first.estimates[i],
                -row,
                xerr=2 * found.errors[i],
                color=COLORS[i % 2],
                fmt="o",
                markersize=4,
                capsize=3,
                linewidth=1.6,
            )
        axes.axvline(truth[i], color=INK, linewidth=1.0, linestyle=(0, (4, 3)))
        axes.set_ylim(-2.6, 0.6)
        axes.set_yticks([0, -1, -2], map(shown, result.errors) if i < 2 else ["", "", ""])
        name = first.names[i]
        quiet_axes(axes, name if i < 2 else say("{name} (cm)", name=name))
    return figure


def draw_repeats(result: Heights) -> Any:
    """Draw how far below start A start B ended, over all repetitions."""
    figure = new_figure(6.4, 2.9)
    axes = figure.subplots()
    below = _below(result)
    edges = np.arange(np.floor(below.min()) - 0.5, np.ceil(below.max()) + 1.5)
    axes.hist(below, bins=edges, color=COLORS[1], edgecolor="white", linewidth=0.6)
    axes.axvline(0, color=INK, linewidth=1.0, linestyle=(0, (4, 3)))
    quiet_axes(axes, "", "log-likelihood of start A minus that of B, nats", "data sets")
    return figure
