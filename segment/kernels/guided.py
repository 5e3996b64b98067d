"""The guided filter of several maps by one color photo, and the arg max of what it leaves.

The filter's coefficients are smooth, so a large photo's are found on a coarser grid and interpolated (He &
Sun 2015). The arg max is taken while interpolating: filtered maps are never stored at full size.
"""

import numpy as np

from segment.kernels.compile import kernel

_SUMS = ("reassoc", "contract", "nsz")


@kernel(fastmath=_SUMS)
def _slide(total, entering, leaving, n_entering, n_leaving):
    """Move a window of column sums: total INOUT (n,) float64."""
    if n_entering:
        for x in range(total.size):
            total[x] += entering[x]
    if n_leaving:
        for x in range(total.size):
            total[x] -= leaving[x]


@kernel(fastmath=_SUMS)
def _write_row(total, factor, out):
    for x in range(total.size):
        out[x] = total[x] * factor


@kernel
def box_mean(plane, radius, out):
    """Mean over a square window, clipped at the edges. plane IN (m, n) float32; out OUT (m, n) float32."""
    m, n = plane.shape
    rows = np.empty((m, n), dtype=np.float32)
    for y in range(m):
        total = 0.0
        for x in range(min(radius, n)):
            total += plane[y, x]
        for x in range(n):
            if x + radius < n:
                total += plane[y, x + radius]
            if x - radius - 1 >= 0:
                total -= plane[y, x - radius - 1]
            rows[y, x] = total / (min(x + radius, n - 1) - max(x - radius, 0) + 1)
    total_row = np.zeros(n)
    for y in range(min(radius, m)):
        _slide(total_row, rows[y], rows[y], True, False)
    for y in range(m):
        low, high = y - radius - 1, y + radius
        _slide(total_row, rows[min(high, m - 1)], rows[max(low, 0)], high < m, low >= 0)
        _write_row(total_row, 1.0 / (min(high, m - 1) - max(low + 1, 0) + 1), out[y])


@kernel
def invert_covariances(moments, means, eps, out):
    """Inverse of the guide's covariance in each window, plus eps on the diagonal.

    moments IN (6, m, n): means of the products 00, 01, 02, 11, 12, 22; means IN (3, m, n); out OUT (6, m, n).
    """
    for y in range(means.shape[1]):
        for x in range(means.shape[2]):
            m0, m1, m2 = means[0, y, x], means[1, y, x], means[2, y, x]
            a = moments[0, y, x] - m0 * m0 + eps
            b = moments[1, y, x] - m0 * m1
            c = moments[2, y, x] - m0 * m2
            d = moments[3, y, x] - m1 * m1 + eps
            e = moments[4, y, x] - m1 * m2
            f = moments[5, y, x] - m2 * m2 + eps
            i00, i01, i02 = d * f - e * e, c * e - b * f, b * e - c * d
            i11, i12, i22 = a * f - c * c, b * c - a * e, a * d - b * b
            factor = 1.0 / (a * i00 + b * i01 + c * i02)
            out[0, y, x] = i00 * factor
            out[1, y, x] = i01 * factor
            out[2, y, x] = i02 * factor
            out[3, y, x] = i11 * factor
            out[4, y, x] = i12 * factor
            out[5, y, x] = i22 * factor


@kernel
def solve_coefficients(inverse, means, products, mean, out):
    """Linear coefficients of one map in each window.

    inverse IN (6, m, n); means IN (3, m, n) of the guide; products IN (3, m, n): means of guide times map;
    mean IN (m, n) of the map; out OUT (4, m, n): three slopes and the constant.
    """
    for y in range(mean.shape[0]):
        for x in range(mean.shape[1]):
            p = mean[y, x]
            m0, m1, m2 = means[0, y, x], means[1, y, x], means[2, y, x]
            c0, c1, c2 = products[0, y, x] - m0 * p, products[1, y, x] - m1 * p, products[2, y, x] - m2 * p
            a0 = inverse[0, y, x] * c0 + inverse[1, y, x] * c1 + inverse[2, y, x] * c2
            a1 = inverse[1, y, x] * c0 + inverse[3, y, x] * c1 + inverse[4, y, x] * c2
            a2 = inverse[2, y, x] * c0 + inverse[4, y, x] * c1 + inverse[5, y, x] * c2
            out[0, y, x] = a0
            out[1, y, x] = a1
            out[2, y, x] = a2
            out[3, y, x] = p - a0 * m0 - a1 * m1 - a2 * m2


@kernel(fastmath=_SUMS)
def _between(upper, lower, weight, out):
    for x in range(out.size):
        out[x] = upper[x] + weight * (lower[x] - upper[x])


@kernel
def label_rows(guide, coefficients, first, step, offset, labels):
    """Filter all maps on some rows and write the number of the largest.

    Parameters
    ----------
    guide : IN (rows, N, 3) uint8
    coefficients : IN (K, 4, m, n) float32
        For a guide in [0, 1], on a grid of every `step`-th pixel from `offset` on.
    first : int
        Number of the first of these rows in the photo.
    step, offset : int
    labels : INOUT (rows, N) int32
        Labels below 0 are kept.
    """
    K, _, m, n = coefficients.shape
    width = guide.shape[1]
    row = np.empty((4, n), dtype=np.float32)
    left, share = np.empty(width, dtype=np.int64), np.empty(width, dtype=np.float32)
    for x in range(width):
        place = min(max((x - offset) / step, 0.0), n - 1.0)
        left[x] = min(int(place), max(n - 2, 0))
        share[x] = place - left[x]
    right = min(1, n - 1)
    color = np.empty((3, width), dtype=np.float32)
    best = np.empty(width, dtype=np.float32)
    winner = np.empty(width, dtype=np.int32)
    for y in range(guide.shape[0]):
        place = min(max((first + y - offset) / step, 0.0), m - 1.0)
        above = min(int(place), max(m - 2, 0))
        below, weight = min(above + 1, m - 1), np.float32(place - above)
        for x in range(width):
            for c in range(3):
                color[c, x] = guide[y, x, c] * np.float32(1.0 / 255.0)
            best[x] = -np.inf
            winner[x] = 0
        for k in range(K):
            for c in range(4):
                _between(coefficients[k, c, above], coefficients[k, c, below], weight, row[c])
            for x in range(width):
                j, t = left[x], share[x]
                i = j + right
                value = row[3, j] + t * (row[3, i] - row[3, j])
                for c in range(3):
                    value += color[c, x] * (row[c, j] + t * (row[c, i] - row[c, j]))
                if value > best[x]:
                    best[x] = value
                    winner[x] = k
        for x in range(width):
            if labels[y, x] >= 0:
                labels[y, x] = winner[x]
