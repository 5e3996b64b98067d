"""The E-step: from samples and parameters of any family to statistics, densities, responsibilities, labels.

This is the map of the map-reduce. Blocks depend on the shape of the data only, never on `n_jobs`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, NamedTuple

import numpy as np

from segment.data.samples import Samples, as_matrix
from segment.data.source import Block, Source
from segment.errors import DataError
from segment.kernels.em import narrow
from segment.mixture.families.family import Family, MixtureParameters, Prepared
from segment.mixture.families.table import family_of

# Most rows whose densities under all components are held at a time.
_ROWS = 16384


@dataclass(frozen=True, eq=False)
class Pass:
    """What an E-step does to each block of a source; picklable, for what is done in other processes.

    Attributes
    ----------
    work : callable
        From prepared parameters and a block to what is wanted of the block; a function of a module.
    parameters : parameters of a mixture
    family : Family
    dtype : numpy.dtype
        Of the samples.
    """

    work: Callable[[Prepared[Any], Block], Any]
    parameters: Any
    family: Family[Any, Any]
    dtype: np.dtype

    @cached_property
    def prepared(self) -> Prepared[Any]:
        """The parameters made ready, where they are needed."""
        return self.family.prepare(self.parameters, self.dtype)

    def __call__(self, block: Block) -> Any:
        """Return what `work` finds."""
        return self.work(self.prepared, block)

    def __reduce__(self) -> tuple[Any, ...]:
        return Pass, (self.work, self.parameters, self.family, self.dtype)

    @property
    def rows(self) -> int:
        """Rows of a block where the densities of all rows under all components are held."""
        return min(self.prepared.rows, _ROWS)


def _pass(
    source: Source,
    parameters: MixtureParameters,
    work: Callable[[Prepared[Any], Block], Any],
    family: Family[Any, Any] | None = None,
) -> Pass:
    if source.n_features != parameters.n_features:
        raise DataError(
            f"samples have {source.n_features} features, the mixture has {parameters.n_features}; "
            "they must agree"
        )
    return Pass(work, parameters, family or family_of(parameters), source.dtype)


def accumulate(
    source: Source,
    parameters: Any,
    *,
    family: Family[Any, Any] | None = None,
    n_jobs: int | None = None,
) -> Any:
    """Return the statistics of samples under the current parameters; no responsibility is stored.

    Parameters
    ----------
    source : Source
    parameters : parameters of a mixture
    family : Family, optional
        A regularized family; the plain one by default.
    n_jobs : int, optional
        Threads; the result does not depend on it.

    Returns
    -------
    statistics
        Of Gaussians: `Moments` about the current means.
    """
    found = _pass(source, parameters, _accumulated, family)
    prepared = found.prepared
    if prepared.shares_threads and source.shares_threads:
        return source.reduce(lambda block: prepared.accumulate(block, n_jobs), rows=prepared.rows, n_jobs=1)
    return source.reduce(found, rows=prepared.rows, n_jobs=n_jobs)


def _accumulated(prepared: Prepared[Any], block: Block) -> Any:
    return prepared.accumulate(block, 1)


class _Posterior(NamedTuple):
    """What is known of a block of rows: responsibilities (n, K) and log densities (n,)."""

    shares: np.ndarray
    scores: np.ndarray


def _posterior(prepared: Prepared[Any], X: np.ndarray) -> _Posterior:
    shares, scores = prepared.log_densities(X), np.empty(len(X))
    narrow.normalize_rows(shares, scores)
    # Distances beyond the largest number: such a row belongs to the component that is least far.
    far = np.flatnonzero(~(scores > -np.inf))
    if len(far):
        nearest = prepared.far_log_densities(X[far])
        narrow.normalize_rows(nearest, np.empty(len(far)))
        shares[far], scores[far] = nearest, -np.inf
    return _Posterior(shares, scores)


def map_rows(
    source: Source,
    parameters: MixtureParameters,
    finish: Callable[[Prepared[Any], np.ndarray], np.ndarray],
    *,
    n_jobs: int | None = None,
) -> Iterator[np.ndarray]:
    """Yield what `finish` finds for each block of rows, in order.

    Parameters
    ----------
    source : Source
    parameters : parameters of a mixture
    finish : {log_densities_of, shares_of, shares_and_scores_of, scores_of, labels_of}
    n_jobs : int, optional
        Threads; the result does not depend on it.
    """
    found = _pass(source, parameters, partial(_finished, finish))
    yield from source.map(found, rows=found.rows, n_jobs=n_jobs)


def _finished(finish: Callable[..., np.ndarray], prepared: Prepared[Any], block: Block) -> np.ndarray:
    return finish(prepared, block.X)


def _gather(
    X: Any,
    parameters: MixtureParameters,
    finish: Callable[[Prepared[Any], np.ndarray], np.ndarray],
    out: Callable[[int], np.ndarray],
    n_jobs: int | None,
) -> np.ndarray:
    """Write what `finish` finds for each block of rows into what `out` makes for so many rows; return it."""
    if isinstance(X, Source):
        result, start = out(X.n_samples), 0
        for rows in map_rows(X, parameters, finish, n_jobs=n_jobs):
            result[start : start + len(rows)] = rows
            start += len(rows)
        return result
    X = as_matrix(X)
    samples, result = Samples(X, np.broadcast_to(1.0, len(X))), out(len(X))
    found = _pass(samples, parameters, partial(_finished, finish))

    def write(block: Block) -> None:
        result[block.start : block.start + len(block.X)] = found(block)

    for _ in samples.map(write, rows=found.rows, n_jobs=n_jobs):
        pass
    return result


def log_densities(X: Any, parameters: MixtureParameters, *, n_jobs: int | None = None) -> np.ndarray:
    """Return log(weight) + log density of every sample under every component.

    Parameters
    ----------
    X : (n_samples, n_features) array or Source
    parameters : parameters of a mixture
    n_jobs : int, optional
        Threads; the result does not depend on it.

    Returns
    -------
    (n_samples, n_components) float64 ndarray
        In nats; -inf under an empty component.
    """
    return _gather(X, parameters, log_densities_of, lambda n: np.empty((n, parameters.n_components)), n_jobs)


def responsibilities(X: Any, parameters: MixtureParameters, *, n_jobs: int | None = None) -> np.ndarray:
    """Return the posterior probability of each component for each sample.

    Parameters
    ----------
    X : (n_samples, n_features) array or Source
    parameters : parameters of a mixture
    n_jobs : int, optional
        Threads; the result does not depend on it.

    Returns
    -------
    (n_samples, n_components) float64 ndarray
        Rows sum to 1.
    """
    return _gather(X, parameters, shares_of, lambda n: np.empty((n, parameters.n_components)), n_jobs)


def score_samples(X: Any, parameters: MixtureParameters, *, n_jobs: int | None = None) -> np.ndarray:
    """Return the log density of each sample under the mixture.

    Parameters
    ----------
    X : (n_samples, n_features) array or Source
    parameters : parameters of a mixture
    n_jobs : int, optional
        Threads; the result does not depend on it.

    Returns
    -------
    (n_samples,) float64 ndarray
        In nats; -inf where it is beyond the smallest number.
    """
    return _gather(X, parameters, scores_of, np.empty, n_jobs)


def log_densities_of(prepared: Prepared[Any], X: np.ndarray) -> np.ndarray:
    """Return the log densities of rows under every component, (n, K)."""
    return prepared.log_densities(X)


def shares_of(prepared: Prepared[Any], X: np.ndarray) -> np.ndarray:
    """Return the responsibilities of rows, (n, K)."""
    return _posterior(prepared, X).shares


def shares_and_scores_of(prepared: Prepared[Any], X: np.ndarray) -> np.ndarray:
    """Return the responsibilities of rows and, in the last column, their log densities, (n, K + 1)."""
    return np.column_stack(_posterior(prepared, X))


def scores_of(prepared: Prepared[Any], X: np.ndarray) -> np.ndarray:
    """Return the log densities of rows, (n,)."""
    scores = np.empty(len(X))
    narrow.normalize_rows(prepared.log_densities(X), scores)
    return np.where(scores > -np.inf, scores, -np.inf)


def assign(X: Any, parameters: MixtureParameters, *, n_jobs: int | None = None) -> np.ndarray:
    """Return the most probable component of each sample.

    Parameters
    ----------
    X : (n_samples, n_features) array or Source
    parameters : parameters of a mixture
    n_jobs : int, optional
        Threads; the result does not depend on it.

    Returns
    -------
    (n_samples,) int32 ndarray
        The first of equals.
    """
    return _gather(X, parameters, labels_of, lambda n: np.empty(n, dtype=np.int32), n_jobs)


def labels_of(prepared: Prepared[Any], X: np.ndarray) -> np.ndarray:
    """Return the most probable components of rows, (n,) int32."""
    densities, labels = prepared.log_densities(X), np.empty(len(X), dtype=np.int32)
    narrow.argmax_rows(densities, labels)
    far = np.flatnonzero(~(densities[np.arange(len(X)), labels] > -np.inf))
    if len(far):
        labels[far] = prepared.far_log_densities(X[far]).argmax(axis=1)
    return labels


def log_likelihood(source: Source, parameters: MixtureParameters, *, n_jobs: int | None = None) -> float:
    """Return the weighted sum of the log densities of all samples, in nats."""
    found = _pass(source, parameters, _block_log_likelihood)
    return source.reduce(found, rows=found.rows, n_jobs=n_jobs)


def _block_log_likelihood(prepared: Prepared[Any], block: Block) -> float:
    # A row of weight zero counts nothing, also where its density is zero.
    counted = block.sample_weight > 0
    return float(block.sample_weight[counted] @ scores_of(prepared, block.X)[counted])


def total_entropy(source: Source, parameters: MixtureParameters, *, n_jobs: int | None = None) -> float:
    """Return the weighted sum of the entropies of the posteriors, in nats; 0 for certain labels."""
    found = _pass(source, parameters, _block_entropy)
    return source.reduce(found, rows=found.rows, n_jobs=n_jobs)


def _block_entropy(prepared: Prepared[Any], block: Block) -> float:
    shares = _posterior(prepared, block.X).shares
    logarithms = np.log(np.where(shares > 0, shares, 1.0))
    return float(-block.sample_weight @ np.einsum("ik,ik->i", shares, logarithms))


@dataclass(frozen=True, eq=False)
class Criteria:
    """Looks at a block under several mixtures, so that one pass over the samples serves them all.

    Attributes
    ----------
    passes : tuple of Pass
    """

    passes: tuple[Pass, ...]

    def __call__(self, block: Block) -> np.ndarray:
        """Return log-likelihood and entropy under each mixture, (n_mixtures, 2)."""
        return np.array([each(block) for each in self.passes])


def criteria(source: Source, mixtures: Sequence[Any], *, n_jobs: int | None = None) -> np.ndarray:
    """Return log-likelihood and entropy of the samples under several mixtures, in one pass.

    Parameters
    ----------
    source : Source
    mixtures : sequence of parameters
    n_jobs : int, optional
        Threads; the result does not depend on it.

    Returns
    -------
    (n_mixtures, 2) float64 ndarray
        In nats.
    """
    passes = tuple(_pass(source, parameters, _block_criteria) for parameters in mixtures)
    return source.reduce(Criteria(passes), rows=min(each.rows for each in passes), n_jobs=n_jobs)


def _block_criteria(prepared: Prepared[Any], block: Block) -> tuple[float, float]:
    return _block_log_likelihood(prepared, block), _block_entropy(prepared, block)


@dataclass(frozen=True, eq=False)
class Worst:
    """Rows of least density, worst first, the first of equals before the others. They add.

    Attributes
    ----------
    count : int
        At most so many rows.
    scores : (<= count,) float64 ndarray
    rows : (<= count, n_features) ndarray
    """

    count: int
    scores: np.ndarray
    rows: np.ndarray

    @classmethod
    def of(cls, count: int, scores: np.ndarray, rows: np.ndarray) -> Worst:
        """Keep the worst of rows."""
        least = np.argsort(scores, kind="stable")[:count]
        return cls(count, scores[least], rows[least])

    def __add__(self, later: Worst) -> Worst:
        scores = np.concatenate([self.scores, later.scores])
        return Worst.of(self.count, scores, np.concatenate([self.rows, later.rows]))


def worst_explained(
    source: Source, parameters: MixtureParameters, count: int, *, n_jobs: int | None = None
) -> np.ndarray:
    """Return the rows of least density among those of positive weight, worst first.

    Parameters
    ----------
    source : Source
    parameters : parameters of a mixture
    count : int
        At most so many; the first of equals.
    n_jobs : int, optional
        Threads; the result does not depend on it.

    Returns
    -------
    (<= count, n_features) ndarray
    """
    found = _pass(source, parameters, partial(_worst_of, count))
    return source.reduce(found, rows=found.rows, n_jobs=n_jobs).rows


def _worst_of(count: int, prepared: Prepared[Any], block: Block) -> Worst:
    X = block.X[block.sample_weight > 0]
    return Worst.of(count, scores_of(prepared, X), X)
