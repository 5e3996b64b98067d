"""Figures of a clustering: arrays in, `matplotlib.figure.Figure` out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from segment.consensus.stability import StabilityCurve
from segment.mixture.merging import MergeStep
from segment.style import COLORS, new_figure, quiet_axes
from segment.words import say, shown

INK = "magma"
HEAT = "Blues"
# In widths of a cell: a square image and the caption above it.
CELL_HEIGHT = 1.22
MATCHED = "matched digit"


def draw_confusion(confusion: np.ndarray) -> Any:
    """Draw the confusion matrix: counts, and shares of the row.

    Parameters
    ----------
    confusion : (n_classes, n_classes + 1) int ndarray
        Rows are true classes; the last column (clusters left over) is drawn only if it counts any.
    """
    n_classes = len(confusion)
    counts = confusion if confusion[:, -1].any() else confusion[:, :-1]
    totals = np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    shares = counts / totals
    size = 1.6 + 0.62 * max(counts.shape)
    figure = new_figure(size + 0.8, size)
    axes = figure.subplots()
    # The root lets shares of a per cent be seen beside the diagonal.
    image = axes.imshow(np.sqrt(shares), cmap=HEAT, vmin=0, vmax=1)
    for row, column in np.ndindex(counts.shape):
        if counts[row, column]:
            color = "white" if shares[row, column] > 0.3 else "black"
            text = f"{counts[row, column]}\n{_percent(shares[row, column])}"
            axes.text(column, row, text, ha="center", va="center", fontsize=6.5, color=color)
    names = [*map(str, range(n_classes)), "none"]
    axes.set_xticks(range(counts.shape[1]), names[: counts.shape[1]])
    axes.set_yticks(range(n_classes), names[:n_classes])
    agreed = np.trace(confusion[:, :n_classes]) / max(confusion.sum(), 1)
    quiet_axes(
        axes,
        say("{agreed:.2%} of {n} digits", agreed=agreed, n=confusion.sum()),
        "matched digit of the cluster",
        "true digit",
    )
    bar = figure.colorbar(image, shrink=0.8, ticks=np.sqrt([0, 0.01, 0.1, 0.25, 0.5, 1]))
    bar.ax.set_yticklabels(["0", "1 %", "10 %", "25 %", "50 %", "100 %"], fontsize=7)
    bar.set_label("share of the row", fontsize=8)
    return figure


def _percent(share: float) -> str:
    return f"{share:.1%}" if share >= 0.001 else "<0.1%"


def draw_components(
    means: np.ndarray, weights: np.ndarray, names: Sequence[str], owner: str = MATCHED
) -> Any:
    """Draw the mean image of every component with its weight and the digit it was matched to.

    Parameters
    ----------
    means : (K, height, width) ndarray
    weights : (K,) ndarray
    names : sequence of K str
    owner : str
        What the names are.
    """
    columns = min(10, len(means))
    rows = -(-len(means) // columns)
    figure = new_figure(0.95 * columns + 0.2, 0.95 * CELL_HEIGHT * rows + 0.55)
    axes = figure.subplots()
    title = say("mean image of each component: {owner}, weight", owner=owner)
    axes.set_title(shown(title), fontsize=9, pad=12)
    for k, (mean, name, weight) in enumerate(zip(means, names, weights, strict=True)):
        brightest = max(float(mean.max()), 1e-9)
        _tile(axes, mean, k // columns, k % columns, f"{name}: {weight:.1%}", INK, brightest)
    _frame_tiles(axes, rows, columns)
    return figure


def _tile(
    axes: Any, image: np.ndarray, row: int, column: int, caption: str, colors: str, brightest: float
) -> None:
    """Draw an image in a cell of a grid, its caption above it; axes for each would take ten times as long."""
    top = CELL_HEIGHT * row
    extent = (column, column + 0.94, top + 0.94, top)
    axes.imshow(image, cmap=colors, vmin=0, vmax=brightest, extent=extent)
    axes.text(column + 0.47, top - 0.03, caption, fontsize=7, ha="center", va="bottom")


def _frame_tiles(axes: Any, rows: int, columns: int) -> None:
    axes.set_axis_off()
    axes.set(xlim=(0, columns), ylim=(CELL_HEIGHT * rows, -0.25), aspect="equal")


def draw_samples(panels: Sequence[tuple[str, Sequence[tuple[str, np.ndarray, Sequence[str]]]]]) -> Any:
    """Draw examples of every cluster, a row a cluster, a block of columns a kind of example.

    Parameters
    ----------
    panels : sequence of (cluster name, kinds); kinds : sequence of (title, images (n, h, w), captions)
        Every cluster lists the same kinds; one may have fewer images than another.
    """
    kinds = [
        (title, max(len(kinds[i][1]) for _, kinds in panels)) for i, (title, *_) in enumerate(panels[0][1])
    ]
    kinds = [(title, max(count, 1)) for title, count in kinds]
    total = sum(count for _, count in kinds)
    figure = new_figure(0.62 * total + 1.0, 0.62 * CELL_HEIGHT * len(panels) + 0.6)
    blocks = np.atleast_1d(figure.subplots(1, len(kinds), width_ratios=[count for _, count in kinds]))
    for i, (axes, (title, count)) in enumerate(zip(blocks, kinds, strict=True)):
        axes.set_title(shown(title), fontsize=9, pad=10)
        for row, (name, examples) in enumerate(panels):
            _, images, captions = examples[i]
            if i == 0:
                axes.text(-0.25, CELL_HEIGHT * row + 0.47, name, fontsize=10, ha="right", va="center")
            for column, (image, caption) in enumerate(zip(images, captions, strict=True)):
                _tile(axes, image, row, column, caption, "gray_r", 255)
        _frame_tiles(axes, len(panels), count)
    return figure


def draw_restarts(lower_bounds: np.ndarray, scores: np.ndarray, rounds: np.ndarray, measure: str) -> Any:
    """Draw how well each start agrees with the labels against its lower bound, and which went on.

    Parameters
    ----------
    lower_bounds, scores : (n,) float ndarray
    rounds : (n,) int ndarray
        How far each got: 1 dropped at once, 2 and 3 went on, 4 chosen.
    measure : str
        What the scores are.
    """
    figure = new_figure(5.6, 3.8)
    axes = figure.subplots()
    went_on, best = rounds > 1, int(np.argmax(rounds))
    axes.scatter(lower_bounds[~went_on], scores[~went_on], s=30, color=COLORS[5], label="dropped")
    axes.scatter(lower_bounds[went_on], scores[went_on], s=36, color=COLORS[0], label="went on", zorder=2)
    axes.scatter(
        lower_bounds[best],
        scores[best],
        s=110,
        facecolor="none",
        edgecolor=COLORS[1],
        linewidth=2,
        label="chosen (labels not seen)",
        zorder=3,
    )
    quiet_axes(
        axes,
        "does the likelihood choose well?",
        "lower bound of the short run on a few digits (nats a sample)",
        measure,
    )
    axes.ticklabel_format(useOffset=False)
    axes.legend(fontsize=8, frameon=False)
    return figure


def draw_stability(curve: StabilityCurve) -> Any:
    """Draw how stable and how clear each number of clusters is, and which was chosen."""
    figure = new_figure(5.6, 3.8)
    axes = figure.subplots()
    axes.plot(
        curve.counts, curve.stability, color=COLORS[0], marker="o", ms=3, label="stability of the members"
    )
    axes.plot(curve.counts, curve.clarity, color=COLORS[2], marker="o", ms=3, label="clarity on the graph")
    axes.plot(curve.counts, curve.value, color=COLORS[1], linewidth=2, label="their product")
    axes.axvline(curve.chosen, color=COLORS[1], linestyle=":", linewidth=1.2)
    axes.set_xticks(curve.counts)
    quiet_axes(
        axes,
        say(
            "{n} clusters, chosen by {share:.0%} of the panels of members",
            n=curve.chosen,
            share=curve.sureness,
        ),
        "number of clusters",
        "at best 1",
    )
    axes.legend(fontsize=8, frameon=False)
    return figure


def draw_embedding(points: np.ndarray, clusters: np.ndarray, names: Sequence[str], shown: int = 6000) -> Any:
    """Draw two discriminative directions with an ellipse of two standard deviations a cluster.

    Parameters
    ----------
    points : (n, 2) ndarray
    clusters : (n,) int ndarray
    names : sequence of str, by cluster
    shown : int
        At most so many points are drawn, evenly chosen; the ellipses are of all.
    """
    from matplotlib.patches import Ellipse

    figure = new_figure(6.4, 5.6)
    axes = figure.subplots()
    chosen = np.arange(0, len(points), max(1, len(points) // shown))
    for k, name in enumerate(names):
        color = COLORS[k % len(COLORS)]
        own = chosen[clusters[chosen] == k]
        axes.scatter(*points[own].T, s=3, color=color, alpha=0.35, linewidths=0, rasterized=True)
        cloud = points[clusters == k]
        if len(cloud) < 3:
            continue
        center = cloud.mean(axis=0)
        values, vectors = np.linalg.eigh(np.cov(cloud.T))
        angle = np.degrees(np.arctan2(vectors[1, 1], vectors[0, 1]))
        width, height = 4 * np.sqrt(np.maximum(values[::-1], 0))
        axes.add_patch(Ellipse(center, width, height, angle=angle, fill=False, color=color, linewidth=1.6))
        box = {"boxstyle": "circle,pad=0.15", "fc": "white", "ec": color, "alpha": 0.85}
        place = {"ha": "center", "va": "center", "bbox": box}
        axes.text(*center, name, color=color, fontsize=13, weight="bold", **place)
    quiet_axes(
        axes,
        "clusters in two discriminative directions (2-sigma ellipses)",
        "first direction",
        "second direction",
    )
    return figure


def draw_overlap(overlap: np.ndarray, groups: np.ndarray, names: Sequence[str], owner: str = MATCHED) -> Any:
    """Draw the posterior overlap of the components, sorted and framed by the cluster they were merged to."""
    order = np.argsort(groups, kind="stable")
    figure = new_figure(6.2, 5.4)
    axes = figure.subplots()
    image = axes.imshow(np.sqrt(overlap[np.ix_(order, order)]), cmap=HEAT, vmin=0, vmax=1)
    ends = np.cumsum(np.bincount(groups))
    starts = np.concatenate([[0], ends[:-1]])
    for start, end in zip(starts, ends, strict=True):
        axes.add_patch(_frame(start - 0.5, end - start))
    axes.set_xticks((starts + ends - 1) / 2, names)
    axes.set_yticks((starts + ends - 1) / 2, names)
    title = say("{n} components merged to {n_clusters} clusters", n=len(overlap), n_clusters=len(ends))
    quiet_axes(axes, title, owner, owner)
    bar = figure.colorbar(image, shrink=0.8, ticks=np.sqrt([0, 0.01, 0.1, 0.25, 0.5, 1]))
    bar.ax.set_yticklabels(["0", ".01", ".1", ".25", ".5", "1"], fontsize=7)
    bar.set_label("overlap of the posteriors", fontsize=8)
    return figure


def _frame(start: float, size: int) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle((start, start), size, size, fill=False, edgecolor=COLORS[1], linewidth=1.2)


def draw_merge_tree(
    steps: Sequence[MergeStep], groups: np.ndarray, names: Sequence[str], owner: str = MATCHED
) -> Any:
    """Draw the merges in their order, a bracket each, over the components sorted by cluster."""
    # Leaves in the order of the merges, so that no brackets cross.
    leaves = {k: [k] for k in range(len(groups))}
    for step in steps:
        leaves[step.first] += leaves.pop(step.second)
    order = [leaf for group in sorted(leaves.values(), key=lambda group: groups[group[0]]) for leaf in group]
    place = {component: float(x) for x, component in enumerate(order)}
    height = dict.fromkeys(place, 0.0)
    figure = new_figure(7.4, 4.2)
    axes = figure.subplots()
    for number, step in enumerate(steps, start=1):
        left, right = place[step.first], place[step.second]
        color = COLORS[int(groups[step.first]) % len(COLORS)]
        path = [(left, height[step.first]), (left, number), (right, number), (right, height[step.second])]
        axes.plot(*zip(*path, strict=True), color=color, linewidth=1.1)
        place[step.first], height[step.first] = (left + right) / 2, float(number)
    ends = np.cumsum(np.bincount(groups))
    axes.set_xticks(ends - (np.bincount(groups) + 1) / 2, names)
    quiet_axes(
        axes,
        say("{n} components merged to {n_clusters} clusters", n=len(groups), n_clusters=len(ends)),
        owner,
        "merge number",
    )
    return figure
