"""The guided filter of several maps by one color photo, and the arg max of what it leaves.

The filter's coefficients are smooth, so a large photo's are found on a coarser grid and interpolated
(He & Sun 2015). The arg max is taken while interpolating: filtered maps are never stored at full size. Where
coefficients are found, maps are the last axis, `LANES` at a time; where they are used, points of a row are:
every inner loop runs over neighbors, which LLVM turns into vectors (docs/decisions/guided-filter.md).
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
def _add_part(total, values, number, sign):
    """As `_add`, for the values from `number` times as many as there are sums on."""
    _add(total, values[number * total.size : (number + 1) * total.size], sign)


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
            _add_part(total, columns, x, 1.0)
        for x in range(n):
            left, right = x - radius - 1, x + radius
            if right < n:
                _add_part(total, columns, right, 1.0)
            if left >= 0:
                _add_part(total, columns, left, -1.0)
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


@kernel(fastmath=("contract",))
def _between(upper, lower, weight, line):
    """Interpolate between two rows of points; beyond the first and the last nothing changes.

    upper, lower IN (n,); line OUT (n + 2,).
    """
    n = upper.size
    for i in range(n):
        line[i + 1] = upper[i] + weight * (lower[i] - upper[i])
    line[0], line[n + 1] = line[1], line[n]


@kernel(fastmath=("contract",))
def _offer(line, share, colors, number, best, labels):
    """Filter a map at some pixels; take its number where its value is larger than the best so far.

    line IN (4, n + 1): coefficients at the points left of the pixels, and at the one right of the last;
    colors IN (3, n); best, labels INOUT (n,).
    """
    for i in range(best.size):
        value = line[3, i] + share * (line[3, i + 1] - line[3, i])
        value += colors[0, i] * (line[0, i] + share * (line[0, i + 1] - line[0, i]))
        value += colors[1, i] * (line[1, i] + share * (line[1, i + 1] - line[1, i]))
        value += colors[2, i] * (line[2, i] + share * (line[2, i + 1] - line[2, i]))
        labels[i] = number if value > best[i] else labels[i]
        best[i] = value if value > best[i] else best[i]


@kernel
def label_rows(guide, coefficients, rows, shares, step, offset, labels):
    """Filter all maps on some rows and write the number of the largest.

    Pixels at equal distance from the points to their left are filtered together: coefficients of neighboring
    points lie side by side.

    Parameters
    ----------
    guide : IN (R, N, 3) uint8
    coefficients : IN (m, K, 4, n) float32
        For a guide in [0, 255].
    rows : IN (R,) int64
        Point of the grid above each row.
    shares : IN (R,) float32
        How far towards the next point it lies, in [0, 1]; 0 if there is none.
    step, offset : int
        Points lie at the columns offset, offset + step, ...
    labels : INOUT (R, N) int32
        Labels below 0 are kept.
    """
    m, K, _, n = coefficients.shape
    lines, colors = np.empty((K, 4, n + 2), np.float32), np.zeros((3, n + 1), np.float32)
    best, found = np.empty(n + 1, np.float32), np.empty(n + 1, np.int32)
    for y in range(labels.shape[0]):
        above = rows[y]
        below = above + 1 if above + 1 < m else above
        for k in range(K):
            for c in range(4):
                _between(coefficients[above, k, c], coefficients[below, k, c], shares[y], lines[k, c])
        for phase in range(step):
            # Some of the points beyond the first and the last have no pixel.
            for i in range(n + 1):
                x = offset + step * (i - 1) + phase
                if 0 <= x < labels.shape[1]:
                    for c in range(3):
                        colors[c, i] = guide[y, x, c]
                best[i] = -np.inf
                found[i] = 0
            for k in range(K):
                _offer(lines[k], np.float32(phase / step), colors, np.int32(k), best, found)
            for i in range(n + 1):
                x = offset + step * (i - 1) + phase
                if 0 <= x < labels.shape[1] and labels[y, x] >= 0:
                    labels[y, x] = found[i]
