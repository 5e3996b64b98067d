"""What the steps of a work take."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter


class Stopwatch:
    """Seconds that the steps of a work take, by name.

    Parameters
    ----------
    notify : callable
        Called with the name of each step as it begins.
    """

    def __init__(self, notify: Callable[[str], None] = lambda name: None) -> None:
        self.seconds: dict[str, float] = {}
        self.notify = notify

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time a step; a step timed twice adds up."""
        self.notify(name)
        start = perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + perf_counter() - start
