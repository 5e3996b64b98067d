"""EM kernels for few features (colors and other narrow samples), vectorized across samples.

A chunk of samples is walked in blocks of `BLOCK`, turned feature-major so that every inner loop runs
over consecutive samples and LLVM vectorizes it; a block and its log densities stay in the first- and
second-level cache. Responsibilities exist for one block at a time and are reduced to moments about the
current means.

One small function a loop is what lets LLVM vectorize each loop; calling `math.exp` would keep it scalar; the
special case of three features is a third faster. Figures: docs/decisions/em-kernels.md.

Liberties: "reassoc" and "contract" let LLVM split a sum over vector lanes and use fused multiply-adds
(2.4 times faster moments). `_exp` and `_log` may only contract: reassociation would cancel the rounding
constant that they reduce their argument with.
"""

import math

import numpy as np

from segment.kernels.compile import kernel

BLOCK = 256

_SUMS = ("reassoc", "contract", "nsz")

# A responsibility below one unit in the last place of its row is not told apart from zero by the sums that it
# would enter.
_LOG_NEGLIGIBLE = -52.0 * math.log(2.0)

# exp: x = n log 2 + r with |r| <= log(2) / 2, and a polynomial of degree 11 that interpolates exp in the
# Chebyshev nodes of that interval (error 3e-18, far below one ulp).
_LOG2_E = 1.4426950408889634
_LOG2_HIGH = 6.93147180369123816490e-01
_LOG2_LOW = 1.90821492927058770002e-10
_ROUND = 6755399441055744.0  # 1.5 * 2^52: adding it rounds to the nearest integer
_E2, _E3, _E4 = 0.5000000000000019, 0.1666666666666668, 0.04166666666648795
_E5, _E6, _E7 = 0.008333333333319589, 0.0013888888952352863, 0.00019841269890076403
_E8, _E9 = 2.4801485441561313e-05, 2.755724088722987e-06
_E10, _E11 = 2.763265472252779e-07, 2.5110049204818658e-08

# log: x = 2^e m with sqrt(1/2) <= m < sqrt(2), and the series of 2 artanh((m - 1) / (m + 1)).
_SQRT_HALF_BITS = np.int64(0x3FE6A09E667F3BCD)
_MANTISSA = np.int64(0x000FFFFFFFFFFFFF)
_TWO_52 = 4503599627370496.0
_TWO_52_BITS = np.int64(0x4330000000000000)
_BIAS = 1023.0
_SHIFT_BITS = np.int64(0x3FF0000000000000 - 0x3FE6A09E667F3BCD)


@kernel(fastmath=("contract",), inline=True)
def _exp(x):
    """exp(x) within 1 ulp for -708 < x < 709; 0 below, so that exp(-inf) = 0."""
    z = max(x, -708.0)
    t = z * _LOG2_E + _ROUND
    n = t - _ROUND
    r = z - n * _LOG2_HIGH
    r = r - n * _LOG2_LOW
    p = _E11
    p = p * r + _E10
    p = p * r + _E9
    p = p * r + _E8
    p = p * r + _E7
    p = p * r + _E6
    p = p * r + _E5
    p = p * r + _E4
    p = p * r + _E3
    p = p * r + _E2
    p = p * r + 1.0
    p = p * r + 1.0
    # The low bits of t are n; moved to the exponent's place they make 2^n.
    bits = (np.float64(t).view(np.int64) + np.int64(1023)) << np.int64(52)
    return p * np.int64(bits).view(np.float64) if x > -708.0 else 0.0


@kernel(fastmath=("contract",), inline=True)
def _log(x):
    """log(x) within 2 ulp for normal positive x."""
    t = np.float64(x).view(np.int64) + _SHIFT_BITS
    exponent = (np.int64((t >> np.int64(52)) | _TWO_52_BITS).view(np.float64) - _TWO_52) - _BIAS
    f = np.int64((t & _MANTISSA) + _SQRT_HALF_BITS).view(np.float64) - 1.0
    s = f / (2.0 + f)
    z = s * s
    p = 1.0 / 21.0
    p = p * z + 1.0 / 19.0
    p = p * z + 1.0 / 17.0
    p = p * z + 1.0 / 15.0
    p = p * z + 1.0 / 13.0
    p = p * z + 1.0 / 11.0
    p = p * z + 1.0 / 9.0
    p = p * z + 1.0 / 7.0
    p = p * z + 1.0 / 5.0
    p = p * z + 1.0 / 3.0
    return exponent * (_LOG2_HIGH + _LOG2_LOW) + (2.0 * s + 2.0 * s * z * p)


