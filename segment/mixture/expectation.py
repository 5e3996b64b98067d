"""The E-step: from samples and parameters to moments, log densities, responsibilities, labels.

This is the map of the map-reduce: chunks of rows go through a kernel in threads, and what they leave is
added in the order of the chunks. Chunks depend on the shape of the data only, never on `n_jobs`.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from functools import reduce
from typing import Any

import numpy as np

from segment.errors import DataError
from segment.kernels.em import narrow
from segment.mixture.moments import Moments
from segment.mixture.parameters import Parameters
from segment.mixture.samples import Samples, as_matrix
from segment.parallel import block_ranges, map_blocks, single_threaded_blas

# Up to here the kernel vectorized across samples beats the one that goes through BLAS (measured with
# 200 000 rows and K = 8, nanoseconds a sample and component: D = 12, 28 against 41; D = 20, 61 against 55).
NARROW = 16

# Rows of a chunk, by shape of work: enough chunks for the threads to end at about the same time.
_CHUNK = 16384
_WIDE_CHUNK = 4096


def _check(X: np.ndarray, parameters: Parameters) -> None:
    if X.shape[1] != parameters.n_features:
        raise DataError(
            f"samples have {X.shape[1]} features, the mixture has {parameters.n_features}; they must agree"
        )


def _is_wide(parameters: Parameters) -> bool:
    return is_wide(parameters.type.family, parameters.n_features)


def is_wide(family: str, n_features: int) -> bool:
    """Tell whether the kernels for many features are used, which multiply float32 data in float32."""
    return family == "full" and n_features > NARROW


def _narrow_accumulate(parameters: Parameters, dtype: np.dtype) -> tuple[Callable[..., float], tuple]:
    kernel = {
        "diag": narrow.accumulate_diag,
        "full": narrow.accumulate_full_3 if parameters.n_features == 3 else narrow.accumulate_full,
    }[parameters.type.family]
    return kernel, (parameters.means, parameters.factors)


def _wide_factors(
    parameters: Parameters, dtype: np.dtype
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return the origin, the means about it, the transposed factors, and the products of these two."""
    origin = (parameters.weights @ parameters.means).astype(dtype)
    means = parameters.means - origin
    transposed = np.swapaxes(parameters.factors, 1, 2)
    offsets = np.einsum("ka,kab->kb", means, transposed)
    return origin, means, transposed.astype(dtype), offsets


def _wide_accumulate(parameters: Parameters, dtype: np.dtype) -> tuple[Callable[..., float], tuple]:
    from segment.kernels.em import wide

    origin, means, factors, offsets = _wide_factors(parameters, dtype)
    half = parameters.n_features // 2
    head = np.concatenate(list(factors[:, :half, :half]), axis=1)
    tail = np.ascontiguousarray(factors[:, :, half:])
    return wide.accumulate_full_wide, (origin, means, head, tail, offsets)


def _narrow_densities(parameters: Parameters, dtype: np.dtype) -> tuple[Callable[..., None], tuple]:
    kernel = {
        "diag": narrow.densities_diag,
        "full": narrow.densities_full_3 if parameters.n_features == 3 else narrow.densities_full,
    }[parameters.type.family]
    return kernel, (parameters.means, parameters.factors)


def _wide_densities(parameters: Parameters, dtype: np.dtype) -> tuple[Callable[..., None], tuple]:
    from segment.kernels.em import wide

    origin, _, factors, offsets = _wide_factors(parameters, dtype)
    return wide.densities_full_wide, (origin, np.ascontiguousarray(factors), offsets)


def _map_chunks(
    function: Callable[[tuple[int, int]], Any], n: int, wide: bool, n_jobs: int | None
) -> list[Any]:
    with single_threaded_blas() if wide else nullcontext():
        return map_blocks(function, block_ranges(n, _WIDE_CHUNK if wide else _CHUNK), n_jobs)


def accumulate(
    samples: Samples,
    parameters: Parameters,
    *,
    reg: float = 0.0,
    n_jobs: int | None = None,
) -> Moments:
    """Return the moments of samples under the current parameters; no responsibility is stored.

    Parameters
    ----------
    samples : Samples
    parameters : Parameters
    reg : float, default 0
        Variance of the blur that every sample is taken to have (see `fit_em`): component k's log density
        loses reg / 2 times the trace of its precision matrix.
    n_jobs : int, optional
        Threads; the result does not depend on it.

    Returns
    -------
    Moments
        About the current means.
    """
    _check(samples.X, parameters)
    wide = _is_wide(parameters)
    kernel, fixed = (_wide_accumulate if wide else _narrow_accumulate)(parameters, samples.X.dtype)
    factors = parameters.factors
    log_scales = parameters.log_scales
    if reg > 0:
        log_scales = log_scales - 0.5 * reg * np.square(factors).sum(axis=tuple(range(1, factors.ndim)))

    def chunk_moments(rows: tuple[int, int]) -> Moments:
        counts, first = np.zeros(parameters.n_components), np.zeros_like(parameters.means)
        second = np.zeros_like(factors)
        X, sample_weight = samples.X[slice(*rows)], samples.sample_weight[slice(*rows)]
        log_likelihood = kernel(X, sample_weight, log_scales, *fixed, counts, first, second)
        return Moments(counts, first, second, log_likelihood)

    chunks = _map_chunks(chunk_moments, samples.n_samples, wide, n_jobs)
    return reduce(Moments.__add__, chunks)


