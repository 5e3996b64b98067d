"""Pictures of a segmentation: arrays, a swatch, a figure."""

from __future__ import annotations

from typing import Any

import numpy as np

from segment.photo.colors import hex_code
from segment.photo.photo import Photo
from segment.photo.segmentation import Segmentation
from segment.photo.selection import SAMPLE_SIZE
from segment.style import COLORS, new_figure, quiet_axes
from segment.words import say

_LINE = (255, 221, 0)
_HALO = (0, 0, 0)

# A figure shows photos reduced to about this many pixels on their longer side.
_SHOWN = 1000

# Pixels of a color in the picture of a palette; more colors than this many are shown otherwise.
_ROW, _COLUMN, _MARGIN = 56, 624, 16
_MANY = 40
# So many bars of a sheet have codes and shares beside them.
_NAMED = 32


def boundaries(label_map: np.ndarray, thickness: int = 1) -> np.ndarray:
    """Return where labels meet, (M, N) bool: the pixels before a change, and `thickness` - 1 around them."""
    found = np.zeros(label_map.shape, dtype=bool)
    found[:, :-1] = label_map[:, 1:] != label_map[:, :-1]
    found[:-1] |= label_map[1:] != label_map[:-1]
    return thickened(found, thickness)


def thickened(mask: np.ndarray, thickness: int) -> np.ndarray:
    """Return a mask that is grown to lines of about `thickness` pixels."""
    for i in range(1, thickness):
        step = slice(None, -1) if i % 2 else slice(1, None)
        back = slice(1, None) if i % 2 else slice(None, -1)
        grown = mask.copy()
        grown[step] |= mask[back]
        grown[:, step] |= mask[:, back]
        mask = grown
    return mask


