"""Where plain EM ends from every one of many starts: two Gaussians in one dimension."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from segment.parallel import block_ranges, map_blocks

# Starts a thread takes at a time: fits differ in length, so blocks are many.
_STARTS = 64


@dataclass(frozen=True, eq=False)
class PairFits:
    """Fits of two components to one set of samples, one a start.

    Attributes
    ----------
    weights, means, variances : (n_starts, 2) float64 ndarrays
    log_likelihoods : (n_starts,) float64 ndarray
        In nats.
    n_iter : (n_starts,) int64 ndarray
    """

    weights: np.ndarray
    means: np.ndarray
    variances: np.ndarray
    log_likelihoods: np.ndarray
    n_iter: np.ndarray


def fit_pairs(
    x: np.ndarray,
    means: np.ndarray,
    *,
    relative_reg: float,
    tol: float = 1e-8,
    max_iter: int = 20000,
    n_jobs: int | None = None,
) -> PairFits:
    """Fit two Gaussians from every pair of starting means; weights start at 1/2, variances at that of `x`.

    Parameters
    ----------
    x : (n,) float64 ndarray
    means : (n_starts, 2) float64 ndarray
    relative_reg : float
        As in `fit_em`: a multiple of the variance of `x`.
    tol : float
        Smallest gain of an EM step, nats a sample.
    max_iter : int
    n_jobs : int, optional
        Threads; the result does not depend on it.
    """
    from segment.kernels.em import basin

    n = len(means)
    weights, means = np.full(n, 0.5), np.array(means, dtype=np.float64)
    variances = np.full((n, 2), np.var(x))
    log_likelihoods, n_iter = np.empty(n), np.empty(n, dtype=np.int64)
    reg = relative_reg * float(np.var(x))

    def fit(rows: tuple[int, int]) -> None:
        part = slice(*rows)
        basin.fit_pairs(
            x,
            weights[part],
            means[part],
            variances[part],
            reg,
            tol,
            max_iter,
            log_likelihoods[part],
            n_iter[part],
        )

    map_blocks(fit, block_ranges(n, _STARTS), n_jobs)
    both = np.stack([weights, 1.0 - weights], axis=1)
    return PairFits(both, means, variances, log_likelihoods, n_iter)
