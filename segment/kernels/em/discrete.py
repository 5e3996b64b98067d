"""EM kernels for counts and for binary features, vectorized across samples.

The log density of counts is linear in them but for a term that no component changes: Poisson components
have the slopes log(rate) and the constant -sum(rates), multinomial ones the slopes log(p). That of binary
features is a sum of the logarithms of the probabilities of 1 or of 0. Where these are -inf they are only ever
added for a count above 0, or selected: 0 log 0 does not arise. A block of samples is turned feature-major, as
in narrow.py.
"""

import math

import numpy as np

from segment.kernels.compile import kernel

BLOCK = 256

_SUMS = ("reassoc", "contract", "nsz")


@kernel
def _load(X, start, n, x):
    for i in range(n):
        for a in range(X.shape[1]):
            x[a, i] = X[start + i, a]


@kernel
def _density_counts(x, n, constant, slopes, out):
    """Log density of a block, less the term of the counts alone. x IN (D, BLOCK); out OUT."""
    for i in range(n):
        out[i] = constant
    for a in range(slopes.shape[0]):
        slope = slopes[a]
        for i in range(n):
            out[i] += slope * x[a, i] if x[a, i] > 0.0 else 0.0


@kernel
def _density_binary(x, n, log_weight, log_ones, log_zeros, out):
    """log w + log p of a block. x IN (D, BLOCK); log_ones, log_zeros IN (D,); out OUT."""
    for i in range(n):
        out[i] = log_weight
    for a in range(log_ones.shape[0]):
        one, zero = log_ones[a], log_zeros[a]
        for i in range(n):
            out[i] += one if x[a, i] > 0.5 else zero


@kernel
def _posterior(log_density, sample_weight, start, n):
    """Turn log densities (K, BLOCK) INOUT into weighted shares; return the block's log-likelihood."""
    K = log_density.shape[0]
    log_likelihood = 0.0
    for i in range(n):
        largest = -1.7976931348623157e308
        for k in range(K):
            largest = max(largest, log_density[k, i])
        total = 0.0
        for k in range(K):
            log_density[k, i] = math.exp(log_density[k, i] - largest)
            total += log_density[k, i]
        w = sample_weight[start + i]
        if total > 0.0:
            log_likelihood += w * (largest + math.log(total))
        elif w > 0.0:
            log_likelihood = -np.inf
        scale = w / max(total, 1e-300)
        for k in range(K):
            log_density[k, i] *= scale
    return log_likelihood


@kernel(fastmath=_SUMS)
def _total(share, n):
    total = 0.0
    for i in range(n):
        total += share[i]
    return total


@kernel(fastmath=_SUMS)
def _dot(share, x, n):
    total = 0.0
    for i in range(n):
        total += share[i] * x[i]
    return total


@kernel
def accumulate_counts(X, sample_weight, constants, slopes, counts, sums):
    """Fused E-step and sums of one chunk.

    Parameters
    ----------
    X : IN (n, D) float32 or float64, 0, 1, 2, ...
    sample_weight : IN (n,) float64
    constants : IN (K,) float64
        Log weight of each component plus what its log density has apart from the counts; -inf if empty.
    slopes : IN (K, D) float64
        What each count is multiplied with; -inf where the feature never counts.
    counts, sums : INOUT (K,), (K, D) float64
        Gain the sums of the weighted responsibilities, and of these times the features.

    Returns
    -------
    float
        Weighted log-likelihood of the chunk, less the terms of the counts alone.
    """
    K, D = slopes.shape
    x, shares = np.empty((D, BLOCK)), np.empty((K, BLOCK))
    log_likelihood = 0.0
    for start in range(0, X.shape[0], BLOCK):
        n = min(BLOCK, X.shape[0] - start)
        _load(X, start, n, x)
        for k in range(K):
            _density_counts(x, n, constants[k], slopes[k], shares[k])
        log_likelihood += _posterior(shares, sample_weight, start, n)
        for k in range(K):
            counts[k] += _total(shares[k], n)
            for a in range(D):
                sums[k, a] += _dot(shares[k], x[a], n)
    return log_likelihood


@kernel
def densities_counts(X, constants, slopes, out):
    """Log densities of a chunk, less the terms of the counts alone. out OUT (n, K)."""
    K, D = slopes.shape
    x, row = np.empty((D, BLOCK)), np.empty(BLOCK)
    for start in range(0, X.shape[0], BLOCK):
        n = min(BLOCK, X.shape[0] - start)
        _load(X, start, n, x)
        for k in range(K):
            _density_counts(x, n, constants[k], slopes[k], row)
            for i in range(n):
                out[start + i, k] = row[i]


@kernel
def log_factorials(X, table, out):
    """Sums of log(x!) of each row of a chunk.

    X IN (n, D); table IN (t,) float64, log(x!) of 0 .. t - 1; out OUT (n,) float64.
    """
    for i in range(X.shape[0]):
        total = 0.0
        for a in range(X.shape[1]):
            x = X[i, a]
            total += table[int(x)] if x < table.shape[0] else math.lgamma(x + 1.0)
        out[i] = total


@kernel
def accumulate_binary(X, sample_weight, log_weights, log_ones, log_zeros, counts, sums):
    """Fused E-step and sums of one chunk.

    Parameters
    ----------
    X : IN (n, D) float32 or float64, 0 or 1
    sample_weight : IN (n,) float64
    log_weights : IN (K,) float64
        -inf for an empty component.
    log_ones, log_zeros : IN (K, D) float64
        Logarithms of the probabilities of 1 and of 0.
    counts, sums : INOUT (K,), (K, D) float64
        Gain the sums of the weighted responsibilities, and of these times the features.

    Returns
    -------
    float
        Weighted log-likelihood of the chunk.
    """
    K, D = log_ones.shape
    x, shares = np.empty((D, BLOCK)), np.empty((K, BLOCK))
    log_likelihood = 0.0
    for start in range(0, X.shape[0], BLOCK):
        n = min(BLOCK, X.shape[0] - start)
        _load(X, start, n, x)
        for k in range(K):
            _density_binary(x, n, log_weights[k], log_ones[k], log_zeros[k], shares[k])
        log_likelihood += _posterior(shares, sample_weight, start, n)
        for k in range(K):
            counts[k] += _total(shares[k], n)
            for a in range(D):
                sums[k, a] += _dot(shares[k], x[a], n)
    return log_likelihood


@kernel
def densities_binary(X, log_weights, log_ones, log_zeros, out):
    """Weighted log probabilities of a chunk. Inputs as `accumulate_binary`; out OUT (n, K) float64."""
    K, D = log_ones.shape
    x, row = np.empty((D, BLOCK)), np.empty(BLOCK)
    for start in range(0, X.shape[0], BLOCK):
        n = min(BLOCK, X.shape[0] - start)
        _load(X, start, n, x)
        for k in range(K):
            _density_binary(x, n, log_weights[k], log_ones[k], log_zeros[k], row)
            for i in range(n):
                out[start + i, k] = row[i]
