"""Multinomial components: how a sample's counts, such as words of a text, share out among the features."""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, ClassVar, Self

import numpy as np

from segment.archive import Field
from segment.data.samples import Samples
from segment.data.source import Block, Source
from segment.errors import DataError
from segment.mixture.families.counts import check_counts, log_factorials
from segment.mixture.families.family import EMPTY, Family, Prepared
from segment.mixture.families.products import linear
from segment.mixture.families.saved import SavedParameters
from segment.mixture.families.sums import Sums

# Share of the overall profile in the probabilities of a start: EM never leaves a probability of 0.
SMOOTHING = 0.02


@dataclass(frozen=True, eq=False)
class MultinomialParameters(SavedParameters):
    """Weights and probabilities of a mixture of K multinomial components over D counts.

    Attributes
    ----------
    weights : (K,) float64 ndarray
        Mixing proportions; they sum to 1. A component of weight zero is empty.
    probabilities : (K, D) float64 ndarray
        Of each feature for one count; rows sum to 1, and 0 is legal.
    length : float
        Mean total of a sample: densities are given the total, draws have this one.
    """

    weights: np.ndarray
    probabilities: np.ndarray
    length: float = 1.0

    family: ClassVar[str] = "multinomial"
    fields = MappingProxyType(
        {"weights": Field("f", 1), "probabilities": Field("f", 2), "length": Field("f", 0)}
    )

    def __post_init__(self) -> None:
        for name in ("weights", "probabilities"):
            object.__setattr__(self, name, np.ascontiguousarray(getattr(self, name), dtype=np.float64))
        if self.probabilities.ndim != 2 or self.weights.shape != self.probabilities.shape[:1]:
            raise DataError(
                f"weights {self.weights.shape} and probabilities {self.probabilities.shape} do not fit; "
                "(K,) and (K, D) are needed"
            )
        off = np.abs(self.probabilities.sum(axis=1) - 1.0)
        # Rows that were rounded to float32 are legal.
        if not (self.probabilities >= 0).all() or not (off < 1e-4).all():
            raise DataError("probabilities must not be negative and must sum to 1 in each component")
        if not 0 <= self.length < np.inf:
            raise DataError(f"length is {self.length}; it must be finite and not negative")

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
        return self.n_components - 1 + self.n_components * (self.n_features - 1)

    def reordered(self, order: Any) -> MultinomialParameters:
        """Return the same mixture with component ``order[k]`` as number k."""
        return replace(self, weights=self.weights[order], probabilities=self.probabilities[order])

    def drawn(self, labels: np.ndarray, rng: np.random.RandomState) -> np.ndarray:
        """Draw one sample of the mean total from the component of each label, (n_samples, n_features)."""
        total = round(self.length)
        shares = self.probabilities / self.probabilities.sum(axis=1, keepdims=True)
        X = np.zeros((len(labels), self.n_features))
        for k, share in enumerate(shares):
            own = labels == k
            X[own] = rng.multinomial(total, share, own.sum())
        return X


def log_coefficients(X: np.ndarray) -> np.ndarray:
    """Return the logarithm of the multinomial coefficient of each row, (n,) float64."""
    totals = X.sum(axis=1, dtype=np.float64, keepdims=True)
    return log_factorials(totals) - log_factorials(X)


class PreparedMultinomial(Prepared[Sums]):
    """Multinomial components ready for a pass."""

    def __init__(self, parameters: MultinomialParameters) -> None:
        self.shape = parameters.probabilities.shape
        with np.errstate(divide="ignore"):
            self.constants = np.log(parameters.weights), np.log(parameters.probabilities)
        self.linear = linear(*self.constants)

    def accumulate(self, block: Block, n_jobs: int | None = 1) -> Sums:
        found = self.linear.accumulate(block)
        return found.raised(float(block.sample_weight @ log_coefficients(block.X)))

    def log_densities(self, X: np.ndarray) -> np.ndarray:
        return self.linear.log_densities(X) + log_coefficients(X)[:, None]

    def far_log_densities(self, X: np.ndarray) -> np.ndarray:
        """Return the log weights for every row: what has probability 0 everywhere tells nothing."""
        return np.broadcast_to(self.constants[0], (len(X), self.shape[0])).copy()


