"""How many components? Information criteria; smaller is better."""

from __future__ import annotations

import numpy as np

from segment.mixture.expectation import score_samples, total_entropy
from segment.mixture.parameters import Parameters
from segment.mixture.samples import Samples


def _log_likelihood(samples: Samples, parameters: Parameters, n_jobs: int | None) -> float:
    return float(samples.sample_weight @ score_samples(samples.X, parameters, n_jobs=n_jobs))


def aic(samples: Samples, parameters: Parameters, *, n_jobs: int | None = None) -> float:
    """Return Akaike's criterion, -2 log-likelihood + 2 p (Akaike 1974)."""
    return -2.0 * _log_likelihood(samples, parameters, n_jobs) + 2.0 * parameters.n_parameters


def bic(samples: Samples, parameters: Parameters, *, n_jobs: int | None = None) -> float:
    """Return the Bayesian criterion, -2 log-likelihood + p log n, n the total weight (Schwarz 1978)."""
    penalty = parameters.n_parameters * np.log(samples.total_weight)
    return float(-2.0 * _log_likelihood(samples, parameters, n_jobs) + penalty)


def icl(samples: Samples, parameters: Parameters, *, n_jobs: int | None = None) -> float:
    """Return the integrated completed likelihood criterion, BIC + 2 entropy of the posteriors.

    The entropy charges for components that overlap: ICL counts clusters, where BIC counts the Gaussians
    that a density needs (Biernacki, Celeux & Govaert 2000).
    """
    return bic(samples, parameters, n_jobs=n_jobs) + 2.0 * total_entropy(samples, parameters, n_jobs=n_jobs)
