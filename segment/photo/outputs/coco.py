"""Annotations as COCO has them: an object a connected area, a category a label."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from segment.output import json_text, write_text
from segment.photo.colors import hex_code
from segment.photo.outputs.naming import at
from segment.photo.outputs.settings import OutputSettings
from segment.photo.segmentation import Segmentation
from segment.photo.vectors.arcs import trace
from segment.photo.vectors.labels import drawn_labels
from segment.photo.vectors.polygons import polygons_of

ENDINGS = ("_coco.json",)


def write(segmentation: Segmentation, stem: Path, settings: OutputSettings) -> list[Path]:
    """Write the annotations of one image: polygons, and run lengths of areas with holes."""
    from scipy import ndimage

    path = at(stem, ENDINGS[0])
    topology = trace(drawn_labels(segmentation, settings))
    boxes = ndimage.find_objects(topology.areas + 1)
    height, width = topology.shape
    annotations = []
    for number, (area, box) in enumerate(zip(polygons_of(topology), boxes, strict=True)):
        rows, columns = box
        has_holes = bool(area.holes)
        annotations.append(
            {
                "id": number + 1,
                "image_id": 1,
                "category_id": area.label + 1,
                "segmentation": run_lengths(topology.areas[box] == number, box, topology.shape)
                if has_holes
                else [area.outer[:-1].ravel().tolist()],
                "area": area.n_pixels,
                "bbox": [columns.start, rows.start, columns.stop - columns.start, rows.stop - rows.start],
                "iscrowd": 0,
            }
        )
    name = Path(segmentation.photo.source).name
    parts: dict[str, list[dict[str, Any]]] = {
        "images": [{"id": 1, "file_name": name, "width": width, "height": height}],
        "categories": [
            {
                "id": k + 1,
                "name": f"label-{k}",
                "supercategory": segmentation.method,
                "color": hex_code(color),
            }
            for k, color in enumerate(segmentation.palette)
        ],
        "annotations": annotations,
    }
    lines = [
        f'"{key}": [\n' + ",\n".join(json_text(entry, indent=None) for entry in entries) + "\n]"
        for key, entries in parts.items()
    ]
    write_text(path, "{" + ",\n".join(lines) + "}\n")
    return [path]


def run_lengths(mask: np.ndarray, box: tuple[slice, slice], shape: tuple[int, int]) -> dict[str, Any]:
    """Return a mask as COCO's run lengths: column by column, zeros first.

    Parameters
    ----------
    mask : (m, n) bool ndarray
        The part of it that lies within the box.
    box : (slice, slice)
        Rows and columns.
    shape : (int, int)
        Of the whole.
    """
    columns, rows = np.nonzero(mask.T)
    at_pixels = (columns + box[1].start) * shape[0] + rows + box[0].start
    breaks = np.flatnonzero(np.diff(at_pixels) > 1)
    firsts = at_pixels[np.concatenate([[0], breaks + 1])]
    afters = at_pixels[np.concatenate([breaks, [len(at_pixels) - 1]])] + 1
    edges = np.concatenate([[0], np.stack([firsts, afters], axis=1).ravel(), [shape[0] * shape[1]]])
    return {"counts": np.diff(edges).tolist(), "size": list(shape)}
