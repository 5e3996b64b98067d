"""A mixture over given samples as a model of the EM loop: a family's densities, independent samples."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from segment.data.source import Source
from segment.em.loop import run_em
from segment.em.model import Expectation, Model
from segment.em.result import EMResult, Repair
from segment.mixture.expectation import accumulate, log_likelihood, worst_explained
from segment.mixture.families.family import EMPTY, Family
from segment.parallel import single_threaded_blas

# Times a run re-seeds before it leaves a component empty: distinct samples may be fewer than components.
MOST_RESEEDINGS = 3


class MixtureModel(Model[Any]):
    """E-step, M-step and repairs of a mixture over a source of samples.

    Parameters
    ----------
    source : Source
    family : Family
    n_components : int
    n_jobs : int, optional
        Threads; no result depends on it.
    """

    def __init__(
        self, source: Source, family: Family[Any, Any], n_components: int, *, n_jobs: int | None = None
    ) -> None:
        self.source, self.family, self.n_jobs = source, family, n_jobs
        self.total_weight = source.total_weight
        self.rounding = family.rounding(source.n_features, source.dtype)
        self.chart = family.chart(n_components)

    def expect(self, parameters: Any) -> Expectation:
        """Return the objective and the statistics of all samples."""
        statistics = accumulate(self.source, parameters, family=self.family, n_jobs=self.n_jobs)
        objective = statistics.log_likelihood - self.family.penalty(parameters)
        return Expectation(objective, statistics)

    def maximize(self, statistics: Any, parameters: Any) -> Any:
        """Return the family's M-step."""
        return self.family.maximize(statistics, parameters)

    def repair(self, parameters: Any, n_done: int) -> tuple[Any, Repair] | None:
        """Re-seed empty components at the worst-explained samples, a few times a run."""
        empty = np.flatnonzero(parameters.weights == 0)
        if len(empty) == 0 or n_done == MOST_RESEEDINGS:
            return None
        worst = worst_explained(self.source, parameters, len(empty), n_jobs=self.n_jobs)
        empty = empty[: len(worst)]
        weights = parameters.weights.copy()
        weights[empty] = 0.1 / parameters.n_components
        better = self.family.reseeded(parameters, empty, worst)
        repair = Repair("reseeded", tuple(empty.tolist()), EMPTY)
        return replace(better, weights=weights / weights.sum()), repair


def run(
    source: Source,
    family: Family[Any, Any],
    start: Any,
    *,
    tol: float = 1e-5,
    max_iter: int = 1000,
    acceleration: str | None = "squarem",
    n_jobs: int | None = None,
    callback: Callable[[int, float, Any], None] | None = None,
) -> EMResult[Any]:
    """Run EM on a mixture from a start, and no more: for runs that only lead to others.

    Parameters
    ----------
    source : Source
    family : Family
    start : parameters of that family
    tol : float
        Smallest gain of a plain EM step, in nats per unit of sample weight.
    max_iter : int
        Most E-steps.
    acceleration, callback
        As `run_em`.
    n_jobs : int, optional
        Threads; the result does not depend on it.

    Returns
    -------
    EMResult
        Its `log_likelihood` is the objective, regularized as the family is.
    """
    model = MixtureModel(source, family, start.n_components, n_jobs=n_jobs)
    stopping = family.stopping(tol, max_iter)
    return run_em(model, start, stopping=stopping, acceleration=acceleration, callback=callback)


@single_threaded_blas()
def climb(
    source: Source,
    family: Family[Any, Any],
    start: Any,
    *,
    acceleration: str | None = "squarem",
    n_jobs: int | None = None,
    **options: Any,
) -> EMResult[Any]:
    """Run EM on a mixture from a start and look at where it ended.

    Parameters
    ----------
    source : Source
    family : Family
    start : parameters of that family
    acceleration : {"squarem", "anderson", None}
        Not used where the family's steps climb no likelihood.
    n_jobs : int, optional
    **options
        `tol`, `max_iter` and `callback` of `run`.

    Returns
    -------
    EMResult
        With the plain log-likelihood, and the components that only a rule keeps of use among its repairs.
    """
    acceleration = acceleration if family.is_monotone else None
    result = run(source, family, start, acceleration=acceleration, n_jobs=n_jobs, **options)
    found = result.log_likelihood
    if not family.is_plain:
        found = log_likelihood(source, result.parameters, n_jobs=n_jobs)
    repairs = (*result.repairs, *family.blemishes(result.parameters, source, n_jobs))
    return replace(result, repairs=repairs, log_likelihood=found)
