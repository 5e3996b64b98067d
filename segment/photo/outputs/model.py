"""The fitted mixture, to be applied to other photos."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from segment.photo.outputs.naming import at
from segment.photo.outputs.settings import OutputSettings

if TYPE_CHECKING:
    from segment.photo.color_segmentation import PhotoSegmentation

ENDINGS = ("_model.npz",)


def write(segmentation: PhotoSegmentation, stem: Path, settings: OutputSettings) -> list[Path]:
    """Write what --model reads."""
    path = at(stem, ENDINGS[0])
    segmentation.model.save(path)
    return [path]
