"""Video: what stays and what moves, frame by frame.

Names are imported when they are first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from segment.video.background import Background

_HOME = {"Background": "background"}

__all__ = ["Background"]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(f"segment.video.{_HOME[name]}"), name)
    raise AttributeError(f"module 'segment.video' has no attribute {name!r}")
