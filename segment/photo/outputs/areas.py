"""A table of the labels of a photo of any size: color, pixels, share, area."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import TYPE_CHECKING

from segment.output import write_text
from segment.photo.colors import hex_code
from segment.photo.outputs.naming import at
from segment.photo.outputs.settings import OutputSettings

if TYPE_CHECKING:
    from segment.photo.tiles.segmentation import TiledSegmentation

ENDINGS = ("_areas.csv",)


def write(segmentation: TiledSegmentation, stem: Path, settings: OutputSettings) -> list[Path]:
    """Write a CSV file; the area is in the squared unit of the pixel size, empty where that is not known."""
    path = at(stem, ENDINGS[0])
    place = segmentation.photo.layout.place
    pixel = place.pixel_size[0] * place.pixel_size[1] if place.pixel_size else None
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["label", "color", "pixels", "share", "area", "area_unit"])
    unit = f"{place.unit or 'map unit'}^2" if pixel else ""
    counts, shares = segmentation.counts.tolist(), segmentation.shares.tolist()
    for k, (color, n, share) in enumerate(zip(segmentation.palette, counts, shares, strict=True)):
        area = f"{n * pixel:.10g}" if pixel else ""
        table.writerow([k, hex_code(color), n, f"{share:.8f}", area, unit])
    table.writerow(["none", "", segmentation.n_unlabeled, "", "", ""])
    write_text(path, text.getvalue())
    return [path]
