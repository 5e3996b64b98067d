"""The first pass: count colors, and pick the pixels that later steps need (smoothing, the range of bands)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Any, NamedTuple

import numpy as np

from segment.data.samples import Samples
from segment.mixture.expectation import assign
from segment.mixture.families.gaussian.parameters import Parameters
from segment.photo.colors import to_features
from segment.photo.photo import SHOWN
from segment.photo.smooth import Grid
from segment.photo.tiles.photo import Strip, TiledPhoto, shown_bands
from segment.photo.tiles.stream import PixelSource
from segment.photo.tiles.tables import ColorTable, KeyTable, Table, color_keys, table_for
from segment.photo.tiles.walk import Notify, quietly, walk
from segment.photo.where import nothing_left

# A table of distinct values that are more than this share of the pixels is given up where memory is short.
DISTINCT_SHARE = 0.5

# Values that decide between which bands are shown: rows and columns taken, at least.
_SHOWN_ROWS, _SHOWN_COLUMNS = 1000, 4096


class Points(NamedTuple):
    """The pixels at the points of the smoothing's grid: pixels (m, n, D), and which count (m, n)."""

    pixels: np.ndarray
    counts: np.ndarray


@dataclass
class Counted:
    """What the first pass has found.

    Attributes
    ----------
    samples : Source
        Distinct colors with their weights, or all pixels.
    values : (n, D) ndarray or None
        Distinct colors in the photo's own type; None where pixels stand for themselves.
    n_distinct : int or None
        None where it is not known.
    points : Points
    how : str
        "table", "memory" or "stream".
    label_pixels : callable
        From parameters to a function that labels pixels (n, D).
    """

    samples: Any
    values: np.ndarray | None
    n_distinct: int | None
    points: Points
    how: str
    label_pixels: Callable[[Parameters], Callable[[np.ndarray], np.ndarray]] = field(repr=False)


class _Found(NamedTuple):
    """What a strip gives: the number of pixels that count, points, values of bands."""

    n_counting: int
    points: Points
    shown: np.ndarray


