"""The responsibilities of each component, before smoothing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from segment.output import atomic_path
from segment.photo.outputs.naming import at
from segment.photo.outputs.settings import OutputSettings

if TYPE_CHECKING:
    from segment.photo.color_segmentation import PhotoSegmentation

ENDINGS = ("_soft.tif",)


def write(segmentation: PhotoSegmentation, stem: Path, settings: OutputSettings) -> list[Path]:
    """Write a TIFF of one float32 page a component."""
    import tifffile

    path = at(stem, ENDINGS[0])
    maps = segmentation.responsibilities()
    with atomic_path(path) as temporary, tifffile.TiffWriter(temporary, bigtiff=maps.nbytes > 2**31) as file:
        for k in range(maps.shape[2]):
            file.write(np.ascontiguousarray(maps[:, :, k]), photometric="minisblack", metadata=None)
    return [path]
