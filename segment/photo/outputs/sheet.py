"""One page with all there is to see."""

from __future__ import annotations

from pathlib import Path

from segment.photo.draw import draw_sheet
from segment.photo.outputs.naming import at
from segment.photo.outputs.settings import OutputSettings
from segment.photo.segmentation import Segmentation
from segment.style import save_figure

ENDINGS = ("_sheet.png",)


def write(segmentation: Segmentation, stem: Path, settings: OutputSettings) -> list[Path]:
    """Write photo, segmented photo, boundaries, palette and, if K was chosen, the ICL curve."""
    path = at(stem, ENDINGS[0])
    save_figure(draw_sheet(segmentation, segmentation.curve, stem.name), path)
    return [path]
