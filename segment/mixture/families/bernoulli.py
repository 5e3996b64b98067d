"""Bernoulli components: binary features, independent given the component (latent class analysis)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, ClassVar, Self

import numpy as np

from segment.archive import Field
from segment.data.samples import Samples
from segment.data.source import Block, Source
from segment.errors import DataError
from segment.kernels.em import discrete as kernels
from segment.mixture.families.family import EMPTY, Family, Prepared
from segment.mixture.families.products import WIDE, Products
from segment.mixture.families.saved import SavedParameters
from segment.mixture.families.sums import Sums

# Share of the overall mean in the probabilities of a start: EM never leaves a probability of 0 or 1.
SMOOTHING = 0.02


@dataclass(frozen=True, eq=False)
class BernoulliParameters(SavedParameters):
    """Weights and probabilities of a mixture of K Bernoulli components over D binary features.

    Attributes
    ----------
    weights : (K,) float64 ndarray
        Mixing proportions; they sum to 1. A component of weight zero is empty.
    probabilities : (K, D) float64 ndarray
        Of a 1 in each feature.
    """

    weights: np.ndarray
    probabilities: np.ndarray

    family: ClassVar[str] = "bernoulli"
    fields = MappingProxyType({"weights": Field("f", 1), "probabilities": Field("f", 2)})

    def __post_init__(self) -> None:
        for name in ("weights", "probabilities"):
            object.__setattr__(self, name, np.ascontiguousarray(getattr(self, name), dtype=np.float64))
        if self.probabilities.ndim != 2 or self.weights.shape != self.probabilities.shape[:1]:
            raise DataError(
                f"weights {self.weights.shape} and probabilities {self.probabilities.shape} do not fit; "
                "(K,) and (K, D) are needed"
            )
        if not ((self.probabilities >= 0) & (self.probabilities <= 1)).all():
            raise DataError("probabilities must lie in [0, 1]")

    @property
    def n_components(self) -> int:
        """Number of components."""
        return self.probabilities.shape[0]

    @property
    def n_features(self) -> int:
        """Number of features."""
        return self.probabilities.shape[1]

    @property
    def n_parameters(self) -> int:
        """Number of free parameters, as BIC counts them."""
        return self.n_components - 1 + self.probabilities.size

    def reordered(self, order: Any) -> BernoulliParameters:
        """Return the same mixture with component ``order[k]`` as number k."""
        return replace(self, weights=self.weights[order], probabilities=self.probabilities[order])

    def drawn(self, labels: np.ndarray, rng: np.random.RandomState) -> np.ndarray:
        """Draw one sample from the component of each label, (n_samples, n_features) float64 of 0 and 1."""
        ones = rng.uniform(size=(len(labels), self.n_features)) < self.probabilities[labels]
        return ones.astype(np.float64)


def check_binary(X: np.ndarray) -> None:
    """Raise `DataError` if a value is neither 0 nor 1."""
    wrong = X[(X != 0) & (X != 1)]
    if wrong.size:
        raise DataError(
            f"a binary feature holds {wrong[0]:g}; 0 and 1 are allowed: subtract 1 from codes 1 and 2, or "
            "compare with a threshold first"
        )


class PreparedBernoulli(Prepared[Sums]):
    """Bernoulli components ready for a pass."""

    def __init__(self, parameters: BernoulliParameters) -> None:
        self.shape = parameters.probabilities.shape
        with np.errstate(divide="ignore"):
            log_weights = np.log(parameters.weights)
            ones, zeros = np.log(parameters.probabilities), np.log1p(-parameters.probabilities)
        self.constants = log_weights, ones, zeros
        self.products = None
        if self.shape[1] >= WIDE:
            certain = zeros == -np.inf
            zeros = np.where(certain, 0.0, zeros)
            self.products = Products(log_weights + zeros.sum(axis=1), ones - zeros, certain)

    def accumulate(self, block: Block, n_jobs: int | None = 1) -> Sums:
        if self.products is not None:
            return self.products.accumulate(block)
        counts, sums = np.zeros(self.shape[0]), np.zeros(self.shape)
        log_likelihood = kernels.accumulate_binary(
            block.X, block.sample_weight, *self.constants, counts, sums
        )
        return Sums(counts, sums, log_likelihood)

    def log_densities(self, X: np.ndarray) -> np.ndarray:
        if self.products is not None:
            return self.products.log_densities(X)
        out = np.empty((len(X), self.shape[0]))
        kernels.densities_binary(X, *self.constants, out)
        return out

    def far_log_densities(self, X: np.ndarray) -> np.ndarray:
        """Return the log weights for every row: what has probability 0 everywhere tells nothing."""
        return np.broadcast_to(self.constants[0], (len(X), self.shape[0])).copy()


@dataclass(frozen=True)
class BernoulliChart:
    """Log weights and the angles arcsin sqrt(p): estimates of 0 and 1 lie at finite angles."""

    n_components: int

    def pack(self, parameters: BernoulliParameters) -> np.ndarray:
        """Return the parameters as a vector."""
        angles = np.arcsin(np.sqrt(parameters.probabilities))
        return np.concatenate([np.log(np.maximum(parameters.weights, 1e-300)), angles.ravel()])

    def unpack(self, vector: np.ndarray) -> BernoulliParameters:
        """Undo `pack`; weights are normalized to sum to 1, angles end at those of 0 and 1."""
        weights = np.exp(vector[: self.n_components] - vector[: self.n_components].max())
        angles = np.clip(vector[self.n_components :], 0.0, np.pi / 2).reshape(self.n_components, -1)
        # The sine of the nearest number to a right angle is 1, and squares stay within [0, 1].
        return BernoulliParameters(weights / weights.sum(), np.sin(angles) ** 2)


@dataclass(frozen=True, eq=False)
class Bernoulli(Family[BernoulliParameters, Sums]):
    """Bernoulli components; `Bernoulli.of` checks that the samples are binary.

    Attributes
    ----------
    mean : (D,) float64 ndarray, or None
        Of each feature over all samples; densities do not need it.

    References
    ----------
    .. [1] Lazarsfeld & Henry (1968), "Latent structure analysis".
    .. [2] Bishop (2006), "Pattern recognition and machine learning", section 9.3.3.
    """

    mean: np.ndarray | None = None

    name = "bernoulli"
    parameters = BernoulliParameters

    @classmethod
    def plain(cls, parameters: BernoulliParameters) -> Self:
        """Return the family: it has no regularization."""
        return cls()

    @classmethod
    def of(cls, source: Source) -> Self:
        """Return the family for given samples.

        Raises
        ------
        DataError
            If a value is neither 0 nor 1.
        """
        for _ in source.map(lambda block: check_binary(block.X), rows=16384):
            pass
        return cls(source.mean)

    def chart(self, n_components: int) -> BernoulliChart:
        """Return the vector form of the parameters of so many components."""
        return BernoulliChart(n_components)

    def prepare(self, parameters: BernoulliParameters, dtype: np.dtype) -> PreparedBernoulli:
        """Make parameters ready for a pass over samples."""
        return PreparedBernoulli(parameters)

    def maximize(self, statistics: Sums, parameters: BernoulliParameters) -> BernoulliParameters:
        """Return the shares of ones; an empty component gets weight 0 and keeps its probabilities."""
        total = statistics.counts.sum()
        empty = statistics.counts <= EMPTY * total
        counts = np.where(empty, 0.0, statistics.counts)
        shares = statistics.sums / np.where(empty, 1.0, statistics.counts)[:, None]
        # Sums of many roundings may lie an ulp beyond their count.
        probabilities = np.where(empty[:, None], parameters.probabilities, np.clip(shares, 0.0, 1.0))
        return BernoulliParameters(counts / counts.sum(), probabilities)

    def from_responsibilities(self, samples: Samples, responsibilities: np.ndarray) -> BernoulliParameters:
        """Return an M-step from responsibilities, its probabilities drawn a little towards the mean."""
        shares = responsibilities * samples.sample_weight[:, None]
        mean = self._overall()
        start = BernoulliParameters(
            np.full(shares.shape[1], 1.0 / shares.shape[1]), np.tile(mean, (shares.shape[1], 1))
        )
        found = self.maximize(Sums(shares.sum(axis=0), shares.T @ samples.X, 0.0), start)
        return replace(found, probabilities=(1 - SMOOTHING) * found.probabilities + SMOOTHING * mean)

    def reseeded(
        self, parameters: BernoulliParameters, components: np.ndarray, rows: np.ndarray
    ) -> BernoulliParameters:
        """Return parameters with the given components half way between the given rows and the mean."""
        probabilities = parameters.probabilities.copy()
        probabilities[components] = 0.5 * (rows + self._overall())
        return replace(parameters, probabilities=probabilities)

    def _overall(self) -> np.ndarray:
        if self.mean is None:
            raise TypeError("this Bernoulli family knows no data; make it with Bernoulli.of")
        return np.clip(self.mean, 0.0, 1.0)
