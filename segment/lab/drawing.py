"""What the lab's figures share: densities, ellipses, scatters, log-likelihood curves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from segment.mixture.expectation import log_densities
from segment.mixture.families.gaussian.parameters import Parameters
from segment.style import COLORS, FAINT, INK, quiet_axes


def draw_histogram(axes: Any, x: np.ndarray, bins: int = 40) -> None:
    """Draw the data as a quiet histogram whose area is 1."""
    axes.hist(x, bins=bins, density=True, color="#DDDDDD", edgecolor="white", linewidth=0.4)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)


def draw_densities(axes: Any, grid: np.ndarray, parameters: Parameters, **line: Any) -> None:
    """Draw each weighted component of a 1-D mixture in its color; the options are those of a line."""
    for k, density in enumerate(np.exp(log_densities(grid[:, None], parameters)).T):
        axes.plot(grid, density, **{"color": COLORS[k], "linewidth": 1.6, **line})


def draw_sum(axes: Any, grid: np.ndarray, parameters: Parameters, **line: Any) -> None:
    """Draw the density of a 1-D mixture."""
    total = np.exp(log_densities(grid[:, None], parameters)).sum(axis=1)
    axes.plot(grid, total, **{"color": INK, "linewidth": 1.4, **line})


def draw_points(axes: Any, X: np.ndarray, labels: np.ndarray | None = None, size: float = 9.0) -> None:
    """Scatter points in the plane, colored by component, with equal scales on both axes."""
    colors = FAINT if labels is None else np.array(COLORS)[labels]
    axes.scatter(X[:, 0], X[:, 1], s=size, c=colors, linewidths=0, alpha=0.75)
    axes.set_aspect("equal")


def draw_ellipses(
    axes: Any,
    parameters: Parameters,
    *,
    radius: float = 2.0,
    colors: Sequence[str] | None = None,
    **line: Any,
) -> None:
    """Draw the ellipse at `radius` standard deviations of every component, and its mean as a cross."""
    from matplotlib.patches import Ellipse

    colors = COLORS if colors is None else colors
    for k, covariance in enumerate(parameters.spread_covariances()):
        variances, directions = np.linalg.eigh(covariance)
        angle = np.degrees(np.arctan2(directions[1, 1], directions[0, 1]))
        width, height = 2 * radius * np.sqrt(variances[::-1])
        style = {"fill": False, "edgecolor": colors[k], "linewidth": 1.8, **line}
        axes.add_patch(Ellipse(tuple(parameters.means[k]), width, height, angle=angle, **style))
        axes.plot(*parameters.means[k], marker="+", color=colors[k], markersize=8, markeredgewidth=1.8)


def draw_climb(axes: Any, log_likelihoods: np.ndarray, label: str = "", color: str = INK) -> None:
    """Draw a log-likelihood by iteration."""
    axes.plot(log_likelihoods, color=color, linewidth=1.6, label=label or None)
    quiet_axes(axes, "", "iteration", "log-likelihood (nats)")
