"""The Gaussian mixture as a model of the EM loop, and the functions that fit one."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from segment.errors import CollapseWarning, ConvergenceWarning, DataError
from segment.mixture.covariance import SINGULAR, covariance_type_of
from segment.mixture.em import EMResult, Model, run_em
from segment.mixture.expectation import accumulate, is_wide, score_samples
from segment.mixture.moments import Moments
from segment.mixture.parameters import Parameters
from segment.mixture.samples import Samples

# A component that explains less than this share of the total weight is empty and is re-seeded.
EMPTY = 1e-7

# A component whose smallest variance is below this multiple of reg_covar is held up by reg_covar alone.
COLLAPSED = 1.5

# Share of the log-likelihood that products in float32 may take away (measured: up to 1e-8).
SINGLE_ROUNDING = 6e-8

# Times a fit re-seeds before it leaves a component empty: distinct samples may be fewer than components.
MOST_RESEEDINGS = 3


def _components(numbers: np.ndarray) -> str:
    return f"component{'s' if len(numbers) > 1 else ''} {', '.join(str(k) for k in numbers)}"


class GaussianModel(Model[Parameters]):
    """E-step, M-step, repairs and vector form of a Gaussian mixture over given samples.

    Parameters
    ----------
    samples : Samples
    n_components : int
    covariance_type : {"full", "diag", "tied", "spherical"}
    reg_covar : float
        Relative to the mean feature variance of the samples.
    covariance_shrinkage : float in [0, 1]
    n_jobs : int, optional
    """

    def __init__(
        self,
        samples: Samples,
        n_components: int,
        covariance_type: str,
        *,
        reg_covar: float = 1e-6,
        covariance_shrinkage: float = 0.0,
        n_jobs: int | None = None,
    ) -> None:
        if not reg_covar >= 0:
            raise DataError(f"reg_covar is {reg_covar}; it must not be negative")
        if not 0 <= covariance_shrinkage <= 1:
            raise DataError(f"covariance_shrinkage is {covariance_shrinkage}; it must lie in [0, 1]")
        self.samples = samples
        self.n_components = n_components
        self.type = covariance_type_of(covariance_type)
        # Samples that are all alike have no scale of their own: then 1 is as good as any.
        self.variance = float(samples.variance.mean()) or 1.0
        self.deviations = np.sqrt(np.where(samples.variance > 0, samples.variance, self.variance))
        self.reg = reg_covar * self.variance
        self.shrinkage = covariance_shrinkage
        self.n_jobs = n_jobs
        self.total_weight = samples.total_weight
        self.monotone = covariance_shrinkage == 0
        if samples.X.dtype == np.float32 and is_wide(self.type.family, samples.n_features):
            self.rounding = SINGLE_ROUNDING
        self.repairs: list[str] = []

    def expect(self, parameters: Parameters) -> tuple[float, Moments]:
        """Return the log-likelihood of the blurred samples, and the moments."""
        moments = accumulate(self.samples, parameters, reg=self.reg, n_jobs=self.n_jobs)
        return moments.log_likelihood, moments

    def maximize(self, moments: Moments, parameters: Parameters) -> Parameters:
        """Return the parameters that the moments are best explained by; an empty component gets weight 0."""
        empty = moments.counts <= EMPTY * self.total_weight
        counts = np.where(empty, 0.0, moments.counts)
        weights = counts / counts.sum()
        if empty.any():
            moments = self._with_filled(moments, empty)
        means = parameters.means + moments.shifts()
        covariances = self.type.estimate(moments, self.deviations, self.reg, self.shrinkage)
        return Parameters(weights, means, covariances, self.type.name)

    def _with_filled(self, moments: Moments, empty: np.ndarray) -> Moments:
        """Give empty components the average scatter of the others, at a negligible mass."""
        counts, first, second = moments.counts.copy(), moments.first.copy(), moments.second.copy()
        others = Moments(counts[~empty], first[~empty], second[~empty], 0.0)
        mass = EMPTY * self.total_weight
        scatter = others.scatters().sum(axis=0) * (mass / others.counts.sum())
        counts[empty], first[empty], second[empty] = mass, 0.0, scatter
        return replace(moments, counts=counts, first=first, second=second)

    def repair(self, parameters: Parameters) -> Parameters | None:
        """Re-seed empty components at the worst-explained samples, a few times a fit."""
        empty = np.flatnonzero(parameters.weights == 0)
        if len(empty) == 0 or len(self.repairs) == MOST_RESEEDINGS:
            return None
        scores = score_samples(self.samples.X, parameters, n_jobs=self.n_jobs)
        scores[self.samples.sample_weight == 0] = np.inf
        worst = np.argsort(scores, kind="stable")[: len(empty)]
        empty = empty[: len(worst)]
        means, weights = parameters.means.copy(), parameters.weights.copy()
        means[empty] = self.samples.X[worst]
        weights[empty] = 0.1 / parameters.n_components
        self.repairs.append(
            f"{_components(empty)} explained less than {EMPTY:g} of the total weight: re-seeded at the "
            "samples that the mixture explained worst"
        )
        return replace(parameters, weights=weights / weights.sum(), means=means)

    def pack(self, parameters: Parameters) -> np.ndarray:
        """Return log weights, means and the covariance type's own vector form, of standardized features.

        Without standardization the unit of a feature would decide how far extrapolations reach.
        """
        log_weights = np.log(np.maximum(parameters.weights, 1e-300))
        means = (parameters.means - self.samples.mean) / self.deviations
        covariances = self.type.scale(parameters.covariances, 1.0 / self.deviations)
        return np.concatenate([log_weights, means.ravel(), self.type.pack(covariances)])

    def unpack(self, vector: np.ndarray) -> Parameters:
        """Undo `pack`; weights are normalized to sum to 1."""
        K, D = self.n_components, self.samples.n_features
        weights = np.exp(vector[:K] - vector[:K].max())
        means = vector[K : K + K * D].reshape(K, D) * self.deviations + self.samples.mean
        covariances = self.type.scale(self.type.unpack(vector[K + K * D :], K, D), self.deviations)
        return Parameters(weights / weights.sum(), means, covariances, self.type.name)

    def collapses(self, parameters: Parameters) -> list[str]:
        """Name the components that only a repair keeps from being singular."""
        if self.shrinkage > 0:
            return []
        if self.reg == 0:
            return self._singular(parameters)
        if self._smallest_variances(self._single()).min() < 10 * COLLAPSED * self.reg:
            # The data themselves are flat in some direction: no component is to blame.
            return []
        flat = np.flatnonzero(self._smallest_variances(parameters) < COLLAPSED * self.reg)
        if len(flat) == 0:
            return []
        return [
            f"{_components(flat)} collapsed onto equal or nearly equal samples: the smallest variance is "
            f"held at reg_covar ({self.reg:.3g})"
        ]

    def _singular(self, parameters: Parameters) -> list[str]:
        """As `collapses`, where there is no reg_covar."""
        scaled = replace(parameters, covariances=self.type.scale(parameters.covariances, 1 / self.deviations))
        flat = np.flatnonzero(self._smallest_variances(scaled) < COLLAPSED * SINGULAR)
        if len(flat) == 0:
            return []
        return [
            f"{_components(flat)} became singular: the smallest variance is held at {SINGULAR:g} of the "
            "data's, and the log-likelihood is as high as this number makes it; give a reg_covar above 0"
        ]

    def _single(self) -> Parameters:
        D = self.samples.n_features
        start = Parameters(np.ones(1), self.samples.mean[None], np.ones((1, D)), "diag")
        if self.type.family == "full":
            start = Parameters(np.ones(1), self.samples.mean[None], np.eye(D)[None], "full")
        moments = accumulate(self.samples, start, n_jobs=self.n_jobs)
        covariances = moments.scatters() / self.total_weight
        return Parameters(np.ones(1), self.samples.mean[None], covariances + 0.0, start.covariance_type)

    def _smallest_variances(self, parameters: Parameters) -> np.ndarray:
        spread = parameters.type.spread(parameters.covariances, *parameters.means.shape)
        return np.linalg.eigvalsh(spread)[:, 0] if spread.ndim == 3 else spread.min(axis=1)


def fit_em(
    samples: Samples,
    parameters: Parameters,
    *,
    tol: float = 1e-5,
    max_iter: int = 1000,
    reg_covar: float = 1e-6,
    covariance_shrinkage: float = 0.0,
    acceleration: str | None = "squarem",
    n_jobs: int | None = None,
    callback: Callable[[int, float, Parameters], None] | None = None,
) -> EMResult[Parameters]:
    """Fit a Gaussian mixture to weighted samples by EM, from given parameters.

    Parameters
    ----------
    samples : Samples
    parameters : Parameters
        Where to start; they also fix the number of components and the covariance type.
    tol : float
        Smallest gain of a plain EM step, in nats per unit of sample weight.
    max_iter : int
        Most E-steps.
    reg_covar : float
        Regularization, relative to the mean feature variance of the samples. That multiple of it is added
        to every variance. EM then climbs, without ever falling, the log-likelihood of samples that are
        each blurred by a normal of that variance: component k's log density loses reg / 2 times the trace
        of its precision. `lower_bounds` are of that objective; `log_likelihood` is the plain one.
    covariance_shrinkage : float in [0, 1]
        Share of the pooled within-component covariance in each component's own. Such a step maximizes no
        likelihood, so the lower bound may fall; convergence is then a change below `tol` either way.
    acceleration : {"squarem", None}
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
    result = climb(
        samples,
        parameters,
        tol=tol,
        max_iter=max_iter,
        reg_covar=reg_covar,
        covariance_shrinkage=covariance_shrinkage,
        acceleration=acceleration,
        n_jobs=n_jobs,
        callback=callback,
    )
    warn_of(result, tol, max_iter)
    return result


