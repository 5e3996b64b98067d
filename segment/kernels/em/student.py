"""EM kernels for Student's t components, vectorized across samples.

A block of samples is turned feature-major, as in narrow.py. Distances end at `FAR`, where a density is still
a number: the tails of t are never lost, and no sample is beyond all components.
"""

import math

import numpy as np

from segment.kernels.compile import kernel

BLOCK = 256
FAR = 1e300

_SUMS = ("reassoc", "contract", "nsz")


@kernel
def _load(X, start, n, x):
    for i in range(n):
        for a in range(X.shape[1]):
            x[a, i] = X[start + i, a]


@kernel
def _difference(x, mean, n, d):
    for i in range(n):
        d[i] = x[i] - mean


@kernel
def _scale(d, f, n, y):
    for i in range(n):
        y[i] = f * d[i]


@kernel
def _add_scaled(d, f, n, y):
    for i in range(n):
        y[i] += f * d[i]


@kernel
def _add_square(y, n, out):
    for i in range(n):
        out[i] += y[i] * y[i]


@kernel
def _limit(n, out):
    for i in range(n):
        out[i] = out[i] if out[i] < FAR else FAR


@kernel
def _distances(x, n, mean, factor, offset, d, y, out):
    """Squared distances of a block plus `offset`. factor IN (D, D) lower or (1, D) diagonal; d, y scratch."""
    for i in range(n):
        out[i] = offset
    is_full = factor.shape[0] == mean.shape[0]
    for a in range(mean.shape[0]):
        _difference(x[a], mean[a], n, d[a])
        _scale(d[a], factor[a, a] if is_full else factor[0, a], n, y)
        if is_full:
            for b in range(a):
                _add_scaled(d[b], factor[a, b], n, y)
        _add_square(y, n, out)
    _limit(n, out)


@kernel
def _density(distance, n, log_scale, degrees, D, logs, out):
    """Log densities from squared distances; logs OUT gets log(1 + distance / degrees)."""
    for i in range(n):
        logs[i] = math.log1p(distance[i] / degrees)
        out[i] = log_scale - 0.5 * (degrees + D) * logs[i]


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
        log_likelihood += w * (largest + math.log(total))
        for k in range(K):
            log_density[k, i] *= w / total
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
def _multiply(a, b, n, out):
    for i in range(n):
        out[i] = a[i] * b[i]


@kernel
def _divide(share, distance, degrees, D, n, out):
    """Shares times the weights of samples that are far: (degrees + D) / (degrees + distance)."""
    for i in range(n):
        out[i] = share[i] * ((degrees + D) / (degrees + distance[i]))


@kernel
def accumulate_student(
    X, sample_weight, log_scales, means, factors, degrees, offsets, counts, scales, logs, first, second
):
    """Fused E-step and moments of one chunk.

    With r the weighted responsibility of a sample, d its difference from a mean, and u = (degrees + D) /
    (degrees + distance), which is small for what lies far out:

    Parameters
    ----------
    X : IN (n, D) float32 or float64
    sample_weight : IN (n,) float64
    log_scales : IN (K,) float64
        Log weight plus log normalizing constant; -inf for an empty component.
    means : IN (K, D) float64
    factors : IN (K, D, D), lower triangular, or (K, 1, D), diagonal, float64
    degrees, offsets : IN (K,) float64
        Degrees of freedom; what is added to each squared distance.
    counts, scales, logs : INOUT (K,) float64
        Gain the sums of r, of r u, and of r log u.
    first : INOUT (K, D) float64
        Gains the sums of r u d.
    second : INOUT, shaped as factors, float64
        Gains the sums of r u d d': the lower triangle, or the squares.

    Returns
    -------
    float
        Weighted log-likelihood of the chunk.
    """
    K, D = means.shape
    x, d, y, ru = np.empty((D, BLOCK)), np.empty((D, BLOCK)), np.empty(BLOCK), np.empty(BLOCK)
    shares, distances, logarithms = np.empty((K, BLOCK)), np.empty((K, BLOCK)), np.empty((K, BLOCK))
    is_full = factors.shape[1] == D
    log_likelihood = 0.0
    for start in range(0, X.shape[0], BLOCK):
        n = min(BLOCK, X.shape[0] - start)
        _load(X, start, n, x)
        for k in range(K):
            _distances(x, n, means[k], factors[k], offsets[k], d, y, distances[k])
            _density(distances[k], n, log_scales[k], degrees[k], D, logarithms[k], shares[k])
        log_likelihood += _posterior(shares, sample_weight, start, n)
        for k in range(K):
            total = _total(shares[k], n)
            counts[k] += total
            logs[k] += total * math.log1p(D / degrees[k]) - _dot(shares[k], logarithms[k], n)
            _divide(shares[k], distances[k], degrees[k], D, n, ru)
            scales[k] += _total(ru, n)
            for a in range(D):
                _difference(x[a], means[k, a], n, d[a])
            for a in range(D):
                _multiply(ru, d[a], n, y)
                first[k, a] += _total(y, n)
                if is_full:
                    for b in range(a + 1):
                        second[k, a, b] += _dot(y, d[b], n)
                else:
                    second[k, 0, a] += _dot(y, d[a], n)
    return log_likelihood


@kernel
def densities_student(X, log_scales, means, factors, degrees, offsets, out):
    """Weighted log densities of a chunk. Inputs as `accumulate_student`; out OUT (n, K) float64."""
    K, D = means.shape
    x, d, y = np.empty((D, BLOCK)), np.empty((D, BLOCK)), np.empty(BLOCK)
    distance, logarithms, row = np.empty(BLOCK), np.empty(BLOCK), np.empty(BLOCK)
    for start in range(0, X.shape[0], BLOCK):
        n = min(BLOCK, X.shape[0] - start)
        _load(X, start, n, x)
        for k in range(K):
            _distances(x, n, means[k], factors[k], offsets[k], d, y, distance)
            _density(distance, n, log_scales[k], degrees[k], D, logarithms, row)
            for i in range(n):
                out[start + i, k] = row[i]
