"""Sums of many statistics in one fixed order, with few of them in memory at any time."""

from __future__ import annotations

import operator
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from segment.parallel import resolve_n_jobs, single_threaded_blas

B = TypeVar("B")
S = TypeVar("S")

# Subtrees that each thread sums on its own: enough for the threads to end at about the same time.
_SUBTREES_EACH = 8

# Blocks that each thread may have done before the first of them is taken.
_AHEAD = 8


def reduce_tree(statistics: Iterable[S]) -> S:
    """Add statistics in pairs of neighbors, then pairs of these, and so on; return the sum.

    The order of additions depends on their number only. A run of them that begins at a multiple of a power of
    two and is as long (the last may be shorter) can be summed elsewhere: its sum takes the run's place and
    the result has the same bits.

    Parameters
    ----------
    statistics : iterable
        At least one. As many as the logarithm of their number are held at a time; they may be added in place.

    Returns
    -------
    statistic
    """
    # Complete subtrees, largest first, as in a binary counter.
    subtrees: list[tuple[int, Any]] = []
    for statistic in statistics:
        size, total = 1, statistic
        while subtrees and subtrees[-1][0] == size:
            total = operator.iadd(subtrees.pop()[1], total)
            size *= 2
        subtrees.append((size, total))
    total = subtrees.pop()[1]
    while subtrees:
        total = operator.iadd(subtrees.pop()[1], total)
    return total


def reduce_blocks(function: Callable[[B], S], blocks: Sequence[B], n_jobs: int | None = None) -> S:
    """Apply `function` to every block, in threads, and sum the results as `reduce_tree` does.

    Parameters
    ----------
    function : callable
    blocks : sequence
        At least one.
    n_jobs : int, optional
        Threads; the result does not depend on it, bit for bit.

    Returns
    -------
    statistic
    """
    threads = min(resolve_n_jobs(n_jobs), len(blocks))
    size = 1
    while size * threads * _SUBTREES_EACH < len(blocks):
        size *= 2

    def subtree(start: int) -> S:
        return reduce_tree(function(block) for block in blocks[start : start + size])

    return reduce_tree(map_in_order(subtree, range(0, len(blocks), size), threads))


def map_in_order(function: Callable[[B], S], blocks: Sequence[B], n_jobs: int | None = None) -> Iterator[S]:
    """Apply `function` to every block, in threads; yield the results in order, as soon as they are there.

    The threads are a few blocks ahead of what has been taken, no more: results may be large.
    """
    threads = min(resolve_n_jobs(n_jobs), len(blocks))
    with single_threaded_blas():
        if threads <= 1:
            yield from map(function, blocks)
            return
        with ThreadPoolExecutor(threads) as pool:
            ahead: deque[Future[S]] = deque()
            try:
                for block in blocks:
                    ahead.append(pool.submit(function, block))
                    if len(ahead) > _AHEAD * threads:
                        yield ahead.popleft().result()
                while ahead:
                    yield ahead.popleft().result()
            finally:
                for future in ahead:
                    future.cancel()
