"""The photo in the mean color of each label."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from segment.photo.draw import draw_segmented
from segment.photo.outputs.naming import at
from segment.photo.outputs.settings import OutputSettings
from segment.photo.png import MOST_INDEXED, write_png
from segment.photo.segmentation import Segmentation

ENDINGS = ("_segmented.png",)


def write(segmentation: Segmentation, stem: Path, settings: OutputSettings) -> list[Path]:
    """Write an indexed PNG, its palette the mean colors; full color if these are too many or parts stay."""
    path, n, photo = at(stem, ENDINGS[0]), segmentation.n_labels, segmentation.photo
    if n > MOST_INDEXED or photo.outside is not None:
        image = draw_segmented(segmentation)
        if photo.shown is not None:
            image = np.dstack([image, np.where(photo.shown, np.uint8(255), np.uint8(0))])
        write_png(path, image)
    elif photo.counts is None:
        write_png(path, segmentation.indices(0), segmentation.palette)
    else:
        palette = np.vstack([segmentation.palette, np.full((1, 3), 255, np.uint8)])
        write_png(path, segmentation.indices(n), palette, transparent=n)
    return [path]
