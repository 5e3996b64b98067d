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


class Anderson(Generic[P]):
    """Anderson's acceleration: the combination of the last steps whose residuals nearly cancel.

    Every evaluation but one leads on, where SQUAREM takes two EM steps for each extrapolation; in return the
    history must be kept. The loop rejects a proposal that lowers the objective; the history then begins anew.

    References
    ----------
    .. [1] Walker & Ni (2011), "Anderson acceleration for fixed-point iterations", SIAM Journal on Numerical
           Analysis 49(4), 1715-1735.
    """

    depth = 5

    def __init__(self, chart: Chart[P]) -> None:
        self.chart = chart
        self.history: list[tuple[np.ndarray, np.ndarray]] = []

    def restart(self) -> None:
        """Forget the history."""
        self.history = []

    def rejected(self) -> None:
        """Forget the history: it led astray."""
        self.restart()

    def propose(self, accepted: P, following: P) -> P | None:
        """Return the combination of the last points, where there are two or more."""
        image = self.chart.pack(following)
        self.history = [*self.history[-self.depth :], (image, image - self.chart.pack(accepted))]
        if len(self.history) < 2:
            return None
        images, residuals = (np.array(vectors) for vectors in zip(*self.history, strict=True))
        shares = np.linalg.lstsq(np.diff(residuals, axis=0).T, residuals[-1], rcond=1e-10)[0]
        vector = image - shares @ np.diff(images, axis=0)
        return self.chart.unpack(vector) if np.isfinite(vector).all() else None


ACCELERATIONS: dict[str | None, Callable[[Any], Stepping[Any]]] = {
    "squarem": Squarem,
    "anderson": Anderson,
    None: PlainSteps,
}
