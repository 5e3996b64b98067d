"""The parts of k-means that are no matrix product: spread-out first centers, and sums of rows by center."""

import numpy as np

from segment.kernels.compile import kernel


@kernel(fastmath=("reassoc", "contract", "nsz"))
def _squared_distance(a, b):
    total = np.float32(0.0)
    for m in range(len(a)):
        difference = a[m] - b[m]
        total += difference * difference
    return total


@kernel
def spread_rows(rows, draws, chosen):
    """Choose rows far from those chosen before: k-means++ (Arthur & Vassilvitskii 2007).

    rows    IN   (n, d) float32
    draws   IN   (n_chosen,) float64 in [0, 1)
    chosen  OUT  (n_chosen,) int64; where all rows are like chosen ones, any
    """
    n = len(rows)
    nearest = np.full(n, np.inf, np.float32)
    cumulated = np.empty(n)
    chosen[0] = min(int(draws[0] * n), n - 1)
    for c in range(1, len(chosen)):
        center = rows[chosen[c - 1]]
        total = 0.0
        for i in range(n):
            distance = _squared_distance(rows[i], center)
            nearest[i] = min(nearest[i], distance)
            total += nearest[i]
            cumulated[i] = total
        chosen[c] = min(np.searchsorted(cumulated, draws[c] * total, side="right"), n - 1)


@kernel
def add_rows(rows, groups, sums, counts):
    """Add rows up by their group.

    rows    IN    (n, d) float32
    groups  IN    (n,) int64
    sums    INOUT (n_groups, d) float64
    counts  INOUT (n_groups,) int64
    """
    for i in range(len(rows)):
        counts[groups[i]] += 1
        total = sums[groups[i]]
        for m in range(rows.shape[1]):
            total[m] += rows[i, m]
