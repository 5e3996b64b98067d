"""One look for all figures: colors that color-blind readers can tell apart, quiet axes."""

from __future__ import annotations

import os
from typing import Any

from segment.output import atomic_path

# Okabe & Ito's palette (its yellow left out: it vanishes on white), then tints of it for longer lists.
COLORS = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#7F7F7F", "#7B5B3A",
    "#5E3C99",
)  # fmt: skip
DPI = 130


def new_figure(width: float = 6.4, height: float = 4.2) -> Any:
    """Return an empty `matplotlib.figure.Figure` of that size in inches; it knows no global state."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=DPI, layout="constrained")


def quiet_axes(axes: Any, title: str = "", x: str = "", y: str = "") -> Any:
    """Label axes and take away the frame's top and right side."""
    axes.set_title(title, fontsize=10)
    axes.set_xlabel(x, fontsize=9)
    axes.set_ylabel(y, fontsize=9)
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    return axes


def save_figure(figure: Any, path: str | os.PathLike[str]) -> None:
    """Write a figure, atomically and without a date, so that equal figures are equal files."""
    with atomic_path(path) as temporary:
        figure.savefig(temporary, metadata={"Software": "segment"})
