"""How EM steps: as the M-step says, or further along the same path."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar

import numpy as np

from segment.em.model import Chart

P = TypeVar("P")


class Stepping(Protocol[P]):
    """From what the M-step returned to what is evaluated next."""

    def propose(self, accepted: P, following: P) -> P | None:
        """Return a point beyond `following`, the EM step from `accepted`; None to take `following` itself."""

    def rejected(self) -> None:
        """Hear that the last proposal lowered the objective."""

    def restart(self) -> None:
        """Hear that the last steps did not come from one EM map."""


class PlainSteps(Generic[P]):
    """Every step is the M-step's."""

    def __init__(self, chart: Chart[P] | None = None) -> None:
        pass

    def propose(self, accepted: P, following: P) -> P | None:
        """Return None."""
        return None

    def rejected(self) -> None:
        """Do nothing."""

    def restart(self) -> None:
        """Do nothing."""


class Squarem(Generic[P]):
    """Squared extrapolation of two EM steps, scheme S3 of Varadhan & Roland (2008), section 6.

    It works on packed parameters, so an extrapolated point is always feasible; the loop rejects it where the
    objective is lower than before. It is one vector operation a step and has nothing to tune.

    References
    ----------
    .. [1] Varadhan & Roland (2008), "Simple and globally convergent methods for accelerating the convergence
           of any EM algorithm", Scandinavian Journal of Statistics 35(2), 335-353.
    """

    def __init__(self, chart: Chart[P]) -> None:
        self.chart = chart
        self.longest = 4.0
        self.path: list[np.ndarray] = []

    def restart(self) -> None:
        """Forget the path."""
        self.path = []

    def rejected(self) -> None:
        """Take shorter steps."""
        self.longest = max(2.0, self.longest / 4.0)
        self.restart()

    def propose(self, accepted: P, following: P) -> P | None:
        """Return the extrapolation of three points of the EM path, where there are three."""
        if not self.path:
            self.path = [self.chart.pack(accepted)]
        self.path.append(self.chart.pack(following))
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
        return self.chart.unpack(vector) if np.isfinite(vector).all() else None


ACCELERATIONS: dict[str | None, Callable[[Any], Stepping[Any]]] = {"squarem": Squarem, None: PlainSteps}
