"""A page with every level of detail, on which regions can be merged and split by hand."""

from __future__ import annotations

import base64
import io
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from segment.output import data_uri, json_text, write_text
from segment.photo.outputs.naming import at
from segment.photo.outputs.settings import OutputSettings
from segment.photo.regions.edits import FORMAT, MOST_REGIONS, fingerprint

if TYPE_CHECKING:
    from segment.photo.regions.segmentation import RegionSegmentation

ENDINGS = ("_levels.html",)

# The page shows the photo with at most so many pixels on its longer side.
_SHOWN_SIDE = 1000

_NO_LABEL = 255


def write(segmentation: RegionSegmentation, stem: Path, settings: OutputSettings) -> list[Path]:
    """Write one page that works offline: a slider from 2 to 100 regions, merges and splits by click."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("segment.photo.outputs", ""), autoescape=True, undefined=StrictUndefined
    )
    page = environment.get_template("levels.html").render(
        title=stem.name, script=_SCRIPT.read_text(encoding="utf-8"), **_content(segmentation, stem.name)
    )
    path = at(stem, ENDINGS[0])
    write_text(path, page)
    return [path]


_SCRIPT = Path(__file__).with_name("levels.js")


def _content(segmentation: RegionSegmentation, name: str) -> dict[str, str]:
    """Return what the page holds: photo, labels as compressed bytes, and all else as JSON."""
    from PIL import Image

    tree, counts = segmentation.tree, segmentation.photo.counts
    label_map, merges = tree.coarsest(MOST_REGIONS)
    shown = segmentation.n_labels if counts is None else tree.n_regions_for(segmentation.n_labels, counts)
    step = max(1, -(-max(label_map.shape) // _SHOWN_SIDE))
    labels = np.ascontiguousarray(label_map[::step, ::step]).astype(np.uint8)
    if counts is not None:
        labels[~counts[::step, ::step]] = _NO_LABEL
    photo = Image.fromarray(segmentation.photo.display).resize(labels.shape[::-1], Image.Resampling.BOX)
    most = len(merges) + 1
    facts = {
        "format": FORMAT,
        "name": name,
        "tree": fingerprint(label_map, merges),
        "width": labels.shape[1],
        "height": labels.shape[0],
        "step": step,
        "merges": merges,
        "areas": _areas(label_map, counts, most),
        "sums": _sums(np.asarray(photo), labels, most),
        "shown": min(shown, most),
    }
    buffer = io.BytesIO()
    photo.save(buffer, "JPEG", quality=88)
    return {
        "photo": data_uri(buffer.getvalue(), "jpeg"),
        # Read back through a canvas they would not be the same in a browser that guards against fingerprints.
        "labels": base64.b64encode(zlib.compress(labels.tobytes(), 9)).decode("ascii"),
        "data": json_text(facts, indent=None),
    }


def _areas(label_map: np.ndarray, counts: np.ndarray | None, n_labels: int) -> np.ndarray:
    """Return pixels that count, and all pixels, of each label, (n_labels, 2): they number the regions."""
    all_of_them = np.bincount(label_map.ravel(), minlength=n_labels)
    inside = all_of_them if counts is None else np.bincount(label_map[counts], minlength=n_labels)
    return np.stack([inside, all_of_them], axis=1)


def _sums(photo: Any, labels: np.ndarray, n_labels: int) -> np.ndarray:
    """Return red, green, blue and pixels of each label, (n_labels, 4) int64."""
    flat, rows = labels.ravel(), photo.reshape(-1, photo.shape[-1]).astype(np.int64)
    columns = [np.bincount(flat, rows[:, c], minlength=256)[:n_labels] for c in range(3)]
    return np.rint(np.stack([*columns, np.bincount(flat, minlength=256)[:n_labels]], axis=1)).astype(np.int64)
