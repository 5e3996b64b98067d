"""M-steps taken in parts: ECM, multicycle ECM, and one Newton step where a maximum has no formula."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

import numpy as np

from segment.em.model import Expectation, Model
from segment.em.result import Repair

P = TypeVar("P")

# Halvings of a Newton step before it is given up: the parameters then stay as they are.
_HALVINGS = 30


class _Around(Model[P]):
    """A model with another M-step."""

    def __init__(self, model: Model[P]) -> None:
        self.model = model
        self.total_weight, self.rounding, self.chart = model.total_weight, model.rounding, model.chart

    def expect(self, parameters: P) -> Expectation:
        """Return what the model expects."""
        return self.model.expect(parameters)

    def repair(self, parameters: P, n_done: int) -> tuple[P, Repair] | None:
        """Return the model's repair."""
        return self.model.repair(parameters, n_done)


class ConditionalSteps(_Around[P]):
    """ECM: the M-step maximizes over some parameters at a time, the others held (Meng & Rubin 1993).

    Parameters
    ----------
    model : Model
    steps : sequence of callables
        ``step(statistics, parameters)`` returns parameters that are better in its part.
    multicycle : bool
        Whether an E-step stands before each of the steps, not before all of them.

    References
    ----------
    .. [1] Meng & Rubin (1993), "Maximum likelihood estimation via the ECM algorithm: a general framework",
           Biometrika 80(2), 267-278.
    """

    def __init__(
        self, model: Model[P], steps: Sequence[Callable[[Any, P], P]], *, multicycle: bool = False
    ) -> None:
        super().__init__(model)
        self.steps, self.multicycle = steps, multicycle

    def maximize(self, statistics: Any, parameters: P) -> P:
        """Return what the steps make of the parameters, one after another."""
        for i, step in enumerate(self.steps):
            if i > 0 and self.multicycle:
                statistics = self.model.expect(parameters).statistics
            parameters = step(statistics, parameters)
        return parameters


class Surface(Protocol[P]):
    """The expected complete-data log-likelihood as a function of a vector."""

    def pack(self, parameters: P) -> np.ndarray:
        """Return the parameters as a vector, (p,)."""

    def unpack(self, vector: np.ndarray) -> P:
        """Undo `pack`."""

    def value(self, statistics: Any, vector: np.ndarray) -> float:
        """Return the function, -inf where the vector is not feasible."""

    def slopes(self, statistics: Any, vector: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return gradient (p,) and Hessian (p, p)."""


class NewtonSteps(_Around[P]):
    """Generalized EM: one Newton step uphill in place of a maximum (Lange 1995).

    The step is halved until the expected log-likelihood is no lower than before: EM still never falls.

    Parameters
    ----------
    model : Model
    surface : Surface

    References
    ----------
    .. [1] Lange (1995), "A gradient algorithm locally equivalent to the EM algorithm", JRSS B 57(2), 425-437.
    """

    def __init__(self, model: Model[P], surface: Surface[P]) -> None:
        super().__init__(model)
        self.surface = surface

    def maximize(self, statistics: Any, parameters: P) -> P:
        """Return the end of the longest step that does not lead downhill."""
        vector = self.surface.pack(parameters)
        gradient, hessian = self.surface.slopes(statistics, vector)
        step = -np.linalg.solve(hessian, gradient)
        if not step @ gradient > 0:
            step = gradient / max(float(np.linalg.norm(gradient)), 1.0)
        before = self.surface.value(statistics, vector)
        for _ in range(_HALVINGS):
            if self.surface.value(statistics, vector + step) >= before:
                return self.surface.unpack(vector + step)
            step = 0.5 * step
        return parameters
