"""How many components? Information criteria; smaller is better."""

from __future__ import annotations

import numpy as np

from segment.data.source import Source
from segment.mixture.expectation import log_likelihood, total_entropy
from segment.mixture.families.family import MixtureParameters


def aic(samples: Source, parameters: MixtureParameters, *, n_jobs: int | None = None) -> float:
    """Return Akaike's criterion, -2 log-likelihood + 2 p; smaller is better.

    Parameters
    ----------
    samples : Source
        Their weights count as repetitions.
    parameters : parameters of a mixture
    n_jobs : int, optional

    Returns
    -------
    float

    References
    ----------
    .. [1] Akaike (1974), "A new look at the statistical model identification", IEEE TAC 19(6), 716-723.
    """
    return -2.0 * log_likelihood(samples, parameters, n_jobs=n_jobs) + 2.0 * parameters.n_parameters


def bic(samples: Source, parameters: MixtureParameters, *, n_jobs: int | None = None) -> float:
    """Return the Bayesian criterion, -2 log-likelihood + p log n, n the total weight; smaller is better.

    Parameters
    ----------
    samples : Source
    parameters : parameters of a mixture
    n_jobs : int, optional

    Returns
    -------
    float

    References
    ----------
    .. [1] Schwarz (1978), "Estimating the dimension of a model", Annals of Statistics 6(2), 461-464.
    """
    penalty = parameters.n_parameters * np.log(samples.total_weight)
    return float(-2.0 * log_likelihood(samples, parameters, n_jobs=n_jobs) + penalty)


def icl(samples: Source, parameters: MixtureParameters, *, n_jobs: int | None = None) -> float:
    """Return the integrated completed likelihood criterion, BIC + 2 entropy of the posteriors.

    The entropy charges for components that overlap: ICL counts clusters, where BIC counts the Gaussians
    that a density needs.

    Parameters
    ----------
    samples : Source
    parameters : parameters of a mixture
    n_jobs : int, optional

    Returns
    -------
    float

    References
    ----------
    .. [1] Biernacki, Celeux & Govaert (2000), "Assessing a mixture model for clustering with the
           integrated completed likelihood", IEEE TPAMI 22(7), 719-725.
    """
    return bic(samples, parameters, n_jobs=n_jobs) + 2.0 * total_entropy(samples, parameters, n_jobs=n_jobs)
