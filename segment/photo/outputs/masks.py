"""A black and white mask of each label."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from segment.photo.outputs.naming import at
from segment.photo.outputs.settings import OutputSettings
from segment.photo.png import write_png
from segment.photo.segmentation import Segmentation

ENDINGS = ("_mask_*.png",)


def write(segmentation: Segmentation, stem: Path, settings: OutputSettings) -> list[Path]:
    """Write the masks; their numbers have as many digits as sort them by label, two at least."""
    digits = max(2, len(str(segmentation.n_labels - 1)))
    paths = [at(stem, f"_mask_{k:0{digits}d}.png") for k in range(segmentation.n_labels)]
    for k, path in enumerate(paths):
        mask = (segmentation.label_map == k).astype(np.uint8)
        write_png(path, mask, np.array([[0, 0, 0], [255, 255, 255]], dtype=np.uint8))
    return paths
