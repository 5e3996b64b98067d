"""When EM stops: objects that judge a step by what it gained."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

from segment.errors import DataError


@dataclass(frozen=True)
class Stopping(ABC):
    """A tolerance and a limit.

    Attributes
    ----------
    tol : float
        Per unit of sample weight (nats).
    max_iter : int
        Most E-steps, rejected ones included.
    """

    tol: float = 1e-5
    max_iter: int = 1000

    def __post_init__(self) -> None:
        if self.max_iter < 1:
            raise DataError(f"max_iter is {self.max_iter}; at least one iteration is needed")
        if math.isnan(self.tol):
            raise DataError("tol is NaN; a number is needed")

    @abstractmethod
    def is_converged(self, gain: float) -> bool:
        """Tell whether a plain EM step that gained so much ends the run."""

    @abstractmethod
    def is_fall(self, gain: float, rounding: float) -> bool:
        """Tell whether a gain is a fall that `rounding` does not explain: something is wrong."""


@dataclass(frozen=True)
class SmallGain(Stopping):
    """A step that gains less than `tol` is convergence; a fall never is."""

    def is_converged(self, gain: float) -> bool:
        """Tell whether a plain EM step that gained so much ends the run."""
        return gain < self.tol

    def is_fall(self, gain: float, rounding: float) -> bool:
        """Tell whether a gain is a fall that `rounding` does not explain."""
        return gain < -rounding


@dataclass(frozen=True)
class SmallChange(Stopping):
    """A change below `tol` either way is convergence: for steps that maximize no likelihood."""

    def is_converged(self, gain: float) -> bool:
        """Tell whether a plain EM step that changed so much ends the run."""
        return abs(gain) < self.tol

    def is_fall(self, gain: float, rounding: float) -> bool:
        """Return False: such steps may fall."""
        return False
