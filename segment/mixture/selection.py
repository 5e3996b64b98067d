"""How many components? Information criteria; smaller is better."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from segment.data.source import Source
from segment.data.subsample import subsample
from segment.errors import DataError
from segment.mixture.expectation import criteria, log_likelihood, total_entropy
from segment.mixture.families.family import Family, MixtureParameters
from segment.mixture.model import run
from segment.mixture.seeding import starting_points

# What the choice of a number is fitted on, drawn by weight.
_PART = 65536
_SHORT_RUNS, _TOL = 8, 1e-4
# Numbers in a row that may be worse on the subsample than the best before them: then no more are tried.
_PATIENCE = 3
CRITERIA = ("bic", "icl")


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


def choose_n_components(
    source: Source,
    family: Family[Any, Any],
    numbers: Iterable[int],
    *,
    criterion: str = "bic",
    random_state: int = 0,
    n_jobs: int | None = None,
) -> tuple[int, dict[int, float]]:
    """Choose the number of components by BIC or ICL: fitted on a subsample, judged on all in one pass.

    Parameters
    ----------
    source : Source
    family : Family
    numbers : iterable of int
    criterion : {"bic", "icl"}
    random_state : int
    n_jobs : int, optional

    Returns
    -------
    n_components : int
    curve : dict of int to float
        The criterion of every number tried.
    """
    if criterion not in CRITERIA:
        raise DataError(f"criterion is {criterion!r}; allowed are {', '.join(CRITERIA)}")
    part = subsample(source, _PART, np.random.default_rng(random_state))
    found: dict[int, Any] = {}
    on_part: list[float] = []
    for n in numbers:
        worse = len(on_part) - 1 - int(np.argmin(on_part)) if on_part else 0
        if n > part.n_samples or worse >= _PATIENCE:
            break
        start = starting_points(
            part, n, family=family, n_init=_SHORT_RUNS, random_state=random_state, n_jobs=n_jobs
        )[0]
        found[n] = run(part, family, start, tol=_TOL, n_jobs=n_jobs).parameters
        on_part += _judged(part, [found[n]], criterion, n_jobs)
    curve = dict(zip(found, _judged(source, list(found.values()), criterion, n_jobs), strict=True))
    return min(curve, key=lambda n: curve[n]), curve


def _judged(source: Source, mixtures: list[Any], criterion: str, n_jobs: int | None) -> list[float]:
    """Return a criterion of mixtures, all of them in one pass."""
    scores = criteria(source, mixtures, n_jobs=n_jobs)
    penalties = np.array([each.n_parameters for each in mixtures]) * np.log(source.total_weight)
    values = -2.0 * scores[:, 0] + penalties + (2.0 * scores[:, 1] if criterion == "icl" else 0.0)
    return values.tolist()
