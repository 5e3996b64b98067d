"""A hidden Markov model over given sequences as a model of the EM loop: Baum-Welch."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from segment.em.loop import run_em
from segment.em.model import Chart, Expectation, Model
from segment.em.result import EMResult
from segment.mixture.families.family import Family
from segment.parallel import single_threaded_blas
from segment.sequence.chains import ChainRule
from segment.sequence.expectation import accumulate, log_likelihoods
from segment.sequence.parameters import ChainParameters, ChainStatistics
from segment.sequence.sequences import Sequences


@dataclass(frozen=True, eq=False)
class ChainChart:
    """Square roots of the chain's probabilities, on spheres, where 0 is no further away than any other value.

    Attributes
    ----------
    emissions : Chart
        Of the densities.
    rule : ChainRule
    n_components : int
    """

    emissions: Chart[Any]
    rule: ChainRule
    n_components: int

    def pack(self, parameters: ChainParameters) -> np.ndarray:
        """Return the parameters as a vector."""
        roots = np.sqrt(np.vstack([parameters.starts, parameters.transitions]))
        return np.concatenate([roots.ravel(), self.emissions.pack(parameters.emissions)])

    def unpack(self, vector: np.ndarray) -> ChainParameters:
        """Undo `pack`; rows are normalized to sum to 1."""
        K = self.n_components
        squares = np.square(vector[: K * (K + 1)].reshape(K + 1, K))
        chain = squares / squares.sum(axis=1, keepdims=True)
        starts = self.rule.starts(chain[0], chain[1:])
        return ChainParameters(starts, chain[1:], self.emissions.unpack(vector[K * (K + 1) :]))


class ChainModel(Model[ChainParameters]):
    """E-step and M-step of a hidden Markov model over sequences.

    Parameters
    ----------
    sequences : Sequences
    family : Family
        Of the densities.
    n_components : int
    rule : ChainRule
        Of the chain.
    n_jobs : int, optional
        Threads; no result depends on it.
    """

    def __init__(
        self,
        sequences: Sequences,
        family: Family[Any, Any],
        n_components: int,
        rule: ChainRule,
        *,
        n_jobs: int | None = None,
    ) -> None:
        self.sequences, self.family, self.rule, self.n_jobs = sequences, family, rule, n_jobs
        self.total_weight = sequences.samples.total_weight
        self.rounding = family.rounding(sequences.samples.n_features, sequences.samples.dtype)
        chart = family.chart(n_components)
        self.chart = ChainChart(chart, rule, n_components) if chart and family.is_monotone else None

    def expect(self, parameters: ChainParameters) -> Expectation:
        """Return the objective and the statistics of all sequences."""
        found = accumulate(self.sequences, parameters, family=self.family, n_jobs=self.n_jobs)
        return Expectation(found.log_likelihood, found)

    def maximize(self, statistics: ChainStatistics, parameters: ChainParameters) -> ChainParameters:
        """Return the family's M-step of the densities and the rule's of the chain."""
        emissions = self.family.maximize(statistics.emissions, parameters.emissions)
        return ChainParameters(*self.rule.maximize(statistics, parameters), emissions)


@single_threaded_blas()
def climb(
    model: ChainModel, start: ChainParameters, *, tol: float = 1e-6, max_iter: int = 1000, **options: Any
) -> EMResult[ChainParameters]:
    """Run Baum-Welch from a start and look at where it ended.

    Parameters
    ----------
    model : ChainModel
    start : ChainParameters
    tol : float
        Smallest gain of a plain EM step, in nats per row.
    max_iter : int
        Most E-steps.
    **options
        `acceleration` and `callback` of `run_em`.

    Returns
    -------
    EMResult
        With the plain log-likelihood, and the states that only a rule keeps of use among its repairs.

    References
    ----------
    .. [1] Baum, Petrie, Soules & Weiss (1970), "A maximization technique occurring in the statistical
           analysis of probabilistic functions of Markov chains", Annals of Mathematical Statistics 41(1),
           164-171.
    """
    result = run_em(model, start, stopping=model.family.stopping(tol, max_iter), **options)
    found = result.log_likelihood
    if not model.family.is_plain:
        each = log_likelihoods(model.sequences, result.parameters, n_jobs=model.n_jobs)
        found = float(model.sequences.weights @ each)
    blemishes = model.family.blemishes(result.parameters.emissions, model.sequences.samples, model.n_jobs)
    return replace(result, repairs=(*result.repairs, *blemishes), log_likelihood=found)
