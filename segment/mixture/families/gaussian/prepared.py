"""Gaussians ready for a pass over samples: the constants that each kernel takes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from segment.data.source import Block
from segment.mixture.families.family import Prepared
from segment.mixture.families.gaussian.moments import Moments
from segment.mixture.families.gaussian.parameters import Parameters

# Rows of a block, by shape of work: enough blocks for the threads to end at about the same time.
_ROWS = 16384
WIDE_ROWS = 4096


class PreparedGaussians(Prepared[Moments]):
    """Gaussians ready for a pass; an engine says how.

    Parameters
    ----------
    parameters : Parameters
    dtype : numpy.dtype
        Of the samples.
    reg : float
        Variance of the blur that every sample is taken to have (see `fit_em`): component k's log density
        loses reg / 2 times the trace of its precision matrix.
    """

    def __init__(self, parameters: Parameters, dtype: np.dtype, reg: float) -> None:
        self.parameters = parameters
        self.dtype = dtype
        factors = parameters.factors
        self.log_scales = parameters.log_scales
        if reg > 0:
            traces = np.square(factors).sum(axis=tuple(range(1, factors.ndim)))
            self.log_scales = self.log_scales - 0.5 * reg * traces

    def zero(self) -> Moments:
        """Return the moments of no samples."""
        K, factors = self.parameters.n_components, self.parameters.factors
        return Moments(np.zeros(K), np.zeros_like(self.parameters.means), np.zeros_like(factors), 0.0)

    def far_log_densities(self, X: np.ndarray) -> np.ndarray:
        """Return log densities less what all components share, of rows whose distances overflow."""
        spread = np.exp2(-np.frexp(np.abs(X).max(axis=1, keepdims=True))[1].astype(np.float64))
        factors, means = self.parameters.factors, self.parameters.means
        forms = factors if factors.ndim == 3 else factors[:, :, None] * np.eye(factors.shape[1])
        differences = (X * spread)[:, None, :] - means * spread[:, :, None]
        scaled = np.einsum("kab,ikb->ika", forms, differences)
        # Relative to the row's least distance: what is not nearest has no share at such distances.
        distances = np.square(scaled).sum(axis=2)
        gaps = distances - distances.min(axis=1, keepdims=True)
        out = np.where(gaps <= 1e-12 * distances, 0.0, -np.inf)
        return np.where(self.parameters.weights > 0, out, -np.inf)


class Narrow(PreparedGaussians):
    """Kernels that are vectorized across samples."""

    rows = _ROWS

    def __init__(
        self,
        kernels: tuple[Callable[..., float], Callable[..., None]],
        parameters: Parameters,
        dtype: np.dtype,
        reg: float,
    ) -> None:
        super().__init__(parameters, dtype, reg)
        self.accumulate_kernel, self.densities_kernel = kernels
        self.constants = (parameters.means, parameters.factors)

    def accumulate(self, block: Block, n_jobs: int | None = 1) -> Moments:
        zero = self.zero()
        sums = (zero.counts, zero.first, zero.second)
        log_likelihood = self.accumulate_kernel(
            block.X, block.sample_weight, self.log_scales, *self.constants, *sums
        )
        return Moments(*sums, log_likelihood)

    def log_densities(self, X: np.ndarray) -> np.ndarray:
        out = np.empty((len(X), self.parameters.n_components))
        self.densities_kernel(X, self.log_scales, *self.constants, out)
        return out
