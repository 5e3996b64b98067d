"""A page to paint by numbers."""

from __future__ import annotations

from pathlib import Path

from segment.photo.outputs.naming import at
from segment.photo.outputs.settings import OutputSettings
from segment.photo.segmentation import Segmentation
from segment.style import save_formats

ENDINGS = ("_paint.pdf", "_paint.svg")


def write(segmentation: Segmentation, stem: Path, settings: OutputSettings) -> list[Path]:
    """Write the page as PDF and as SVG."""
    from segment.photo.vectors.paint import paint_page

    page = paint_page(
        segmentation.label_map,
        segmentation.palette,
        title=stem.name,
        paper=settings.paper,
        tolerance=settings.tolerance,
        min_area=settings.min_area,
    )
    return save_formats(page, at(stem, "_paint"), ("pdf", "svg"))
