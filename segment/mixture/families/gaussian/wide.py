"""Full covariances over many features (PCA scores of digits): BLAS products between small kernels.

Densities come from products of a block of rows with triangular factors. The first half of the features
alone bounds every log density from above, so only the components that can still matter for a row are
finished: gathered, multiplied with the rest of their factor. A responsibility below one unit in the last
place of its row (2^-52) is not told apart from zero by the sums it would enter, and is left out.

One product serves the first half of all components. What was measured, and what else was tried:
docs/decisions/em-kernels.md.

float32 data is multiplied in float32 a block at a time; everything that is summed over blocks is float64.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

# The products of Numba's kernels: loaded before BLAS is held to one thread, not by the first of them.
import scipy.linalg.cython_blas  # noqa: F401

from segment.data.reduction import map_in_order
from segment.data.source import Block
from segment.kernels.em import narrow
from segment.kernels.em import wide as kernels
from segment.mixture.families.gaussian.moments import Moments
from segment.mixture.families.gaussian.parameters import Parameters
from segment.mixture.families.gaussian.prepared import WIDE_ROWS, PreparedGaussians
from segment.parallel import resolve_n_jobs

# Entries of a step's products, were they all made, and of the products of the first features, which are
# walked in smaller steps to stay in the second-level cache.
_SCRATCH = 1 << 23
_HEADS = 1 << 17
_FEWEST_ROWS = 64

# Rows of a round where threads share one block.
_ROUND = 2048


class Factors(NamedTuple):
    """What the E-step multiplies rows with. Rows and means are taken about an origin near the data: the
    products of a row and of a mean with the factors would cancel where the data lies far from zero.

    Attributes
    ----------
    log_scales : (K,) float64
        Log weight plus log normalizing constant; -inf for an empty component.
    origin : (D,), dtype of the data
    means : (K, D) float64
        The means less the origin.
    head : (K h, h), dtype of the data
        The first h rows of the inverse Cholesky factors of all components, below each other (their other
        columns are zero).
    tail : (K, D, D - h), dtype of the data
        Their other rows, transposed.
    head_offsets, tail_offsets : (K, h) and (K, D - h) float64
        These means times those factors.
    """

    log_scales: np.ndarray
    origin: np.ndarray
    means: np.ndarray
    head: np.ndarray
    tail: np.ndarray
    head_offsets: np.ndarray
    tail_offsets: np.ndarray


def _shares(
    block: np.ndarray, sample_weight: np.ndarray, factors: Factors, size: int, shares: np.ndarray
) -> list[float]:
    """Write the weighted responsibilities of rows; return their log-likelihoods, one for `size` rows each.

    block IN (n, D), less the origin; sample_weight IN (n,); shares OUT (K, n).
    """
    K, h = len(factors.means), factors.head.shape[1]
    step = max(_FEWEST_ROWS, _HEADS // (K * h))
    log_likelihoods = []
    for start in range(0, len(block), size):
        rows = slice(start, start + size)
        part = block[rows]
        bounds = np.empty((K, len(part)))
        kernels.log_densities_that_matter(
            part,
            np.ascontiguousarray(part[:, :h]),
            factors.log_scales,
            factors.head,
            factors.tail,
            factors.head_offsets,
            factors.tail_offsets,
            step,
            bounds,
        )
        # Contiguous arrays that do not overlap: the loops of `posterior` are vectorized.
        found = np.empty_like(bounds)
        log_likelihoods.append(narrow.posterior(bounds, sample_weight[rows], found))
        shares[:, rows] = found
    return log_likelihoods


def _cuts(n: int, size: int, parts: int) -> list[slice]:
    """Cut n rows into at most so many runs of whole steps."""
    run = -(-n // (size * parts)) * size
    return [slice(start, min(start + run, n)) for start in range(0, n, run)]


def accumulate_full(
    X: np.ndarray,
    sample_weight: np.ndarray,
    factors: Factors,
    counts: np.ndarray,
    first: np.ndarray,
    second: np.ndarray,
    together: tuple[int, Callable[..., Any]] | None = None,
) -> float:
    """Fused E-step and moments of one chunk, full covariances, many features.

    Parameters
    ----------
    X : IN (n, D) float32 or float64
    sample_weight : IN (n,) float64
    factors : Factors
    counts, first, second : INOUT (K,), (K, D), (K, D, D) float64
        Gain the zeroth, first and second moments about the means (second: the whole matrices).
    together : (int, callable), optional
        Number of threads, and a `map` that uses them: they share the rows for the responsibilities and then
        the components for the moments, so that these exist once. The rows of a round, and with them the last
        bits, differ from those without it; the number of threads changes nothing.

    Returns
    -------
    float
        Weighted log-likelihood of the chunk.
    """
    K, D = factors.means.shape
    size = min(len(X), max(_FEWEST_ROWS, _SCRATCH // (K * D)))
    threads, apply = together or (1, map)
    rows = size if together is None else max(size, _ROUND)
    log_likelihood = 0.0
    for start in range(0, len(X), rows):
        block = X[start : start + rows] - factors.origin
        weight = sample_weight[start : start + rows]
        shares = np.empty((K, len(block)))

        def share(cut: slice, block: Any = block, weight: Any = weight, shares: Any = shares) -> list[float]:
            return _shares(block[cut], weight[cut], factors, size, shares[:, cut])

        def add_moments(cut: slice, block: Any = block, shares: Any = shares) -> None:
            kernels.add_moments(block, factors.means, shares, cut.start, cut.stop, counts, first, second)

        for found in apply(share, _cuts(len(block), size, threads)):
            # One by one: a sum for each thread would add them in another order.
            for value in found:
                log_likelihood += value
        for _ in apply(add_moments, _cuts(K, 1, threads)):
            pass
    return log_likelihood


def densities_full(
    X: np.ndarray,
    log_scales: np.ndarray,
    origin: np.ndarray,
    factors: np.ndarray,
    offsets: np.ndarray,
    out: np.ndarray,
) -> None:
    """Weighted log densities of a chunk, all of them.

    X IN (n, D); log_scales IN (K,); origin IN (D,), factors IN (K, D, D) transposed inverse Cholesky, both
    of X's dtype; offsets IN (K, D), means less the origin times factors; out OUT (n, K) float64.
    """
    out[:] = log_scales
    X = X - origin
    for k, factor in enumerate(factors):
        kernels.subtract_half_norms(np.dot(X, factor), offsets[k], out[:, k])


class Wide(PreparedGaussians):
    """Kernels between BLAS products: full covariances over many features; float32 data stay float32."""

    def __init__(self, parameters: Parameters, dtype: np.dtype, reg: float) -> None:
        super().__init__(parameters, dtype, reg)
        K, D = parameters.means.shape
        ratio = K * D / WIDE_ROWS
        self.shares_threads = ratio > 1
        # Large moments are at most an eighth of a block.
        self.rows = WIDE_ROWS * 2 ** math.ceil(math.log2(8 * ratio)) if self.shares_threads else WIDE_ROWS
        # Near the data, so that products with the factors do not cancel where it lies far from zero.
        self.origin = (parameters.weights @ parameters.means).astype(dtype)
        self.means = parameters.means - self.origin

    def accumulate(self, block: Block, n_jobs: int | None = 1) -> Moments:
        zero = self.zero()
        sums = (zero.counts, zero.first, zero.second)
        together = None
        if self.shares_threads:
            threads = resolve_n_jobs(n_jobs)
            together = threads, lambda function, tasks: map_in_order(function, list(tasks), threads)
        log_likelihood = accumulate_full(block.X, block.sample_weight, self.halves, *sums, together)
        return Moments(*sums, log_likelihood)

    def log_densities(self, X: np.ndarray) -> np.ndarray:
        out = np.empty((len(X), self.parameters.n_components))
        densities_full(X, self.log_scales, self.origin, self.transposed, self.offsets, out)
        return out

    @cached_property
    def transposed(self) -> np.ndarray:
        """The transposed factors in the samples' dtype, (K, D, D)."""
        return np.ascontiguousarray(np.swapaxes(self.parameters.factors, 1, 2), dtype=self.dtype)

    @cached_property
    def offsets(self) -> np.ndarray:
        """The means less the origin times the factors, (K, D) float64."""
        return np.einsum("ka,kba->kb", self.means, self.parameters.factors)

    @cached_property
    def halves(self) -> Factors:
        """What the E-step multiplies with: see `Factors`."""
        K, D = self.means.shape
        half, factors = D // 2, self.parameters.factors
        head = np.ascontiguousarray(factors[:, :half, :half].reshape(K * half, half), self.dtype)
        tail = np.ascontiguousarray(np.swapaxes(factors[:, half:], 1, 2), self.dtype)
        offsets = self.offsets
        return Factors(
            self.log_scales,
            self.origin,
            self.means,
            head,
            tail,
            np.ascontiguousarray(offsets[:, :half]),
            np.ascontiguousarray(offsets[:, half:]),
        )
