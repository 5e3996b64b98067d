"""Threads over blocks, and BLAS in one thread. Results never depend on how many threads there are.

Blocks are cut by the data's shape alone and reduced in their own order, so that one, two or eight
threads give the same bits. The kernels release the GIL, so plain Python threads are enough
(docs/decisions/numba-threads.md).

The rule for BLAS: a matrix product adds in another order with another number of threads, so BLAS keeps
to one thread wherever results are computed, and our own threads over blocks occupy the cores. `map_blocks`
sees to it for the blocks; what computes between them stands in `single_threaded_blas`.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from numbers import Integral
from typing import Any, TypeVar

from segment.errors import DataError

Block = TypeVar("Block")
Result = TypeVar("Result")

# What a process that is wholly ours sets before NumPy is imported, and hands on to its worker processes.
# OpenMP belongs to it: scikit-learn's k-means adds its threads' sums in the order in which they end.
ONE_THREAD = dict.fromkeys(
    (
        "OPENBLAS_NUM_THREADS",
        "MKL_NUM_THREADS",
        "BLIS_NUM_THREADS",
        "VECLIB_MAXIMUM_THREADS",
        "OMP_NUM_THREADS",
    ),
    "1",
)


def resolve_n_jobs(n_jobs: int | None) -> int:
    """Return the number of threads for `n_jobs`, in joblib's convention.

    Parameters
    ----------
    n_jobs : int or None
        None or -1: every core that this process may use; -2: all but one, and so on, but at least one.

    Returns
    -------
    int

    Raises
    ------
    DataError
        If it is 0 or no integer.
    """
    if n_jobs is None:
        n_jobs = -1
    if not isinstance(n_jobs, Integral) or isinstance(n_jobs, bool) or n_jobs == 0:
        raise DataError(
            f"n_jobs is {n_jobs!r}; allowed are 1, 2, 3, ... threads, -1 (all cores), -2 (all but one), ..., "
            "and None (all cores)"
        )
    return int(n_jobs) if n_jobs > 0 else max(_n_cores() + 1 + int(n_jobs), 1)


def _n_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def block_ranges(n: int, size: int) -> list[tuple[int, int]]:
    """Cut `n` rows into consecutive (start, stop) ranges of at most `size` rows."""
    return [(start, min(start + size, n)) for start in range(0, n, size)]


def map_blocks(
    function: Callable[[Block], Result], blocks: Sequence[Block], n_jobs: int | None = None
) -> list[Result]:
    """Apply `function` to every block in threads, BLAS in one thread; results in the order of the blocks.

    A big product keeps its cores, and the same bits for any `n_jobs`, when its rows are cut by shape:

    >>> import numpy as np
    >>> left, right, out = np.ones((5, 3)), np.ones((3, 2)), np.empty((5, 2))
    >>> def fill(rows):
    ...     np.matmul(left[slice(*rows)], right, out=out[slice(*rows)])
    >>> _ = map_blocks(fill, block_ranges(len(left), 2), n_jobs=2)

    A sum over rows (a covariance) returns one part a block instead; add the parts in their order.
    """
    threads = min(resolve_n_jobs(n_jobs), len(blocks))
    with single_threaded_blas():
        if threads <= 1:
            return [function(block) for block in blocks]
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(threads) as pool:
            return list(pool.map(function, blocks))


class _BlasLimit:
    """Holds BLAS at one thread while anyone is inside, whichever thread came first and leaves last."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._n_inside = 0
        self._limiters: list[Any] = []
        self._controller: Any = None
        self._n_modules = 0

    def enter(self) -> None:
        """Count one more; limit what is not limited yet."""
        with self._lock:
            # A scan takes milliseconds; a BLAS library can only have come with a new module.
            found = self._n_modules != len(sys.modules)
            if found:
                self._scan()
            if found or self._n_inside == 0:
                self._take_control()
                self._limiters.append(self._controller.limit(limits=1))
            self._n_inside += 1

    def leave(self) -> None:
        """Count one less; the last one restores."""
        with self._lock:
            self._n_inside -= 1
            if self._n_inside == 0:
                self._take_control()
                while self._limiters:
                    self._limiters.pop().restore_original_limits()
                self._take_control()

    def _scan(self) -> None:
        from threadpoolctl import ThreadpoolController

        self._controller = ThreadpoolController().select(user_api="blas")
        self._n_modules = len(sys.modules)

    def _take_control(self) -> None:
        """Let this thread set limits: since 3.8, threadpoolctl heeds only the thread that set one first."""
        for library in self._controller.lib_controllers:
            getattr(library, "clear_controlling_thread", lambda force: None)(force=True)


_LIMIT = _BlasLimit()


@contextmanager
def single_threaded_blas() -> Iterator[None]:
    """Limit every BLAS library to one thread; around what computes, or as a decorator of it.

    Entries nest and may come from any thread at any time: the first one limits, the last one to leave
    restores what the program around had set, and one in between costs microseconds. A library that is
    loaded inside is limited by the next entry (`map_blocks` is one).

    >>> @single_threaded_blas()
    ... def fit(X):
    ...     return X.T @ X
    """
    _LIMIT.enter()
    try:
        yield
    finally:
        _LIMIT.leave()
