"""A drawing of smooth areas, to be scaled and edited."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from segment.output import write_text
from segment.photo.outputs.naming import at
from segment.photo.outputs.settings import OutputSettings
from segment.photo.segmentation import Segmentation

ENDINGS = (".svg",)


def write(segmentation: Segmentation, stem: Path, settings: OutputSettings) -> list[Path]:
    """Write an SVG file with a group a label, those of regions within the groups of larger regions."""
    from segment.photo.vectors.labels import drawn_labels
    from segment.photo.vectors.svg import svg_text

    path = at(stem, ENDINGS[0])
    text = svg_text(
        drawn_labels(segmentation, settings),
        segmentation.palette,
        title=stem.name,
        tolerance=settings.tolerance,
        nesting=_nesting(segmentation),
    )
    write_text(path, text)
    return [path]


def _nesting(segmentation: Segmentation) -> list[np.ndarray]:
    """Return groups of regions by the hierarchy cut into 2, 4, 8, ... regions, the finest first."""
    tree = getattr(segmentation, "tree", None)
    if tree is None:
        return []
    labels, first = np.unique(segmentation.label_map, return_index=True)
    first = first[labels >= 0]
    counts = [2**i for i in range(1, 31) if 2**i < segmentation.n_labels]
    return [tree.cut(n_regions=n).flat[first] for n in reversed(counts)]
