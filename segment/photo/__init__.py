"""Segment color photos: read -> distinct colors -> fit -> labels -> smooth -> draw -> write.

Names are imported when they are first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from segment.photo.photo import Photo
    from segment.photo.read import read_photo

_HOME = {
    "Photo": "photo",
    "read_photo": "read",
}

__all__ = ["Photo", "read_photo"]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(f"segment.photo.{_HOME[name]}"), name)
    raise AttributeError(f"module 'segment.photo' has no attribute {name!r}")
