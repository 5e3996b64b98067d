"""The ultrametric contours of the hierarchy of regions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from segment.photo.outputs.naming import at
from segment.photo.outputs.settings import OutputSettings
from segment.photo.png import write_png

if TYPE_CHECKING:
    from segment.photo.regions.segmentation import RegionSegmentation

ENDINGS = ("_contours.png",)


def write(segmentation: RegionSegmentation, stem: Path, settings: OutputSettings) -> list[Path]:
    """Write a 16-bit gray PNG: 65535 times the scale up to which each boundary lasts."""
    path = at(stem, ENDINGS[0])
    write_png(path, np.rint(65535 * segmentation.tree.contour_map()).astype(np.uint16))
    return [path]
