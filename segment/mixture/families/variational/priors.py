"""Priors of a Bayesian Gaussian mixture, and how far a posterior is from them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from scipy.special import gammaln

from segment.data.source import ROWS, Block, Source
from segment.errors import DataError
from segment.mixture.families.gaussian.covariance import CovarianceType
from segment.mixture.families.variational.concentrations import WEIGHT_PRIORS
from segment.mixture.families.variational.parameters import BayesianParameters


@dataclass(frozen=True, eq=False)
class Priors:
    """What is believed before the samples are seen.

    Attributes
    ----------
    weight_type : {"dirichlet_process", "dirichlet_distribution"}
    concentration : float
        Of each component's weight: the smaller, the fewer components remain.
    mean_precision : float
        Precision of each mean about `mean`, in units of the component's own.
    mean : (D,) float64 ndarray
    degrees_of_freedom : float
        Of the precisions' Wishart distributions, above D - 1.
    covariance : float64 ndarray
        Inverse of the Wishart distribution's scale: (D, D) "full", "tied"; (D,) "diag"; () "spherical".
    """

    weight_type: str
    concentration: float
    mean_precision: float
    mean: np.ndarray
    degrees_of_freedom: float
    covariance: np.ndarray

    @classmethod
    def of(
        cls,
        source: Source,
        kind: CovarianceType,
        n_components: int,
        *,
        weight_type: str = "dirichlet_process",
        concentration: float | None = None,
        mean_precision: float | None = None,
        mean: Any = None,
        degrees_of_freedom: float | None = None,
        covariance: Any = None,
    ) -> Priors:
        """Return priors for given samples; what is not given is scikit-learn's default.

        Raises
        ------
        DataError
            If a prior is not legal.
        """
        D = source.n_features
        degrees = D if degrees_of_freedom is None else degrees_of_freedom
        if not degrees > D - 1:
            raise DataError(
                f"The parameter 'degrees_of_freedom_prior' should be greater than {D - 1}, but got "
                f"{degrees:.3f}."
            )
        return cls(
            weight_type,
            1.0 / n_components if concentration is None else concentration,
            1.0 if mean_precision is None else mean_precision,
            source.mean if mean is None else _checked(mean, (D,), "means"),
            float(degrees),
            _spread_of(source, kind) if covariance is None else checked_covariance(covariance, kind, D),
        )

    def divergence(self, parameters: BayesianParameters) -> float:
        """Return KL(posterior || prior), in nats: all that the bound loses beside the expected density."""
        weights = WEIGHT_PRIORS[self.weight_type].divergence(parameters.concentrations, self.concentration)
        return weights + self._divergence_of_means(parameters) + self._divergence_of_precisions(parameters)

    def _divergence_of_means(self, parameters: BayesianParameters) -> float:
        D, factors = parameters.n_features, parameters.factors
        ratio = self.mean_precision / parameters.mean_precision
        shifts = parameters.means - self.mean
        scaled = np.einsum("kab,kb->ka", factors, shifts) if factors.ndim == 3 else factors * shifts
        distances = np.square(scaled).sum(axis=1)
        return float(0.5 * (D * (ratio - np.log(ratio) - 1.0) + self.mean_precision * distances).sum())

    def _divergence_of_precisions(self, parameters: BayesianParameters) -> float:
        """Sum over components of Wishart divergences; over features too where these are independent."""
        D = parameters.n_features
        found, prior, factors = parameters.degrees_of_freedom, self.degrees_of_freedom, parameters.factors
        if factors.ndim == 3:
            steps = np.arange(float(D))
            log_prior = np.linalg.slogdet(self.covariance)[1]
            traces = np.einsum("kab,bc,kac->k", factors, self.covariance, factors)
        else:
            # One gamma distribution a feature.
            steps = np.zeros(D)
            covariance = np.broadcast_to(self.covariance, D)
            log_prior = np.log(covariance).sum()
            traces = np.square(factors) @ covariance
        expected = parameters.log_determinants
        diagonal = np.diagonal(factors, axis1=1, axis2=2) if factors.ndim == 3 else factors
        log_scale = 2.0 * np.log(diagonal).sum(axis=1) - D * np.log(found)
        norms = prior * (log_prior - D * np.log(2.0)) - found * (-log_scale - D * np.log(2.0))
        gammas = gammaln(0.5 * (prior - steps)).sum() - gammaln(0.5 * (found[:, None] - steps)).sum(axis=1)
        terms = -0.5 * norms + gammas + 0.5 * ((found - prior) * expected + traces - found * D)
        return float(terms.sum())


def _checked(given: Any, shape: tuple[int, ...], name: str) -> np.ndarray:
    array = np.asarray(given, dtype=np.float64)
    if array.shape != shape:
        raise DataError(f"The parameter '{name}' should have the shape of {shape}, but got {array.shape}")
    if not np.isfinite(array).all():
        raise DataError(f"The parameter '{name}' holds NaN or infinity; every entry must be finite")
    return array


def checked_covariance(given: Any, kind: CovarianceType, D: int) -> np.ndarray:
    """Return `given` as a covariance prior of a type, or raise `DataError`."""
    shape = {"full": (D, D), "tied": (D, D), "diag": (D,)}.get(kind.name, ())
    array = _checked(given, shape, f"{kind.name} covariance_prior")
    if array.ndim == 2:
        legal = np.allclose(array, array.T) and np.linalg.eigvalsh(array).min() > 0
        wanted = "symmetric, positive-definite"
    else:
        legal, wanted = bool((array > 0).all()), "positive"
    if not legal:
        raise DataError(f"'{kind.name} covariance_prior' should be {wanted}")
    return array


def _spread_of(source: Source, kind: CovarianceType) -> np.ndarray:
    """Return the covariance of all samples (its n is the total weight less 1) in the form of a type."""
    weight = max(source.total_weight - 1.0, np.finfo(float).tiny)
    if kind.form == "full":
        return source.reduce(partial(_scatter, origin=source.mean), rows=ROWS) / weight
    variances = source.variance * (source.total_weight / weight)
    return variances if kind.name == "diag" else np.asarray(variances.mean())


def _scatter(block: Block, origin: np.ndarray) -> np.ndarray:
    differences = block.X - origin
    return (differences * block.sample_weight[:, None]).T @ differences
