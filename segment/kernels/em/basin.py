"""Many small fits at once: a mixture of two Gaussians in one dimension, by plain EM from every start.

One E-step of the lab's 1000 heights costs some 3 microseconds here and 100 through the general code, whose
arrays a fit this small cannot pay for. A map of 48 x 48 starts takes two to three million E-steps.
"""

import math

import numpy as np

from segment.kernels.compile import kernel

# Factors of at most 2 that fit into a double before their product must be turned into a logarithm.
_PRODUCT = 512

# A component that explains less than this share of the samples stays where it is, with next to no weight.
EMPTY = 1e-7

_SUMS = ("reassoc", "contract", "nsz")


@kernel(fastmath=("contract",), inline=True)
def _exp_negative(t):
    """exp(-t) for t >= 0, relative error below 1e-13 up to t = 40; exp(-60) beyond 60.

    The call of `math.exp` would keep the loop scalar (12 microseconds an E-step instead of 3). A Taylor
    polynomial of exp(-t / 256), squared eight times, is as exact as responsibilities need.
    """
    r = min(t, 60.0) * (-1.0 / 256.0)
    p = 1.0 / 362880.0
    p = p * r + 1.0 / 40320.0
    p = p * r + 1.0 / 5040.0
    p = p * r + 1.0 / 720.0
    p = p * r + 1.0 / 120.0
    p = p * r + 1.0 / 24.0
    p = p * r + 1.0 / 6.0
    p = p * r + 0.5
    p = p * r + 1.0
    p = p * r + 1.0
    p *= p
    p *= p
    p *= p
    p *= p
    p *= p
    p *= p
    p *= p
    p *= p
    return p


@kernel(fastmath=_SUMS)
def _add_block(x, offsets, means, halves, sums):
    """Add up to `_PRODUCT` samples to the sums (2, 3); return their log-likelihood."""
    total, product = 0.0, 1.0
    count_0, first_0, second_0 = 0.0, 0.0, 0.0
    count_1, first_1, second_1 = 0.0, 0.0, 0.0
    offset_0, offset_1 = offsets[0], offsets[1]
    mean_0, mean_1 = means[0], means[1]
    half_0, half_1 = halves[0], halves[1]
    for i in range(x.size):
        d_0, d_1 = x[i] - mean_0, x[i] - mean_1
        density_0 = offset_0 - half_0 * d_0 * d_0
        density_1 = offset_1 - half_1 * d_1 * d_1
        smaller = _exp_negative(abs(density_1 - density_0))
        larger_share = 1.0 / (1.0 + smaller)
        share_0 = larger_share if density_0 >= density_1 else smaller * larger_share
        share_1 = smaller * larger_share if density_0 >= density_1 else larger_share
        total += max(density_0, density_1)
        product *= 1.0 + smaller
        count_0 += share_0
        first_0 += share_0 * d_0
        second_0 += share_0 * d_0 * d_0
        count_1 += share_1
        first_1 += share_1 * d_1
        second_1 += share_1 * d_1 * d_1
    sums[0, 0] += count_0
    sums[0, 1] += first_0
    sums[0, 2] += second_0
    sums[1, 0] += count_1
    sums[1, 1] += first_1
    sums[1, 2] += second_1
    return total + math.log(product)


@kernel
def _e_step(x, weight, means, variances, reg, sums):
    """Return the log-likelihood; leave count, first and second moment of both components in `sums` (2, 3)."""
    sums[:] = 0.0
    offsets = np.array([math.log(weight), math.log1p(-weight)])
    halves = 0.5 / variances
    for k in range(2):
        offsets[k] += -0.5 * math.log(2.0 * math.pi * variances[k]) - reg * halves[k]
    total = 0.0
    for start in range(0, x.size, _PRODUCT):
        total += _add_block(x[start : start + _PRODUCT], offsets, means, halves, sums)
    return total


@kernel
def fit_pairs(x, weights, means, variances, reg, tol, max_iter, log_likelihoods, n_iter):
    """Fit a mixture of two Gaussians from every start, each until its gain falls below `tol`.

    x               IN    (n,) float64
    weights         INOUT (s,) float64, weight of the first component
    means           INOUT (s, 2) float64
    variances       INOUT (s, 2) float64
    reg             IN    float, added to every variance, as `fit_em` does
    tol             IN    float, nats a sample
    max_iter        IN    int, most E-steps of a fit
    log_likelihoods OUT   (s,) float64, of samples blurred by a normal of variance `reg`
    n_iter          OUT   (s,) int64, E-steps taken
    """
    n = x.size
    sums = np.empty((2, 3))
    for s in range(weights.size):
        before = -np.inf
        for iteration in range(max_iter):
            value = _e_step(x, weights[s], means[s], variances[s], reg, sums)
            log_likelihoods[s] = value
            n_iter[s] = iteration + 1
            if value - before < tol * n:
                break
            before = value
            weights[s] = min(max(sums[0, 0] / n, 1e-300), 1.0 - 1e-16)
            for k in range(2):
                if sums[k, 0] > EMPTY * n:
                    shift = sums[k, 1] / sums[k, 0]
                    means[s, k] += shift
                    variances[s, k] = max(sums[k, 2] / sums[k, 0] - shift * shift, 0.0) + reg
