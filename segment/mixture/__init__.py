"""The mixture model: samples, parameters, moments, starts, EM, selection.

Names are imported when they are first used: the estimator needs scikit-learn, which the rest does not.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from segment.mixture.em import EMResult, Model, run_em
    from segment.mixture.estimator import GaussianMixture
    from segment.mixture.expectation import accumulate, assign, log_densities, responsibilities, score_samples
    from segment.mixture.fitting import fit_mixture
    from segment.mixture.gaussian import fit_em, parameters_from_responsibilities
    from segment.mixture.moments import Moments
    from segment.mixture.parameters import Parameters
    from segment.mixture.samples import Samples
    from segment.mixture.seeding import initial_parameters, starting_points
    from segment.mixture.selection import aic, bic, icl

_HOME = {
    "EMResult": "em",
    "GaussianMixture": "estimator",
    "Model": "em",
    "Moments": "moments",
    "Parameters": "parameters",
    "Samples": "samples",
    "accumulate": "expectation",
    "aic": "selection",
    "assign": "expectation",
    "bic": "selection",
    "fit_em": "gaussian",
    "fit_mixture": "fitting",
    "icl": "selection",
    "initial_parameters": "seeding",
    "log_densities": "expectation",
    "parameters_from_responsibilities": "gaussian",
    "responsibilities": "expectation",
    "run_em": "em",
    "score_samples": "expectation",
    "starting_points": "seeding",
}

__all__ = [
    "EMResult",
    "GaussianMixture",
    "Model",
    "Moments",
    "Parameters",
    "Samples",
    "accumulate",
    "aic",
    "assign",
    "bic",
    "fit_em",
    "fit_mixture",
    "icl",
    "initial_parameters",
    "log_densities",
    "parameters_from_responsibilities",
    "responsibilities",
    "run_em",
    "score_samples",
    "starting_points",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(f"segment.mixture.{_HOME[name]}"), name)
    raise AttributeError(f"module 'segment.mixture' has no attribute {name!r}")
