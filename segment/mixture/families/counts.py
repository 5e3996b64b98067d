"""What families of counts share: which samples are counts, and the logarithms of their factorials."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from segment.data.source import Block
from segment.errors import DataError
from segment.kernels.em import discrete as kernels

# Counts whose factorials are looked up; larger ones are computed.
_TABLE = 1024

# Beyond it a float64 leaves out whole numbers.
_LARGEST = 2.0**53


def check_counts(X: np.ndarray) -> None:
    """Raise `DataError` if a value is none of 0, 1, 2, ..."""
    wrong = X[~((X >= 0) & (np.floor(X) == X) & (X <= _LARGEST))]
    if wrong.size:
        negative = "Negative values in data: " if wrong.min() < 0 else ""
        raise DataError(f"{negative}a count is {wrong[0]:g}; whole numbers from 0 to 2^53 are allowed")


@lru_cache(maxsize=1)
def _table() -> np.ndarray:
    return np.array([math.lgamma(x + 1.0) for x in range(_TABLE)])


def log_factorials(X: np.ndarray) -> np.ndarray:
    """Return the sum of log(x!) of each row of counts, (n,) float64."""
    out = np.empty(len(X))
    kernels.log_factorials(X, _table(), out)
    return out


def weighted_factorials(block: Block) -> float:
    """Return the weighted sum of log(x!) over a block."""
    return float(block.sample_weight @ log_factorials(block.X))
