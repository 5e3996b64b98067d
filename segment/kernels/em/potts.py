"""Mean-field updates of a Potts field on a grid of pixels, in place.

Pixels of one class (row parity, column parity) are no neighbors of each other, so that a class may be updated
in any order: four classes make a sweep, with the same bits on any number of threads.
"""

import math

import numpy as np

from segment.kernels.compile import kernel


@kernel
def _neighbors(field, i, j, diagonal, sums):
    """Sum the beliefs of the neighbors of a pixel. field IN (M, N, K); sums OUT (K,)."""
    M, N, K = field.shape
    for k in range(K):
        sums[k] = 0.0
    for a in range(max(i - 1, 0), min(i + 2, M)):
        for b in range(max(j - 1, 0), min(j + 2, N)):
            apart = abs(a - i) + abs(b - j)
            if apart == 1 or (diagonal and apart == 2):
                for k in range(K):
                    sums[k] += field[a, b, k]


@kernel
def update_class(log_densities, field, strength, diagonal, first, stop, odd_row, odd_column):
    """Update the beliefs of one class of pixels between two rows.

    Parameters
    ----------
    log_densities : IN (M, N, K) float64
    field : INOUT (M, N, K) float64
        Beliefs; they sum to 1 at every pixel.
    strength : float
        By how much a like neighbor raises a log probability.
    diagonal : bool
        Whether pixels that touch by a corner are neighbors.
    first, stop : int
        Rows.
    odd_row, odd_column : int
        The class, 0 or 1 each.
    """
    K = field.shape[2]
    row = np.empty(K)
    for i in range(first + (first + odd_row) % 2, stop, 2):
        for j in range(odd_column, field.shape[1], 2):
            _neighbors(field, i, j, diagonal, row)
            largest = -np.inf
            for k in range(K):
                row[k] = log_densities[i, j, k] + strength * row[k]
                largest = max(largest, row[k])
            total = 0.0
            for k in range(K):
                row[k] = math.exp(row[k] - largest)
                total += row[k]
            for k in range(K):
                field[i, j, k] = row[k] / total


@kernel
def energies(log_densities, field, diagonal, first, stop):
    """Sums of a field between two rows.

    Returns
    -------
    float, float
        Expected log densities plus the entropy of the beliefs; expected number of like pairs of neighbors,
        those with the row after `stop` included.
    """
    M, N, K = field.shape
    own, pairs = 0.0, 0.0
    for i in range(first, stop):
        for j in range(N):
            for k in range(K):
                share = field[i, j, k]
                if share > 0.0:
                    own += share * (log_densities[i, j, k] - math.log(share))
                    if j + 1 < N:
                        pairs += share * field[i, j + 1, k]
                    if i + 1 < M:
                        pairs += share * field[i + 1, j, k]
                        if diagonal and j + 1 < N:
                            pairs += share * field[i + 1, j + 1, k]
                        if diagonal and j > 0:
                            pairs += share * field[i + 1, j - 1, k]
    return own, pairs


@kernel
def pseudo_slopes(field, strength, diagonal, first, stop):
    """First and second derivative of a field's log pseudo-likelihood by its strength, between two rows."""
    _, N, K = field.shape
    sums, row = np.empty(K), np.empty(K)
    slope, curvature = 0.0, 0.0
    for i in range(first, stop):
        for j in range(N):
            _neighbors(field, i, j, diagonal, sums)
            largest = sums.max()
            total, mean, square = 0.0, 0.0, 0.0
            for k in range(K):
                row[k] = math.exp(strength * (sums[k] - largest))
                total += row[k]
                mean += row[k] * sums[k]
                square += row[k] * sums[k] * sums[k]
            mean /= total
            for k in range(K):
                slope += field[i, j, k] * (sums[k] - mean)
            curvature -= square / total - mean * mean
    return slope, curvature
