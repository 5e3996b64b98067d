"""Hidden Markov models: mixtures whose components follow each other as a chain.

Names are imported when they are first used, as in `segment.mixture`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from segment.sequence.estimator import HiddenMarkov
    from segment.sequence.parameters import ChainParameters
    from segment.sequence.sequences import Sequences

_HOME = {
    "ChainParameters": "segment.sequence.parameters",
    "HiddenMarkov": "segment.sequence.estimator",
    "Sequences": "segment.sequence.sequences",
}

__all__ = ["ChainParameters", "HiddenMarkov", "Sequences"]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    raise AttributeError(f"module 'segment.sequence' has no attribute {name!r}")
