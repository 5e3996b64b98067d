"""The EM loop, for any model that has an E-step and an M-step. Every call of `expect` is counted."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numpy as np

from segment.em.acceleration import ACCELERATIONS, Stepping
from segment.em.model import Expectation, Model
from segment.em.result import EMResult, Repair
from segment.em.stopping import SmallGain, Stopping
from segment.errors import DataError
from segment.parallel import single_threaded_blas

P = TypeVar("P")


def run_em(
    model: Model[P],
    parameters: P,
    *,
    stopping: Stopping | None = None,
    acceleration: str | None = "squarem",
    callback: Callable[[int, float, P], None] | None = None,
) -> EMResult[P]:
    """Climb the objective of a model by EM.

    Parameters
    ----------
    model : Model
    parameters : P
        Where to start.
    stopping : Stopping, optional
        When to stop (default: `SmallGain()`).
    acceleration : {"squarem", "anderson", None}
        Applied where the model has a vector form (`Model.chart`); plain EM steps otherwise.
    callback : callable, optional
        Called as ``callback(iteration, lower_bound, parameters)`` after every accepted E-step, from 0.

    Returns
    -------
    EMResult
        `converged` is False where `max_iter` came first, or the objective fell by more than rounding
        explains; the parameters are then those before the fall.

    Raises
    ------
    DataError
        If `acceleration` is not known, or the start cannot be evaluated.

    References
    ----------
    .. [1] Dempster, Laird & Rubin (1977), "Maximum likelihood from incomplete data via the EM algorithm",
           JRSS B 39(1), 1-38.
    """
    if acceleration not in ACCELERATIONS:
        allowed = " and ".join(repr(name) for name in ACCELERATIONS)
        raise DataError(f"acceleration is {acceleration!r}; allowed are {allowed}")
    stepping = ACCELERATIONS[acceleration if model.chart else None](model.chart)
    with single_threaded_blas():
        return _climb(model, parameters, stopping or SmallGain(), stepping, callback)


def _climb(
    model: Model[P],
    parameters: P,
    stopping: Stopping,
    stepping: Stepping[P],
    callback: Callable[[int, float, P], None] | None,
) -> EMResult[P]:
    bounds: list[float] = []
    repairs: list[Repair] = []
    candidate, fallback = parameters, None
    accepted, converged, evaluations = parameters, False, 0
    while evaluations < stopping.max_iter:
        evaluations += 1
        found = _expect(model, candidate, has_fallback=fallback is not None)
        bound = found.objective / model.total_weight
        if fallback is not None and not bound >= bounds[-1]:
            candidate, fallback = fallback, None
            stepping.rejected()
            continue
        gain = bound - bounds[-1] if bounds else np.inf
        if stopping.is_fall(gain, model.rounding * max(1.0, abs(bound))):
            break
        is_plain_step = fallback is None and bool(bounds)
        accepted, fallback = candidate, None
        bounds.append(bound)
        if callback:
            callback(len(bounds) - 1, bound, accepted)
        converged = is_plain_step and stopping.is_converged(gain)
        if converged:
            break
        following = model.maximize(found.statistics, accepted)
        if repaired := model.repair(following, len(repairs)):
            candidate, fallback = repaired[0], following
            repairs.append(repaired[1])
            stepping.restart()
        else:
            further = stepping.propose(accepted, following)
            candidate, fallback = (following, None) if further is None else (further, following)
    objective = bounds[-1] * model.total_weight
    return EMResult(
        accepted, np.array(bounds), objective, len(bounds), evaluations, converged, tuple(repairs)
    )


def _expect(model: Model[P], candidate: P, has_fallback: bool) -> Expectation:
    """Evaluate a candidate; one that cannot be evaluated is as bad as can be, if there is another."""
    try:
        return model.expect(candidate)
    except DataError:
        if not has_fallback:
            raise
        return Expectation(-np.inf, None)
