"""EM watched: the parameters and the log-likelihood at every iteration."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np

from segment.data.samples import Samples
from segment.em import EMResult, Model, Stopping, run_em
from segment.errors import CollapseWarning, ConvergenceWarning
from segment.lab.outcome import Check
from segment.mixture.families.gaussian.parameters import Parameters
from segment.mixture.fitting import fit_em
from segment.words import say

P = TypeVar("P")


@dataclass(frozen=True, eq=False)
class Trace(Generic[P]):
    """A fit with all its steps.

    Attributes
    ----------
    parameters : tuple of P
        The start, then those after 1, 2, ... iterations.
    log_likelihoods : (n,) float64 ndarray
        Theirs, in nats.
    result : EMResult
    """

    parameters: tuple[P, ...]
    log_likelihoods: np.ndarray
    result: EMResult[P]

    @property
    def n_iter(self) -> int:
        """Number of iterations after the start."""
        return len(self.parameters) - 1

    @property
    def last(self) -> P:
        """The parameters at the end."""
        return self.parameters[-1]

    def at(self, iteration: int) -> P:
        """Return the parameters after `iteration` steps; those at the end where EM stopped before."""
        return self.parameters[min(iteration, self.n_iter)]


def never_falls(*traces: Trace[Any]) -> Check:
    """Check that no iteration lowered the log-likelihood by more than rounding explains."""

    def worst(trace: Trace[Any]) -> float:
        return float(np.diff(trace.log_likelihoods).min() / max(1.0, abs(trace.log_likelihoods[-1])))

    least = min(worst(trace) for trace in traces)
    return Check(
        "the log-likelihood never falls",
        "never",
        "never" if least >= -1e-9 else say("it fell by {least:.1e}", least=-least),
        least >= -1e-9,
    )


def trace_em(samples: Samples, start: Parameters, **options: Any) -> Trace[Parameters]:
    """Fit a Gaussian mixture by plain EM (see `fit_em`) without regularization and keep every step.

    The options are those of `fit_em`, and override that choice. What EM would warn of is what the lab
    shows: warnings are not repeated.
    """
    options = {"relative_reg": 0.0, "acceleration": None, "n_jobs": 1, **options}
    steps: list[Parameters] = []
    bounds: list[float] = []

    def watch(iteration: int, lower_bound: float, parameters: Parameters) -> None:
        steps.append(parameters)
        bounds.append(lower_bound)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.simplefilter("ignore", CollapseWarning)
        result = fit_em(samples, start, callback=watch, **options)
    return Trace(tuple(steps), np.array(bounds) * samples.total_weight, result)


def trace_model(model: Model[P], start: P, stopping: Stopping) -> Trace[P]:
    """Fit any model by plain EM (see `run_em`) and keep every step."""
    steps: list[P] = []
    bounds: list[float] = []

    def watch(iteration: int, lower_bound: float, parameters: P) -> None:
        steps.append(parameters)
        bounds.append(lower_bound)

    result = run_em(model, start, stopping=stopping, acceleration=None, callback=watch)
    return Trace(tuple(steps), np.array(bounds) * model.total_weight, result)


def plain(parameters: Parameters) -> dict[str, Any]:
    """Return the arrays of parameters, for JSON."""
    return {
        "weights": parameters.weights,
        "means": parameters.means,
        "covariances": parameters.covariances,
        "covariance_type": parameters.covariance_type,
    }


def plain_trace(trace: Trace[Parameters]) -> dict[str, Any]:
    """Return a trace as arrays by iteration, for JSON."""
    return {
        "log_likelihood": trace.log_likelihoods,
        "weights": [step.weights for step in trace.parameters],
        "means": [step.means for step in trace.parameters],
        "covariances": [step.covariances for step in trace.parameters],
        "converged": trace.result.converged,
    }
