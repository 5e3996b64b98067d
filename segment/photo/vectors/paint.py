"""A page to paint by numbers: outlines, a number an area, a legend of colors, and how it will look."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from segment.photo.colors import hex_code
from segment.photo.specks import merge_specks
from segment.photo.vectors.arcs import Topology, trace
from segment.photo.vectors.curves import Curves, smooth
from segment.photo.vectors.numbers import Number, place_numbers, radius_of
from segment.style import FAINT, INK, new_figure

# Width and height in millimeters, upright.
PAPER_SIZES = {"a4": (210.0, 297.0), "letter": (215.9, 279.4)}

_MILLIMETERS, _POINTS = 25.4, 72.0
_MARGIN, _GAP = 10.0, 5.0

# What the legend takes at most, of the page's height; a cell of it in millimeters, and its smallest scale.
_LEGEND, _CELL, _PREVIEW = 0.42, (39.0, 7.0), 40.0

# Areas that are smaller on the page are not worth a brush, in square millimeters.
_LEAST = 6.0

# Pixels of the longer side that a page can show.
_SHOWN = 1800

_LINE = "#8a8a8a"


@dataclass(frozen=True)
class _Page:
    """Where things lie on a page, in millimeters from its upper left corner.

    `drawing` and `legend` are (left, top, width, height); `scale` is millimeters a pixel, `cell` the scale of
    a cell of the legend, `columns` their number.
    """

    size: tuple[float, float]
    drawing: tuple[float, float, float, float]
    legend: tuple[float, float, float, float]
    scale: float
    cell: float
    columns: int


def paint_page(
    label_map: np.ndarray,
    palette: np.ndarray,
    *,
    title: str,
    paper: str,
    tolerance: float,
    min_area: int | None,
) -> Any:
    """Draw a page to paint by numbers.

    Parameters
    ----------
    label_map : (M, N) int32 ndarray
        Below 0 where nothing is painted.
    palette : (K, 3) uint8 ndarray
    title : str
    paper : {"a4", "letter"}
    tolerance : float
        Of the outlines, in pixels of the label map.
    min_area : int or None
        Pixels below which an area joins its neighbor; None for those of 6 square millimeters on the page.

    Returns
    -------
    matplotlib.figure.Figure
        As large as the paper, upright or lying, whichever shows the photo larger.
    """
    step = max(1, -(-max(label_map.shape) // _SHOWN))
    labels = np.ascontiguousarray(label_map[::step, ::step])
    page = _best_page(labels.shape, len(np.unique(labels[labels >= 0])), PAPER_SIZES[paper])
    least = _LEAST / page.scale**2 if min_area is None else min_area / step**2
    colors = np.vstack([palette, np.full((1, 3), 255, np.uint8)])
    labels = merge_specks(labels, colors[labels], least, in_pixels=True)
    topology = trace(labels)
    used = np.unique(topology.labels)
    texts = [""] * len(palette)
    for number, label in enumerate(used.tolist()):
        texts[label] = str(number + 1)
    points = page.scale / _MILLIMETERS * _POINTS
    numbers = place_numbers(topology, texts, points)
    width, height = (side / _MILLIMETERS for side in page.size)
    figure = new_figure(width, height)
    figure.set_layout_engine("none")
    _draw_outlines(_axes(figure, page, page.drawing), topology, smooth(topology, tolerance / step))
    _draw_numbers(figure.axes[0], numbers, points)
    counts = np.bincount(labels[labels >= 0], minlength=len(palette))
    _draw_legend(figure, page, palette[used], counts[used] / max(1, counts.sum()))
    _draw_preview(figure, page, colors[labels])
    least_shown = max(1, round(least * step**2))
    name = title.encode("utf-8", "replace").decode()
    _write(figure, page, f"{name}: {len(used)} colors", f"areas from {least_shown} pixels")
    return figure


def _best_page(shape: tuple[int, int], n_colors: int, paper: tuple[float, float]) -> _Page:
    """Return the page, upright or lying, on which the photo is larger."""
    return max((_page(shape, n_colors, size) for size in (paper, paper[::-1])), key=lambda page: page.scale)


def _page(shape: tuple[int, int], n_colors: int, size: tuple[float, float]) -> _Page:
    """Lay out a page: the drawing above, the legend below, with the preview to its right."""
    width, height = size[0] - 2 * _MARGIN, size[1] - 2 * _MARGIN - _GAP
    room = width - _PREVIEW - _GAP
    cell = 1.0
    while True:
        columns = max(1, int(room / (_CELL[0] * cell)))
        rows = -(-n_colors // columns)
        if rows * _CELL[1] * cell <= _LEGEND * height:
            break
        cell *= 0.95
    below = max(rows * _CELL[1] * cell, _PREVIEW * min(1.0, shape[0] / shape[1]))
    drawn = min(width / shape[1], (height - below - _GAP) / shape[0])
    across, down = drawn * shape[1], drawn * shape[0]
    drawing = (_MARGIN + (width - across) / 2, _MARGIN + _GAP, across, down)
    legend = (_MARGIN, drawing[1] + drawing[3] + _GAP, width, below)
    return _Page(size, drawing, legend, drawn, cell, columns)


def _axes(figure: Any, page: _Page, box: tuple[float, float, float, float]) -> Any:
    """Return empty axes over a box in millimeters."""
    (width, height), (left, top, across, down) = page.size, box
    axes = figure.add_axes((left / width, 1 - (top + down) / height, across / width, down / height))
    axes.set_axis_off()
    return axes


def _draw_outlines(axes: Any, topology: Topology, curves: Curves) -> None:
    """Draw every arc once."""
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    n_pieces = len(curves.controls)
    starts = curves.pieces[:-1]
    # A start before the pieces of each arc.
    where = np.arange(n_pieces) * 3 + np.searchsorted(starts, np.arange(n_pieces), side="right")
    vertices = np.empty((3 * n_pieces + topology.n_arcs, 2))
    codes = np.full(len(vertices), Path.CURVE4, dtype=np.uint8)
    first = where[starts] - 1
    vertices[first], codes[first] = curves.origins, Path.MOVETO
    for k in range(3):
        vertices[where + k] = curves.controls[:, k]
    axes.add_patch(
        PathPatch(Path(vertices, codes), fill=False, edgecolor=_LINE, linewidth=0.5, clip_on=False)
    )
    axes.set_xlim(0, topology.shape[1])
    axes.set_ylim(topology.shape[0], 0)


def _draw_numbers(axes: Any, numbers: list[Number], scale: float) -> None:
    """Draw numbers, and lines to the areas of those that stand beside."""
    for number in numbers:
        if number.anchor is not None:
            x, y = number.anchor
            away = np.hypot(number.x - x, number.y - y)
            # The line ends at the number's rim.
            part = max(0.0, 1 - 0.85 * radius_of(number.text, number.size) / scale / max(away, 1e-9))
            axes.plot(
                [x, x + part * (number.x - x)], [y, y + part * (number.y - y)], color=INK, linewidth=0.35
            )
            axes.plot(x, y, ".", color=INK, markersize=1.2)
        axes.text(
            number.x,
            number.y,
            number.text,
            fontsize=number.size,
            color=INK,
            ha="center",
            va="center_baseline",
        )


def _draw_legend(figure: Any, page: _Page, palette: np.ndarray, shares: np.ndarray) -> None:
    """Draw a swatch with its number, code and share for each color, column by column."""
    from matplotlib.patches import Rectangle

    axes = _axes(figure, page, page.legend)
    axes.set_xlim(0, page.legend[2])
    axes.set_ylim(page.legend[3], 0)
    width, height = _CELL[0] * page.cell, _CELL[1] * page.cell
    rows = -(-len(palette) // page.columns)
    for k, (color, share) in enumerate(zip(palette, shares.tolist(), strict=True)):
        column, row = divmod(k, rows)
        left, top = column * width, row * height
        box = {"facecolor": color / 255.0, "edgecolor": FAINT, "linewidth": 0.4}
        axes.add_patch(
            Rectangle((left + 0.15 * width, top + 0.1 * height), 0.24 * width, 0.8 * height, **box)
        )
        middle = top + 0.5 * height
        size = 9 * page.cell
        axes.text(left + 0.13 * width, middle, k + 1, fontsize=size, color=INK, ha="right", va="center")
        text = f"{hex_code(color)}\n" + (f"{share:.1%}" if share >= 0.0005 else "< 0.1%")
        axes.text(
            left + 0.43 * width, middle, text, fontsize=0.7 * size, color=INK, va="center", linespacing=1.1
        )


def _draw_preview(figure: Any, page: _Page, image: np.ndarray) -> None:
    """Draw how it will look, at the right of the legend."""
    left, top, width, height = page.legend
    scale = min(_PREVIEW / image.shape[1], height / image.shape[0])
    across, down = image.shape[1] * scale, image.shape[0] * scale
    axes = _axes(figure, page, (left + width - across, top, across, down))
    step = max(1, max(image.shape) // 400)
    axes.imshow(image[::step, ::step], interpolation="nearest", aspect="auto")


def _write(figure: Any, page: _Page, title: str, note: str) -> None:
    """Write the title at the upper left and a note at the upper right."""
    left, _, width, _ = page.legend
    y = 1 - (_MARGIN + 1.0) / page.size[1]
    figure.text(left / page.size[0], y, title, fontsize=8, color=INK, parse_math=False)
    figure.text((left + width) / page.size[0], y, note, fontsize=6, color=FAINT, ha="right")
