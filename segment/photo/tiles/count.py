"""The first pass: count colors, and pick the pixels that later steps need (smoothing, the range of bands)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
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
from segment.photo.tiles.cluster import Cluster, groups_of
from segment.photo.tiles.look_up import Anew, ByColor, ByKey, LabelPixels
from segment.photo.tiles.photo import Strip, TiledPhoto, shown_bands
from segment.photo.tiles.stream import PixelRows, counting, pixel_source, pixels_in_memory
from segment.photo.tiles.tables import ColorTable, KeyTable, Table, table_for
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
        From parameters to a picklable function that labels pixels (n, D).
    """

    samples: Any
    values: np.ndarray | None
    n_distinct: int | None
    points: Points
    how: str
    label_pixels: Callable[[Parameters], LabelPixels] = field(repr=False)


class _Found(NamedTuple):
    """What a strip gives: the number of pixels that count, points, values of bands."""

    n_counting: int
    points: Points
    shown: np.ndarray


@dataclass(frozen=True, eq=False)
class Glance:
    """What is taken of each strip beside its colors; picklable."""

    photo: TiledPhoto

    def at(self, strip: Strip, table: Table | None) -> _Found:
        """Look at a strip; count its colors in a table, if there is one."""
        if table is not None:
            weight = None if strip.weight is None else strip.weight.ravel()
            table.add(strip.pixels.reshape(-1, strip.pixels.shape[2]), weight)
        return _Found(counting(strip), self._points(strip), self._shown(strip))

    def _points(self, strip: Strip) -> Points:
        grid = Grid.of(self.photo.shape)
        first = (
            -(strip.start - grid.offset) % grid.step
            if strip.start > grid.offset
            else (grid.offset - strip.start)
        )
        at = slice(first, None, grid.step), grid.columns
        pixels = strip.pixels[at].copy()
        counts = np.ones(pixels.shape[:2], dtype=bool) if strip.weight is None else strip.weight[at] > 0
        return Points(pixels, counts)

    def _shown(self, strip: Strip) -> np.ndarray:
        """Return values of the bands that are shown, (n, 3), from rows and columns evenly apart."""
        if self.photo.is_color:
            return np.empty((0, 3))
        steps = [
            max(1, size // most)
            for size, most in zip(self.photo.shape, (_SHOWN_ROWS, _SHOWN_COLUMNS), strict=True)
        ]
        at = slice(-strip.start % steps[0], None, steps[0]), slice(None, None, steps[1])
        values = strip.pixels[at][:, :, shown_bands(strip.pixels.shape[2])].reshape(-1, 3)
        return values if strip.weight is None else values[strip.weight[at].ravel() > 0]

    def __call__(self, work: tuple[list[tuple[int, int]], bool]) -> tuple[list[_Found], Any]:
        """Look at a group of strips in another process; return what was found, and the table packed."""
        cuts, counts = work
        make = table_for(self.photo.n_bands, self.photo.dtype) if counts else None
        table = make() if make else None
        found = [self.at(self.photo.read(cut), table) for cut in cuts]
        return found, None if table is None else table.packed()


class _Pass:
    """The first pass over a photo: a table a thread, or one for what a cluster finds."""

    def __init__(self, photo: TiledPhoto, n_threads: int, memory: int, cluster: Cluster | None) -> None:
        self._photo, self._n_threads, self._memory, self._cluster = photo, n_threads, memory, cluster
        self._glance = Glance(photo)
        make = table_for(photo.n_bands, photo.dtype)
        self.tables: list[Table] = (
            [make() for _ in range(n_threads if cluster is None else 1)] if make else []
        )
        self._free: SimpleQueue[Table] = SimpleQueue()
        for table in self.tables:
            self._free.put(table)

    def _look(self, cut: tuple[int, int]) -> _Found:
        strip = self._photo.read(cut)
        table = self._free.get() if self.tables else None
        try:
            return self._glance.at(strip, table)
        finally:
            if table is not None:
                self._free.put(table)

    def _looked(self) -> Iterator[_Found]:
        if self._cluster is None:
            yield from walk(self._look, self._photo.strips, self._n_threads)
            return
        work = ((group, bool(self.tables)) for group in groups_of(self._photo.strips))
        for found, packed in self._cluster.walk(self._photo, self._glance, work):
            if packed is not None and self.tables:
                self.tables[0].add_packed(packed)
            yield from found

    def run(self, notify: Notify) -> tuple[list[int], Points]:
        """Look at every strip; return the number of pixels that count in each, and the grid's points."""
        found: list[_Found] = []
        seen = 0
        for number, strip in enumerate(self._looked(), 1):
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
        return [strip.n_counting for strip in found], points

    def _judge(self, seen: int) -> None:
        """Give up tables that neither pay nor fit."""
        n_distinct = sum(table.n_distinct for table in self.tables if isinstance(table, KeyTable))
        size = sum(table.nbytes for table in self.tables)
        if n_distinct > DISTINCT_SHARE * seen and 4 * size > self._memory:
            self.tables = []


def count(
    photo: TiledPhoto,
    color_space: str,
    n_threads: int,
    memory: int,
    notify: Notify = quietly,
    cluster: Cluster | None = None,
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
    cluster : Cluster, optional
        Reads the strips, and the pixels where they are read anew.

    Returns
    -------
    Counted
        8-bit colors always as distinct colors. Other pixels of up to 8 bytes likewise, unless more than half
        of them are distinct and the table would not fit; those, and pixels of more bytes, are as they are: in
        memory where they fit, else read anew in every pass of the fit.
    """
    work = _Pass(photo, n_threads, memory, cluster)
    counts, points = work.run(notify)
    if work.tables:
        table = work.tables[0]
        for other in work.tables[1:]:
            table.merge(other)
        values, weights = table.listed()
        samples = Samples.of(to_features(values, color_space, n_jobs=n_threads), weights)
        kind = ByColor if isinstance(table, ColorTable) else ByKey

        def look_up(parameters: Parameters) -> LabelPixels:
            return kind.of(values, assign(samples.X, parameters), parameters.n_components)

        return Counted(samples, values, len(values), points, "table", look_up)
    readers = n_threads if cluster is None else cluster.threads_each
    rows = PixelRows(photo, color_space, counts, readers + 1)
    source = pixel_source(rows, None if cluster is None else cluster.engine)
    fits = 2 * source.n_samples * (source.n_features * source.dtype.itemsize + 8) < memory
    return Counted(
        pixels_in_memory(rows, n_threads) if fits and cluster is None else source,
        None,
        None,
        points,
        "memory" if fits and cluster is None else "stream",
        lambda parameters: Anew(parameters, color_space),
    )
