"""Structure tensors of smoothed fields: the two passes of a separable derivative of a Gaussian.

Rows are flattened to (N * K,), so that every inner loop runs over contiguous numbers and vectorizes. Four
taps are added in a pass, in their order: sums travel through memory a quarter as often.
"""

from __future__ import annotations

import numpy as np

from segment.kernels.compile import kernel


@kernel
def _add_taps(source, step, weights, out):
    """Add weighted parts of a row, `step` apart, to `out`. source IN; weights IN (T,); out INOUT (n,)."""
    n, T = out.size, weights.size
    for t in range(0, T - T % 4, 4):
        u, v, w, x = weights[t], weights[t + 1], weights[t + 2], weights[t + 3]
        a, b = source[t * step : t * step + n], source[(t + 1) * step : (t + 1) * step + n]
        c, d = source[(t + 2) * step : (t + 2) * step + n], source[(t + 3) * step : (t + 3) * step + n]
        for i in range(n):
            out[i] = out[i] + u * a[i] + v * b[i] + w * c[i] + x * d[i]
    for t in range(T - T % 4, T):
        u, a = weights[t], source[t * step : t * step + n]
        for i in range(n):
            out[i] += u * a[i]


@kernel
def filter_rows(padded, smooth, slope, n_fields, blurred, sloped):
    """Filter each row by a Gaussian and by its derivative.

    IN padded (R, (N + 2 r) * K) float32; smooth, slope (2 r + 1,) float32; OUT blurred, sloped (R, N * K).
    """
    blurred[:] = 0
    sloped[:] = 0
    for y in range(padded.shape[0]):
        _add_taps(padded[y], n_fields, smooth, blurred[y])
        _add_taps(padded[y], n_fields, slope, sloped[y])


@kernel
def _multiply_gradients(across, down, mean, relative, floor, level):
    """Copy means to `level`; replace gradients by products: xx in across, yy in down, xy in mean."""
    for i in range(level.size):
        a, d, m = across[i], down[i], mean[i]
        share = np.float32(1) / (relative * m + floor)
        level[i] = m
        across[i] = a * a * share
        down[i] = d * d * share
        mean[i] = a * d * share


@kernel
def tensor_columns(blurred, sloped, smooth, slope, relative, floor, tensor, level):
    """Filter the columns and sum gradient times gradient over the fields, each divided by its level.

    IN blurred, sloped (M + 2 r, N * K) float32; smooth, slope (2 r + 1,) float32; relative, floor float32:
    a field's share is divided by relative * level + floor. OUT tensor (M, N, 3) float32, the entries xx, xy,
    yy; level (M, N, K) float32, the smoothed fields.
    """
    M, N, K = level.shape
    n = N * K
    mean, across, down = np.empty(n, np.float32), np.empty(n, np.float32), np.empty(n, np.float32)
    low, high = blurred.reshape(blurred.size), sloped.reshape(sloped.size)
    for y in range(M):
        mean[:] = 0
        across[:] = 0
        down[:] = 0
        _add_taps(low[y * n :], n, smooth, mean)
        _add_taps(low[y * n :], n, slope, down)
        _add_taps(high[y * n :], n, smooth, across)
        _multiply_gradients(across, down, mean, relative, floor, level[y].reshape(n))
        for x in range(N):
            xx = xy = yy = np.float32(0)
            for i in range(x * K, x * K + K):
                xx += across[i]
                xy += mean[i]
                yy += down[i]
            tensor[y, x, 0] = xx
            tensor[y, x, 1] = xy
            tensor[y, x, 2] = yy
