"""Structure tensors of smoothed fields: the two passes of a separable derivative of a Gaussian.

Rows are flattened to (N * K,), so that every inner loop runs over contiguous numbers and vectorizes.
"""

from __future__ import annotations

import numpy as np

from segment.kernels.compile import kernel


@kernel
def filter_rows(padded, smooth, slope, n_fields, blurred, sloped):
    """Filter each row by a Gaussian and by its derivative.

    IN padded (R, (N + 2 r) * K) float32; smooth, slope (2 r + 1,) float32; OUT blurred, sloped (R, N * K).
    """
    n = blurred.shape[1]
    for y in range(padded.shape[0]):
        source, low, high = padded[y], blurred[y], sloped[y]
        low[:] = 0
        high[:] = 0
        for t in range(len(smooth)):
            weight, turn = smooth[t], slope[t]
            part = source[t * n_fields : t * n_fields + n]
            for i in range(n):
                low[i] += weight * part[i]
                high[i] += turn * part[i]


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
    for y in range(M):
        mean[:] = 0
        across[:] = 0
        down[:] = 0
        for t in range(len(smooth)):
            weight, turn = smooth[t], slope[t]
            low, high = blurred[y + t], sloped[y + t]
            for i in range(n):
                mean[i] += weight * low[i]
                down[i] += turn * low[i]
                across[i] += weight * high[i]
        for x in range(N):
            xx = xy = yy = np.float32(0)
            for k in range(K):
                i = x * K + k
                share = np.float32(1) / (relative * mean[i] + floor)
                xx += across[i] * across[i] * share
                xy += across[i] * down[i] * share
                yy += down[i] * down[i] * share
                level[y, x, k] = mean[i]
            tensor[y, x, 0] = xx
            tensor[y, x, 1] = xy
            tensor[y, x, 2] = yy
