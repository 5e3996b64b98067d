"""Many starts, a few steps each, the best goes on: the scheme behind every choice of a start.

References
----------
.. [1] Biernacki, Celeux & Govaert (2003), "Choosing starting values for the EM algorithm for getting the
       highest likelihood in multivariate Gaussian mixture models", CSDA 41, 561-575: short runs.
.. [2] Jamieson & Talwalkar (2016), "Non-stochastic best arm identification and hyperparameter optimization",
       AISTATS: the halving.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from segment.em.result import EMResult
from segment.parallel import map_blocks, single_threaded_blas


@dataclass(frozen=True)
class Heat:
    """One round of a race.

    Attributes
    ----------
    run : callable
        From a start, or what the round before left of it, to an `EMResult`.
    most : int
        How many go on from this round.
    apart : float
        Of results whose lower bounds are no further apart than this, one goes on: they are one optimum.
    n_jobs : int, optional
        Threads over the starts; 1 where each run uses threads itself. The result does not depend on it.
    """

    run: Callable[[Any], EMResult[Any]]
    most: int
    apart: float = -1.0
    n_jobs: int | None = None


def race(starts: Iterable[Any], heats: Iterable[Heat]) -> list[dict[int, EMResult[Any]]]:
    """Run every start, let the best of them run on, and so on.

    Parameters
    ----------
    starts : iterable
        What the first heat's `run` takes.
    heats : iterable of Heat
        May be a generator.

    Returns
    -------
    list of dict of int to EMResult
        For each heat, the results of those that ran in it, by number of the start.
    """
    rounds: list[dict[int, EMResult[Any]]] = []
    going: dict[int, Any] = dict(enumerate(starts))
    for heat in heats:
        with single_threaded_blas():
            results = map_blocks(heat.run, list(going.values()), heat.n_jobs)
        rounds.append(dict(zip(going, results, strict=True)))
        going = {start: rounds[-1][start] for start in leaders(rounds[-1], heat.most, heat.apart)}
    return rounds


def leaders(results: Mapping[int, EMResult[Any]], most: int, apart: float = -1.0) -> list[int]:
    """Return the starts of highest lower bound, best first, each optimum once.

    Parameters
    ----------
    results : mapping of int to EMResult
    most : int
        At most so many.
    apart : float
        What is no further below the last one taken is the same optimum; below 0, all count.

    Returns
    -------
    list of int
    """
    ranked = sorted(results, key=lambda start: -results[start].lower_bound)
    taken = ranked[:1]
    for start in ranked[1:]:
        if len(taken) < most and results[taken[-1]].lower_bound - results[start].lower_bound > apart:
            taken.append(start)
    return taken
