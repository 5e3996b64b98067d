"""The posterior of a Gaussian mixture: Dirichlet weights, Gauss-Wishart means and precisions."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from types import MappingProxyType
from typing import Any, ClassVar, Self

import numpy as np
from scipy.special import digamma

from segment.archive import Field
from segment.errors import DataError
from segment.mixture.families.gaussian.parameters import Parameters
from segment.mixture.families.variational.concentrations import WEIGHT_PRIORS


@dataclass(frozen=True, eq=False)
class BayesianParameters(Parameters):
    """A factorized posterior over the parameters of a mixture of K Gaussians over D features.

    The engines of Gaussian mixtures take it as it is: only the factors and the log scales differ.

    Attributes
    ----------
    weights, means, covariances, covariance_type
        As `Parameters`: expected proportions and means, and inverses of the expected precisions.
    concentrations : (1, K) or (2, K) float64 ndarray
        Of the proportions: see `WEIGHT_PRIORS`.
    mean_precision : (K,) float64 ndarray
        Precision of each mean, in units of the component's own.
    degrees_of_freedom : (K,) float64 ndarray
        Of the Wishart distribution of each precision.
    weight_concentration_prior_type : {"dirichlet_process", "dirichlet_distribution"}
    """

    concentrations: np.ndarray | Any = None
    mean_precision: np.ndarray | Any = None
    degrees_of_freedom: np.ndarray | Any = None
    weight_concentration_prior_type: str = "dirichlet_process"

    family: ClassVar[str] = "bayesian"
    fields = MappingProxyType(
        {
            **Parameters.fields,
            "concentrations": Field("f", 2),
            "mean_precision": Field("f", 1),
            "degrees_of_freedom": Field("f", 1),
            "weight_concentration_prior_type": Field("U", 0),
        }
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("concentrations", "mean_precision", "degrees_of_freedom"):
            array = np.ascontiguousarray(getattr(self, name), dtype=np.float64)
            object.__setattr__(self, name, array)
            if array.shape[-1:] != self.weights.shape or not (array > 0).all():
                raise DataError(f"{name} must be positive numbers, one a component ({len(self.weights)})")
        if self.weight_concentration_prior_type not in WEIGHT_PRIORS:
            raise DataError(
                f"weight_concentration_prior_type is {self.weight_concentration_prior_type!r}; allowed are "
                f"{', '.join(WEIGHT_PRIORS)}"
            )

    @cached_property
    def log_determinants(self) -> np.ndarray:
        """Expected logarithms of the determinants of the precisions, (K,)."""
        D, nu = self.n_features, self.degrees_of_freedom
        factors = self.factors
        if factors.ndim == 3:
            diagonal = np.diagonal(factors, axis1=1, axis2=2)
            digammas = digamma(0.5 * (nu[:, None] - np.arange(D))).sum(axis=1)
        else:
            diagonal, digammas = factors, D * digamma(0.5 * nu)
        return 2.0 * np.log(diagonal).sum(axis=1) + digammas + D * np.log(2.0 / nu)

    @cached_property
    def log_scales(self) -> np.ndarray:
        """Expected log weight plus expected log normalizing constant of each component, (K,)."""
        prior = WEIGHT_PRIORS[self.weight_concentration_prior_type]
        spread = self.n_features * (np.log(2 * np.pi) + 1.0 / self.mean_precision)
        return prior.expected_logs(self.concentrations) + 0.5 * (self.log_determinants - spread)

    def reordered(self, order: Any) -> Self:
        """Return the same mixture with component ``order[k]`` as number k.

        Raises
        ------
        DataError
            If the weights are those of a Dirichlet process, of which the order is a part.
        """
        if len(self.concentrations) > 1 and list(order) != list(range(self.n_components)):
            raise DataError(
                "the components of a Dirichlet process have their order; "
                "fit with weight_concentration_prior_type='dirichlet_distribution' to reorder them"
            )
        return replace(
            self,
            weights=self.weights[order],
            means=self.means[order],
            covariances=self.type.taken(self.covariances, order),
            concentrations=self.concentrations[:, order],
            mean_precision=self.mean_precision[order],
            degrees_of_freedom=self.degrees_of_freedom[order],
        )
