"""The Bayesian Gaussian family: moments to a posterior, and the vector form that acceleration works in."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from segment.data.source import Source
from segment.em.result import Repair
from segment.em.stopping import SmallGain, Stopping
from segment.mixture.families.gaussian.covariance import CovarianceType
from segment.mixture.families.gaussian.family import Gaussian
from segment.mixture.families.gaussian.moments import Moments
from segment.mixture.families.gaussian.parameters import Parameters
from segment.mixture.families.variational.concentrations import WEIGHT_PRIORS
from segment.mixture.families.variational.parameters import BayesianParameters
from segment.mixture.families.variational.priors import Priors


@dataclass(frozen=True, eq=False)
class Bayesian(Gaussian):
    """Gaussian components under priors, fitted by variational inference; `Bayesian.under` makes it.

    The objective is the evidence lower bound, with all its terms. `reg_covar` is the variance of a blur of
    the samples, as in `Gaussian`.

    Attributes
    ----------
    priors : Priors, or None
        Densities do not need them.
    total_weight : float
        The tolerance of `stopping` is shared among so many samples: 1, it is meant for each.

    References
    ----------
    .. [1] Bishop (2006), "Pattern recognition and machine learning", section 10.2.
    .. [2] Blei & Jordan (2006), "Variational inference for Dirichlet process mixtures", Bayesian Analysis
           1(1), 121-143.
    """

    priors: Priors | None = None
    total_weight: float = 1.0

    name = "bayesian"
    parameters = BayesianParameters

    @classmethod
    def plain(cls, parameters: Parameters) -> Self:
        """Return the family of given parameters, without priors: for densities."""
        return cls(parameters.type)

    @classmethod
    def under(cls, source: Source, covariance_type: str, priors: Priors, *, reg_covar: float) -> Self:
        """Return the family for given samples and priors."""
        base = Gaussian.of(source, covariance_type, reg_covar=reg_covar)
        return cls(base.type, base.reg_covar, 0.0, base.mean, base.deviations, priors)

    @property
    def is_plain(self) -> bool:
        return False

    def stopping(self, tol: float, max_iter: int) -> Stopping:
        """Return what ends a run."""
        return SmallGain(tol / self.total_weight, max_iter)

    def penalty(self, parameters: Any) -> float:
        """Return the divergence of the posterior from the priors."""
        return self._known().divergence(parameters)

    def _known(self) -> Priors:
        if self.priors is None:
            raise TypeError("this Bayesian family knows no priors; make it with Bayesian.under")
        return self.priors

    def chart(self, n_components: int) -> Any:
        """Return the vector form of the parameters of so many components."""
        return BayesianChart(self, n_components)

    def maximize(self, statistics: Moments, parameters: Parameters) -> BayesianParameters:
        """Return the posterior: the exact optimum of the bound, given the responsibilities."""
        priors, counts = self._known(), statistics.counts
        # Moments of hardly any samples: their mean is anywhere, and counts nothing.
        positive = np.maximum(counts, np.finfo(float).tiny)
        filled = replace(statistics, counts=positive)
        means = parameters.means + filled.shifts()
        scatters = filled.scatters()
        shifts = means - priors.mean
        products = shifts[:, :, None] * shifts[:, None, :] if scatters.ndim == 3 else shifts**2
        units = np.eye(shifts.shape[1]) if scatters.ndim == 3 else np.ones(shifts.shape[1])
        sizes = (-1, *[1] * (scatters.ndim - 1))
        precision = priors.mean_precision + counts
        drawn = counts * priors.mean_precision / precision
        added = self.reg_covar * counts.reshape(sizes) * units + drawn.reshape(sizes) * products
        centers = (priors.mean_precision * priors.mean + counts[:, None] * means) / precision[:, None]
        K, D = means.shape
        ones = np.ones(K)
        # Scatters may be summed over the components already: added after they are pooled.
        spread = priors.covariance + self.type.pool(scatters, ones) + self.type.pool(added, ones)
        return self.posterior(counts, centers, self._divided(spread, counts, D))

    def posterior(self, counts: np.ndarray, means: np.ndarray, covariances: np.ndarray) -> BayesianParameters:
        """Return the posterior of given sums of responsibilities, means and expected inverse precisions."""
        priors = self._known()
        kind = WEIGHT_PRIORS[priors.weight_type]
        concentrations = kind.posterior(counts, priors.concentration)
        return BayesianParameters(
            kind.expected(concentrations),
            means,
            covariances,
            self.type.name,
            concentrations,
            priors.mean_precision + counts,
            self._degrees(counts, means.shape[1]),
            priors.weight_type,
        )

    def _degrees(self, counts: np.ndarray, D: int) -> np.ndarray:
        shared = self.type.n_parameters(1, D) == self.type.n_parameters(2, D)
        found = np.full_like(counts, counts.mean()) if shared else counts
        return self._known().degrees_of_freedom + found

    def _divided(self, spread: np.ndarray, counts: np.ndarray, D: int) -> np.ndarray:
        """Divide by the degrees of freedom: of each component, or of all together."""
        degrees = self._degrees(counts, D)
        if self.type.n_parameters(1, D) == self.type.n_parameters(2, D):
            return spread / degrees[0]
        return spread / degrees.reshape(-1, *[1] * (spread.ndim - 1))

    def blemishes(
        self, parameters: Parameters, source: Source, n_jobs: int | None = None
    ) -> tuple[Repair, ...]:
        """Return none: the priors keep every component of use."""
        return ()


@dataclass(frozen=True, eq=False)
class BayesianChart:
    """Log counts, means and covariances of standardized features; all else follows from these."""

    family: Bayesian
    n_components: int

    def pack(self, parameters: BayesianParameters) -> np.ndarray:
        """Return the parameters as a vector."""
        mean, deviations = self.family._units()
        counts = parameters.mean_precision - self.family._known().mean_precision
        covariances = self._type.scale(parameters.covariances, 1.0 / deviations)
        means = (parameters.means - mean) / deviations
        return np.concatenate(
            [np.log(np.maximum(counts, 1e-12)), means.ravel(), self._type.pack(covariances)]
        )

    def unpack(self, vector: np.ndarray) -> BayesianParameters:
        """Undo `pack`."""
        mean, deviations = self.family._units()
        K, D = self.n_components, len(mean)
        means = vector[K : K + K * D].reshape(K, D) * deviations + mean
        covariances = self._type.scale(self._type.unpack(vector[K + K * D :], K, D), deviations)
        return self.family.posterior(np.exp(np.minimum(vector[:K], 690.0)), means, covariances)

    @property
    def _type(self) -> CovarianceType:
        return self.family.type