def _map_densities(
    X: np.ndarray,
    parameters: Parameters,
    finish: Callable[[np.ndarray, slice], None],
    n_jobs: int | None,
) -> None:
    """Hand each chunk's weighted log densities (n, K) to `finish`, with the rows that they belong to."""
    _check(X, parameters)
    wide = _is_wide(parameters)
    kernel, fixed = (_wide_densities if wide else _narrow_densities)(parameters, X.dtype)

    def chunk_densities(rows: tuple[int, int]) -> None:
        part = slice(*rows)
        densities = np.empty((rows[1] - rows[0], parameters.n_components))
        kernel(X[part], parameters.log_scales, *fixed, densities)
        finish(densities, part)

    _map_chunks(chunk_densities, len(X), wide, n_jobs)


def log_densities(X: Any, parameters: Parameters, *, n_jobs: int | None = None) -> np.ndarray:
    """Return log(weight) + log density of every sample under every component.

    Parameters
    ----------
    X : (n_samples, n_features) array
    parameters : Parameters
    n_jobs : int, optional
        Threads; the result does not depend on it.

    Returns
    -------
    (n_samples, n_components) float64 ndarray
        In nats; -inf under an empty component.
    """
    X = as_matrix(X)
    out = np.empty((len(X), parameters.n_components))

    def finish(densities: np.ndarray, rows: slice) -> None:
        out[rows] = densities

    _map_densities(X, parameters, finish, n_jobs)
    return out


def responsibilities(X: Any, parameters: Parameters, *, n_jobs: int | None = None) -> np.ndarray:
    """Return the posterior probability of each component for each sample.

    Parameters
    ----------
    X : (n_samples, n_features) array
    parameters : Parameters
    n_jobs : int, optional
        Threads; the result does not depend on it.

    Returns
    -------
    (n_samples, n_components) float64 ndarray
        Rows sum to 1, or to 0 where no component explains a sample.
    """
    X = as_matrix(X)
    out = np.empty((len(X), parameters.n_components))

    def finish(densities: np.ndarray, rows: slice) -> None:
        narrow.normalize_rows(densities, np.empty(len(densities)))
        out[rows] = densities

    _map_densities(X, parameters, finish, n_jobs)
    return out


def score_samples(X: Any, parameters: Parameters, *, n_jobs: int | None = None) -> np.ndarray:
    """Return the log density of each sample under the mixture.

    Parameters
    ----------
    X : (n_samples, n_features) array
    parameters : Parameters
    n_jobs : int, optional
        Threads; the result does not depend on it.

    Returns
    -------
    (n_samples,) float64 ndarray
        In nats.
    """
    X = as_matrix(X)
    out = np.empty(len(X))

    def finish(densities: np.ndarray, rows: slice) -> None:
        narrow.normalize_rows(densities, out[rows])

    _map_densities(X, parameters, finish, n_jobs)
    return out


def assign(X: Any, parameters: Parameters, *, n_jobs: int | None = None) -> np.ndarray:
    """Return the most probable component of each sample.

    Parameters
    ----------
    X : (n_samples, n_features) array
    parameters : Parameters
    n_jobs : int, optional
        Threads; the result does not depend on it.

    Returns
    -------
    (n_samples,) int32 ndarray
        The first of equals.
    """
    X = as_matrix(X)
    out = np.empty(len(X), dtype=np.int32)

    def finish(densities: np.ndarray, rows: slice) -> None:
        narrow.argmax_rows(densities, out[rows])

    _map_densities(X, parameters, finish, n_jobs)
    return out


def total_entropy(samples: Samples, parameters: Parameters, *, n_jobs: int | None = None) -> float:
    """Return the weighted sum of the entropies of the posteriors, in nats; 0 for certain labels."""
    entropies = np.empty(samples.n_samples)

    def finish(densities: np.ndarray, rows: slice) -> None:
        narrow.normalize_rows(densities, np.empty(len(densities)))
        positive = np.where(densities > 0, densities, 1.0)
        entropies[rows] = -np.einsum("ik,ik->i", densities, np.log(positive))

    _map_densities(samples.X, parameters, finish, n_jobs)
    return float(samples.sample_weight @ entropies)
