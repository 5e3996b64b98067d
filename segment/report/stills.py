"""The last frame of a replay, for readers without scripts: dots by color, ellipses, and the curve."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np

# As the page's script draws the curve: width, height, and margins at the left, at the top and at the bottom.
CURVE = (320, 96, 6, 20, 8)


@dataclass(frozen=True)
class Still:
    """A panel of a replay at its last step.

    Attributes
    ----------
    title, curve : str
    value : float
        Where the curve ends.
    line : str
        The curve, as the points of a polyline.
    dots : tuple of (str, str)
        Color, and the path of a dot at every point of that color.
    ellipses : tuple of (str, list of float)
        Color; center, half axes and angle.
    marks : tuple of (float, float)
        Centers that have no ellipse.
    rings : str
        The path of a dot at every point that moves; empty where none does.
    """

    title: str
    curve: str
    value: float
    line: str
    dots: tuple[tuple[str, str], ...]
    ellipses: tuple[tuple[str, list[float]], ...]
    marks: tuple[tuple[float, float], ...]
    rings: str


def last_frame(data: dict[str, Any]) -> list[Still]:
    """Return the last step of every panel; `data` is what the page's script draws from."""
    return [_still(panel, data) for panel in data["panels"]]


def _still(panel: dict[str, Any], data: dict[str, Any]) -> Still:
    step = panel["steps"][-1]
    colors = _mixed(np.array(step["shares"], dtype=float), data["colors"])
    places = sorted(zip(colors, data["points"], strict=True))
    dots = tuple(
        (color, _dots([point for _, point in group]))
        for color, group in groupby(places, key=lambda place: place[0])
    )
    return Still(
        panel["title"],
        panel["curve"],
        panel["values"][-1],
        _line(panel["values"]),
        dots,
        tuple(zip(data["colors"], step.get("ellipses", ()), strict=False)),
        tuple((x, y) for x, y in step.get("centers", ())),
        _dots(step.get("moved", ())),
    )


def _dots(points: Sequence[Sequence[float]]) -> str:
    """Return a path that has a dot of its stroke's width at every point."""
    return "".join(f"M{x} {y}h0" for x, y in points)


def _mixed(shares: np.ndarray, codes: list[str]) -> list[str]:
    """Return the mean of the components' colors for every point, weighted by its shares."""
    parts = np.array([[int(code[i : i + 2], 16) for i in (1, 3, 5)] for code in codes], dtype=float)
    means = shares @ parts / np.maximum(shares.sum(axis=1, keepdims=True), 1)
    # Few shades are many fewer paths.
    return ["#{:02x}{:02x}{:02x}".format(*np.minimum(8 * np.rint(row / 8), 255).astype(int)) for row in means]


def _line(values: list[float]) -> str:
    width, height, left, top, bottom = CURVE
    low, span = min(values), (max(values) - min(values)) or 1.0
    step = (width - 2 * left) / max(len(values) - 1, 1)
    return " ".join(
        f"{left + i * step:.1f},{height - bottom - (value - low) / span * (height - top - bottom):.1f}"
        for i, value in enumerate(values)
    )
