"""What a mixture asks of a family of densities, and what parameters of any family have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Generic, Protocol, Self, TypeVar

import numpy as np

from segment.data.source import Block, Source
from segment.em.model import Chart
from segment.em.result import Repair
from segment.em.stopping import SmallChange, SmallGain, Stopping

# A component that explains less than this share of the total weight is empty and is re-seeded.
EMPTY = 1e-7


class Statistics(Protocol):
    """What an E-step leaves of the samples. Statistics add; the M-step sees only their sum."""

    @property
    def counts(self) -> np.ndarray:
        """Sums of weighted responsibilities, (K,)."""

    @property
    def log_likelihood(self) -> float:
        """Weighted sum of the log densities, in nats."""

    def __add__(self, other: Self) -> Self: ...

    def scaled(self, factor: float) -> Self:
        """Return the statistics of `factor` times the weight."""

    def about(self, old: Any, new: Any) -> Self:
        """Return statistics taken under parameters `old` as sums about parameters `new`."""


class MixtureParameters(Protocol):
    """Parameters of a mixture of K components: values, never changed."""

    family: ClassVar[str]
    """The name of their family in the table."""

    @property
    def weights(self) -> np.ndarray:
        """Mixing proportions, (K,)."""

    @property
    def n_components(self) -> int:
        """Number of components."""

    @property
    def n_features(self) -> int:
        """Number of features."""

    @property
    def n_parameters(self) -> int:
        """Number of free parameters, as BIC counts them."""

    def reordered(self, order: Any) -> Self:
        """Return the same mixture with component ``order[k]`` as number k."""

    def drawn(self, labels: np.ndarray, rng: np.random.RandomState) -> np.ndarray:
        """Draw one sample from the component of each label, (n_samples, n_features) float64."""


P = TypeVar("P", bound=MixtureParameters)
S = TypeVar("S", bound=Statistics)


class Prepared(ABC, Generic[S]):
    """Parameters made ready for one pass over the samples: constants are computed once, not for each block.

    Attributes
    ----------
    rows : int
        Rows of a block. It depends on the shapes of the data and of the statistics only.
    shares_threads : bool
        Whether the threads work on one block together, rather than each on blocks of its own: statistics
        that are large beside a block should not be there once a thread.
    """

    rows: int = 16384
    shares_threads: bool = False

    @abstractmethod
    def accumulate(self, block: Block, n_jobs: int | None = 1) -> S:
        """Return the statistics of a block; no responsibility is stored."""

    @abstractmethod
    def log_densities(self, X: np.ndarray) -> np.ndarray:
        """Return log(weight) + log density of rows, (n, K) float64; -inf under an empty component."""

    def far_log_densities(self, X: np.ndarray) -> np.ndarray:
        """Return log densities, up to a constant a row, of rows where they are all -inf: they overflow."""
        return self.log_densities(X)


class Family(ABC, Generic[P, S]):
    """Densities, statistics and M-step of one kind of component. Pure, without state, and picklable."""

    name: ClassVar[str]
    parameters: ClassVar[type]

    @classmethod
    @abstractmethod
    def plain(cls, parameters: P) -> Self:
        """Return the family of given parameters, without regularization: for densities."""

    def chart(self, n_components: int) -> Chart[P] | None:
        """Return the vector form of the parameters, for acceleration; None: plain EM."""
        return None

    @property
    def is_plain(self) -> bool:
        """Whether the objective is the log-likelihood: nothing is regularized."""
        return True

    @property
    def is_monotone(self) -> bool:
        """Whether a step can never lower the objective."""
        return True

    def stopping(self, tol: float, max_iter: int) -> Stopping:
        """Return what ends a run: without a monotone objective, a small change either way."""
        return SmallGain(tol, max_iter) if self.is_monotone else SmallChange(tol, max_iter)

    def penalty(self, parameters: P) -> float:
        """Return what the objective of all samples loses, whatever the samples: divergences from priors."""
        return 0.0

    def rounding(self, n_features: int, dtype: np.dtype) -> float:
        """Return the share of the objective that rounding may take away."""
        return 1e-11

    @abstractmethod
    def prepare(self, parameters: P, dtype: np.dtype) -> Prepared[S]:
        """Make parameters ready for a pass over samples of a dtype."""

    @abstractmethod
    def maximize(self, statistics: S, parameters: P) -> P:
        """Return the parameters that explain the statistics best; an empty component gets weight 0."""

    @abstractmethod
    def from_responsibilities(self, samples: Any, responsibilities: np.ndarray) -> P:
        """Return a start: the parameters of an M-step from responsibilities (n_samples, K)."""

    @abstractmethod
    def reseeded(self, parameters: P, components: np.ndarray, rows: np.ndarray) -> P:
        """Return parameters with the given components placed at the given rows, their weights aside."""

    def blemishes(self, parameters: P, source: Source, n_jobs: int | None = None) -> tuple[Repair, ...]:
        """Name the components of a finished fit that only a rule keeps of use."""
        return ()