@dataclass(frozen=True)
class MultinomialChart:
    """Log weights and the roots of the probabilities: an estimate of 0 lies at a finite root."""

    n_components: int
    length: float

    def pack(self, parameters: MultinomialParameters) -> np.ndarray:
        """Return the parameters as a vector."""
        log_weights = np.log(np.maximum(parameters.weights, 1e-300))
        return np.concatenate([log_weights, np.sqrt(parameters.probabilities).ravel()])

    def unpack(self, vector: np.ndarray) -> MultinomialParameters:
        """Undo `pack`; weights and probabilities are normalized, negative roots end at 0."""
        weights = np.exp(vector[: self.n_components] - vector[: self.n_components].max())
        squares = np.clip(vector[self.n_components :], 0.0, 1e100).reshape(self.n_components, -1) ** 2
        # Where nothing is left, all features are alike.
        squares[squares.sum(axis=1) == 0] = 1.0
        probabilities = squares / squares.sum(axis=1, keepdims=True)
        return MultinomialParameters(weights / weights.sum(), probabilities, self.length)


def _check(block: Block) -> None:
    check_counts(block.X)


@dataclass(frozen=True, eq=False)
class Multinomial(Family[MultinomialParameters, Sums]):
    """Multinomial components; `Multinomial.of` checks that the samples are counts.

    Log probabilities hold the multinomial coefficient: they are those of the counts, not of the order in
    which they came.

    Attributes
    ----------
    mean : (D,) float64 ndarray, or None
        Of each count over all samples; densities do not need it.

    References
    ----------
    .. [1] Nigam, McCallum, Thrun & Mitchell (2000), "Text classification from labeled and unlabeled documents
           using EM", Machine Learning 39, 103-134.
    """

    mean: np.ndarray | None = None

    name = "multinomial"
    parameters = MultinomialParameters

    @classmethod
    def plain(cls, parameters: MultinomialParameters) -> Self:
        """Return the family: it has no regularization."""
        return cls()

    @classmethod
    def of(cls, source: Source) -> Self:
        """Return the family for given samples.

        Raises
        ------
        DataError
            If a value is no count.
        """
        for _ in source.map(_check, rows=16384):
            pass
        return cls(source.mean)

    def chart(self, n_components: int) -> MultinomialChart:
        """Return the vector form of the parameters of so many components."""
        return MultinomialChart(n_components, float(self._overall().sum()))

    def prepare(self, parameters: MultinomialParameters, dtype: np.dtype) -> PreparedMultinomial:
        """Make parameters ready for a pass over samples."""
        return PreparedMultinomial(parameters)

    def maximize(self, statistics: Sums, parameters: MultinomialParameters) -> MultinomialParameters:
        """Return the shares of each feature; an empty component gets weight 0 and keeps its probabilities."""
        empty = statistics.counts <= EMPTY * statistics.counts.sum()
        counts = np.where(empty, 0.0, statistics.counts)
        totals = statistics.sums.sum(axis=1, keepdims=True)
        # Samples that are all zeros say nothing of the probabilities.
        kept = empty[:, None] | (totals <= 0)
        shares = np.maximum(statistics.sums, 0.0) / np.where(kept, 1.0, totals)
        probabilities = np.where(kept, parameters.probabilities, shares)
        return replace(parameters, weights=counts / counts.sum(), probabilities=probabilities)

    def from_responsibilities(self, samples: Samples, responsibilities: np.ndarray) -> MultinomialParameters:
        """Return an M-step from responsibilities, its probabilities drawn a little towards those of all."""
        shares = responsibilities * samples.sample_weight[:, None]
        K, profile = shares.shape[1], self._profile()
        start = MultinomialParameters(
            np.full(K, 1.0 / K), np.tile(profile, (K, 1)), float(self._overall().sum())
        )
        found = self.maximize(Sums(shares.sum(axis=0), shares.T @ samples.X, 0.0), start)
        return replace(found, probabilities=(1 - SMOOTHING) * found.probabilities + SMOOTHING * profile)

    def reseeded(
        self, parameters: MultinomialParameters, components: np.ndarray, rows: np.ndarray
    ) -> MultinomialParameters:
        """Return parameters with the given components half way between the given rows and all samples."""
        probabilities, profile = parameters.probabilities.copy(), self._profile()
        for k, row in zip(components, rows, strict=True):
            total = row.sum()
            probabilities[k] = 0.5 * (row / total + profile) if total > 0 else profile
        return replace(parameters, probabilities=probabilities)

    def _overall(self) -> np.ndarray:
        if self.mean is None:
            raise TypeError("this multinomial family knows no data; make it with Multinomial.of")
        return np.maximum(self.mean, 0.0)

    def _profile(self) -> np.ndarray:
        """Return the share of each feature among all counts."""
        overall = self._overall()
        return overall / overall.sum() if overall.sum() > 0 else np.full(len(overall), 1.0 / len(overall))
