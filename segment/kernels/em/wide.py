"""EM kernels for many features (PCA scores of digits): products of matrices, and what lies between them.

What they are for: segment/mixture/families/gaussian/wide.py and products.py. Products of full covariances
are made inside, so that a thread asks for the interpreter a few times a block, not after every product:
threads that wait for it in turn hardly gain from a second core. float32 data is multiplied in float32; all
that is summed over blocks is float64.
"""

import math

import numpy as np

from segment.kernels.compile import kernel

_SUMS = ("reassoc", "contract", "nsz")

_LOG_NEGLIGIBLE = -52.0 * math.log(2.0)


@kernel(fastmath=_SUMS)
def _add_squares(y, z, first, second, out):
    for i in range(out.shape[0]):
        a = np.float64(y[i]) - first
        b = np.float64(z[i]) - second
        out[i] += a * a + b * b


@kernel(fastmath=_SUMS)
def _add_square(y, offset, out):
    for i in range(out.shape[0]):
        a = np.float64(y[i]) - offset
        out[i] += a * a


@kernel(fastmath=_SUMS)
def _take_from(log_scale, out):
    for i in range(out.shape[0]):
        out[i] = log_scale - 0.5 * out[i]


@kernel
def _keep_larger(bound, k, best, candidate):
    for i in range(bound.shape[0]):
        larger = bound[i] > best[i]
        candidate[i] = k if larger else candidate[i]
        best[i] = bound[i] if larger else best[i]


@kernel
def _upper_bounds(Y, offsets, log_scales, start, bounds, best, candidate):
    """Bound the log densities of rows from `start` by the first features; name the largest bound's component.

    Y IN (K h, n): factors times first features; offsets IN (K, h); bounds OUT (K, N); best scratch (>= n,);
    candidate OUT (N,).
    """
    K, h = offsets.shape
    stop = start + Y.shape[1]
    best = best[: Y.shape[1]]
    best[:] = -np.inf
    candidate[start:stop] = 0
    for k in range(K):
        bound, y = bounds[k, start:stop], Y[k * h : (k + 1) * h]
        bound[:] = 0.0
        for a in range(0, h - 1, 2):
            _add_squares(y[a], y[a + 1], offsets[k, a], offsets[k, a + 1], bound)
        if h % 2 == 1:
            _add_square(y[h - 1], offsets[k, h - 1], bound)
        _take_from(log_scales[k], bound)
        _keep_larger(bound, k, best, candidate[start:stop])


@kernel
def _select_candidates(candidate, n_components, rows, starts):
    """List, component by component, the rows whose candidate it is. rows OUT (n,); starts OUT (K + 1,)."""
    count = 0
    for k in range(n_components):
        starts[k] = count
        for i in range(candidate.shape[0]):
            if candidate[i] == k:
                rows[count] = i
                count += 1
    starts[n_components] = count


@kernel
def _select_others(candidate, bounds, least, rows, starts):
    """List the rows that a component can still matter for; set its other bounds to -inf.

    bounds INOUT (K, n), exact for the candidates; least scratch (n,); rows OUT (K n + 1,); starts OUT
    (K + 1,).
    """
    for i in range(candidate.shape[0]):
        least[i] = bounds[candidate[i], i] + _LOG_NEGLIGIBLE
    count = np.int64(0)
    for k in range(bounds.shape[0]):
        starts[k] = count
        bound = bounds[k]
        for i in range(candidate.shape[0]):
            # Written without a branch; the next row takes the place where this one does not count.
            matters = bound[i] > least[i]
            rows[count] = i
            count += np.int64(matters & (candidate[i] != k))
            bound[i] = bound[i] if matters else -np.inf
    starts[bounds.shape[0]] = count


@kernel
def _gather(X, rows, out):
    """Copy rows. X IN (N, D); rows IN (n,); out OUT (>= n, D)."""
    for j in range(rows.shape[0]):
        i = rows[j]
        for a in range(X.shape[1]):
            out[j, a] = X[i, a]


@kernel(fastmath=_SUMS)
def _finish_bound(Y, offset, rows, bound):
    """Take the other features off a bound. Y IN (n, m); offset IN (m,); rows IN (n,); bound INOUT (N,)."""
    for j in range(rows.shape[0]):
        total = 0.0
        for a in range(offset.shape[0]):
            y = np.float64(Y[j, a]) - offset[a]
            total += y * y
        bound[rows[j]] -= 0.5 * total


@kernel(fastmath=_SUMS)
def weighted_differences(X, mean, share, out):
    """Write rows sqrt(r) (x - mean, 1) of positive share r; return their number.

    X IN (n, D); mean IN (D,); share IN (n,); out OUT (>= that number, D + 1). With the root itself
    in the last column, all three moments come out of one product.
    """
    n, D = X.shape
    count = 0
    for i in range(n):
        if share[i] > 0.0:
            root = math.sqrt(share[i])
            for a in range(D):
                out[count, a] = root * (X[i, a] - mean[a])
            out[count, D] = root
            count += 1
    return count


