"""The palette: a picture, and the colors as JSON, CSS and for GIMP."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import numpy as np

from segment.output import atomic_path, write_json, write_text
from segment.photo.colors import hex_code
from segment.photo.draw import draw_palette
from segment.photo.outputs.naming import at
from segment.photo.outputs.settings import OutputSettings

ENDINGS = ("_palette.png", "_palette.json", "_palette.css", "_palette.gpl")


class HasPalette(Protocol):
    """What a palette is written of: a segmentation, or what many photos share."""

    @property
    def palette(self) -> np.ndarray:
        """Color of each label, (K, 3) uint8."""

    @property
    def shares(self) -> np.ndarray:
        """Share of the area that each label covers, (K,)."""


def colors_of(segmentation: HasPalette) -> list[dict[str, Any]]:
    """Return number, code, sRGB values and share of each color."""
    pairs = zip(segmentation.palette.tolist(), segmentation.shares.tolist(), strict=True)
    return [
        {"label": k, "hex": hex_code(color), "rgb": color, "share": share}
        for k, (color, share) in enumerate(pairs)
    ]


def css_text(segmentation: HasPalette) -> str:
    """Return the colors as custom properties of a style sheet."""
    lines = [
        f"  --color-{color['label']}: {color['hex']}; /* {color['share']:.1%} */"
        for color in colors_of(segmentation)
    ]
    return "\n".join([":root {", *lines, "}", ""])


def write(segmentation: HasPalette, stem: Path, settings: OutputSettings) -> list[Path]:
    """Write the palette in every format."""
    picture, as_json, as_css, as_gimp = paths = [at(stem, ending) for ending in ENDINGS]
    with atomic_path(picture) as temporary:
        draw_palette(segmentation.palette, segmentation.shares).save(temporary)
    colors = colors_of(segmentation)
    write_json(as_json, {"name": stem.name, "colors": colors})
    write_text(as_css, css_text(segmentation))
    lines = [
        " ".join(f"{value:3d}" for value in color["rgb"]) + f"\t{color['hex']} {color['share']:.1%}"
        for color in colors
    ]
    name = " ".join(stem.name.split())
    write_text(as_gimp, "\n".join(["GIMP Palette", f"Name: {name}", "Columns: 1", "#", *lines, ""]))
    return paths
