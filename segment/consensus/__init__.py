"""Consensus of many clusterings of a graph of neighbors, for any features.

Names are imported when they are first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from segment.consensus.estimator import ConsensusClustering, ConsensusResult, cluster_consensus

_HOME = {
    "ConsensusClustering": "estimator",
    "ConsensusResult": "estimator",
    "cluster_consensus": "estimator",
}

__all__ = ["ConsensusClustering", "ConsensusResult", "cluster_consensus"]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(f"segment.consensus.{_HOME[name]}"), name)
    raise AttributeError(f"module 'segment.consensus' has no attribute {name!r}")
