"""EM kernels for many features (PCA scores of digits), full covariances: BLAS products between small kernels.

Densities come from products of a block of rows with triangular factors. The first half of the features
alone bounds every log density from above, so only the components that can still matter for a row are
finished: gathered, multiplied with the rest of their factor. A responsibility below one unit in the last
place of its row (2^-52) is not told apart from zero by the sums it would enter, and is left out.

numpy sees that a product X'X is symmetric, and one product serves the first half of all components. What
was measured, and what else was tried: docs/decisions/em-kernels.md.

float32 data is multiplied in float32 a block at a time; everything that is summed over blocks is float64.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from segment.kernels.compile import kernel

_SUMS = ("reassoc", "contract", "nsz")
_LOG_NEGLIGIBLE = -52.0 * math.log(2.0)

# Entries of the largest product, and of the products of the first features, which are walked in smaller steps
# to stay in the second-level cache.
_SCRATCH = 1 << 20
_HEADS = 1 << 16
_FEWEST_ROWS = 64

# Rows of a round where threads share one block.
_ROUND = 2048


@kernel(fastmath=_SUMS)
def upper_bounds(Y, offsets, log_scales, start, bounds, candidate):
    """Bound the log densities of rows from `start` by the first features; name the largest bound's component.

    Y IN (n, K h): first features times factors; offsets IN (K, h); bounds OUT (K, N); candidate OUT (N,).
    """
    K, h = offsets.shape
    for j in range(Y.shape[0]):
        i = start + j
        candidate[i] = 0
        for k in range(K):
            total = 0.0
            for a in range(h):
                y = np.float64(Y[j, k * h + a]) - offsets[k, a]
                total += y * y
            bounds[k, i] = log_scales[k] - 0.5 * total
            if bounds[k, i] > bounds[candidate[i], i]:
                candidate[i] = k


@kernel
def select_candidates(candidate, n_components, rows, starts):
    """List, component by component, the rows whose candidate it is. rows OUT (n,); starts OUT (K + 1,)."""
    count = 0
    for k in range(n_components):
        starts[k] = count
        for i in range(candidate.shape[0]):
            if candidate[i] == k:
                rows[count] = i
                count += 1
    starts[n_components] = count


@kernel
def select_others(candidate, bounds, rows, starts):
    """List the rows that a component can still matter for; set its other bounds to -inf.

    bounds INOUT (K, n), exact for the candidates; rows OUT (K n,); starts OUT (K + 1,).
    """
    count = 0
    for k in range(bounds.shape[0]):
        starts[k] = count
        for i in range(candidate.shape[0]):
            if candidate[i] == k:
                continue
            if bounds[k, i] > bounds[candidate[i], i] + _LOG_NEGLIGIBLE:
                rows[count] = i
                count += 1
            else:
                bounds[k, i] = -np.inf
    starts[bounds.shape[0]] = count


@kernel
def gather(X, rows, out):
    """Copy rows. X IN (N, D); rows IN (n,); out OUT (>= n, D)."""
    for j in range(rows.shape[0]):
        i = rows[j]
        for a in range(X.shape[1]):
            out[j, a] = X[i, a]


@kernel(fastmath=_SUMS)
def finish_bound(Y, offset, rows, bound):
    """Take the other features off a bound. Y IN (n, m); offset IN (m,); rows IN (n,); bound INOUT (N,)."""
    for j in range(rows.shape[0]):
        total = 0.0
        for a in range(offset.shape[0]):
            y = np.float64(Y[j, a]) - offset[a]
            total += y * y
        bound[rows[j]] -= 0.5 * total


@kernel
def posterior(log_density, sample_weight, shares):
    """Weighted responsibilities of a block and, returned, its log-likelihood.

    log_density IN (K, n); sample_weight IN (n,); shares OUT (K, n), exactly zero where negligible.
    """
    K = log_density.shape[0]
    log_likelihood = 0.0
    for i in range(sample_weight.shape[0]):
        largest = -1.7976931348623157e308
        for k in range(K):
            largest = max(largest, log_density[k, i])
        total = 0.0
        for k in range(K):
            d = log_density[k, i] - largest
            e = math.exp(d) if d > _LOG_NEGLIGIBLE else 0.0
            shares[k, i] = e
            total += e
        if total > 0.0:
            log_likelihood += sample_weight[i] * (largest + math.log(total))
        elif sample_weight[i] > 0.0:
            log_likelihood = -np.inf
        scale = sample_weight[i] / max(total, 1e-300)
        for k in range(K):
            shares[k, i] *= scale
    return log_likelihood


@kernel(fastmath=_SUMS)
def weighted_differences(X, mean, share, out):
    """Write rows sqrt(r) (x - mean, 1) of positive share r.

    X IN (n, D); mean IN (D,); share IN (n,); out OUT (number of positive shares, D + 1). With the root itself
    in the last column, all three moments come out of one product.
    """
    n, D = X.shape
    count = 0
    for i in range(n):
        if share[i] > 0.0:
            root = math.sqrt(share[i])
            for a in range(D):
                out[count, a] = root * (X[i, a] - mean[a])
            out[count, D] = root
            count += 1


@kernel
def add_product(product, k, counts, first, second):
    """Take a product of such rows apart. product IN (D + 1, D + 1); counts, first, second INOUT."""
    D = product.shape[0] - 1
    counts[k] += product[D, D]
    for a in range(D):
        first[k, a] += product[D, a]
        for b in range(D):
            second[k, a, b] += product[a, b]


@kernel(fastmath=_SUMS)
def subtract_half_norms(Y, offset, out):
    """out[i] -= ||Y[i] - offset||^2 / 2. Y IN (n, D); offset IN (D,); out INOUT (n,), any stride."""
    for i in range(Y.shape[0]):
        total = 0.0
        for a in range(offset.shape[0]):
            y = np.float64(Y[i, a]) - offset[a]
            total += y * y
        out[i] -= 0.5 * total


class _Scratch:
    """Arrays that the steps of one thread share."""

    def __init__(self, size: int, K: int, D: int, h: int, dtype: np.dtype) -> None:
        self.heads = np.empty((max(_FEWEST_ROWS, _HEADS // (K * h)), K * h), dtype)
        self.tails = np.empty((size, D - h), dtype)
        self.gathered = np.empty((size, D), dtype)
        self.rows = np.empty(K * size, np.int64)
        self.starts = np.empty(K + 1, np.int64)
        self.candidate = np.empty(size, np.int64)


def _bound(block, head_factors, offsets, log_scales, scratch, bounds, candidate):
    """Bound all log densities by the first features, in small steps.

    bounds OUT (K, n); candidate OUT (n,).
    """
    step = len(scratch.heads)
    for start in range(0, len(block), step):
        rows = block[start : start + step, : len(head_factors)]
        heads = np.dot(rows, head_factors, out=scratch.heads[: len(rows)])
        upper_bounds(heads, offsets, log_scales, start, bounds, candidate)


def _finish(block, tail_factors, offsets, scratch, bounds):
    """Make the selected bounds exact. bounds INOUT (K, n)."""
    starts = scratch.starts
    for k, factor in enumerate(tail_factors):
        rows = scratch.rows[starts[k] : starts[k + 1]]
        n = len(rows)
        if n:
            gather(block, rows, scratch.gathered)
            tails = np.dot(scratch.gathered[:n], factor, out=scratch.tails[:n])
            finish_bound(tails, offsets[k], rows, bounds[k])


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
    head : (h, K h), dtype of the data
        The first h columns of the transposed inverse Cholesky factors of all components, side by side (their
        other rows are zero).
    tail : sequence of K (D, D - h) arrays, dtype of the data
        Their other columns.
    head_offsets, tail_offsets : (K, h) and (K, D - h) float64
        These means times those factors.
    """

    log_scales: np.ndarray
    origin: np.ndarray
    means: np.ndarray
    head: np.ndarray
    tail: Sequence[np.ndarray]
    head_offsets: np.ndarray
    tail_offsets: np.ndarray