def draw_overlay(colors: np.ndarray, label_map: np.ndarray) -> np.ndarray:
    """Draw the boundaries of a label map on a photo.

    Parameters
    ----------
    colors : (M, N, 3) uint8 ndarray
    label_map : (M, N) int32 ndarray

    Returns
    -------
    (M, N, 3) uint8 ndarray
        Yellow lines with a dark rim, which are seen on any color; their width grows with the photo.
    """
    thickness = max(1, round(np.hypot(*label_map.shape) / 1200))
    lines = boundaries(label_map, thickness)
    out = colors.copy()
    rim = thickened(lines, 1 + 2 * ((thickness + 1) // 2))
    out[rim] = out[rim] // 2
    out[lines] = _LINE
    return out


def draw_segmented(segmentation: Segmentation) -> np.ndarray:
    """Return the photo in the mean color of each label, (M, N, 3) uint8.

    What has no label is as it was, and white where it is transparent.
    """
    photo = segmentation.photo
    out = np.vstack([segmentation.palette, np.full((1, 3), 255, np.uint8)])[segmentation.label_map]
    if photo.outside is not None:
        out[photo.outside] = photo.display[photo.outside]
    return out


def draw_palette(palette: np.ndarray, shares: np.ndarray) -> Any:
    """Draw a swatch of each color with its code and the share of the area it covers.

    Parameters
    ----------
    palette : (K, 3) uint8 ndarray
    shares : (K,) float64 ndarray

    Returns
    -------
    PIL.Image.Image
        In columns where there are many. Drawn with Pillow: loading Matplotlib would take longer than a run.
    """
    from PIL import Image, ImageDraw

    n_columns = max(1, round(np.sqrt(len(palette) * _ROW / _COLUMN))) if len(palette) > _MANY else 1
    n_rows = -(-len(palette) // n_columns)
    image = Image.new("RGB", (n_columns * _COLUMN, _ROW * n_rows + 2 * _MARGIN), "white")
    pen = ImageDraw.Draw(image)
    for k, (color, share) in enumerate(zip(palette.tolist(), shares, strict=True)):
        column, row = divmod(k, n_rows)
        _draw_swatch(pen, column * _COLUMN + _MARGIN, row * _ROW + _MARGIN, tuple(color), float(share))
    return image


def _draw_swatch(pen: Any, left: int, top: int, color: tuple[int, ...], share: float) -> None:
    from PIL import ImageFont

    swatch, bar, gray = 132, 260, (40, 40, 40)
    middle = top + _ROW / 2
    pen.rectangle((left, top + 3, left + swatch, top + _ROW - 4), color, (200, 200, 200))
    left += swatch + 16
    pen.text((left, middle), hex_code(color), gray, ImageFont.load_default(19), anchor="lm")
    left += 92
    pen.rectangle((left, middle - 7, left + bar, middle + 7), (238, 238, 238))
    if share > 0:
        pen.rectangle((left, middle - 7, left + max(1, round(bar * share)), middle + 7), (110, 110, 110))
    pen.text((left + bar + 92, middle), f"{share:.1%}", gray, ImageFont.load_default(22), anchor="rm")


def draw_sheet(segmentation: Segmentation, selection: dict[int, float] | None = None, title: str = "") -> Any:
    """Draw photo, segmented photo, boundaries, palette and, if K was chosen, the ICL curve on one page.

    Parameters
    ----------
    segmentation : Segmentation
    selection : dict of int to float, optional
        ICL by number of components.
    title : str

    Returns
    -------
    matplotlib.figure.Figure
    """
    height, width = segmentation.label_map.shape
    step = max(1, max(height, width) // _SHOWN)
    part = (slice(None, None, step), slice(None, None, step))
    labels = segmentation.label_map[part]
    photo = segmentation.photo.display[part]
    if segmentation.photo.shown is not None:
        photo = np.where(segmentation.photo.shown[part][:, :, None], photo, np.uint8(255))
    weight = None if segmentation.photo.counts is None else (labels >= 0).astype(np.float32)
    small = Segmentation(Photo(photo, weight), labels, segmentation.palette, segmentation.shares)
    panels = [
        ("photo", photo),
        ("mean colors", draw_segmented(small)),
        ("boundaries", draw_overlay(photo, labels)),
    ]
    panel_height = float(np.clip(3.6 * height / width, 1.6, 5.4))
    figure = new_figure(11.4, panel_height + 2.9)
    top, bottom = figure.subfigures(2, 1, height_ratios=[panel_height + 0.5, 2.4])
    # A name may hold $, and bytes that are no UTF-8: no formula, and no text that can be drawn.
    top.suptitle(title.encode("utf-8", "replace").decode(), fontsize=12, parse_math=False)
    for axes, (name, image) in zip(top.subplots(1, 3), panels, strict=True):
        axes.imshow(image, interpolation="antialiased")
        axes.set_title(name, fontsize=10)
        axes.set_axis_off()
    # A single value is no curve: a photo of one color.
    curve = selection if selection and len(selection) > 1 else None
    parts = bottom.subplots(1, 2 if curve else 1, width_ratios=[1.6, 1] if curve else None, squeeze=False)
    _draw_shares(parts[0, 0], segmentation)
    if curve:
        chosen = (
            segmentation.n_labels if segmentation.n_labels in curve else min(curve, key=curve.__getitem__)
        )
        _draw_curve(parts[0, 1], curve, chosen)
    return figure


def _draw_shares(axes: Any, segmentation: Segmentation) -> None:
    """Draw the palette as bars as long as the shares."""
    from matplotlib.ticker import MaxNLocator

    n = segmentation.n_labels
    colors = segmentation.palette / 255.0
    gap = {"linewidth": 0.8, "width": 0.86} if n <= _MANY else {"linewidth": 0, "width": 1}
    axes.bar(range(n), segmentation.shares, color=colors, edgecolor="0.6", **gap)
    if n <= _NAMED:
        for k, share in enumerate(segmentation.shares):
            axes.text(k, share, f"{share:.1%}", ha="center", va="bottom", fontsize=8 if n <= 16 else 5.5)
        codes = [hex_code(color) for color in segmentation.palette]
        axes.set_xticks(range(n), codes, rotation=0 if n <= 8 else 40 if n <= 16 else 90)
    axes.set_xlim(-0.7, max(n, 6) - 0.3)
    quiet_axes(
        axes, "palette", "" if n <= _NAMED else say("label, 0 to {last}", last=n - 1), "share of the area"
    )
    if n <= _NAMED:
        axes.tick_params(axis="x", length=0, labelsize=8 if n <= 8 else 6.5)
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes.margins(y=0.14)


def _draw_curve(axes: Any, selection: dict[int, float], chosen: int) -> None:
    """Draw ICL against the number of components, with the choice marked."""
    counts, values = list(selection), list(selection.values())
    best = counts[int(np.argmin(values))]
    axes.plot(counts, values, "-o", color=COLORS[0], markersize=4, linewidth=1.4)
    ring = {"markersize": 11, "markerfacecolor": "none", "markeredgecolor": COLORS[1], "markeredgewidth": 1.8}
    axes.plot(chosen, selection[chosen], "o", **ring)
    axes.set_xticks(counts)
    if chosen == best:
        title = say("number of components: {n} has the smallest ICL", n=chosen)
    else:
        title = say("number of components: {n} gains nearly what {best} does", n=chosen, best=best)
    unit = say("ICL (photo counted\nas {n} samples)", n=_thousands(SAMPLE_SIZE))
    quiet_axes(axes, title, "components", unit)


def _thousands(number: float) -> str:
    return f"{number:,.0f}".replace(",", "\N{NO-BREAK SPACE}")
