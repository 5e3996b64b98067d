"""Parameters as scikit-learn's mixture has them: precisions, and starts that a user gives piece by piece."""

from __future__ import annotations

from typing import Any

import numpy as np

from segment.errors import DataError
from segment.mixture.families.gaussian.covariance import CovarianceType
from segment.mixture.families.gaussian.parameters import Parameters


def precisions_cholesky(parameters: Parameters) -> np.ndarray:
    """Return the upper triangular C with C @ C.T = precision (or 1 / standard deviation), shaped as it."""
    return parameters.type.compact(parameters.factors)


def precisions(parameters: Parameters) -> np.ndarray:
    """Return the inverse covariances, shaped as the covariances."""
    root = precisions_cholesky(parameters)
    return root**2 if parameters.type.form == "diag" else root @ np.swapaxes(root, -1, -2)


def _checked(given: Any, shape: tuple[int, ...], name: str) -> np.ndarray:
    array = np.asarray(given, dtype=np.float64)
    if array.shape != shape:
        raise DataError(f"The parameter '{name}' should have the shape of {shape}, but got {array.shape}")
    if not np.isfinite(array).all():
        raise DataError(f"The parameter '{name}' holds NaN or infinity; every entry must be finite")
    return array


def checked_weights(given: Any, K: int) -> np.ndarray:
    """Return `given` as weights: (K,), not negative, with the sum 1.

    Raises
    ------
    DataError
        If they are not.
    """
    weights = _checked(given, (K,), "weights")
    if weights.min() < 0 or weights.max() > 1:
        raise DataError(
            f"The parameter 'weights' should be in the range [0, 1], but got max value {weights.max():.5f}, "
            f"min value {weights.min():.5f}"
        )
    if abs(weights.sum() - 1.0) > 1e-6:
        raise DataError(
            f"The parameter 'weights' should be normalized, but got sum(weights) = {weights.sum():.5f}"
        )
    return weights / weights.sum()


def checked_means(given: Any, K: int, D: int) -> np.ndarray:
    """Return `given` as means, (K, D) and finite, or raise `DataError`."""
    return _checked(given, (K, D), "means")


def covariances_from_precisions(given: Any, kind: CovarianceType, K: int, D: int) -> np.ndarray:
    """Return the covariances that precisions of covariance type `kind` are the inverses of.

    Raises
    ------
    DataError
        If the precisions have another shape, or are not symmetric and positive definite.
    """
    array = _checked(given, kind.shape(K, D), f"{kind.name} precision")
    if kind.form == "diag":
        if array.min() <= 0:
            raise DataError(f"'{kind.name} precision' should be positive, but got {array.min()}")
        return 1.0 / array
    if not np.allclose(array, np.swapaxes(array, -1, -2)) or np.linalg.eigvalsh(array).min() <= 0:
        raise DataError(f"'{kind.name} precision' should be symmetric, positive-definite")
    inverse = np.linalg.inv(array)
    return (inverse + np.swapaxes(inverse, -1, -2)) / 2.0