@kernel
def _add_product(product, k, counts, first, second):
    """Take a product of such rows apart. product IN (D + 1, D + 1); counts, first, second INOUT."""
    D = product.shape[0] - 1
    counts[k] += product[D, D]
    for a in range(D):
        first[k, a] += product[D, a]
        for b in range(D):
            second[k, a, b] += product[a, b]


@kernel
def _bound(first, head, offsets, log_scales, products, step, bounds, best, candidate):
    """Bound all log densities by the first features, `step` rows at a time."""
    for start in range(0, first.shape[0], step):
        rows = first[start : min(start + step, first.shape[0])]
        Y = products[: head.shape[0] * rows.shape[0]].reshape(head.shape[0], rows.shape[0])
        np.dot(head, rows.T, Y)
        _upper_bounds(Y, offsets, log_scales, start, bounds, best, candidate)


@kernel
def _finish(X, tail, offsets, rows, starts, gathered, products, bounds):
    """Make the selected bounds exact. tail IN (K, D, m); bounds INOUT (K, n)."""
    for k in range(tail.shape[0]):
        mine = rows[starts[k] : starts[k + 1]]
        n = mine.shape[0]
        if n > 0:
            _gather(X, mine, gathered)
            np.dot(gathered[:n], tail[k], products[:n])
            _finish_bound(products[:n], offsets[k], mine, bounds[k])


@kernel
def log_densities_that_matter(X, first, log_scales, head, tail, head_offsets, tail_offsets, step, bounds):
    """Write the log densities of rows, -inf where a component cannot matter.

    Parameters
    ----------
    X, first : IN (n, D), (n, h)
        Rows less the origin, and their first features.
    log_scales : IN (K,) float64
    head : IN (K h, h)
        The first rows of the inverse Cholesky factors, below each other.
    tail : IN (K, D, D - h)
        Their other rows, transposed.
    head_offsets, tail_offsets : IN (K, h), (K, D - h) float64
        Means less the origin, times those.
    step : int
        Rows whose first features are multiplied at a time: the products stay in the second-level cache.
    bounds : OUT (K, n) float64
    """
    K, n = bounds.shape
    heads = np.empty(head.shape[0] * min(step, n), head.dtype)
    gathered, products = np.empty(X.shape, X.dtype), np.empty((n, tail.shape[2]), X.dtype)
    rows, starts = np.empty(K * n + 1, np.int64), np.empty(K + 1, np.int64)
    candidate, least = np.empty(n, np.int64), np.empty(n)
    _bound(first, head, head_offsets, log_scales, heads, step, bounds, least, candidate)
    _select_candidates(candidate, K, rows, starts)
    _finish(X, tail, tail_offsets, rows, starts, gathered, products, bounds)
    _select_others(candidate, bounds, least, rows, starts)
    _finish(X, tail, tail_offsets, rows, starts, gathered, products, bounds)


@kernel
def add_moments(X, means, shares, begin, end, counts, first, second):
    """Add the moments about the means of components `begin` to `end`.

    X IN (n, D); means IN (K, D); shares IN (K, n); counts, first, second INOUT (K,), (K, D), (K, D, D)
    float64.
    """
    n, D = X.shape
    weighted, product = np.empty((n, D + 1), X.dtype), np.empty((D + 1, D + 1), X.dtype)
    for k in range(begin, end):
        found = weighted[: weighted_differences(X, means[k], shares[k], weighted)]
        np.dot(found.T, found, product)
        _add_product(product, k, counts, first, second)


@kernel
def shifted(X, origin, out):
    """Write rows (x - origin, 1). X IN (n, D); origin IN (D,); out OUT (n, D + 1) float64."""
    D = X.shape[1]
    for i in range(X.shape[0]):
        row, terms = X[i], out[i]
        for a in range(D):
            terms[a] = row[a] - origin[a]
        terms[D] = 1.0


@kernel
def shifted_squares(X, origin, out):
    """Write rows ((x - origin)^2, x - origin, 1). As `shifted`; out OUT (n, 2 D + 1) float64."""
    D = X.shape[1]
    for i in range(X.shape[0]):
        row, squares, terms = X[i], out[i, :D], out[i, D:]
        for a in range(D):
            terms[a] = row[a] - origin[a]
        for a in range(D):
            squares[a] = terms[a] * terms[a]
        terms[D] = 1.0


@kernel(fastmath=_SUMS)
def subtract_half_norms(Y, offset, out):
    """out[i] -= ||Y[i] - offset||^2 / 2. Y IN (n, D); offset IN (D,); out INOUT (n,), any stride."""
    for i in range(Y.shape[0]):
        total = 0.0
        for a in range(offset.shape[0]):
            y = np.float64(Y[i, a]) - offset[a]
            total += y * y
        out[i] -= 0.5 * total
