"""A small picture of a photo of any size in the mean colors of its labels."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from segment.photo.outputs.naming import at
from segment.photo.outputs.settings import OutputSettings
from segment.photo.png import write_png

if TYPE_CHECKING:
    from segment.photo.tiles.segmentation import TiledSegmentation

ENDINGS = ("_overview.png",)

# Its longer side has at most so many pixels.
_SIDE = 2000


def write(segmentation: TiledSegmentation, stem: Path, settings: OutputSettings) -> list[Path]:
    """Write every n-th row and column, so that both sides are of at most 2000 pixels."""
    path, store = at(stem, ENDINGS[0]), segmentation.store
    step = max(1, -(-max(store.shape) // _SIDE))
    rows = [store.labels(row, row + 1)[0, ::step] for row in range(0, store.shape[0], step)]
    colors = np.vstack([segmentation.palette, np.full((1, 3), 255, np.uint8)])
    write_png(path, colors[np.stack(rows)])
    return [path]