def climb(
    samples: Samples,
    parameters: Parameters,
    *,
    reg_covar: float = 1e-6,
    covariance_shrinkage: float = 0.0,
    acceleration: str | None = "squarem",
    n_jobs: int | None = None,
    **options: Any,
) -> EMResult[Parameters]:
    """Do what `fit_em` does, without its warnings: for callers that keep the best of several fits."""
    model = GaussianModel(
        samples,
        parameters.n_components,
        parameters.covariance_type,
        reg_covar=reg_covar,
        covariance_shrinkage=covariance_shrinkage,
        n_jobs=n_jobs,
    )
    if not model.monotone:
        acceleration = None
    result = run_em(model, parameters, acceleration=acceleration, **options)
    log_likelihood = result.log_likelihood
    if model.reg > 0:
        log_likelihood = float(
            samples.sample_weight @ score_samples(samples.X, result.parameters, n_jobs=n_jobs)
        )
    repairs = (*model.repairs, *model.collapses(result.parameters))
    return replace(result, repairs=repairs, log_likelihood=log_likelihood)


def warn_of(
    result: EMResult[Parameters],
    tol: float,
    max_iter: int,
    category: type[Warning] = ConvergenceWarning,
    stacklevel: int = 3,
) -> None:
    """Warn if a fit has not converged (as `category`) or was repaired (`CollapseWarning`)."""
    if not result.converged:
        fell = result.n_evaluations < max_iter
        reason = "the log-likelihood fell" if fell else f"{max_iter} E-steps were not enough for tol={tol:g}"
        warnings.warn(
            f"EM has not converged: {reason}; try a larger max_iter or reg_covar",
            category,
            stacklevel=stacklevel,
        )
    if result.repairs:
        warnings.warn("; ".join(result.repairs), CollapseWarning, stacklevel=stacklevel)


