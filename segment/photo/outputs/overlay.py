"""The photo with the boundaries of its labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from segment.photo.draw import draw_overlay
from segment.photo.outputs.naming import at
from segment.photo.outputs.settings import OutputSettings
from segment.photo.png import write_png
from segment.photo.segmentation import Segmentation

ENDINGS = ("_overlay.png",)


def write(segmentation: Segmentation, stem: Path, settings: OutputSettings) -> list[Path]:
    """Write the photo with lines where labels meet, transparent where it is."""
    path = at(stem, ENDINGS[0])
    image = draw_overlay(segmentation.photo.display, segmentation.label_map)
    shown = segmentation.photo.shown
    if shown is not None:
        image = np.dstack([image, np.where(shown, np.uint8(255), np.uint8(0))])
    write_png(path, image)
    return [path]
