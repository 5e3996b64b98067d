"""Hidden Markov random fields: mixtures over a grid of pixels whose neighbors tend to be alike.

Names are imported when they are first used, as in `segment.mixture`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from segment.grid.fitting import fit_field
    from segment.grid.model import FieldParameters

_HOME = {"FieldParameters": "segment.grid.model", "fit_field": "segment.grid.fitting"}

__all__ = ["FieldParameters", "fit_field"]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    raise AttributeError(f"module 'segment.grid' has no attribute {name!r}")
