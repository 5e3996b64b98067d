"""The four covariance types, each a class of one small interface: to add one, add a class and its table line.

A type knows the shape of its covariances, how to estimate them from moments, and how to turn them into
*factors*: inverse Cholesky factors, one a component, that the kernels multiply with. There are two
forms of factors, and of kernels: "full" (K, D, D), lower triangular, and "diag" (K, D).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np

from segment.errors import DataError
from segment.mixture.families.gaussian.moments import Moments, lower_triangle

# Where reg_covar = 0 leaves a covariance singular in double precision, its eigenvalues, with each feature in
# units of its own standard deviation, are raised to this: the smallest value that survives the rounding of a
# Cholesky factorization. (In the data's own units, a feature of variance 1e-6 beside one of 1e6 would
# count as singular.)
SINGULAR = 1e-12


class CovarianceType(ABC):
    """Interface of a covariance type, and what all types share.

    Scatters are (K, D, D) or (K, D) by form: second moments about the new means, summed, not averaged.
    """

    name: ClassVar[str]
    form: ClassVar[str]

    def __reduce__(self) -> tuple[Any, ...]:
        # Types are told apart by identity, in every process.
        return covariance_type_of, (self.name,)

    @abstractmethod
    def shape(self, K: int, D: int) -> tuple[int, ...]:
        """Return the shape of the covariances of K components over D features."""

    @abstractmethod
    def n_parameters(self, K: int, D: int) -> int:
        """Return the number of free covariance parameters."""

    @abstractmethod
    def pool(self, scatters: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """Return the maximum-likelihood covariances of scatters over `counts` samples."""

    @abstractmethod
    def spread(self, covariances: np.ndarray, K: int, D: int) -> np.ndarray:
        """Return one covariance a component, (K, D, D) or (K, D) by form."""

    @abstractmethod
    def scale(self, covariances: np.ndarray, factors: np.ndarray) -> np.ndarray:
        """Return the covariances of features multiplied by `factors` (D,)."""

    @abstractmethod
    def regularize(self, covariances: np.ndarray, reg: float, deviations: np.ndarray) -> np.ndarray:
        """Add `reg` to every variance, then raise what is still singular in units of `deviations` (D,)."""

    @abstractmethod
    def factors(self, covariances: np.ndarray, K: int, D: int) -> np.ndarray:
        """Return the inverse Cholesky factors, (K, D, D) or (K, D) by form."""

    @abstractmethod
    def taken(self, covariances: np.ndarray, order: np.ndarray) -> np.ndarray:
        """Return the covariances of the components that `order` names, some of them repeatedly."""

    @abstractmethod
    def free_cells(self, K: int, D: int) -> list[list[tuple[int, ...]]]:
        """Return, for each free entry of the covariances, the cells that hold it."""

    @abstractmethod
    def compact(self, factors: np.ndarray) -> np.ndarray:
        """Return factors in the shape of the covariances, transposed: C @ C.T is the precision."""

    @abstractmethod
    def pack(self, covariances: np.ndarray) -> np.ndarray:
        """Return covariances as a vector in which every value is feasible."""

    @abstractmethod
    def unpack(self, vector: np.ndarray, K: int, D: int) -> np.ndarray:
        """Undo `pack`."""

    def estimate(self, moments: Moments, deviations: np.ndarray, reg: float, shrinkage: float) -> np.ndarray:
        """Return the covariances of an M-step.

        Parameters
        ----------
        moments : Moments
            About the current means; every count positive.
        deviations : (D,) ndarray
            Positive unit of each feature, for the repair of singular covariances.
        reg : float
            Added to every variance (absolute).
        shrinkage : float in [0, 1]
            Share of the pooled within-component covariance.
        """
        scatters = moments.scatters()
        covariances = self.pool(scatters, moments.counts)
        if shrinkage > 0:
            K = len(scatters)
            everything = np.broadcast_to(scatters.sum(axis=0), scatters.shape)
            pooled = self.pool(everything, np.full(K, moments.counts.sum()))
            covariances = (1 - shrinkage) * covariances + shrinkage * pooled
        return self.regularize(covariances, reg, deviations)


class _Diagonal(CovarianceType):
    form = "diag"

    def regularize(self, covariances: np.ndarray, reg: float, deviations: np.ndarray) -> np.ndarray:
        return np.maximum(covariances + reg, self.scale(np.full_like(covariances, SINGULAR), deviations))

    def factors(self, covariances: np.ndarray, K: int, D: int) -> np.ndarray:
        return 1.0 / np.sqrt(self.spread(covariances, K, D))

    def taken(self, covariances: np.ndarray, order: np.ndarray) -> np.ndarray:
        return covariances[order]

    def free_cells(self, K: int, D: int) -> list[list[tuple[int, ...]]]:
        return [[cell] for cell in np.ndindex(*self.shape(K, D))]

    def pack(self, covariances: np.ndarray) -> np.ndarray:
        return np.log(covariances).ravel()

    def unpack(self, vector: np.ndarray, K: int, D: int) -> np.ndarray:
        return np.exp(np.clip(vector, -690.0, 690.0)).reshape(self.shape(K, D))


class Diag(_Diagonal):
    """Each component has its own variance in each feature: (K, D)."""

    name = "diag"

    def shape(self, K: int, D: int) -> tuple[int, ...]:
        return (K, D)

    def n_parameters(self, K: int, D: int) -> int:
        return K * D

    def pool(self, scatters: np.ndarray, counts: np.ndarray) -> np.ndarray:
        return scatters / counts[:, None]

    def spread(self, covariances: np.ndarray, K: int, D: int) -> np.ndarray:
        return covariances

    def scale(self, covariances: np.ndarray, factors: np.ndarray) -> np.ndarray:
        return covariances * factors**2

    def compact(self, factors: np.ndarray) -> np.ndarray:
        return factors


class Spherical(_Diagonal):
    """Each component has one variance for all its features: (K,)."""

    name = "spherical"

    def shape(self, K: int, D: int) -> tuple[int, ...]:
        return (K,)

    def n_parameters(self, K: int, D: int) -> int:
        return K

    def pool(self, scatters: np.ndarray, counts: np.ndarray) -> np.ndarray:
        return scatters.mean(axis=1) / counts

    def spread(self, covariances: np.ndarray, K: int, D: int) -> np.ndarray:
        return np.repeat(covariances[:, None], D, axis=1)

    def scale(self, covariances: np.ndarray, factors: np.ndarray) -> np.ndarray:
        # The geometric mean: scaling by the reciprocals must undo it.
        return covariances * np.exp(2.0 * np.log(factors).mean())

    def compact(self, factors: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(factors[:, 0])


def _least_eigenvalues(largest: np.ndarray, D: int) -> np.ndarray:
    return np.maximum(SINGULAR, D * np.finfo(float).eps * largest)


def _is_clearly_regular(covariances: np.ndarray) -> bool:
    """Tell without eigenvalues, which cost ten times as much, that none is too small; "no" may be wrong.

    The smallest eigenvalue is at least 1 / trace of the inverse, the largest at most the trace.
    """
    try:
        inverse = np.linalg.inv(np.linalg.cholesky(covariances))
    except np.linalg.LinAlgError:
        return False
    smallest = 1.0 / np.square(inverse).sum(axis=(-2, -1))
    traces = np.trace(covariances, axis1=-2, axis2=-1)
    # Twice: what rounding takes away is far less.
    return bool((smallest > 2.0 * _least_eigenvalues(traces, covariances.shape[-1])).all())


class _Triangular(CovarianceType):
    form = "full"

    def scale(self, covariances: np.ndarray, factors: np.ndarray) -> np.ndarray:
        return covariances * np.outer(factors, factors)

    def regularize(self, covariances: np.ndarray, reg: float, deviations: np.ndarray) -> np.ndarray:
        covariances = covariances + reg * np.eye(len(deviations))
        if reg > 1e-9 * covariances.max():
            # Far above what rounding can take away: positive definite without asking.
            return covariances
        scaled = self.scale(covariances, 1.0 / deviations)
        if _is_clearly_regular(scaled):
            return covariances
        values, vectors = np.linalg.eigh(scaled)
        floors = _least_eigenvalues(values.max(axis=-1, keepdims=True), len(deviations))
        if (values < floors).any():
            raised = (vectors * np.maximum(values, floors)[..., None, :]) @ np.swapaxes(vectors, -1, -2)
            covariances = self.scale(raised, deviations)
        return covariances

    def factors(self, covariances: np.ndarray, K: int, D: int) -> np.ndarray:
        # LAPACK leaves zeros above the diagonal of a triangular inverse only up to rounding.
        inverse = np.linalg.inv(np.linalg.cholesky(covariances))
        rows, columns = lower_triangle(D)
        exact = np.zeros_like(inverse)
        exact[..., rows, columns] = inverse[..., rows, columns]
        return self.spread(exact, K, D)

    def pack(self, covariances: np.ndarray) -> np.ndarray:
        lower = np.linalg.cholesky(covariances)
        diagonal = np.arange(lower.shape[-1])
        lower[..., diagonal, diagonal] = np.log(lower[..., diagonal, diagonal])
        return lower[..., *lower_triangle(lower.shape[-1])].ravel()

    def unpack(self, vector: np.ndarray, K: int, D: int) -> np.ndarray:
        lower = np.zeros(self.shape(K, D))
        rows, columns = lower_triangle(D)
        lower[..., rows, columns] = vector.reshape(*lower.shape[:-2], len(rows))
        diagonal = np.arange(D)
        lower[..., diagonal, diagonal] = np.exp(np.clip(lower[..., diagonal, diagonal], -345.0, 345.0))
        return lower @ np.swapaxes(lower, -1, -2)


class Full(_Triangular):
    """Each component has its own covariance matrix: (K, D, D)."""

    name = "full"

    def shape(self, K: int, D: int) -> tuple[int, ...]:
        return (K, D, D)

    def n_parameters(self, K: int, D: int) -> int:
        return K * D * (D + 1) // 2

    def pool(self, scatters: np.ndarray, counts: np.ndarray) -> np.ndarray:
        return scatters / counts[:, None, None]

    def spread(self, covariances: np.ndarray, K: int, D: int) -> np.ndarray:
        return covariances

    def taken(self, covariances: np.ndarray, order: np.ndarray) -> np.ndarray:
        return covariances[order]

    def free_cells(self, K: int, D: int) -> list[list[tuple[int, ...]]]:
        return [[(k, a, b), (k, b, a)] for k in range(K) for a in range(D) for b in range(a + 1)]

    def compact(self, factors: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(np.swapaxes(factors, 1, 2))


class Tied(_Triangular):
    """All components share one covariance matrix: (D, D)."""

    name = "tied"

    def shape(self, K: int, D: int) -> tuple[int, ...]:
        return (D, D)

    def n_parameters(self, K: int, D: int) -> int:
        return D * (D + 1) // 2

    def pool(self, scatters: np.ndarray, counts: np.ndarray) -> np.ndarray:
        return scatters.sum(axis=0) / counts.sum()

    def spread(self, covariances: np.ndarray, K: int, D: int) -> np.ndarray:
        return np.repeat(covariances[None], K, axis=0)

    def taken(self, covariances: np.ndarray, order: np.ndarray) -> np.ndarray:
        return covariances

    def free_cells(self, K: int, D: int) -> list[list[tuple[int, ...]]]:
        return [[(a, b), (b, a)] for a in range(D) for b in range(a + 1)]

    def compact(self, factors: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(factors[0].T)


COVARIANCE_TYPES: dict[str, CovarianceType] = {c.name: c for c in (Full(), Diag(), Tied(), Spherical())}


def covariance_type_of(name: str) -> CovarianceType:
    """Return the covariance type called `name`.

    Raises
    ------
    DataError
        If there is none of that name.
    """
    if name not in COVARIANCE_TYPES:
        raise DataError(f"covariance_type is {name!r}; allowed are {', '.join(COVARIANCE_TYPES)}")
    return COVARIANCE_TYPES[name]