def parameters_from_responsibilities(
    samples: Samples,
    responsibilities: Any,
    *,
    covariance_type: str = "full",
    reg_covar: float = 1e-6,
    covariance_shrinkage: float = 0.0,
) -> Parameters:
    """Return the parameters of one M-step from given responsibilities or labels.

    Parameters
    ----------
    samples : Samples
    responsibilities : (n_samples, K) float array, or (n_samples,) int array of labels
        Labels below 0 belong to no component.
    covariance_type : {"full", "diag", "tied", "spherical"}
    reg_covar, covariance_shrinkage : float
        As `fit_em`.

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
    model = GaussianModel(
        samples,
        given.shape[1],
        covariance_type,
        reg_covar=reg_covar,
        covariance_shrinkage=covariance_shrinkage,
    )
    means = np.empty((given.shape[1], samples.n_features))
    counts = np.empty(len(means))
    second = []
    for k, mean in enumerate(means):
        # One component at a time, over its own rows: never the whole weighted matrix at once.
        share = given[:, k] * samples.sample_weight
        rows = np.flatnonzero(share)
        share = share[rows]
        counts[k] = share.sum()
        X = samples.X[rows].astype(np.float64)
        mean[:] = share @ X / counts[k] if counts[k] > 0 else samples.mean
        X -= mean
        full = model.type.family == "full"
        second.append((X * share[:, None]).T @ X if full else share @ np.square(X))
    moments = Moments(counts, np.zeros_like(means), np.array(second), 0.0)
    start = Parameters(
        np.full(len(means), 1 / len(means)), means, np.ones(model.type.shape(*means.shape)), model.type.name
    )
    return model.maximize(moments, start)
