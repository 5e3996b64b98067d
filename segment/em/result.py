"""What EM ends with, and what had to be repaired on the way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

import numpy as np

P = TypeVar("P")

# What is said of each kind of repair; `value` is the number that the rule names.
_TEXTS = {
    "reseeded": "{who} explained less than {value:g} of the total weight: re-seeded at the samples that the "
    "mixture explained worst",
    "collapsed": "{who} collapsed onto equal or nearly equal samples: the smallest variance is held at "
    "reg_covar ({value:.3g})",
    "singular": "{who} became singular: the smallest variance is held at {value:g} of the data's, and the "
    "log-likelihood is as high as this number makes it; give a reg_covar above 0",
}


@dataclass(frozen=True)
class Repair:
    """A stated rule that was applied to components of no use; `str` says it in words.

    Attributes
    ----------
    kind : {"reseeded", "collapsed", "singular"}
    components : tuple of int
    value : float
        The number that the rule names: a share of the weight, or a variance.
    """

    kind: str
    components: tuple[int, ...]
    value: float

    def renumbered(self, order: Sequence[int] | np.ndarray) -> Repair:
        """Return the same repair where component ``order[k]`` has become number k."""
        places = np.argsort(order)
        return replace(self, components=tuple(sorted(int(places[k]) for k in self.components)))

    def __str__(self) -> str:
        who = f"component{'s' if len(self.components) > 1 else ''} {', '.join(map(str, self.components))}"
        return _TEXTS[self.kind].format(who=who, value=self.value)


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
    repairs : tuple of Repair
        What was repaired on the way, in order.
    """

    parameters: P
    lower_bounds: np.ndarray
    log_likelihood: float
    n_iter: int
    n_evaluations: int
    converged: bool
    repairs: tuple[Repair, ...] = ()

    @property
    def lower_bound(self) -> float:
        """Objective per unit of sample weight at the end."""
        return float(self.lower_bounds[-1])

    def continuing(self, first: EMResult[P]) -> EMResult[P]:
        """Return this run as the end of another, which stopped where this one began.

        That point is evaluated, and counted, once.
        """
        lower_bounds = np.concatenate([first.lower_bounds, self.lower_bounds[1:]])
        return replace(
            self,
            lower_bounds=lower_bounds,
            n_iter=len(lower_bounds),
            n_evaluations=first.n_evaluations + self.n_evaluations - 1,
            repairs=(*first.repairs, *self.repairs),
        )
