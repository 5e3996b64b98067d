"""Segment color photos: read -> distinct colors -> fit -> labels -> smooth -> draw -> write.

Names are imported when they are first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from segment.photo.fit import PhotoSegmentation, apply_model, segment_photo
    from segment.photo.model import PhotoModel
    from segment.photo.photo import Photo
    from segment.photo.read import read_photo
    from segment.photo.regions.hierarchy import segment_regions
    from segment.photo.regions.tree import RegionTree

_HOME = {
    "Photo": "photo",
    "PhotoModel": "model",
    "PhotoSegmentation": "fit",
    "RegionTree": "regions.tree",
    "apply_model": "fit",
    "read_photo": "read",
    "segment_photo": "fit",
    "segment_regions": "regions.hierarchy",
}

__all__ = [
    "Photo",
    "PhotoModel",
    "PhotoSegmentation",
    "RegionTree",
    "apply_model",
    "read_photo",
    "segment_photo",
    "segment_regions",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(f"segment.photo.{_HOME[name]}"), name)
    raise AttributeError(f"module 'segment.photo' has no attribute {name!r}")
