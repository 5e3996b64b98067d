"""The pixels of a photo as rows that are read anew in every pass: for more distinct ones than fit."""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import numpy as np

from segment.data.rows import Rows
from segment.data.samples import Samples
from segment.data.stored import Engine, StoredSamples, stored
from segment.photo.colors import to_features
from segment.photo.tiles.photo import Strip, TiledPhoto
from segment.photo.tiles.walk import walk


def counting(strip: Strip) -> int:
    """Return the number of pixels of positive weight."""
    return strip.pixels[..., 0].size if strip.weight is None else int(np.count_nonzero(strip.weight))


class PixelRows(Rows):
    """The pixels of positive weight, row by row: their features, and their weight as the last column.

    Parameters
    ----------
    photo : TiledPhoto
    color_space : str
    counts : sequence of int
        Pixels of positive weight in each strip.
    n_strips : int
        Strips that are kept for the next run of rows: about one a thread.
    """

    def __init__(self, photo: TiledPhoto, color_space: str, counts: Sequence[int], n_strips: int) -> None:
        self.photo, self.color_space, self.n_strips = photo, color_space, n_strips
        self.edges = [0, *accumulate(counts)]
        self.name, self.n_rows, self.n_columns = photo.source, self.edges[-1], photo.n_bands + 1
        self._begin()

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._reading = [threading.Lock() for _ in self.photo.strips]
        self._kept: OrderedDict[int, np.ndarray] = OrderedDict()

    def __getstate__(self) -> dict[str, Any]:
        mine = ("_lock", "_reading", "_kept")
        return {name: value for name, value in self.__dict__.items() if name not in mine}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._begin()

    def dtypes(self, columns: Sequence[int]) -> list[Any]:
        return [np.float64 if self.photo.dtype == np.float64 else np.float32]

    def read(self, start: int, stop: int, columns: Sequence[int]) -> np.ndarray:
        """Return a run of rows; `columns` must be all of them."""
        parts = []
        for number in range(bisect_right(self.edges, start) - 1, len(self.edges) - 1):
            first = self.edges[number]
            if first >= stop:
                break
            parts.append(self._strip(number)[max(start - first, 0) : stop - first])
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _strip(self, number: int) -> np.ndarray:
        """Return the rows of a strip; what other threads have just read is not read again."""
        with self._reading[number]:
            with self._lock:
                if (found := self._kept.get(number)) is not None:
                    self._kept.move_to_end(number)
                    return found
            found = self.rows_of(number)
            with self._lock:
                self._kept[number] = found
                while len(self._kept) > self.n_strips:
                    self._kept.popitem(last=False)
            return found

    def rows_of(self, number: int) -> np.ndarray:
        """Read the rows of a strip."""
        strip = self.photo.read(self.photo.strips[number])
        pixels: Any = strip.pixels.reshape(-1, self.photo.n_bands)
        weight = np.ones(len(pixels), np.float32) if strip.weight is None else strip.weight.ravel()
        counts = weight > 0
        if not counts.all():
            pixels, weight = pixels[counts], weight[counts]
        features = to_features(pixels, self.color_space, n_jobs=1)
        return np.column_stack([features, weight.astype(features.dtype)])

    def place(self, row: int) -> str:
        return f"{self.name}, pixel {row} of those that count"

    def stamps(self) -> list[Any]:
        """Return by what the pixels are known again."""
        return [self.photo.sha256, self.photo.selection, self.color_space]


def pixel_source(rows: PixelRows, engine: Engine | None) -> StoredSamples:
    """Return pixels as samples that are read anew in every pass."""
    features = range(rows.n_columns - 1)
    return stored(rows, features, weight=rows.n_columns - 1, engine=engine)


def pixels_in_memory(rows: PixelRows, n_threads: int) -> Samples:
    """Read all pixels at once."""
    strips = list(walk(rows.rows_of, range(len(rows.photo.strips)), n_threads))
    X = np.concatenate([strip[:, :-1] for strip in strips])
    return Samples(X, np.concatenate([strip[:, -1] for strip in strips]).astype(np.float64))
