"""The label map: an indexed PNG whose index is the label, or a 16-bit TIFF."""

from __future__ import annotations

import colorsys
from pathlib import Path

import numpy as np

from segment.output import atomic_path
from segment.photo.outputs.naming import at
from segment.photo.outputs.settings import OutputSettings
from segment.photo.png import MOST_INDEXED, write_png
from segment.photo.segmentation import Segmentation

ENDINGS = ("_labels.png", "_labels.tif")

_NO_LABEL_8, _NO_LABEL_16 = 255, 65535


def write(segmentation: Segmentation, stem: Path, settings: OutputSettings) -> list[Path]:
    """Write the label map; where there is no label it holds the largest value."""
    if segmentation.n_labels > MOST_INDEXED:
        return [_write_tiff(segmentation, at(stem, "_labels.tif"))]
    path = at(stem, "_labels.png")
    # Hues a golden section apart: neighbors in number are never neighbors in color.
    colors = [colorsys.hsv_to_rgb(0.6 + 0.618034 * k, 0.65, 0.95 - 0.3 * (k % 2)) for k in range(_NO_LABEL_8)]
    palette = np.rint(255 * np.array([*colors, (1, 1, 1)])).astype(np.uint8)
    none = None if segmentation.photo.counts is None else _NO_LABEL_8
    write_png(path, segmentation.indices(_NO_LABEL_8), palette, transparent=none)
    return [path]


def _write_tiff(segmentation: Segmentation, path: Path) -> Path:
    import tifffile

    labels = np.where(segmentation.label_map < 0, _NO_LABEL_16, segmentation.label_map)
    with atomic_path(path) as temporary:
        tifffile.imwrite(temporary, labels.astype(np.uint16), photometric="minisblack", metadata=None)
    return path
