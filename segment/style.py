"""One look for all figures: colors that color-blind readers can tell apart, quiet axes, undated files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from segment.output import atomic_path

# Okabe & Ito's palette (its yellow left out: it vanishes on white), then tints of it for longer lists.
COLORS = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#E69F00",
    "#56B4E9",
    "#000000",
    "#7F7F7F",
    "#7B5B3A",
    "#5E3C99",
)
INK = "#222222"
FAINT = "#9A9A9A"
DPI = 130

# What each format would otherwise write of the day and the machine; None leaves an entry out.
_METADATA: dict[str, dict[str, str | None]] = {
    ".png": {"Software": "segment"},
    ".pdf": {"Creator": "segment", "Producer": "segment", "CreationDate": None},
    ".svg": {"Creator": "segment", "Date": None},
}


def new_figure(
    width: float = 6.4, height: float = 4.2, *, layout: Literal["constrained", "compressed"] = "constrained"
) -> Any:
    """Return an empty `matplotlib.figure.Figure` of that size in inches; it knows no global state.

    Axes of equal scales need the layout "compressed", which "constrained" would cut the titles of.
    """
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=DPI, layout=layout)


def quiet_axes(axes: Any, title: str = "", x: str = "", y: str = "") -> Any:
    """Label axes and take away the frame's top and right side."""
    axes.set_title(title, fontsize=10)
    axes.set_xlabel(x, fontsize=9)
    axes.set_ylabel(y, fontsize=9)
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    return axes


def quiet_legend(axes: Any, **options: Any) -> Any:
    """Add a legend without a frame."""
    return axes.legend(**{"fontsize": 8, "frameon": False, "handlelength": 1.6, **options})


def save_formats(
    figure: Any, stem: str | os.PathLike[str], formats: Sequence[str] = ("png",), dpi: int = DPI
) -> list[Path]:
    """Write a figure as ``stem.png`` and so on; return the paths.

    The layout is computed once, not once a format: it is most of the time.
    """
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    paths = [Path(f"{os.fspath(stem)}.{suffix}") for suffix in formats]
    for path in paths:
        save_figure(figure, path, dpi)
    return paths


def save_figure(figure: Any, path: str | os.PathLike[str], dpi: int = DPI) -> None:
    """Write a figure, atomically and without a date, so that equal figures are equal files.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    path : path-like
        Its suffix chooses the format: .png, .pdf or .svg.
    dpi : int
        Pixels an inch, of a PNG and of what a vector file holds as pixels.
    """
    import matplotlib

    metadata = _METADATA.get(Path(path).suffix.lower(), {})
    # Without a salt the names inside an SVG are random; fonttype 42 keeps the text of a PDF searchable.
    with (
        matplotlib.rc_context({"svg.hashsalt": "segment", "pdf.fonttype": 42}),
        atomic_path(path) as temporary,
    ):
        figure.savefig(temporary, metadata=metadata, dpi=dpi)