@kernel
def vector_exp(x, out):
    """Write exp(x) to `out`. x IN (n,), out OUT (n,) float64."""
    for i in range(x.size):
        out[i] = _exp(x[i])


@kernel
def vector_log(x, out):
    """Write log(x) to `out`. x IN (n,) normal and positive, out OUT (n,) float64."""
    for i in range(x.size):
        out[i] = _log(x[i])


@kernel
def _load(X, start, n, x):
    """Turn rows start .. start + n feature-major. X IN (N, D); x OUT (D, BLOCK) float64."""
    for i in range(n):
        for a in range(X.shape[1]):
            x[a, i] = X[start + i, a]


@kernel
def _load_3(X, start, n, x0, x1, x2):
    for i in range(n):
        x0[i] = X[start + i, 0]
        x1[i] = X[start + i, 1]
        x2[i] = X[start + i, 2]


# --- log densities of one component over one block ---------------------------------------------------


@kernel(fastmath=_SUMS)
def _density_3(x0, x1, x2, n, c, mean, factor, out):
    """As `_density_full`, for D = 3."""
    m0, m1, m2 = mean[0], mean[1], mean[2]
    f00, f10, f11 = factor[0, 0], factor[1, 0], factor[1, 1]
    f20, f21, f22 = factor[2, 0], factor[2, 1], factor[2, 2]
    for i in range(n):
        d0 = x0[i] - m0
        d1 = x1[i] - m1
        d2 = x2[i] - m2
        y0 = f00 * d0
        y1 = f10 * d0 + f11 * d1
        y2 = f20 * d0 + f21 * d1 + f22 * d2
        out[i] = c - 0.5 * (y0 * y0 + y1 * y1 + y2 * y2)


@kernel(fastmath=_SUMS)
def _difference(x, mean, n, d):
    for i in range(n):
        d[i] = x[i] - mean


@kernel(fastmath=_SUMS)
def _scale(d, f, n, y):
    for i in range(n):
        y[i] = f * d[i]


@kernel(fastmath=_SUMS)
def _add_scaled(d, f, n, y):
    for i in range(n):
        y[i] += f * d[i]


@kernel(fastmath=_SUMS)
def _add_scaled_2(d, e, f, g, n, y):
    for i in range(n):
        y[i] += f * d[i] + g * e[i]


@kernel(fastmath=_SUMS)
def _subtract_half_square(y, n, out):
    for i in range(n):
        out[i] -= 0.5 * y[i] * y[i]


@kernel
def _fill(out, n, value):
    for i in range(n):
        out[i] = value


@kernel
def _density_full(x, n, c, mean, factor, d, y, out):
    """log w + log N of a block. x IN (D, BLOCK); mean (D,), factor (D, D) lower IN; d, y scratch; out OUT."""
    _fill(out, n, c)
    for a in range(mean.shape[0]):
        _difference(x[a], mean[a], n, d[a])
        _scale(d[a], factor[a, a], n, y)
        # Two terms a pass: y travels through the load ports half as often.
        for b in range(0, a - 1, 2):
            _add_scaled_2(d[b], d[b + 1], factor[a, b], factor[a, b + 1], n, y)
        if a % 2 == 1:
            _add_scaled(d[a - 1], factor[a, a - 1], n, y)
        _subtract_half_square(y, n, out)


@kernel(fastmath=_SUMS)
def _subtract_half_distance(x, mean, factor, n, out):
    for i in range(n):
        y = factor * (x[i] - mean)
        out[i] -= 0.5 * y * y


@kernel
def _density_diag(x, n, c, mean, factor, out):
    """As `_density_full`, for a diagonal factor (D,)."""
    _fill(out, n, c)
    for a in range(mean.shape[0]):
        _subtract_half_distance(x[a], mean[a], factor[a], n, out)


# --- from log densities to responsibilities --------------------------------------------------------


@kernel
def _running_max(log_density, n, largest):
    for i in range(n):
        largest[i] = max(largest[i], log_density[i])


