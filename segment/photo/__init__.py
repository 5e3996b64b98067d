"""Segment color photos: read -> distinct colors -> fit -> labels -> smooth -> draw -> write.

Names are imported when they are first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from segment.photo.anomalies import find_anomalies
    from segment.photo.color_segmentation import PhotoSegmentation
    from segment.photo.fit import apply_model, segment_photo
    from segment.photo.hints.scribbles import Hints, read_hints
    from segment.photo.hints.segmentation import segment_hints
    from segment.photo.model import PhotoModel
    from segment.photo.photo import Photo
    from segment.photo.read import read_photo
    from segment.photo.regions.hierarchy import find_region_tree
    from segment.photo.regions.segmentation import RegionSegmentation, segment_regions
    from segment.photo.regions.tree import RegionTree
    from segment.photo.shared import fit_shared
    from segment.photo.vectors.polygons import Area, trace_areas
    from segment.photo.where import IgnoredColor, Where, chosen

_HOME = {
    "Photo": "photo",
    "PhotoModel": "model",
    "PhotoSegmentation": "color_segmentation",
    "RegionTree": "regions.tree",
    "apply_model": "fit",
    "fit_shared": "shared",
    "read_photo": "read",
    "segment_photo": "fit",
    "RegionSegmentation": "regions.segmentation",
    "find_region_tree": "regions.hierarchy",
    "Area": "vectors.polygons",
    "Hints": "hints.scribbles",
    "IgnoredColor": "where",
    "Where": "where",
    "chosen": "where",
    "find_anomalies": "anomalies",
    "read_hints": "hints.scribbles",
    "segment_hints": "hints.segmentation",
    "trace_areas": "vectors.polygons",
    "segment_regions": "regions.segmentation",
}

__all__ = [
    "Area",
    "Hints",
    "IgnoredColor",
    "Photo",
    "PhotoModel",
    "PhotoSegmentation",
    "RegionSegmentation",
    "RegionTree",
    "Where",
    "apply_model",
    "chosen",
    "find_anomalies",
    "find_region_tree",
    "fit_shared",
    "read_hints",
    "read_photo",
    "segment_hints",
    "segment_photo",
    "segment_regions",
    "trace_areas",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(f"segment.photo.{_HOME[name]}"), name)
    raise AttributeError(f"module 'segment.photo' has no attribute {name!r}")
