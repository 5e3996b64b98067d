"""The colors of each class: a mixture a class, fitted to hints and to what hints make likely."""

from __future__ import annotations

import numpy as np

from segment.data.samples import Samples
from segment.data.subsample import subsample
from segment.mixture.expectation import log_densities
from segment.mixture.families.gaussian.family import Gaussian
from segment.mixture.families.gaussian.parameters import Parameters
from segment.mixture.model import run
from segment.mixture.seeding import starting_points

# Components of a class, at most; fewer where its hints have fewer colors.
_COMPONENTS = 3

# Added variance in squared Lab: what eyes hardly tell apart is one color.
_NOISE = 9.0

_TOL, _STEPS = 1e-3, 30

# Hints of a class that its fit looks at.
_SAMPLED = 20_000

# Densities are those of single pixels, but a superpixel holds no independent ones: exponent of its density.
_TEMPER = 0.3
_WORST = 30.0


def fit_classes(groups: list[Samples], random_state: int) -> tuple[Parameters, np.ndarray]:
    """Fit a mixture to the colors of each class.

    Parameters
    ----------
    groups : list of Samples
        Colors of each class in Lab.
    random_state : int

    Returns
    -------
    parameters : Parameters
        Of all components, each class with the same share.
    classes : (K,) int64 ndarray
        Class of each component.
    """
    fits = [_fit(samples, random_state) for samples in groups]
    classes = np.repeat(np.arange(len(fits)), [fit.n_components for fit in fits])
    weights, means, covariances = (
        np.concatenate([getattr(fit, name) for fit in fits]) for name in ("weights", "means", "covariances")
    )
    return Parameters(weights / len(fits), means, covariances), classes


def _fit(samples: Samples, random_state: int) -> Parameters:
    rng = np.random.default_rng(random_state)
    samples = subsample(samples, _SAMPLED, rng)
    family = Gaussian.of(samples, reg_covar=_NOISE)
    n = min(_COMPONENTS, len(np.unique(samples.X, axis=0)))
    start = starting_points(samples, n, family=family, method="kmeans", random_state=rng)[0]
    # The bare run, without warnings: a flat class needs fewer components, which then coincide.
    return run(samples, family, start, tol=_TOL, max_iter=_STEPS, n_jobs=1).parameters


def class_log_densities(
    X: np.ndarray, parameters: Parameters, classes: np.ndarray, n_jobs: int | None = None
) -> np.ndarray:
    """Return the log density of each class, weighted by its share, (n, C) float64."""
    densities = log_densities(X, parameters, n_jobs=n_jobs)
    starts = np.flatnonzero(np.diff(classes, prepend=-1))
    return np.logaddexp.reduceat(densities, starts, axis=1)


def class_priors(X: np.ndarray, parameters: Parameters, classes: np.ndarray) -> np.ndarray:
    """Return what the mean color of a superpixel says of its class, (S, C), rows that sum to 1."""
    densities = class_log_densities(X, parameters, classes)
    densities -= densities.max(axis=1, keepdims=True)
    found = np.exp(_TEMPER * np.maximum(densities, -_WORST))
    return found / found.sum(axis=1, keepdims=True)
