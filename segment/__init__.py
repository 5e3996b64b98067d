"""Cluster with Gaussian mixtures fitted by EM: photos, digits, report figures.

Names are imported when they are first used, so that `import segment` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from segment._version import __version__

if TYPE_CHECKING:
    from segment.consensus import ConsensusClustering, cluster_consensus
    from segment.data import open_samples
    from segment.digits import cluster_digits
    from segment.mixture import (
        BayesianGaussianMixture,
        BernoulliMixture,
        EMResult,
        GaussianMixture,
        MultinomialMixture,
        Parameters,
        PoissonMixture,
        Samples,
        TMixture,
        fit_em,
        fit_mixture,
    )
    from segment.photo import (
        PhotoSegmentation,
        RegionSegmentation,
        RegionTree,
        find_region_tree,
        segment_photo,
        segment_regions,
        trace_areas,
    )
    from segment.sequence import HiddenMarkov
    from segment.video import Background

# Public name -> the room that defines it.
_HOME = {
    "Background": "segment.video",
    "BayesianGaussianMixture": "segment.mixture",
    "BernoulliMixture": "segment.mixture",
    "ConsensusClustering": "segment.consensus",
    "cluster_consensus": "segment.consensus",
    "EMResult": "segment.mixture",
    "GaussianMixture": "segment.mixture",
    "HiddenMarkov": "segment.sequence",
    "MultinomialMixture": "segment.mixture",
    "Parameters": "segment.mixture",
    "PoissonMixture": "segment.mixture",
    "Samples": "segment.mixture",
    "TMixture": "segment.mixture",
    "fit_em": "segment.mixture",
    "fit_mixture": "segment.mixture",
    "PhotoSegmentation": "segment.photo",
    "segment_photo": "segment.photo",
    "cluster_digits": "segment.digits",
    "open_samples": "segment.data",
    "RegionTree": "segment.photo",
    "RegionSegmentation": "segment.photo",
    "find_region_tree": "segment.photo",
    "segment_regions": "segment.photo",
    "trace_areas": "segment.photo",
}

__all__ = [
    "Background",
    "BayesianGaussianMixture",
    "BernoulliMixture",
    "ConsensusClustering",
    "EMResult",
    "GaussianMixture",
    "HiddenMarkov",
    "MultinomialMixture",
    "Parameters",
    "PhotoSegmentation",
    "PoissonMixture",
    "RegionSegmentation",
    "RegionTree",
    "Samples",
    "TMixture",
    "__version__",
    "cluster_consensus",
    "cluster_digits",
    "find_region_tree",
    "fit_em",
    "fit_mixture",
    "open_samples",
    "segment_photo",
    "segment_regions",
    "trace_areas",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    raise AttributeError(f"module 'segment' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