@kernel(fastmath=_SUMS)
def _exponentiate(log_density, largest, n, total):
    """log_density INOUT becomes exp(log_density - largest); total INOUT gathers their sum."""
    for i in range(n):
        e = _exp(log_density[i] - largest[i])
        log_density[i] = e
        total[i] += e


@kernel(fastmath=_SUMS)
def _log_likelihood(sample_weight, start, n, largest, total):
    log_likelihood = 0.0
    for i in range(n):
        log_likelihood += sample_weight[start + i] * (largest[i] + _log(total[i]))
    return log_likelihood


@kernel
def _normalize(sample_weight, start, n, total):
    """Turn totals into what shares are multiplied with: sample_weight / total. total INOUT."""
    for i in range(n):
        total[i] = sample_weight[start + i] / total[i]


@kernel
def _posterior(log_density, n, largest, total):
    """Turn the block's log densities (K, BLOCK) INOUT into shares before normalization.

    `largest` starts at the lowest finite number, not at -inf: a sample that no component can explain
    then gets responsibilities of zero instead of NaN, and a log-likelihood of about -1.8e308.
    """
    _fill(largest, n, -1.7976931348623157e308)
    _fill(total, n, 0.0)
    for k in range(log_density.shape[0]):
        _running_max(log_density[k], n, largest)
    for k in range(log_density.shape[0]):
        _exponentiate(log_density[k], largest, n, total)
    for i in range(n):
        if total[i] == 0.0:
            total[i] = 1.0


@kernel(fastmath=_SUMS)
def _exponentiate_counted(log_density, largest, n, out, total):
    """As `_exponentiate`, of what is not negligible. out OUT (n,), the rest of it exactly zero."""
    for i in range(n):
        d = log_density[i] - largest[i]
        e = _exp(d) if d > _LOG_NEGLIGIBLE else 0.0
        out[i] = e
        total[i] += e


@kernel
def _scale_shares(share, scale, n):
    for i in range(n):
        share[i] *= scale[i]


@kernel
def posterior(log_density, sample_weight, shares):
    """Weighted responsibilities of rows and, returned, their log-likelihood.

    log_density IN (K, n); sample_weight IN (n,); shares OUT (K, n), exactly zero where negligible. Where the
    arrays are contiguous and do not overlap, this is three times as fast.
    """
    K, N = log_density.shape
    largest, total = np.empty(BLOCK), np.empty(BLOCK)
    log_likelihood = 0.0
    for start in range(0, N, BLOCK):
        n = min(BLOCK, N - start)
        stop = start + n
        _fill(largest, n, -1.7976931348623157e308)
        _fill(total, n, 0.0)
        for k in range(K):
            _running_max(log_density[k, start:stop], n, largest)
        for k in range(K):
            _exponentiate_counted(log_density[k, start:stop], largest, n, shares[k, start:stop], total)
        for i in range(n):
            if total[i] == 0.0:
                # No component explains the row.
                largest[i] = -np.inf if sample_weight[start + i] > 0.0 else 0.0
                total[i] = 1.0
        log_likelihood += _log_likelihood(sample_weight, start, n, largest, total)
        _normalize(sample_weight, start, n, total)
        for k in range(K):
            _scale_shares(shares[k, start:stop], total, n)
    return log_likelihood


# --- moments about the current means ---------------------------------------------------------------


@kernel(fastmath=_SUMS)
def _sums_3(x0, x1, x2, share, scale, n, m0, m1, m2):
    g = g0 = g1 = g2 = g00 = g01 = g02 = g11 = g12 = g22 = 0.0
    for i in range(n):
        r = share[i] * scale[i]
        d0 = x0[i] - m0
        d1 = x1[i] - m1
        d2 = x2[i] - m2
        r0 = r * d0
        r1 = r * d1
        r2 = r * d2
        g += r
        g0 += r0
        g1 += r1
        g2 += r2
        g00 += r0 * d0
        g01 += r0 * d1
        g02 += r0 * d2
        g11 += r1 * d1
        g12 += r1 * d2
        g22 += r2 * d2
    return g, g0, g1, g2, g00, g01, g02, g11, g12, g22


