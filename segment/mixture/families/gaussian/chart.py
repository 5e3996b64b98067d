"""Gaussian parameters as vectors in which every value is feasible: what acceleration extrapolates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from segment.mixture.families.gaussian.covariance import CovarianceType
from segment.mixture.families.gaussian.parameters import Parameters


@dataclass(frozen=True, eq=False)
class GaussianChart:
    """Log weights, means and the covariance type's own vector form, of standardized features.

    Without standardization the unit of a feature would decide how far extrapolations reach.

    Attributes
    ----------
    type : CovarianceType
    n_components : int
    mean, deviations : (D,) float64 ndarrays
        Origin and unit of each feature.
    """

    type: CovarianceType
    n_components: int
    mean: np.ndarray
    deviations: np.ndarray

    def pack(self, parameters: Parameters) -> np.ndarray:
        """Return the parameters as a vector."""
        log_weights = np.log(np.maximum(parameters.weights, 1e-300))
        means = (parameters.means - self.mean) / self.deviations
        covariances = self.type.scale(parameters.covariances, 1.0 / self.deviations)
        return np.concatenate([log_weights, means.ravel(), self.type.pack(covariances)])

    def unpack(self, vector: np.ndarray) -> Parameters:
        """Undo `pack`; weights are normalized to sum to 1."""
        K, D = self.n_components, len(self.mean)
        weights = np.exp(vector[:K] - vector[:K].max())
        means = vector[K : K + K * D].reshape(K, D) * self.deviations + self.mean
        covariances = self.type.scale(self.type.unpack(vector[K + K * D :], K, D), self.deviations)
        return Parameters(weights / weights.sum(), means, covariances, self.type.name)
