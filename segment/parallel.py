"""Threads over blocks. Results never depend on how many threads there are.

Blocks are cut by the data's shape alone and reduced in their own order, so that one, two or eight
threads give the same bits. The kernels release the GIL, so plain Python threads are enough: Numba's
`parallel=True` was tried and rejected (23 s to compile one EM kernel instead of one).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from segment.errors import DataError

Block = TypeVar("Block")
Result = TypeVar("Result")


def resolve_n_jobs(n_jobs: int | None) -> int:
    """Return the number of threads for `n_jobs` (None or -1: every core this process may use)."""
    if n_jobs is None or n_jobs == -1:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if n_jobs < 1:
        raise DataError(f"n_jobs is {n_jobs}; allowed are -1 (all cores) and 1, 2, 3, ...")
    return int(n_jobs)


def block_ranges(n: int, size: int) -> list[tuple[int, int]]:
    """Cut `n` rows into consecutive (start, stop) ranges of at most `size` rows."""
    return [(start, min(start + size, n)) for start in range(0, n, size)]


def map_blocks(
    function: Callable[[Block], Result], blocks: Sequence[Block], n_jobs: int | None = None
) -> list[Result]:
    """Apply `function` to every block in a thread pool; results come in the order of the blocks."""
    threads = min(resolve_n_jobs(n_jobs), len(blocks))
    if threads <= 1:
        return [function(block) for block in blocks]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(function, blocks))


@contextmanager
def single_threaded_blas() -> Iterator[None]:
    """Limit BLAS to one thread: the threads here already occupy the cores.

    Enter it around a pool of threads: OpenBLAS ignores the order of any but the main thread.
    """
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1, user_api="blas"):
        yield
