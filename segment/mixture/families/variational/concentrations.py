"""Posteriors of the mixing proportions: a Dirichlet distribution, or a Dirichlet process cut off at K sticks.

To add a kind of prior, add a class and its line in `WEIGHT_PRIORS`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np
from scipy.special import digamma, gammaln


def dirichlet_divergence(found: np.ndarray, prior: np.ndarray) -> float:
    """Return KL(Dirichlet(found) || Dirichlet(prior)), summed over columns. Both (n, m); nats."""
    total = found.sum(axis=0)
    norms = gammaln(total) - gammaln(prior.sum(axis=0))
    terms = gammaln(prior) - gammaln(found) + (found - prior) * (digamma(found) - digamma(total))
    return float((norms + terms.sum(axis=0)).sum())


class WeightPrior(ABC):
    """From the sums of responsibilities, `counts` (K,), to a posterior of the mixing proportions."""

    name: ClassVar[str]

    @abstractmethod
    def posterior(self, counts: np.ndarray, prior: float) -> np.ndarray:
        """Return the concentrations, (rows, K)."""

    @abstractmethod
    def expected_logs(self, concentrations: np.ndarray) -> np.ndarray:
        """Return the expected logarithms of the proportions, (K,)."""

    @abstractmethod
    def expected(self, concentrations: np.ndarray) -> np.ndarray:
        """Return the expected proportions, scaled to sum to 1, (K,)."""

    @abstractmethod
    def divergence(self, concentrations: np.ndarray, prior: float) -> float:
        """Return KL(posterior || prior), in nats."""


class DirichletDistribution(WeightPrior):
    """One concentration a component, (1, K); the order of the components does not matter."""

    name = "dirichlet_distribution"

    def posterior(self, counts: np.ndarray, prior: float) -> np.ndarray:
        return (prior + counts)[None]

    def expected_logs(self, concentrations: np.ndarray) -> np.ndarray:
        return digamma(concentrations[0]) - digamma(concentrations[0].sum())

    def expected(self, concentrations: np.ndarray) -> np.ndarray:
        return concentrations[0] / concentrations[0].sum()

    def divergence(self, concentrations: np.ndarray, prior: float) -> float:
        return dirichlet_divergence(concentrations.T, np.full_like(concentrations.T, prior))


class DirichletProcess(WeightPrior):
    """A stick is broken K times; two concentrations a break, (2, K): of what is taken, of what is left."""

    name = "dirichlet_process"

    def posterior(self, counts: np.ndarray, prior: float) -> np.ndarray:
        later = np.append(np.cumsum(counts[:0:-1])[::-1], 0.0)
        return np.stack([1.0 + counts, prior + later])

    def expected_logs(self, concentrations: np.ndarray) -> np.ndarray:
        taken, left = digamma(concentrations) - digamma(concentrations.sum(axis=0))
        return taken + np.append(0.0, np.cumsum(left[:-1]))

    def expected(self, concentrations: np.ndarray) -> np.ndarray:
        taken, left = concentrations / concentrations.sum(axis=0)
        sticks = taken * np.append(1.0, np.cumprod(left[:-1]))
        return sticks / sticks.sum()

    def divergence(self, concentrations: np.ndarray, prior: float) -> float:
        return dirichlet_divergence(
            concentrations, np.array([[1.0], [prior]]) * np.ones(concentrations.shape[1])
        )


WEIGHT_PRIORS: dict[str, WeightPrior] = {p.name: p for p in (DirichletProcess(), DirichletDistribution())}