class _Pass:
    """The first pass over a photo, a table a thread."""

    def __init__(self, photo: TiledPhoto, n_threads: int, memory: int) -> None:
        self._photo, self._n_threads, self._memory = photo, n_threads, memory
        self.grid = Grid.of(photo.shape)
        make = table_for(photo.n_bands, photo.dtype)
        self.tables: list[Table] = [make() for _ in range(n_threads)] if make else []
        self._free: SimpleQueue[Table] = SimpleQueue()
        for table in self.tables:
            self._free.put(table)

    def _look(self, cut: tuple[int, int]) -> _Found:
        strip = self._photo.read(cut)
        pixels = strip.pixels.reshape(-1, strip.pixels.shape[2])
        weight = None if strip.weight is None else strip.weight.ravel()
        if self.tables:
            table = self._free.get()
            try:
                table.add(pixels, weight)
            finally:
                self._free.put(table)
        n = len(pixels) if weight is None else int(np.count_nonzero(weight))
        return _Found(n, self._points(strip), self._shown(strip))

    def _points(self, strip: Strip) -> Points:
        first = (
            -(strip.start - self.grid.offset) % self.grid.step
            if strip.start > self.grid.offset
            else (self.grid.offset - strip.start)
        )
        at = slice(first, None, self.grid.step), self.grid.columns
        pixels = strip.pixels[at].copy()
        counts = np.ones(pixels.shape[:2], dtype=bool) if strip.weight is None else strip.weight[at] > 0
        return Points(pixels, counts)

    def _shown(self, strip: Strip) -> np.ndarray:
        """Return values of the bands that are shown, (n, 3), from rows and columns evenly apart."""
        if self._photo.is_color:
            return np.empty((0, 3))
        steps = [
            max(1, size // most)
            for size, most in zip(self._photo.shape, (_SHOWN_ROWS, _SHOWN_COLUMNS), strict=True)
        ]
        at = slice(-strip.start % steps[0], None, steps[0]), slice(None, None, steps[1])
        values = strip.pixels[at][:, :, shown_bands(strip.pixels.shape[2])].reshape(-1, 3)
        return values if strip.weight is None else values[strip.weight[at].ravel() > 0]

    def run(self, notify: Notify) -> tuple[int, Points]:
        """Look at every strip; return the number of pixels that count, and the grid's points."""
        found: list[_Found] = []
        seen = 0
        for number, strip in enumerate(walk(self._look, self._photo.strips, self._n_threads), 1):
            found.append(strip)
            seen += strip.n_counting
            self._judge(seen)
            notify("count", number, len(self._photo.strips))
        self._photo.check_unchanged()
        if seen == 0:
            raise nothing_left(self._photo.outside, self._photo.n_pixels, self._photo.source)
        if not self._photo.is_color:
            low, high = np.percentile(np.concatenate([strip.shown for strip in found]), SHOWN, axis=0)
            self._photo.show_range(low, high)
        points = Points(
            *(np.concatenate(parts) for parts in zip(*(strip.points for strip in found), strict=True))
        )
        return seen, points

    def _judge(self, seen: int) -> None:
        """Give up tables that neither pay nor fit."""
        n_distinct = sum(table.n_distinct for table in self.tables if isinstance(table, KeyTable))
        size = sum(table.nbytes for table in self.tables)
        if n_distinct > DISTINCT_SHARE * seen and 4 * size > self._memory:
            self.tables = []


def count(
    photo: TiledPhoto, color_space: str, n_threads: int, memory: int, notify: Notify = quietly
) -> Counted:
    """Go over a photo once; return what there is to fit.

    Parameters
    ----------
    photo : TiledPhoto
    color_space : str
    n_threads : int
    memory : int
        Bytes that may be taken, about.
    notify : callable
        Told of each strip.

    Returns
    -------
    Counted
        8-bit colors always as distinct colors. Other pixels of up to 8 bytes likewise, unless more than half
        of them are distinct and the table would not fit; those, and pixels of more bytes, are as they are: in
        memory where they fit, else read anew in every pass of the fit.
    """
    work = _Pass(photo, n_threads, memory)
    seen, points = work.run(notify)
    if work.tables:
        table = work.tables[0]
        for other in work.tables[1:]:
            table.merge(other)
        values, weights = table.listed()
        samples = Samples.of(to_features(values, color_space, n_jobs=n_threads), weights)
        label = _by_table if isinstance(table, ColorTable) else _by_key
        return Counted(samples, values, len(values), points, "table", lambda p: label(values, samples, p))
    source = PixelSource(photo, color_space, seen, n_threads)

    def label_anew(parameters: Parameters) -> Callable[[np.ndarray], np.ndarray]:
        return lambda pixels: assign(to_features(pixels, color_space, n_jobs=1), parameters, n_jobs=1)

    fits = 2 * seen * (source.n_features * source.dtype.itemsize + 8) < memory
    return Counted(
        Samples(*source.arrays()) if fits else source,
        None,
        None,
        points,
        "memory" if fits else "stream",
        label_anew,
    )


def _by_table(
    values: np.ndarray, samples: Samples, parameters: Parameters
) -> Callable[[np.ndarray], np.ndarray]:
    from segment.kernels.image.colors import TABLE_SIZE, look_up

    # A small table stays in the cache.
    table = np.zeros(TABLE_SIZE, dtype=np.uint8 if parameters.n_components <= 256 else np.int32)
    red, green, blue = values.astype(np.int64).T
    table[(red << 16) | (green << 8) | blue] = assign(samples.X, parameters)

    def label(pixels: np.ndarray) -> np.ndarray:
        out = np.empty(len(pixels), dtype=np.int32)
        look_up(pixels, table, out)
        return out

    return label


def _by_key(
    values: np.ndarray, samples: Samples, parameters: Parameters
) -> Callable[[np.ndarray], np.ndarray]:
    keys, labels = color_keys(values), assign(samples.X, parameters)
    # What has weight 0 may have a color of its own: any label does, it gets none in the end.
    return lambda pixels: labels[np.minimum(np.searchsorted(keys, color_keys(pixels)), len(keys) - 1)]
