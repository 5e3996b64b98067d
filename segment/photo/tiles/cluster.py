"""Strips on a Dask cluster: every task opens the photo by its path; results come back in order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from segment.data.dask import DaskEngine
from segment.photo.tiles.photo import TiledPhoto

T = TypeVar("T")

# A photo is cut into about so many tasks a pass, of at most so many strips: by its shape only.
_TASKS = 64
_MOST_STRIPS = 8


def groups_of(strips: list[T]) -> list[list[T]]:
    """Return what follows each other in groups, one a task."""
    size = max(1, min(_MOST_STRIPS, len(strips) // _TASKS))
    return [strips[first : first + size] for first in range(0, len(strips), size)]


@dataclass(frozen=True, eq=False)
class _Telling:
    """Calls a function, and tells what reading has told: of bad tiles, of what counts nothing."""

    photo: TiledPhoto
    function: Callable[[Any], Any]

    def __call__(self, item: Any) -> tuple[Any, Any]:
        return self.function(item), self.photo.told()


@dataclass(frozen=True, eq=False)
class Cluster:
    """Workers that see the photo under the path that this process sees it under."""

    engine: DaskEngine

    @property
    def threads_each(self) -> int:
        """Most threads that a worker has."""
        return max(self.engine.client.nthreads().values(), default=1)

    def walk(self, photo: TiledPhoto, function: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
        """Apply a picklable function of a photo to items; yield the results in order."""
        for found, told in self.engine.walk(_Telling(photo, function), items):
            photo.hear(told)
            yield found
