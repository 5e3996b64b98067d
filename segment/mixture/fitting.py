"""From samples to a fitted mixture in one call: a start, then EM."""

from __future__ import annotations

from typing import Any

import numpy as np

from segment.mixture.em import EMResult
from segment.mixture.gaussian import climb, warn_of
from segment.mixture.parameters import Parameters
from segment.mixture.samples import Samples
from segment.mixture.seeding import starting_points


def fit_mixture(
    samples: Samples,
    n_components: int,
    *,
    covariance_type: str = "full",
    init: str = "short_runs",
    n_init: int | None = None,
    random_state: int | np.random.Generator | None = 0,
    reg_covar: float = 1e-6,
    covariance_shrinkage: float = 0.0,
    n_jobs: int | None = None,
    tol: float = 1e-5,
    max_iter: int = 1000,
    **options: Any,
) -> EMResult[Parameters]:
    """Choose starts (see `starting_points`), fit a Gaussian mixture from each (see `fit_em`), keep the best.

    Parameters
    ----------
    samples : Samples
    n_components : int
    covariance_type : {"full", "diag", "tied", "spherical"}
    init : {"short_runs", "kmeans", "k-means++", "random"}
    n_init : int, optional
        Number of short runs.
    random_state : int, Generator or None
    reg_covar, covariance_shrinkage : float
        As `fit_em`.
    n_jobs : int, optional
        Threads; the result does not depend on it.
    tol, max_iter
        As `fit_em`.
    **options
        `acceleration` and `callback` of `fit_em`.

    Returns
    -------
    EMResult

    Warns
    -----
    ConvergenceWarning, CollapseWarning
        As `fit_em`, about the fit that is returned.

    Raises
    ------
    DataError
        If there are fewer samples than components, or an option is not allowed.
    """
    shared: dict[str, Any] = {
        "reg_covar": reg_covar,
        "covariance_shrinkage": covariance_shrinkage,
        "n_jobs": n_jobs,
    }
    starts = starting_points(
        samples,
        n_components,
        covariance_type=covariance_type,
        method=init,
        n_init=n_init,
        random_state=random_state,
        **shared,
    )
    results = [climb(samples, start, tol=tol, max_iter=max_iter, **shared, **options) for start in starts]
    best = max(results, key=lambda result: result.lower_bound)
    warn_of(best, tol, max_iter)
    return best
