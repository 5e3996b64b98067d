"""The mixture model: families of densities, starts, fits, selection.

Names are imported when they are first used: the estimators need scikit-learn, which the rest does not.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from segment.data.samples import Samples
    from segment.em.loop import run_em
    from segment.em.model import Model
    from segment.em.result import EMResult, Repair
    from segment.em.stopping import SmallChange, SmallGain
    from segment.mixture.estimators.bayesian import BayesianGaussianMixture
    from segment.mixture.estimators.bernoulli import BernoulliMixture
    from segment.mixture.estimators.gaussian import GaussianMixture
    from segment.mixture.estimators.multinomial import MultinomialMixture
    from segment.mixture.estimators.poisson import PoissonMixture
    from segment.mixture.estimators.student import TMixture
    from segment.mixture.expectation import accumulate, assign, log_densities, responsibilities, score_samples
    from segment.mixture.families.gaussian.family import Gaussian
    from segment.mixture.families.gaussian.moments import Moments
    from segment.mixture.families.gaussian.parameters import Parameters
    from segment.mixture.fitting import fit_em, fit_mixture, parameters_from_responsibilities
    from segment.mixture.merging import Merging, merge_components
    from segment.mixture.seeding import initial_parameters, starting_points
    from segment.mixture.selection import aic, bic, icl

_HOME = {
    "BayesianGaussianMixture": "segment.mixture.estimators.bayesian",
    "BernoulliMixture": "segment.mixture.estimators.bernoulli",
    "PoissonMixture": "segment.mixture.estimators.poisson",
    "EMResult": "segment.em.result",
    "Gaussian": "segment.mixture.families.gaussian.family",
    "GaussianMixture": "segment.mixture.estimators.gaussian",
    "Merging": "segment.mixture.merging",
    "Model": "segment.em.model",
    "Moments": "segment.mixture.families.gaussian.moments",
    "MultinomialMixture": "segment.mixture.estimators.multinomial",
    "Parameters": "segment.mixture.families.gaussian.parameters",
    "Repair": "segment.em.result",
    "Samples": "segment.data.samples",
    "SmallChange": "segment.em.stopping",
    "SmallGain": "segment.em.stopping",
    "TMixture": "segment.mixture.estimators.student",
    "accumulate": "segment.mixture.expectation",
    "aic": "segment.mixture.selection",
    "assign": "segment.mixture.expectation",
    "bic": "segment.mixture.selection",
    "fit_em": "segment.mixture.fitting",
    "fit_mixture": "segment.mixture.fitting",
    "icl": "segment.mixture.selection",
    "initial_parameters": "segment.mixture.seeding",
    "log_densities": "segment.mixture.expectation",
    "merge_components": "segment.mixture.merging",
    "parameters_from_responsibilities": "segment.mixture.fitting",
    "responsibilities": "segment.mixture.expectation",
    "run_em": "segment.em.loop",
    "score_samples": "segment.mixture.expectation",
    "starting_points": "segment.mixture.seeding",
}

__all__ = [
    "BayesianGaussianMixture",
    "BernoulliMixture",
    "EMResult",
    "Gaussian",
    "GaussianMixture",
    "Merging",
    "Model",
    "Moments",
    "MultinomialMixture",
    "Parameters",
    "PoissonMixture",
    "Repair",
    "Samples",
    "SmallChange",
    "SmallGain",
    "TMixture",
    "accumulate",
    "aic",
    "assign",
    "bic",
    "fit_em",
    "fit_mixture",
    "icl",
    "initial_parameters",
    "log_densities",
    "merge_components",
    "parameters_from_responsibilities",
    "responsibilities",
    "run_em",
    "score_samples",
    "starting_points",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    raise AttributeError(f"module 'segment.mixture' has no attribute {name!r}")
