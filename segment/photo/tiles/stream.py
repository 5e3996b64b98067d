"""The pixels of a photo as samples that are read anew in every pass: for more distinct ones than fit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import numpy as np

from segment.data.reduction import reduce_tree
from segment.data.source import Block, Source
from segment.photo.colors import to_features
from segment.photo.tiles.photo import TiledPhoto
from segment.photo.tiles.walk import walk

S = TypeVar("S")
A = TypeVar("A")


class PixelSource(Source):
    """The pixels of positive weight, row by row, as a source of samples.

    Blocks are cut by the number of pixels alone: the strips in which they are read change no bit.

    Parameters
    ----------
    photo : TiledPhoto
    color_space : str
    n_samples : int
        Pixels of positive weight.
    n_threads : int
    """

    def __init__(self, photo: TiledPhoto, color_space: str, n_samples: int, n_threads: int) -> None:
        self._photo, self._space, self._n_threads = photo, color_space, n_threads
        self._n_samples = n_samples
        self._change: Callable[[np.ndarray], np.ndarray] = lambda X: X

    @property
    def n_samples(self) -> int:
        """Number of rows."""
        return self._n_samples

    @property
    def n_features(self) -> int:
        """Number of columns."""
        return self._photo.n_bands

    @property
    def dtype(self) -> np.dtype:
        """float32 or float64."""
        return np.dtype(np.float64 if self._photo.dtype == np.float64 else np.float32)

    def _features(self, strip: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
        """Return features and weights of a strip's pixels of positive weight."""
        read = self._photo.read(strip)
        pixels = read.pixels.reshape(-1, self.n_features)
        weight = np.ones(len(pixels))
        if read.weight is not None:
            counts = read.weight.ravel() > 0
            pixels, weight = pixels[counts], read.weight.ravel()[counts].astype(np.float64)
        return self._change(to_features(pixels, self._space, n_jobs=1)), weight

    def _pieces(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        return walk(self._features, self._photo.strips, self._n_threads)

    def _blocks(self, rows: int) -> Iterator[Block]:
        """Yield blocks of `rows` rows, the last one shorter."""
        held: list[tuple[np.ndarray, np.ndarray]] = []
        n_held, start = 0, 0
        for piece in self._pieces():
            held.append(piece)
            n_held += len(piece[0])
            if n_held < rows:
                continue
            X, weight = _joined(held)
            whole = n_held - n_held % rows
            for first in range(0, whole, rows):
                part = slice(first, first + rows)
                yield Block(X[part], weight[part], start + first)
            held, n_held, start = [(X[whole:], weight[whole:])], n_held - whole, start + whole
        if n_held:
            yield Block(*_joined(held), start)

    def reduce(self, function: Callable[[Block], S], *, rows: int, n_jobs: int | None = None) -> S:
        """Apply `function` to blocks of `rows` rows; return the sum of what it returns."""
        return reduce_tree(self.map(function, rows=rows, n_jobs=n_jobs))

    def map(self, function: Callable[[Block], A], *, rows: int, n_jobs: int | None = None) -> Iterator[A]:
        """Apply `function` to blocks of `rows` rows; yield what it returns, in order."""
        return walk(function, self._blocks(rows), self._n_threads)

    def first_row(self) -> np.ndarray:
        """Return the first row, (n_features,) float64."""
        return next(self._blocks(1)).X[0].astype(np.float64)

    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        """Read all pixels at once."""
        return _joined(list(self._pieces()))

    def changed(self, change: Callable[[np.ndarray], np.ndarray]) -> PixelSource:
        """Return the source of what a function makes of the rows."""
        out = PixelSource(self._photo, self._space, self._n_samples, self._n_threads)
        out._change = lambda X: change(self._change(X))
        return out

    def stamps(self) -> list[Any]:
        """Return by what the pixels are known again: for checkpoints."""
        return [self._photo.sha256, self._photo.selection, self._space]


def _joined(pieces: list[tuple[np.ndarray, np.ndarray]]) -> tuple[Any, Any]:
    if len(pieces) == 1:
        return pieces[0]
    return np.concatenate([X for X, _ in pieces]), np.concatenate([weight for _, weight in pieces])
