"""Shapes for labelme, to be edited by hand."""

from __future__ import annotations

import base64
import io
import os
from pathlib import Path
from typing import Any

import numpy as np

from segment.output import json_text, write_text
from segment.photo.colors import hex_code
from segment.photo.outputs.naming import at
from segment.photo.outputs.settings import OutputSettings
from segment.photo.read import BUNDLED, STDIN
from segment.photo.segmentation import Segmentation
from segment.photo.vectors.arcs import trace
from segment.photo.vectors.labels import drawn_labels
from segment.photo.vectors.polygons import Area, polygons_of

ENDINGS = ("_labelme.json",)

# The version whose format this is: the first one that knows masks.
_VERSION = "5.2.0"


def write(segmentation: Segmentation, stem: Path, settings: OutputSettings) -> list[Path]:
    """Write a shape a connected area: a polygon, or a mask if it has holes, which its polygons lack."""
    from scipy import ndimage

    path = at(stem, ENDINGS[0])
    topology = trace(drawn_labels(segmentation, settings))
    boxes = ndimage.find_objects(topology.areas + 1)
    codes = [hex_code(color) for color in segmentation.palette]
    shapes = [
        _shape(area, codes[area.label]) | (_mask(topology.areas[box] == number, box) if area.holes else {})
        for number, (area, box) in enumerate(zip(polygons_of(topology), boxes, strict=True))
    ]
    facts: dict[str, Any] = {
        "version": _VERSION,
        "flags": {},
        "imagePath": _path_from(path.parent, segmentation.photo.source),
        "imageData": None,
        "imageHeight": topology.shape[0],
        "imageWidth": topology.shape[1],
    }
    lines = ",\n".join(json_text(shape, indent=None) for shape in shapes)
    write_text(path, f'{json_text(facts, indent=None)[:-1]}, "shapes": [\n{lines}\n]}}\n')
    return [path]


def _path_from(folder: Path, source: str) -> str:
    """Return the way from the outputs to the photo, if it is a file."""
    if source == STDIN or source.startswith(BUNDLED) or not os.path.exists(source):
        return source
    try:
        return Path(os.path.relpath(source, folder)).as_posix()
    except ValueError:
        # On another drive.
        return os.path.abspath(source)


def _shape(area: Area, code: str) -> dict[str, Any]:
    return {
        "label": f"label-{area.label}",
        "points": area.outer[:-1].astype(np.float64).tolist(),
        "group_id": None,
        "description": code,
        "shape_type": "polygon",
        "flags": {},
        "mask": None,
    }


def _mask(mask: np.ndarray, box: tuple[slice, slice]) -> dict[str, Any]:
    """Return what makes a shape a mask: its first and last pixel, and a PNG of what lies between."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(mask.astype(np.uint8)).save(buffer, "PNG")
    (top, bottom), (left, right) = ((part.start, part.stop) for part in box)
    return {
        "points": [[float(left), float(top)], [float(right - 1), float(bottom - 1)]],
        "shape_type": "mask",
        "mask": base64.b64encode(buffer.getvalue()).decode("ascii"),
    }
