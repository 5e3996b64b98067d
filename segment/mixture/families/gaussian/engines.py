"""Which kernels serve which shape of Gaussians: a table, and the constants that each kernel takes.

To add a kernel, add an engine to `ENGINES`; the first that serves a form of covariance and a number of
features is taken.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np

from segment.data.reduction import map_in_order
from segment.data.source import Block
from segment.kernels.em import narrow
from segment.mixture.families.family import Prepared
from segment.mixture.families.gaussian.moments import Moments
from segment.mixture.families.gaussian.parameters import Parameters
from segment.parallel import resolve_n_jobs

# Up to here the kernel vectorized across samples beats the one that goes through BLAS.
NARROW = 16

# Rows of a block, by shape of work: enough blocks for the threads to end at about the same time.
_ROWS = 16384
_WIDE_ROWS = 4096


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


class _Narrow(PreparedGaussians):
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


class _Wide(PreparedGaussians):
    """Kernels between BLAS products: full covariances over many features; float32 data stay float32."""

    def __init__(self, parameters: Parameters, dtype: np.dtype, reg: float) -> None:
        super().__init__(parameters, dtype, reg)
        K, D = parameters.means.shape
        ratio = K * D / _WIDE_ROWS
        self.shares_threads = ratio > 1
        # Large moments are at most an eighth of a block.
        self.rows = _WIDE_ROWS * 2 ** math.ceil(math.log2(8 * ratio)) if self.shares_threads else _WIDE_ROWS
        # Near the data, so that products with the factors do not cancel where it lies far from zero.
        self.origin = (parameters.weights @ parameters.means).astype(dtype)
        self.means = parameters.means - self.origin

    def accumulate(self, block: Block, n_jobs: int | None = 1) -> Moments:
        from segment.kernels.em import wide

        zero = self.zero()
        sums = (zero.counts, zero.first, zero.second)
        together = None
        if self.shares_threads:
            threads = resolve_n_jobs(n_jobs)
            together = threads, lambda function, tasks: map_in_order(function, list(tasks), threads)
        log_likelihood = wide.accumulate_full_wide(block.X, block.sample_weight, self.halves, *sums, together)
        return Moments(*sums, log_likelihood)

    def log_densities(self, X: np.ndarray) -> np.ndarray:
        from segment.kernels.em import wide

        out = np.empty((len(X), self.parameters.n_components))
        wide.densities_full_wide(X, self.log_scales, self.origin, self.transposed, self.offsets, out)
        return out

    @cached_property
    def transposed(self) -> np.ndarray:
        """The transposed factors in the samples' dtype, (K, D, D)."""
        return np.ascontiguousarray(np.swapaxes(self.parameters.factors, 1, 2), dtype=self.dtype)

    @cached_property
    def offsets(self) -> np.ndarray:
        """The means less the origin times the factors, (K, D) float64."""
        return np.einsum("ka,kba->kb", self.means, self.parameters.factors)

    @cached_property
    def halves(self) -> Any:
        """What the E-step multiplies with: see `wide.Factors`."""
        from segment.kernels.em import wide

        K, D = self.means.shape
        half, factors = D // 2, self.parameters.factors
        head = np.empty((half, K, half), self.dtype)
        for k, factor in enumerate(factors):
            head[:, k] = factor[:half, :half].T
        # Large factors are not copied where they need not be.
        arrange = np.asarray if self.shares_threads else np.ascontiguousarray
        tail = [arrange(factor[half:].T, dtype=self.dtype) for factor in factors]
        offsets = self.offsets
        return wide.Factors(
            self.log_scales,
            self.origin,
            self.means,
            head.reshape(half, K * half),
            tail,
            np.ascontiguousarray(offsets[:, :half]),
            np.ascontiguousarray(offsets[:, half:]),
        )


@dataclass(frozen=True)
class Engine:
    """A way to pass over samples, and the shapes that it serves.

    Attributes
    ----------
    form : {"full", "diag"}
        Of the factors.
    n_features : range
    prepare : callable
        (parameters, dtype, reg) to `PreparedGaussians`.
    single_rounding : float
        Share of the log-likelihood that rounding may take away with float32 samples.
    """

    form: str
    n_features: range
    prepare: Callable[[Parameters, np.dtype, float], PreparedGaussians]
    single_rounding: float = 1e-11

    def rounding(self, dtype: np.dtype) -> float:
        """Return the share of the log-likelihood that rounding may take away."""
        return self.single_rounding if dtype == np.float32 else 1e-11


_MANY = 1 << 62
ENGINES = (
    Engine("diag", range(1, _MANY), partial(_Narrow, (narrow.accumulate_diag, narrow.densities_diag))),
    Engine("full", range(3, 4), partial(_Narrow, (narrow.accumulate_full_3, narrow.densities_full_3))),
    Engine("full", range(1, NARROW + 1), partial(_Narrow, (narrow.accumulate_full, narrow.densities_full))),
    # Products in float32 take away up to 1e-8 of the log-likelihood.
    Engine("full", range(NARROW + 1, _MANY), _Wide, single_rounding=6e-8),
)


def engine_of(form: str, n_features: int) -> Engine:
    """Return the engine that serves a form of factors and a number of features."""
    return next(engine for engine in ENGINES if engine.form == form and n_features in engine.n_features)
