"""Monte Carlo EM: an E-step that draws what is hidden, and a rule that knows how noisy a step is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np

from segment.errors import DataError
from segment.parallel import single_threaded_blas

P = TypeVar("P")


class DrawnModel(ABC, Generic[P]):
    """A model whose hidden data can be drawn given what was observed."""

    @abstractmethod
    def draw(self, parameters: P, n_draws: int, rng: np.random.Generator) -> Any:
        """Return so many draws of the hidden data."""

    @abstractmethod
    def maximize(self, draws: Any, parameters: P) -> P:
        """Return the parameters that maximize the mean complete-data log-likelihood of the draws."""

    @abstractmethod
    def gains(self, draws: Any, before: P, after: P) -> np.ndarray:
        """Return how much each draw's complete-data log-likelihood rises, (n_draws,)."""


@dataclass(frozen=True)
class NoiseAware:
    """When to draw more and when to stop: ascent-based Monte Carlo EM (Caffo, Jank & Jones 2005).

    A step's gain is a mean over draws and has a standard error. Where it may be no gain at all the next
    E-step draws more; where even the upper end of its interval is below `tol`, EM has converged.

    Attributes
    ----------
    tol : float
        In nats.
    first, most : int
        Draws of the first E-step, and at most.
    growth : float
        Factor by which the number of draws rises.
    width : float
        Half width of the interval in standard errors.
    max_iter : int

    References
    ----------
    .. [1] Caffo, Jank & Jones (2005), "Ascent-based Monte Carlo expectation-maximization", JRSS B 67(2),
           235-251.
    """

    tol: float = 1e-4
    first: int = 100
    most: int = 1_000_000
    growth: float = 1.5
    width: float = 1.645
    max_iter: int = 500

    def __post_init__(self) -> None:
        if not (self.tol > 0 and 2 <= self.first <= self.most and self.growth > 1 and self.max_iter >= 1):
            raise DataError(
                f"{self}: tol above 0, 2 <= first <= most, growth above 1 and max_iter from 1 on are needed"
            )

    def interval(self, gains: np.ndarray) -> tuple[float, float]:
        """Return the ends of the interval about the mean gain."""
        half = self.width * float(gains.std(ddof=1)) / np.sqrt(len(gains))
        return float(gains.mean()) - half, float(gains.mean()) + half


class DrawnStep(NamedTuple):
    """One step: the parameters after it, how many draws it took, and the interval about its gain."""

    parameters: Any
    n_draws: int
    low: float
    high: float


class DrawnResult(NamedTuple):
    """What Monte Carlo EM ends with: the last parameters, every step, and whether it has converged."""

    parameters: Any
    steps: tuple[DrawnStep, ...]
    converged: bool

    @property
    def n_draws(self) -> int:
        """Draws in all."""
        return sum(step.n_draws for step in self.steps)


@single_threaded_blas()
def run_monte_carlo(
    model: DrawnModel[P],
    parameters: P,
    rng: np.random.Generator,
    *,
    stopping: NoiseAware | None = None,
    callback: Callable[[int, P], None] | None = None,
) -> DrawnResult:
    """Climb by EM whose E-step draws the hidden data (Wei & Tanner 1990).

    Parameters
    ----------
    model : DrawnModel
    parameters : P
        Where to start.
    rng : numpy.random.Generator
    stopping : NoiseAware, optional
    callback : callable, optional
        ``callback(n_draws so far, parameters)`` after every step.

    Returns
    -------
    DrawnResult

    References
    ----------
    .. [1] Wei & Tanner (1990), "A Monte Carlo implementation of the EM algorithm and the poor man's data
           augmentation algorithms", JASA 85, 699-704.
    """
    rule = stopping or NoiseAware()
    steps: list[DrawnStep] = []
    n_draws, converged, total = rule.first, False, 0
    while len(steps) < rule.max_iter and not converged:
        draws = model.draw(parameters, n_draws, rng)
        following = model.maximize(draws, parameters)
        low, high = rule.interval(model.gains(draws, parameters, following))
        parameters, total = following, total + n_draws
        steps.append(DrawnStep(parameters, n_draws, low, high))
        if callback:
            callback(total, parameters)
        converged = high < rule.tol
        if low <= 0:
            n_draws = min(rule.most, int(np.ceil(rule.growth * n_draws)))
    return DrawnResult(parameters, tuple(steps), converged)
