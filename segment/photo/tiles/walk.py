"""Strips one after the other, several at a time, results in order and few of them in memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from segment.parallel import single_threaded_blas

A = TypeVar("A")
B = TypeVar("B")

# Told of each step: its name, what is done and how much there is.
Notify = Callable[[str, int, int], None]


def quietly(step: str, done: int, total: int) -> None:
    """Tell nobody."""


def walk(function: Callable[[A], B], items: Iterable[A], n_threads: int) -> Iterator[B]:
    """Apply `function` to items in threads; yield the results in order, no more than a few ahead."""
    with single_threaded_blas():
        if n_threads <= 1:
            yield from map(function, items)
            return
        with ThreadPoolExecutor(n_threads) as pool:
            pending: deque[Future[B]] = deque()
            try:
                for item in items:
                    pending.append(pool.submit(function, item))
                    if len(pending) > n_threads:
                        yield pending.popleft().result()
                while pending:
                    yield pending.popleft().result()
            finally:
                pool.shutdown(cancel_futures=True)
