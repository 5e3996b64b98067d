"""The E-step: from samples and parameters of any family to statistics, densities, responsibilities, labels.

This is the map of the map-reduce. Blocks depend on the shape of the data only, never on `n_jobs`.
"""

from __future__ import annotations

from collections.abc import Callable
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


def _prepared(
    n_features: int, dtype: np.dtype, parameters: MixtureParameters, family: Family[Any, Any] | None = None
) -> Prepared[Any]:
    if n_features != parameters.n_features:
        raise DataError(
            f"samples have {n_features} features, the mixture has {parameters.n_features}; they must agree"
        )
    return (family or family_of(parameters)).prepare(parameters, dtype)


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
    prepared = _prepared(source.n_features, source.dtype, parameters, family)
    if prepared.shares_threads:
        return source.reduce(lambda block: prepared.accumulate(block, n_jobs), rows=prepared.rows, n_jobs=1)
    return source.reduce(prepared.accumulate, rows=prepared.rows, n_jobs=n_jobs)


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


def _map_rows(
    X: np.ndarray,
    parameters: MixtureParameters,
    finish: Callable[[Prepared[Any], np.ndarray], np.ndarray],
    out: np.ndarray,
    n_jobs: int | None,
) -> np.ndarray:
    """Write what `finish` finds for each block of rows into `out`; return it."""
    prepared = _prepared(X.shape[1], X.dtype, parameters)

    def write(block: Block) -> None:
        out[block.start : block.start + len(block.X)] = finish(prepared, block.X)

    rows = min(prepared.rows, _ROWS)
    for _ in Samples(X, np.broadcast_to(1.0, len(X))).map(write, rows=rows, n_jobs=n_jobs):
        pass
    return out


def log_densities(X: Any, parameters: MixtureParameters, *, n_jobs: int | None = None) -> np.ndarray:
    """Return log(weight) + log density of every sample under every component.

    Parameters
    ----------
    X : (n_samples, n_features) array
    parameters : parameters of a mixture
    n_jobs : int, optional
        Threads; the result does not depend on it.

    Returns
    -------
    (n_samples, n_components) float64 ndarray
        In nats; -inf under an empty component.
    """
    X = as_matrix(X)
    out = np.empty((len(X), parameters.n_components))
    return _map_rows(X, parameters, lambda prepared, rows: prepared.log_densities(rows), out, n_jobs)


def responsibilities(X: Any, parameters: MixtureParameters, *, n_jobs: int | None = None) -> np.ndarray:
    """Return the posterior probability of each component for each sample.

    Parameters
    ----------
    X : (n_samples, n_features) array
    parameters : parameters of a mixture
    n_jobs : int, optional
        Threads; the result does not depend on it.

    Returns
    -------
    (n_samples, n_components) float64 ndarray
        Rows sum to 1.
    """
    X = as_matrix(X)
    out = np.empty((len(X), parameters.n_components))
    return _map_rows(X, parameters, lambda prepared, rows: _posterior(prepared, rows).shares, out, n_jobs)


def score_samples(X: Any, parameters: MixtureParameters, *, n_jobs: int | None = None) -> np.ndarray:
    """Return the log density of each sample under the mixture.

    Parameters
    ----------
    X : (n_samples, n_features) array
    parameters : parameters of a mixture
    n_jobs : int, optional
        Threads; the result does not depend on it.

    Returns
    -------
    (n_samples,) float64 ndarray
        In nats; -inf where it is beyond the smallest number.
    """
    X = as_matrix(X)
    return _map_rows(X, parameters, scores_of, np.empty(len(X)), n_jobs)


def scores_of(prepared: Prepared[Any], X: np.ndarray) -> np.ndarray:
    """Return the log densities of rows, (n,)."""
    scores = np.empty(len(X))
    narrow.normalize_rows(prepared.log_densities(X), scores)
    return np.where(scores > -np.inf, scores, -np.inf)


def assign(X: Any, parameters: MixtureParameters, *, n_jobs: int | None = None) -> np.ndarray:
    """Return the most probable component of each sample.

    Parameters
    ----------
    X : (n_samples, n_features) array
    parameters : parameters of a mixture
    n_jobs : int, optional
        Threads; the result does not depend on it.

    Returns
    -------
    (n_samples,) int32 ndarray
        The first of equals.
    """
    X = as_matrix(X)
    return _map_rows(X, parameters, _labels, np.empty(len(X), dtype=np.int32), n_jobs)


def _labels(prepared: Prepared[Any], X: np.ndarray) -> np.ndarray:
    densities, labels = prepared.log_densities(X), np.empty(len(X), dtype=np.int32)
    narrow.argmax_rows(densities, labels)
    far = np.flatnonzero(~(densities[np.arange(len(X)), labels] > -np.inf))
    if len(far):
        labels[far] = prepared.far_log_densities(X[far]).argmax(axis=1)
    return labels


def log_likelihood(source: Source, parameters: MixtureParameters, *, n_jobs: int | None = None) -> float:
    """Return the weighted sum of the log densities of all samples, in nats."""
    prepared = _prepared(source.n_features, source.dtype, parameters)

    def total(block: Block) -> float:
        # A row of weight zero counts nothing, also where its density is zero.
        counted = block.sample_weight > 0
        return float(block.sample_weight[counted] @ scores_of(prepared, block.X)[counted])

    return source.reduce(total, rows=min(prepared.rows, _ROWS), n_jobs=n_jobs)


def total_entropy(source: Source, parameters: MixtureParameters, *, n_jobs: int | None = None) -> float:
    """Return the weighted sum of the entropies of the posteriors, in nats; 0 for certain labels."""
    prepared = _prepared(source.n_features, source.dtype, parameters)

    def total(block: Block) -> float:
        shares = _posterior(prepared, block.X).shares
        logarithms = np.log(np.where(shares > 0, shares, 1.0))
        return float(-block.sample_weight @ np.einsum("ik,ik->i", shares, logarithms))

    return source.reduce(total, rows=min(prepared.rows, _ROWS), n_jobs=n_jobs)


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
    prepared = _prepared(source.n_features, source.dtype, parameters)

    def worst(block: Block) -> tuple[np.ndarray, np.ndarray]:
        rows = np.flatnonzero(block.sample_weight > 0)
        scores = scores_of(prepared, block.X[rows])
        least = np.argsort(scores, kind="stable")[:count]
        return scores[least], block.X[rows[least]]

    scores, rows = np.empty(0), np.empty((0, source.n_features), source.dtype)
    for found in source.map(worst, rows=min(prepared.rows, _ROWS), n_jobs=n_jobs):
        scores, rows = np.concatenate([scores, found[0]]), np.concatenate([rows, found[1]])
        kept = np.argsort(scores, kind="stable")[:count]
        scores, rows = scores[kept], rows[kept]
    return rows
