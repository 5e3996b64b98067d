"""The palette: a picture, and the colors as JSON, CSS and for GIMP."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np

from segment.output import atomic_path, write_json, write_text
from segment.photo.draw import draw_palette, hex_code
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


def write(segmentation: HasPalette, stem: Path, settings: OutputSettings) -> list[Path]:
    """Write the palette in every format."""
    palette, shares = segmentation.palette, segmentation.shares
    picture, as_json, as_css, as_gimp = paths = [at(stem, ending) for ending in ENDINGS]
    codes = [hex_code(color) for color in palette]
    with atomic_path(picture) as temporary:
        draw_palette(palette, shares).save(temporary)
    colors = [
        {"label": k, "hex": code, "rgb": color, "share": share}
        for k, (code, color, share) in enumerate(zip(codes, palette.tolist(), shares.tolist(), strict=True))
    ]
    write_json(as_json, {"name": stem.name, "colors": colors})
    lines = [
        f"  --color-{k}: {code}; /* {share:.1%} */"
        for k, (code, share) in enumerate(zip(codes, shares, strict=True))
    ]
    write_text(as_css, "\n".join([":root {", *lines, "}", ""]))
    lines = [
        " ".join(f"{value:3d}" for value in color) + f"\t{code} {share:.1%}"
        for color, code, share in zip(palette.tolist(), codes, shares, strict=True)
    ]
    name = " ".join(stem.name.split())
    write_text(as_gimp, "\n".join(["GIMP Palette", f"Name: {name}", "Columns: 1", "#", *lines, ""]))
    return paths