@kernel
def _moments_3(x0, x1, x2, n, mean, share, scale, k, counts, first, second):
    """As `_moments_full`, for D = 3."""
    g, g0, g1, g2, g00, g01, g02, g11, g12, g22 = _sums_3(
        x0, x1, x2, share, scale, n, mean[0], mean[1], mean[2]
    )
    counts[k] += g
    first[k, 0] += g0
    first[k, 1] += g1
    first[k, 2] += g2
    second[k, 0, 0] += g00
    second[k, 1, 0] += g01
    second[k, 2, 0] += g02
    second[k, 1, 1] += g11
    second[k, 2, 1] += g12
    second[k, 2, 2] += g22


@kernel
def _multiply(share, scale, n, r):
    for i in range(n):
        r[i] = share[i] * scale[i]


@kernel(fastmath=_SUMS)
def _total(r, n):
    total = 0.0
    for i in range(n):
        total += r[i]
    return total


@kernel(fastmath=_SUMS)
def _dot(y, d, n):
    total = 0.0
    for i in range(n):
        total += y[i] * d[i]
    return total


@kernel
def _moments_full(x, n, mean, share, scale, d, y, k, counts, first, second):
    """Add one component's moments of a block. counts, first, second INOUT; d, y scratch."""
    D = mean.shape[0]
    _multiply(share, scale, n, share)
    counts[k] += _total(share, n)
    for a in range(D):
        _difference(x[a], mean[a], n, d[a])
    for a in range(D):
        _multiply(share, d[a], n, y)
        first[k, a] += _total(y, n)
        for b in range(a + 1):
            second[k, a, b] += _dot(y, d[b], n)


@kernel(fastmath=_SUMS)
def _sums_1(x, r, n, mean):
    first = second = 0.0
    for i in range(n):
        d = x[i] - mean
        rd = r[i] * d
        first += rd
        second += rd * d
    return first, second


@kernel
def _moments_diag(x, n, mean, share, scale, k, counts, first, second):
    """As `_moments_full`, for the diagonal only."""
    _multiply(share, scale, n, share)
    counts[k] += _total(share, n)
    for a in range(mean.shape[0]):
        once, twice = _sums_1(x[a], share, n, mean[a])
        first[k, a] += once
        second[k, a] += twice


# --- what the mixture calls -------------------------------------------------------------------------


@kernel
def accumulate_full(X, sample_weight, log_scales, means, factors, counts, first, second):
    """Fused E-step and moments of one chunk, full covariances.

    Parameters
    ----------
    X : IN (n, D) float32 or float64
    sample_weight : IN (n,) float64
    log_scales : IN (K,) float64
        Log weight plus log normalizing constant; -inf for an empty component.
    means : IN (K, D) float64
    factors : IN (K, D, D) float64
        Inverse Cholesky factors, lower triangular.
    counts, first, second : INOUT (K,), (K, D), (K, D, D) float64
        Gain the zeroth, first and second moments about `means` (second: lower triangle).

    Returns
    -------
    float
        Weighted log-likelihood of the chunk.
    """
    K, D = means.shape
    x, d, y = np.empty((D, BLOCK)), np.empty((D, BLOCK)), np.empty(BLOCK)
    shares, largest, total = np.empty((K, BLOCK)), np.empty(BLOCK), np.empty(BLOCK)
    log_likelihood = 0.0
    for start in range(0, X.shape[0], BLOCK):
        n = min(BLOCK, X.shape[0] - start)
        _load(X, start, n, x)
        for k in range(K):
            _density_full(x, n, log_scales[k], means[k], factors[k], d, y, shares[k])
        _posterior(shares, n, largest, total)
        log_likelihood += _log_likelihood(sample_weight, start, n, largest, total)
        _normalize(sample_weight, start, n, total)
        for k in range(K):
            _moments_full(x, n, means[k], shares[k], total, d, y, k, counts, first, second)
    return log_likelihood


@kernel
def accumulate_full_3(X, sample_weight, log_scales, means, factors, counts, first, second):
    """As `accumulate_full`, for three features: colors."""
    K = means.shape[0]
    x0, x1, x2 = np.empty(BLOCK), np.empty(BLOCK), np.empty(BLOCK)
    shares, largest, total = np.empty((K, BLOCK)), np.empty(BLOCK), np.empty(BLOCK)
    log_likelihood = 0.0
    for start in range(0, X.shape[0], BLOCK):
        n = min(BLOCK, X.shape[0] - start)
        _load_3(X, start, n, x0, x1, x2)
        for k in range(K):
            _density_3(x0, x1, x2, n, log_scales[k], means[k], factors[k], shares[k])
        _posterior(shares, n, largest, total)
        log_likelihood += _log_likelihood(sample_weight, start, n, largest, total)
        _normalize(sample_weight, start, n, total)
        for k in range(K):
            _moments_3(x0, x1, x2, n, means[k], shares[k], total, k, counts, first, second)
    return log_likelihood


