"""The guided filter of several maps by one color photo, and the arg max of what it leaves.

The filter's coefficients are smooth, so a large photo's are found on a coarser grid and interpolated
(He & Sun 2015). The arg max is taken while interpolating: filtered maps are never stored at full size. Maps
are the last axis, `LANES` at a time: every inner loop is one over lanes, which LLVM turns into vectors
(docs/decisions/guided-filter.md).
"""

import numpy as np

from segment.kernels.compile import kernel

LANES = 8

_SUMS = ("reassoc", "contract", "nsz")


@kernel
def _add(total, values, sign):
    """Add values to, or take them from, running sums: total INOUT (n,) float64."""
    for i in range(total.size):
        total[i] += sign * values[i]


@kernel
def box_mean(values, radius, first, out):
    """Mean over a square window that is clipped at the edges, for some rows.

    values IN (m, n, P) float32; first: number of the first row; out OUT (rows, n, P) float32.
    """
    m, n, P = values.shape
    columns, total = np.zeros(n * P), np.empty(P)
    rows = values.reshape(m, n * P)
    for y in range(max(first - radius, 0), min(first + radius, m)):
        _add(columns, rows[y], 1.0)
    for i in range(out.shape[0]):
        y = first + i
        above, below = y - radius - 1, y + radius
        if below < m:
            _add(columns, rows[below], 1.0)
        if above >= 0 and i > 0:
            _add(columns, rows[above], -1.0)
        height = min(below, m - 1) - max(above + 1, 0) + 1
        total[:] = 0.0
        for x in range(min(radius, n)):
            _add(total, columns[x * P : (x + 1) * P], 1.0)
        for x in range(n):
            left, right = x - radius - 1, x + radius
            if right < n:
                _add(total, columns[right * P : (right + 1) * P], 1.0)
            if left >= 0:
                _add(total, columns[left * P : (left + 1) * P], -1.0)
            factor = 1.0 / (height * (min(right, n - 1) - max(left + 1, 0) + 1))
            for p in range(P):
                out[i, x, p] = total[p] * factor


@kernel
def multiply_maps(guide, maps, first, out):
    """Multiply some maps with the guide.

    guide IN (n, 3) float32; maps IN (n, K) float64; first: number of the first map; out OUT (n, 4, LANES)
    float32: red, green and blue times each map, and the map; 0 beyond the last.
    """
    n_maps = min(LANES, maps.shape[1] - first)
    for i in range(guide.shape[0]):
        for k in range(LANES):
            out[i, 3, k] = maps[i, first + k] if k < n_maps else 0.0
        for c in range(3):
            for k in range(LANES):
                out[i, c, k] = guide[i, c] * out[i, 3, k]


@kernel(fastmath=_SUMS)
def solve_coefficients(guide, eps, maps):
    """Turn means within windows into linear coefficients.

    Parameters
    ----------
    guide : IN (n, 9) float32
        Means of the guide's colors and of their products 00, 01, 02, 11, 12, 22.
    eps : float
        Added to the guide's variances.
    maps : INOUT (n, 4, LANES) float32
        Means of the guide's colors times each map, and of the map; become three slopes and a constant.
    """
    for i in range(guide.shape[0]):
        m0, m1, m2 = guide[i, 0], guide[i, 1], guide[i, 2]
        a = guide[i, 3] - m0 * m0 + eps
        b = guide[i, 4] - m0 * m1
        c = guide[i, 5] - m0 * m2
        d = guide[i, 6] - m1 * m1 + eps
        e = guide[i, 7] - m1 * m2
        f = guide[i, 8] - m2 * m2 + eps
        i00, i01, i02 = d * f - e * e, c * e - b * f, b * e - c * d
        i11, i12, i22 = a * f - c * c, b * c - a * e, a * d - b * b
        factor = 1.0 / (a * i00 + b * i01 + c * i02)
        for k in range(LANES):
            p = maps[i, 3, k]
            c0 = (maps[i, 0, k] - m0 * p) * factor
            c1 = (maps[i, 1, k] - m1 * p) * factor
            c2 = (maps[i, 2, k] - m2 * p) * factor
            s0 = i00 * c0 + i01 * c1 + i02 * c2
            s1 = i01 * c0 + i11 * c1 + i12 * c2
            s2 = i02 * c0 + i12 * c1 + i22 * c2
            maps[i, 0, k] = s0
            maps[i, 1, k] = s1
            maps[i, 2, k] = s2
            maps[i, 3, k] = p - s0 * m0 - s1 * m1 - s2 * m2


@kernel(fastmath=_SUMS)
def _between(upper, lower, weight, out):
    for i in range(out.size):
        out[i] = upper[i] + weight * (lower[i] - upper[i])


@kernel(fastmath=_SUMS)
def _values(left, right, share, red, green, blue, out):
    """Filtered values of a pixel. left, right IN (4, LANES): coefficients beside it; out OUT (LANES,)."""
    for k in range(LANES):
        value = left[3, k] + share * (right[3, k] - left[3, k])
        value += red * (left[0, k] + share * (right[0, k] - left[0, k]))
        value += green * (left[1, k] + share * (right[1, k] - left[1, k]))
        out[k] = value + blue * (left[2, k] + share * (right[2, k] - left[2, k]))


@kernel
def label_rows(guide, coefficients, n_maps, rows, row_shares, columns, column_shares, labels):
    """Filter all maps on some rows and write the number of the largest.

    Parameters
    ----------
    guide : IN (R, N, 3) uint8
    coefficients : IN (C, m, n, 4, LANES) float32
        For a guide in [0, 255].
    n_maps : int
    rows, columns : IN (R,) and (N,) int64
        Point of the grid before each pixel.
    row_shares, column_shares : IN (R,) and (N,) float32
        How far towards the next point it lies, in [0, 1]; 0 if there is none.
    labels : INOUT (R, N) int32
        Labels below 0 are kept.
    """
    C, m, n, _, _ = coefficients.shape
    lines = coefficients.reshape(C, m, n * 4 * LANES)
    line = np.empty((C, n * 4 * LANES), dtype=np.float32)
    cells = line.reshape(C, n, 4, LANES)
    values = np.empty(LANES, dtype=np.float32)
    for y in range(labels.shape[0]):
        above = rows[y]
        below = above + 1 if above + 1 < m else above
        for chunk in range(C):
            _between(lines[chunk, above], lines[chunk, below], row_shares[y], line[chunk])
        for x in range(labels.shape[1]):
            if labels[y, x] < 0:
                continue
            left = columns[x]
            right = left + 1 if left + 1 < n else left
            red, green = np.float32(guide[y, x, 0]), np.float32(guide[y, x, 1])
            blue = np.float32(guide[y, x, 2])
            best, winner = values[0], 0
            for chunk in range(C):
                _values(cells[chunk, left], cells[chunk, right], column_shares[x], red, green, blue, values)
                for k in range(LANES):
                    number = chunk * LANES + k
                    if number < n_maps and (number == 0 or values[k] > best):
                        best, winner = values[k], number
            labels[y, x] = winner
