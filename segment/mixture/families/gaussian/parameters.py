"""Parameters of a Gaussian mixture."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from types import MappingProxyType
from typing import Any, ClassVar, Self

import numpy as np

from segment.archive import Field
from segment.errors import DataError
from segment.mixture.families.gaussian.covariance import CovarianceType, covariance_type_of
from segment.mixture.families.saved import SavedParameters


@dataclass(frozen=True, eq=False)
class Parameters(SavedParameters):
    """Weights, means and covariances of a mixture of K Gaussians over D features.

    Attributes
    ----------
    weights : (K,) float64 ndarray
        Mixing proportions; they sum to 1. A component of weight zero is empty.
    means : (K, D) float64 ndarray
    covariances : float64 ndarray
        (K, D, D) "full", (K, D) "diag" (variances), (D, D) "tied", (K,) "spherical" (variances).
    covariance_type : {"full", "diag", "tied", "spherical"}
    """

    weights: np.ndarray
    means: np.ndarray
    covariances: np.ndarray
    covariance_type: str = "full"

    family: ClassVar[str] = "gaussian"
    fields = MappingProxyType(
        {
            "weights": Field("f", 1),
            "means": Field("f", 2),
            "covariances": Field("f", None),
            "covariance_type": Field("U", 0),
        }
    )

    def __post_init__(self) -> None:
        for name in ("weights", "means", "covariances"):
            object.__setattr__(self, name, np.ascontiguousarray(getattr(self, name), dtype=np.float64))
        if self.means.ndim != 2 or self.weights.shape != self.means.shape[:1]:
            raise DataError(
                f"weights {self.weights.shape} and means {self.means.shape} do not fit; "
                "(K,) and (K, D) are needed"
            )
        if self.covariances.shape != (shape := self.type.shape(*self.means.shape)):
            raise DataError(
                f"covariances have shape {self.covariances.shape}; {shape} is needed for "
                f"covariance_type {self.covariance_type!r}"
            )

    @property
    def type(self) -> CovarianceType:
        """The covariance type as an object."""
        return covariance_type_of(self.covariance_type)

    @property
    def n_components(self) -> int:
        """Number of components."""
        return self.means.shape[0]

    @property
    def n_features(self) -> int:
        """Number of features."""
        return self.means.shape[1]

    @property
    def n_parameters(self) -> int:
        """Number of free parameters, as BIC counts them."""
        K, D = self.means.shape
        return K - 1 + K * D + self.type.n_parameters(K, D)

    @cached_property
    def factors(self) -> np.ndarray:
        """Inverse Cholesky factors of the covariances, (K, D, D) lower triangular or (K, D).

        Raises
        ------
        DataError
            If a covariance is not positive definite.
        """
        try:
            factors = self.type.factors(self.covariances, *self.means.shape)
        except np.linalg.LinAlgError as error:
            raise DataError("a covariance is not positive definite; give a larger reg_covar") from error
        if not np.isfinite(factors).all():
            raise DataError("a covariance is not positive and finite; give a larger reg_covar")
        return factors

    @cached_property
    def log_scales(self) -> np.ndarray:
        """Log weight plus log normalizing constant of each component, (K,); -inf if empty."""
        factors = self.factors
        diagonal = np.diagonal(factors, axis1=-2, axis2=-1) if factors.ndim == 3 else factors
        with np.errstate(divide="ignore"):
            log_weights = np.log(self.weights)
        return log_weights + np.log(diagonal).sum(axis=-1) - 0.5 * self.n_features * np.log(2 * np.pi)

    def spread_covariances(self) -> np.ndarray:
        """Return one full covariance matrix a component, (K, D, D), whatever the type."""
        spread = self.type.spread(self.covariances, *self.means.shape)
        return spread if spread.ndim == 3 else spread[:, :, None] * np.eye(self.n_features)

    def reordered(self, order: Any) -> Self:
        """Return the same mixture with component `order[k]` as number k."""
        covariances = self.type.taken(self.covariances, order)
        return replace(self, weights=self.weights[order], means=self.means[order], covariances=covariances)

    def drawn(self, labels: np.ndarray, rng: np.random.RandomState) -> np.ndarray:
        """Draw one sample from the component of each label, (n_samples, n_features) float64."""
        X = rng.standard_normal((len(labels), self.n_features))
        for k, covariance in enumerate(self.spread_covariances()):
            own = labels == k
            X[own] = self.means[k] + X[own] @ np.linalg.cholesky(covariance).T
        return X

    def check(self) -> None:
        """Raise `DataError` if a covariance is not positive definite."""
        _ = self.factors
