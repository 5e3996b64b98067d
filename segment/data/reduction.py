"""Sums of many statistics in one fixed order, with few of them in memory at any time."""

from __future__ import annotations

import operator
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple, TypeVar

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
    return whole_sum(joined(Subtree(i, 1, statistic) for i, statistic in enumerate(statistics)))


class Subtree(NamedTuple):
    """The sum of a run of statistics that begins at a multiple of its length, a power of two.

    Attributes
    ----------
    start, size : int
        Number of the first statistic, and of statistics.
    total : statistic
    """

    start: int
    size: int
    total: Any


def joined(subtrees: Iterable[Subtree]) -> list[Subtree]:
    """Add neighbors that are the halves of a larger subtree, as soon as they are there.

    Any run of statistics comes down to twice as many subtrees as the logarithm of their number, at most;
    runs that follow each other can be joined elsewhere. Totals may be added in place.
    """
    found: list[Subtree] = []
    for start, size, total in subtrees:
        while found and found[-1].size == size and found[-1].start % (2 * size) == 0:
            start, _, left = found.pop()
            total, size = operator.iadd(left, total), 2 * size
        found.append(Subtree(start, size, total))
    return found


def whole_sum(subtrees: list[Subtree]) -> Any:
    """Return the sum of all statistics from what `joined` has made of them."""
    total = subtrees.pop().total
    while subtrees:
        total = operator.iadd(subtrees.pop().total, total)
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
    if len(blocks) == 1:
        # Many short runs over few samples are what a choice of a start takes.
        with single_threaded_blas():
            return function(blocks[0])
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
