"""What the EM loop asks of a model: an E-step, an M-step and, where it can be accelerated, a vector form."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import numpy as np

from segment.em.result import Repair

P = TypeVar("P")


class Expectation(NamedTuple):
    """What an E-step finds.

    Attributes
    ----------
    objective : float
        What EM climbs: the log-likelihood of the parameters (nats), less what regularization takes.
    statistics : object
        What the M-step needs.
    """

    objective: float
    statistics: Any


class Chart(Protocol[P]):
    """Parameters as vectors in which every value is feasible: what extrapolation needs."""

    def pack(self, parameters: P) -> np.ndarray:
        """Return the parameters as a vector, (p,) float64."""

    def unpack(self, vector: np.ndarray) -> P:
        """Undo `pack`."""


class Model(ABC, Generic[P]):
    """A model with parameters of type P over given data. It keeps no state of a run: runs may share it."""

    total_weight: float
    rounding: float = 1e-11
    """Share of the objective, a sum over all samples, by which rounding alone may lower it."""
    chart: Chart[P] | None = None
    """Vector form for acceleration; None: plain EM."""

    @abstractmethod
    def expect(self, parameters: P) -> Expectation:
        """E-step: evaluate `parameters`."""

    @abstractmethod
    def maximize(self, statistics: Any, parameters: P) -> P:
        """M-step: return the parameters that maximize the expected log-likelihood."""

    def repair(self, parameters: P, n_done: int) -> tuple[P, Repair] | None:
        """Return better parameters to try where an M-step left some of no use, else None.

        `n_done` is how often this run has been repaired before.
        """
        return None
