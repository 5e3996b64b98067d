"""The whole hierarchy of regions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from segment.photo.outputs.naming import at
from segment.photo.outputs.settings import OutputSettings

if TYPE_CHECKING:
    from segment.photo.regions.segmentation import RegionSegmentation

ENDINGS = ("_tree.npz",)


def write(segmentation: RegionSegmentation, stem: Path, settings: OutputSettings) -> list[Path]:
    """Write what `RegionTree.load` reads."""
    path = at(stem, ENDINGS[0])
    segmentation.tree.save(path)
    return [path]
