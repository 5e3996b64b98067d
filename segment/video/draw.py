"""Pictures of what moves: outlines and boxes, a heatmap, a timeline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from segment.style import COLORS, FAINT, new_figure, quiet_axes
from segment.video.scores import MOVING
from segment.video.things import Thing

_OUTLINE = (255, 221, 0)
_RIM = (0, 0, 0)


def _edge(moving: np.ndarray) -> np.ndarray:
    """Return the pixels of a mask that touch what is outside it."""
    inner = moving.copy()
    inner[1:] &= moving[:-1]
    inner[:-1] &= moving[1:]
    inner[:, 1:] &= moving[:, :-1]
    inner[:, :-1] &= moving[:, 1:]
    return moving & ~inner


def _color(number: int) -> tuple[int, int, int]:
    text = COLORS[number % 6]
    return int(text[1:3], 16), int(text[3:5], 16), int(text[5:7], 16)


def draw_overlay(pixels: np.ndarray, mask: np.ndarray, things: Sequence[Thing]) -> np.ndarray:
    """Draw outlines of what moves and a numbered box about each thing.

    Parameters
    ----------
    pixels : (H, W, 3) uint8 ndarray
    mask : (H, W) uint8 ndarray
    things : sequence of Thing

    Returns
    -------
    (H, W, 3) uint8 ndarray
    """
    from PIL import Image, ImageDraw

    out = pixels.copy()
    out[_edge(mask == MOVING)] = _OUTLINE
    image = Image.fromarray(out)
    canvas = ImageDraw.Draw(image)
    width = max(1, round(min(mask.shape) / 300))
    size = max(10, round(min(mask.shape) / 24))
    for thing in things:
        right, bottom = thing.x + thing.width, thing.y + thing.height
        canvas.rectangle((thing.x - 1, thing.y - 1, right, bottom), outline=_color(thing.id), width=width)
        above = thing.y - size - 2
        place = (thing.x, above if above >= 0 else bottom + 1)
        canvas.text(place, str(thing.id), fill="white", stroke_fill=_RIM, stroke_width=1, font_size=size)
    return np.asarray(image)


def draw_heatmap(shares: np.ndarray) -> Any:
    """Draw the share of the frames in which each pixel moved; return the figure."""
    height, width = shares.shape
    figure = new_figure(7.2, 7.2 * height / width + 0.3)
    axes = figure.add_subplot()
    image = axes.imshow(100 * shares, cmap="inferno", vmin=0, interpolation="nearest")
    axes.set_axis_off()
    bar = figure.colorbar(image, ax=axes, shrink=0.85)
    bar.set_label("% of the frames in which it moved", fontsize=9)
    return figure


def draw_timeline(times: np.ndarray, shares: np.ndarray) -> Any:
    """Draw the moving share of the frame over time; return the figure."""
    figure = new_figure(8.0, 2.4)
    axes = quiet_axes(figure.add_subplot(), "", "time, s", "% of the frame that moves")
    axes.fill_between(times, 100 * shares, color=FAINT, alpha=0.4, linewidth=0, step="post")
    axes.step(times, 100 * shares, color=COLORS[0], linewidth=1.2, where="post")
    axes.set_ylim(bottom=0)
    axes.margins(x=0)
    return figure
