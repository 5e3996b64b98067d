"""EM kernels for binary features, vectorized across samples.

A block of samples is turned feature-major, as in narrow.py. Logarithms of probabilities 0 are -inf and are
only ever selected, never multiplied: 0 log 0 does not arise.
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
def _density(x, n, log_weight, log_ones, log_zeros, out):
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
            _density(x, n, log_weights[k], log_ones[k], log_zeros[k], shares[k])
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
            _density(x, n, log_weights[k], log_ones[k], log_zeros[k], row)
            for i in range(n):
                out[start + i, k] = row[i]
