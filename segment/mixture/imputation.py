"""What is missing in samples, by a Gaussian mixture and the entries that are known."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from segment.data.gaps import GappySamples
from segment.mixture.expectation import map_rows, shares_of
from segment.mixture.families.gaussian.gaps import GappyParameters
from segment.mixture.families.gaussian.parameters import Parameters


def impute(X: Any, parameters: Parameters, *, n_jobs: int | None = None) -> np.ndarray:
    """Fill gaps with their conditional means: of all single values, those of least squared error.

    Parameters
    ----------
    X : (n_samples, n_features) array, or GappySamples
        NaN where an entry is missing.
    parameters : Parameters
    n_jobs : int, optional
        Threads; the result does not depend on it.

    Returns
    -------
    (n_samples, n_features) ndarray
        Of the dtype of `X`; what is known stays as it is.
    """
    samples = GappySamples.of(X)
    found = map_rows(samples, GappyParameters.of(parameters), _with_means, n_jobs=n_jobs)
    return np.concatenate(list(found))


def draw_missing(X: Any, parameters: Parameters, rng: np.random.Generator) -> np.ndarray:
    """Fill gaps with draws given what is known: they vary as the values do, where means vary too little.

    Parameters
    ----------
    X : (n_samples, n_features) array, or GappySamples
        NaN where an entry is missing.
    parameters : Parameters
    rng : numpy.random.Generator

    Returns
    -------
    (n_samples, n_features) ndarray
        Of the dtype of `X`; what is known stays as it is.
    """
    samples = GappySamples.of(X)
    draw = partial(_with_draws, rng)
    return np.concatenate(list(map_rows(samples, GappyParameters.of(parameters), draw, n_jobs=1)))


def _with_means(prepared: Any, X: np.ndarray) -> np.ndarray:
    filled, shares = X.copy(), shares_of(prepared, X)
    for rows, pattern in prepared.groups(X):
        means = pattern.conditional_means(X[np.ix_(rows, pattern.known)])
        filled[np.ix_(rows, pattern.missing)] = np.einsum("ik,kim->im", shares[rows], means)
    return filled


def _with_draws(rng: np.random.Generator, prepared: Any, X: np.ndarray) -> np.ndarray:
    filled, shares = X.copy(), shares_of(prepared, X)
    chosen = (shares.cumsum(axis=1) < rng.random((len(X), 1))).sum(axis=1)
    chosen = np.minimum(chosen, shares.shape[1] - 1)
    for rows, pattern in prepared.groups(X):
        if len(pattern.missing) == 0:
            continue
        means = pattern.conditional_means(X[np.ix_(rows, pattern.known)])
        roots = np.linalg.cholesky(pattern.covariances)
        normal = rng.standard_normal((len(rows), len(pattern.missing)))
        noise = np.einsum("iab,ib->ia", roots[chosen[rows]], normal)
        filled[np.ix_(rows, pattern.missing)] = means[chosen[rows], np.arange(len(rows))] + noise
    return filled
