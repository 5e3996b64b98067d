"""Cluster handwritten digits: images -> features -> mixture -> graph -> scores.

Names are imported when they are first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from segment.digits.cluster import DigitClustering, cluster_digits
    from segment.digits.digit_set import DigitSet, load_digits
    from segment.digits.idx import read_idx
    from segment.digits.model import DigitModel, load_model
    from segment.digits.settings import DigitSettings

_HOME = {
    "DigitClustering": "cluster",
    "DigitModel": "model",
    "DigitSet": "digit_set",
    "DigitSettings": "settings",
    "cluster_digits": "cluster",
    "load_digits": "digit_set",
    "load_model": "model",
    "read_idx": "idx",
}

__all__ = [
    "DigitClustering",
    "DigitModel",
    "DigitSet",
    "DigitSettings",
    "cluster_digits",
    "load_digits",
    "load_model",
    "read_idx",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(f"segment.digits.{_HOME[name]}"), name)
    raise AttributeError(f"module 'segment.digits' has no attribute {name!r}")
