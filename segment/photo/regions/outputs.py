"""What only a hierarchy has to show: its contours, its tree, a page with every level of detail."""

from __future__ import annotations

import base64
import io
import os
from typing import Any

import numpy as np

from segment.output import json_text, write_text
from segment.photo.png import write_png
from segment.photo.regions.segmentation import RegionSegmentation

# The page shows the photo with at most so many pixels on its longer side, in at most so many regions.
_SHOWN_SIDE = 1000
_SHOWN_REGIONS = 100


def write_contours(segmentation: RegionSegmentation, path: str | os.PathLike[str]) -> None:
    """Write the ultrametric contours as a 16-bit gray PNG: 65535 times the scale up to which they last."""
    contours = segmentation.tree.contour_map()
    write_png(path, np.rint(65535 * contours).astype(np.uint16))


def write_levels(segmentation: RegionSegmentation, path: str | os.PathLike[str], title: str) -> None:
    """Write one page that works offline: the photo with a slider from 2 to 100 regions."""
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from PIL import Image

    label_map, merges = segmentation.tree.coarsest(_SHOWN_REGIONS)
    step = max(1, -(-max(label_map.shape) // _SHOWN_SIDE))
    labels = np.ascontiguousarray(label_map[::step, ::step]).astype(np.uint8)
    photo = Image.fromarray(segmentation.photo.display).resize(labels.shape[::-1], Image.Resampling.BOX)
    environment = Environment(
        loader=PackageLoader("segment.photo.regions", ""), autoescape=True, undefined=StrictUndefined
    )
    page = environment.get_template("levels.html").render(
        title=title,
        photo=_embedded(photo, "JPEG", quality=88),
        labels=_embedded(Image.fromarray(labels), "PNG"),
        data=json_text({"merges": merges, "shown": min(segmentation.n_labels, len(merges) + 1)}, indent=None),
    )
    write_text(path, page)


def _embedded(image: Any, kind: str, **options: Any) -> str:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return f"data:image/{kind.lower()};base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
