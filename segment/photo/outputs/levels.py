"""A page with every level of detail."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from segment.output import data_uri, json_text, write_text
from segment.photo.outputs.naming import at
from segment.photo.outputs.settings import OutputSettings

if TYPE_CHECKING:
    from segment.photo.regions.segmentation import RegionSegmentation

ENDINGS = ("_levels.html",)

# The page shows the photo with at most so many pixels on its longer side, in at most so many regions.
_SHOWN_SIDE = 1000
_SHOWN_REGIONS = 100


def write(segmentation: RegionSegmentation, stem: Path, settings: OutputSettings) -> list[Path]:
    """Write one page that works offline: the photo with a slider from 2 to 100 regions."""
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from PIL import Image

    label_map, merges = segmentation.tree.coarsest(_SHOWN_REGIONS)
    step = max(1, -(-max(label_map.shape) // _SHOWN_SIDE))
    labels = np.ascontiguousarray(label_map[::step, ::step]).astype(np.uint8)
    photo = Image.fromarray(segmentation.photo.display).resize(labels.shape[::-1], Image.Resampling.BOX)
    environment = Environment(
        loader=PackageLoader("segment.photo.outputs", ""), autoescape=True, undefined=StrictUndefined
    )
    page = environment.get_template("levels.html").render(
        title=stem.name,
        photo=_embedded(photo, "JPEG", quality=88),
        labels=_embedded(Image.fromarray(labels), "PNG"),
        data=json_text({"merges": merges, "shown": min(segmentation.n_labels, len(merges) + 1)}, indent=None),
    )
    path = at(stem, ENDINGS[0])
    write_text(path, page)
    return [path]


def _embedded(image: Any, kind: str, **options: Any) -> str:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return data_uri(buffer.getvalue(), kind.lower())
