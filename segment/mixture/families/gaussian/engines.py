"""Which kernels serve which shape of Gaussians: a table.

To add a kernel, add an engine to `ENGINES`; the first that serves a type of covariance and a number of
features is taken.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from segment.kernels.em import narrow
from segment.mixture.families.gaussian.covariance import CovarianceType
from segment.mixture.families.gaussian.parameters import Parameters
from segment.mixture.families.gaussian.prepared import Narrow, PreparedGaussians

# From here on products of matrices beat the kernel that is vectorized across samples: by type of covariance.
WIDE = {"full": 17, "tied": 8, "diag": 24}

_MOST = 1 << 62


@dataclass(frozen=True)
class Engine:
    """A way to pass over samples, and the shapes that it serves.

    Attributes
    ----------
    serves : str
        Name of a type of covariance, or of a form of factors.
    n_features : range
    prepare : callable
        (parameters, dtype, reg) to `PreparedGaussians`.
    single_rounding : float
        Share of the log-likelihood that rounding may take away with float32 samples.
    """

    serves: str
    n_features: range
    prepare: Callable[[Parameters, np.dtype, float], PreparedGaussians]
    single_rounding: float = 1e-11

    def rounding(self, dtype: np.dtype) -> float:
        """Return the share of the log-likelihood that rounding may take away."""
        return self.single_rounding if dtype == np.float32 else 1e-11


# Kernels for many features are loaded where they are needed: colors have few.


def _wide(parameters: Parameters, dtype: np.dtype, reg: float) -> PreparedGaussians:
    from segment.mixture.families.gaussian.wide import Wide

    return Wide(parameters, dtype, reg)


def _pooled(parameters: Parameters, dtype: np.dtype, reg: float) -> PreparedGaussians:
    from segment.mixture.families.gaussian.products import PooledProducts

    few = parameters.n_features < WIDE["full"]
    return PooledProducts(_triangular if few else _wide, parameters, dtype, reg)


def _expanded(parameters: Parameters, dtype: np.dtype, reg: float) -> PreparedGaussians:
    from segment.mixture.families.gaussian.products import DiagonalProducts

    return DiagonalProducts(_diagonal, parameters, dtype, reg)


_diagonal = partial(Narrow, (narrow.accumulate_diag, narrow.densities_diag))
_three = partial(Narrow, (narrow.accumulate_full_3, narrow.densities_full_3))
_triangular = partial(Narrow, (narrow.accumulate_full, narrow.densities_full))

ENGINES = (
    Engine("tied", range(WIDE["tied"], WIDE["full"]), _pooled),
    # Products in float32 take away up to 1e-8 of the log-likelihood.
    Engine("tied", range(WIDE["full"], _MOST), _pooled, single_rounding=6e-8),
    Engine("full", range(3, 4), _three),
    Engine("full", range(1, WIDE["full"]), _triangular),
    Engine("full", range(WIDE["full"], _MOST), _wide, single_rounding=6e-8),
    Engine("diag", range(1, WIDE["diag"]), _diagonal),
    Engine("diag", range(WIDE["diag"], _MOST), _expanded),
)


def engine_of(kind: CovarianceType, n_features: int) -> Engine:
    """Return the engine that serves a type of covariance and a number of features."""
    return next(
        engine
        for engine in ENGINES
        if engine.serves in (kind.name, kind.form) and n_features in engine.n_features
    )
