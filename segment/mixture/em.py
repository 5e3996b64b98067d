"""The EM loop, for any model that has an E-step and an M-step, plain or accelerated.

The loop knows nothing of Gaussians: a model brings `expect` and `maximize` (and, for acceleration, an
unconstrained vector form of its parameters). Every evaluation of `expect` is one E-step and is counted.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np

from segment.errors import DataError

P = TypeVar("P")


class Model(ABC, Generic[P]):
    """What the EM loop asks of a model with parameters of type P."""

    total_weight: float
    rounding: float = 1e-11
    """Share of the bound, a sum over all samples, by which rounding alone may lower it."""
    monotone: bool = True
    """Whether an EM step can never lower the bound; if not, a small change either way is convergence."""

    @abstractmethod
    def expect(self, parameters: P) -> tuple[float, Any]:
        """E-step: return the log-likelihood (nats) of `parameters` and the moments under them."""

    @abstractmethod
    def maximize(self, moments: Any, parameters: P) -> P:
        """M-step: return the parameters that maximize the expected log-likelihood."""

    def repair(self, parameters: P) -> P | None:
        """Return better parameters to try where an M-step left some of no use, else None."""
        return None

    def pack(self, parameters: P) -> np.ndarray:
        """Return parameters as a vector in which every value is feasible (for acceleration)."""
        raise TypeError(f"{type(self).__name__} has no vector form: it can be fitted by plain EM only")

    def unpack(self, vector: np.ndarray) -> P:
        """Undo `pack`."""
        raise TypeError(f"{type(self).__name__} has no vector form: it can be fitted by plain EM only")


@dataclass(frozen=True, eq=False)
class EMResult(Generic[P]):
    """What EM ended with.

    Attributes
    ----------
    parameters : Parameters
        The last accepted ones; `lower_bound` and `log_likelihood` are theirs, not those of a step before.
    lower_bounds : (n_iter,) float64 ndarray
        Objective per unit of sample weight after each accepted E-step; it never falls.
    log_likelihood : float
        Weighted sum of the log densities of the samples, in nats.
    n_iter, n_evaluations : int
        Accepted E-steps, and all of them: acceleration may try a step and reject it.
    converged : bool
        Whether the last plain EM step gained less than `tol`.
    repairs : tuple of str
        What was repaired on the way, in words.
    """

    parameters: P
    lower_bounds: np.ndarray
    log_likelihood: float
    n_iter: int
    n_evaluations: int
    converged: bool
    repairs: tuple[str, ...] = ()

    @property
    def lower_bound(self) -> float:
        """Objective per unit of sample weight at the end."""
        return float(self.lower_bounds[-1])


class Squarem(Generic[P]):
    """Squared extrapolation of two EM steps, scheme S3 of Varadhan & Roland (2008), section 6.

    It works on the packed parameters, so an extrapolated point is always feasible; the loop rejects it
    where the log-likelihood is lower than before. Anderson acceleration (DAAREM) was not needed: this is
    one vector operation a step and has nothing to tune.
    """

    def __init__(self, model: Model[P]) -> None:
        self.model = model
        self.longest = 4.0
        self.path: list[np.ndarray] = []

    def restart(self) -> None:
        """Forget the path: the last steps did not come from one EM map."""
        self.path = []

    def rejected(self) -> None:
        """Take shorter steps: the last extrapolation lowered the log-likelihood."""
        self.longest = max(2.0, self.longest / 4.0)
        self.restart()

    def extrapolate(self, parameters: P) -> P | None:
        """Take the next point of the EM path; return the extrapolation of three, where there are three."""
        self.path.append(self.model.pack(parameters))
        if len(self.path) < 3:
            return None
        start, middle, end = self.path
        self.restart()
        step = middle - start
        curvature = (end - middle) - step
        length = float(np.linalg.norm(step) / max(float(np.linalg.norm(curvature)), 1e-300))
        if not length > 1.0:
            # A length of 1 is the EM step itself: EM is fast here already.
            return None
        if length > self.longest:
            length = self.longest
            self.longest *= 4.0
        vector = start + 2.0 * length * step + length**2 * curvature
        return self.model.unpack(vector) if np.isfinite(vector).all() else None


def run_em(
    model: Model[P],
    parameters: P,
    *,
    tol: float = 1e-5,
    max_iter: int = 1000,
    acceleration: str | None = "squarem",
    callback: Callable[[int, float, P], None] | None = None,
) -> EMResult[P]:
    """Climb the log-likelihood of a model by EM.

    Parameters
    ----------
    model : Model
    parameters : P
        Where to start.
    tol : float
        EM has converged when a plain EM step gains less than this per unit of sample weight (nats).
    max_iter : int
        Most E-steps, rejected ones included.
    acceleration : {"squarem", None}
    callback : callable, optional
        Called as ``callback(iteration, lower_bound, parameters)`` after every accepted E-step, from 0.

    Returns
    -------
    EMResult
        `converged` is False where `max_iter` came first, or the log-likelihood fell by more than rounding
        explains; the parameters are then those before the fall.

    References
    ----------
    .. [1] Dempster, Laird & Rubin (1977), "Maximum likelihood from incomplete data via the EM algorithm",
           JRSS B 39(1), 1-38.
    .. [2] Varadhan & Roland (2008), "Simple and globally convergent methods for accelerating the
           convergence of any EM algorithm", Scandinavian Journal of Statistics 35(2), 335-353.
    """
    if acceleration not in ("squarem", None):
        raise DataError(f"acceleration is {acceleration!r}; allowed are 'squarem' and None")
    if max_iter < 1:
        raise DataError(f"max_iter is {max_iter}; at least one iteration is needed")
    squarem = Squarem(model) if acceleration else None
    bounds: list[float] = []
    candidate, fallback = parameters, None
    accepted, converged, evaluations = parameters, False, 0
    while evaluations < max_iter and not converged:
        evaluations += 1
        try:
            log_likelihood, moments = model.expect(candidate)
        except DataError:
            if fallback is None:
                raise
            log_likelihood = -np.inf
        bound = log_likelihood / model.total_weight
        if fallback is not None and not bound >= bounds[-1]:
            candidate, fallback = fallback, None
            if squarem:
                squarem.rejected()
            continue
        gain = bound - bounds[-1] if bounds else np.inf
        if gain < -model.rounding * max(1.0, abs(bound)) and model.monotone:
            break
        is_plain_step = fallback is None and bool(bounds)
        accepted, fallback = candidate, None
        bounds.append(bound)
        if callback:
            callback(len(bounds) - 1, bound, accepted)
        converged = is_plain_step and (gain if model.monotone else abs(gain)) < tol
        if converged:
            break
        following = model.maximize(moments, accepted)
        candidate, fallback = _propose(model, squarem, accepted, following)
    return EMResult(
        accepted, np.array(bounds), bounds[-1] * model.total_weight, len(bounds), evaluations, converged
    )


def _propose(model: Model[P], squarem: Squarem[P] | None, accepted: P, following: P) -> tuple[P, P | None]:
    """Return the next point to evaluate, and what to fall back on should it lie lower."""
    repaired = model.repair(following)
    if repaired is not None:
        if squarem:
            squarem.restart()
        return repaired, following
    if squarem is None:
        return following, None
    if not squarem.path:
        squarem.extrapolate(accepted)
    extrapolated = squarem.extrapolate(following)
    return (following, None) if extrapolated is None else (extrapolated, following)