def _shares(block, sample_weight, factors, scratch, shares):
    """Write the weighted responsibilities of rows; return their log-likelihoods, one a step of `scratch`.

    block IN (n, D), less the origin; sample_weight IN (n,); shares OUT (K, n).
    """
    K, size = len(factors.means), len(scratch.candidate)
    log_likelihoods = []
    for start in range(0, len(block), size):
        rows = slice(start, start + size)
        part = block[rows]
        bounds, candidate = np.empty((K, len(part))), scratch.candidate[: len(part)]
        _bound(part, factors.head, factors.head_offsets, factors.log_scales, scratch, bounds, candidate)
        select_candidates(candidate, K, scratch.rows, scratch.starts)
        _finish(part, factors.tail, factors.tail_offsets, scratch, bounds)
        select_others(candidate, bounds, scratch.rows, scratch.starts)
        _finish(part, factors.tail, factors.tail_offsets, scratch, bounds)
        log_likelihoods.append(posterior(bounds, sample_weight[rows], shares[:, rows]))
    return log_likelihoods


def _cuts(n, size, parts):
    """Cut n rows into at most so many runs of whole steps."""
    run = -(-n // (size * parts)) * size
    return [slice(start, min(start + run, n)) for start in range(0, n, run)]


def accumulate_full_wide(X, sample_weight, factors, counts, first, second, together=None):
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
    scratches = [_Scratch(size, K, D, len(factors.head), X.dtype) for _ in range(threads)]
    log_likelihood = 0.0
    for start in range(0, len(X), rows):
        block = X[start : start + rows] - factors.origin
        weight = sample_weight[start : start + rows]
        shares = np.empty((K, len(block)))

        def share(task, block=block, weight=weight, shares=shares):
            cut, scratch = task
            return _shares(block[cut], weight[cut], factors, scratch, shares[:, cut])

        def gather_moments(k, block=block, shares=shares):
            weighted = np.empty((np.count_nonzero(shares[k]), D + 1), X.dtype)
            weighted_differences(block, factors.means[k], shares[k], weighted)
            add_product(np.dot(weighted.T, weighted), k, counts, first, second)

        for found in apply(share, zip(_cuts(len(block), size, threads), scratches, strict=False)):
            # One by one: a sum for each thread would add them in another order.
            for value in found:
                log_likelihood += value
        for _ in apply(gather_moments, range(K)):
            pass
    return log_likelihood


def densities_full_wide(X, log_scales, origin, factors, offsets, out):
    """Weighted log densities of a chunk, all of them.

    X IN (n, D); log_scales IN (K,); origin IN (D,), factors IN (K, D, D) transposed inverse Cholesky, both
    of X's dtype; offsets IN (K, D), means less the origin times factors; out OUT (n, K) float64.
    """
    out[:] = log_scales
    X = X - origin
    for k, factor in enumerate(factors):
        subtract_half_norms(np.dot(X, factor), offsets[k], out[:, k])
