"""The label map that outlines are drawn of."""

from __future__ import annotations

from typing import Any

import numpy as np

from segment.errors import OutputError
from segment.photo.outputs.settings import OutputSettings
from segment.photo.read import MAX_PIXELS
from segment.photo.segmentation import Segmentation
from segment.photo.specks import merge_specks


def drawn_labels(segmentation: Segmentation, settings: OutputSettings) -> np.ndarray:
    """Return the label map, (M, N) int32, small areas joined to the neighbor of the most similar color.

    Raises
    ------
    OutputError
        If the photo was read by tiles and is too large to be traced in memory.
    """
    label_map = _whole(segmentation)
    if settings.min_area is None or settings.min_area <= 1:
        return label_map
    colors = np.vstack([segmentation.palette, np.zeros((1, 3), np.uint8)])[label_map]
    return merge_specks(label_map, colors, settings.min_area, in_pixels=True)


def _whole(segmentation: Segmentation) -> np.ndarray:
    store: Any = getattr(segmentation, "store", None)
    if store is None:
        return segmentation.label_map
    height, width = store.shape
    if height * width > MAX_PIXELS:
        raise OutputError(
            f"{segmentation.photo.source}: outlines are traced in memory, of at most {MAX_PIXELS / 1e6:.0f} "
            f"megapixels, and it has {height * width / 1e6:.0f}; choose a smaller level of its pyramid "
            "(--level) or other outputs (--save)"
        )
    return store.labels(0, height)