@kernel
def accumulate_diag(X, sample_weight, log_scales, means, factors, counts, first, second):
    """As `accumulate_full`, with factors (K, D) (1 / standard deviation) and second moments (K, D)."""
    K, D = means.shape
    x, shares = np.empty((D, BLOCK)), np.empty((K, BLOCK))
    largest, total = np.empty(BLOCK), np.empty(BLOCK)
    log_likelihood = 0.0
    for start in range(0, X.shape[0], BLOCK):
        n = min(BLOCK, X.shape[0] - start)
        _load(X, start, n, x)
        for k in range(K):
            _density_diag(x, n, log_scales[k], means[k], factors[k], shares[k])
        _posterior(shares, n, largest, total)
        log_likelihood += _log_likelihood(sample_weight, start, n, largest, total)
        _normalize(sample_weight, start, n, total)
        for k in range(K):
            _moments_diag(x, n, means[k], shares[k], total, k, counts, first, second)
    return log_likelihood


@kernel
def densities_full(X, log_scales, means, factors, out):
    """Weighted log densities of a chunk. Inputs as `accumulate_full`; out OUT (n, K) float64."""
    K, D = means.shape
    x, d, y, row = np.empty((D, BLOCK)), np.empty((D, BLOCK)), np.empty(BLOCK), np.empty(BLOCK)
    for start in range(0, X.shape[0], BLOCK):
        n = min(BLOCK, X.shape[0] - start)
        _load(X, start, n, x)
        for k in range(K):
            _density_full(x, n, log_scales[k], means[k], factors[k], d, y, row)
            for i in range(n):
                out[start + i, k] = row[i]


@kernel
def densities_full_3(X, log_scales, means, factors, out):
    """As `densities_full`, for three features."""
    x0, x1, x2, row = np.empty(BLOCK), np.empty(BLOCK), np.empty(BLOCK), np.empty(BLOCK)
    for start in range(0, X.shape[0], BLOCK):
        n = min(BLOCK, X.shape[0] - start)
        _load_3(X, start, n, x0, x1, x2)
        for k in range(means.shape[0]):
            _density_3(x0, x1, x2, n, log_scales[k], means[k], factors[k], row)
            for i in range(n):
                out[start + i, k] = row[i]


@kernel
def densities_diag(X, log_scales, means, factors, out):
    """As `densities_full`, with factors (K, D)."""
    K, D = means.shape
    x, row = np.empty((D, BLOCK)), np.empty(BLOCK)
    for start in range(0, X.shape[0], BLOCK):
        n = min(BLOCK, X.shape[0] - start)
        _load(X, start, n, x)
        for k in range(K):
            _density_diag(x, n, log_scales[k], means[k], factors[k], row)
            for i in range(n):
                out[start + i, k] = row[i]


@kernel
def normalize_rows(log_densities, scores):
    """Turn weighted log densities into responsibilities. log_densities INOUT (n, K); scores OUT (n,)."""
    K = log_densities.shape[1]
    for i in range(log_densities.shape[0]):
        largest = -1.7976931348623157e308
        for k in range(K):
            largest = max(largest, log_densities[i, k])
        total = 0.0
        for k in range(K):
            log_densities[i, k] = _exp(log_densities[i, k] - largest)
            total += log_densities[i, k]
        scores[i] = largest + math.log(total) if total > 0.0 else -np.inf
        for k in range(K):
            log_densities[i, k] /= max(total, 1e-300)


@kernel
def argmax_rows(log_densities, labels):
    """Most probable component of each row. log_densities IN (n, K); labels OUT (n,) int32.

    The first of equals wins; a sample that no component explains (all -inf) gets 0.
    """
    for i in range(log_densities.shape[0]):
        best = 0
        for k in range(1, log_densities.shape[1]):
            if log_densities[i, k] > log_densities[i, best]:
                best = k
        labels[i] = best
