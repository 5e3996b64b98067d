"""From samples to a fitted Gaussian mixture: EM from a given start, or a start and EM in one call."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from segment.data.samples import Samples
from segment.data.source import Source
from segment.em.result import EMResult
from segment.errors import CollapseWarning, ConvergenceWarning, DataError
from segment.mixture.families.family import Family
from segment.mixture.families.gaussian.family import Gaussian
from segment.mixture.families.gaussian.parameters import Parameters
from segment.mixture.model import climb
from segment.mixture.seeding import starting_points
from segment.parallel import single_threaded_blas


def fit_em(
    samples: Source,
    parameters: Parameters,
    *,
    tol: float = 1e-5,
    max_iter: int = 1000,
    reg_covar: float | None = None,
    relative_reg: float = 1e-6,
    covariance_shrinkage: float = 0.0,
    acceleration: str | None = "squarem",
    n_jobs: int | None = None,
    callback: Callable[[int, float, Parameters], None] | None = None,
) -> EMResult[Parameters]:
    """Fit a Gaussian mixture to weighted samples by EM, from given parameters.

    Parameters
    ----------
    samples : Source
    parameters : Parameters
        Where to start; they also fix the number of components and the covariance type.
    tol : float
        Smallest gain of a plain EM step, in nats per unit of sample weight.
    max_iter : int
        Most E-steps.
    reg_covar : float, optional
        Regularization, in the squared unit of the data: added to every variance. EM then climbs, without
        ever falling, the log-likelihood of samples that are each blurred by a normal of that variance:
        component k's log density loses reg / 2 times the trace of its precision. `lower_bounds` are of that
        objective; `log_likelihood` is the plain one.
    relative_reg : float
        The same as a multiple of the data's mean feature variance; it counts where `reg_covar` is None.
    covariance_shrinkage : float in [0, 1]
        Share of the pooled within-component covariance in each component's own. Such a step maximizes no
        likelihood, so the lower bound may fall; convergence is then a change below `tol` either way.
    acceleration : {"squarem", "anderson", None}
    n_jobs : int, optional
        Threads (default: all cores). The result does not depend on it, bit for bit.
    callback : callable, optional
        ``callback(iteration, lower_bound, parameters)`` after every accepted E-step.

    Returns
    -------
    EMResult

    Warns
    -----
    ConvergenceWarning
        If `max_iter` came before convergence, or the log-likelihood fell.
    CollapseWarning
        If a component was repaired; `repairs` of the result says how.

    Raises
    ------
    DataError
        If samples, parameters and options do not fit each other.
    """
    family = Gaussian.of(
        samples,
        parameters.covariance_type,
        reg_covar=reg_covar,
        relative_reg=relative_reg,
        covariance_shrinkage=covariance_shrinkage,
    )
    options: dict[str, Any] = {"acceleration": acceleration, "n_jobs": n_jobs, "callback": callback}
    result = climb(samples, family, parameters, tol=tol, max_iter=max_iter, **options)
    warn_of(result, tol, max_iter)
    return result


def fit_mixture(
    samples: Source,
    n_components: int,
    *,
    covariance_type: str = "full",
    init: str = "short_runs",
    n_init: int | None = None,
    random_state: int | np.random.Generator | None = 0,
    reg_covar: float | None = None,
    relative_reg: float = 1e-6,
    covariance_shrinkage: float = 0.0,
    n_jobs: int | None = None,
    tol: float = 1e-5,
    max_iter: int = 1000,
    **options: Any,
) -> EMResult[Parameters]:
    """Choose starts (see `starting_points`), fit a Gaussian mixture from each (see `fit_em`), keep the best.

    Parameters
    ----------
    samples : Source
    n_components : int
    covariance_type : {"full", "diag", "tied", "spherical"}
    init : {"short_runs", "kmeans", "k-means++", "random"}
    n_init : int, optional
        Number of short runs.
    random_state : int, Generator or None
    reg_covar, relative_reg, covariance_shrinkage : float
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
    family = Gaussian.of(
        samples,
        covariance_type,
        reg_covar=reg_covar,
        relative_reg=relative_reg,
        covariance_shrinkage=covariance_shrinkage,
    )
    best = fit_family(
        samples,
        n_components,
        family,
        init=init,
        n_init=n_init,
        random_state=random_state,
        n_jobs=n_jobs,
        tol=tol,
        max_iter=max_iter,
        **options,
    )
    warn_of(best, tol, max_iter)
    return best


def fit_family(
    samples: Source,
    n_components: int,
    family: Family[Any, Any],
    *,
    init: str = "short_runs",
    n_init: int | None = None,
    random_state: int | np.random.Generator | None = 0,
    n_jobs: int | None = None,
    **options: Any,
) -> EMResult[Any]:
    """Choose starts, fit a mixture of any family from each, return the best; without warnings.

    Parameters
    ----------
    samples : Source
    n_components : int
    family : Family
    init, n_init, random_state, n_jobs
        As `fit_mixture`.
    **options
        `tol`, `max_iter`, `acceleration` and `callback` of `climb`.

    Returns
    -------
    EMResult
    """
    starts = starting_points(
        samples,
        n_components,
        family=family,
        method=init,
        n_init=n_init,
        random_state=random_state,
        n_jobs=n_jobs,
    )
    results = [climb(samples, family, start, n_jobs=n_jobs, **options) for start in starts]
    return max(results, key=lambda result: result.lower_bound)


def warn_of(
    result: EMResult[Any],
    tol: float,
    max_iter: int,
    category: type[Warning] = ConvergenceWarning,
    stacklevel: int = 3,
) -> None:
    """Warn if a fit has not converged (as `category`) or was repaired (`CollapseWarning`)."""
    if not result.converged:
        fell = result.n_evaluations < max_iter
        reason = "the log-likelihood fell" if fell else f"{max_iter} E-steps were not enough for tol={tol:g}"
        text = f"EM has not converged: {reason}; try a larger max_iter or reg_covar"
        warnings.warn(text, category, stacklevel=stacklevel)
    if result.repairs:
        warnings.warn("; ".join(map(str, result.repairs)), CollapseWarning, stacklevel=stacklevel)


@single_threaded_blas()
def parameters_from_responsibilities(
    samples: Samples,
    responsibilities: Any,
    *,
    family: Family[Any, Any] | None = None,
    **options: Any,
) -> Any:
    """Return the parameters of one M-step from given responsibilities or labels.

    Parameters
    ----------
    samples : Samples
    responsibilities : (n_samples, K) float array, or (n_samples,) int array of labels
        Labels below 0 belong to no component.
    family : Family, optional
        By default Gaussian, with the options of `Gaussian.of`.
    **options
        `covariance_type`, `reg_covar`, `relative_reg` and `covariance_shrinkage` of `Gaussian.of`.

    Returns
    -------
    Parameters

    Raises
    ------
    DataError
        If their shape does not fit the samples.
    """
    given = np.asarray(responsibilities)
    if given.shape[:1] != (samples.n_samples,) or given.ndim not in (1, 2):
        raise DataError(f"responsibilities have shape {given.shape}; {samples.n_samples} rows are needed")
    if given.ndim == 1:
        given = given[:, None] == np.arange(given.max() + 1)
    return (family or Gaussian.of(samples, **options)).from_responsibilities(samples, given)
