"""The second pass: label pixels strip by strip, smooth them, merge specks, add up colors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from segment.parallel import block_ranges
from segment.photo.model import PhotoModel
from segment.photo.smooth import CELL_ROWS, Grid, GridFilter, Smoothing, filter_band, with_halo
from segment.photo.tiles.cluster import Cluster, groups_of
from segment.photo.tiles.count import Counted
from segment.photo.tiles.look_up import LabelPixels
from segment.photo.tiles.photo import Strip, TiledPhoto
from segment.photo.tiles.specks import StripRegions, merge_stored, strip_regions
from segment.photo.tiles.store import LabelStore
from segment.photo.tiles.walk import Notify, walk


class _Piece(NamedTuple):
    """Rows to be labeled, `start` to `stop`, with those around them that it takes."""

    start: int
    stop: int
    window: Strip


class _Labeled(NamedTuple):
    start: int
    labels: np.ndarray
    sums: np.ndarray
    counts: np.ndarray
    regions: StripRegions | None


def _pieces(
    photo: TiledPhoto, smoothing: Smoothing | None, cuts: list[tuple[int, int]], n_threads: int
) -> Iterator[_Piece]:
    """Yield the cuts as they are; where there is smoothing within a radius in pixels, with their halo."""
    if smoothing is None or not smoothing.in_pixels:
        yield from (_Piece(start, stop, Strip(start, *_EMPTY)) for start, stop in cuts)
        return
    first, _ = with_halo(cuts[0], photo.shape[0], smoothing)
    strips = walk(photo.read, [strip for strip in photo.strips if strip[1] > first.start], n_threads)
    held: list[Strip] = []
    for start, stop in cuts:
        rows, _ = with_halo((start, stop), photo.shape[0], smoothing)
        held = [strip for strip in held if strip.stop > rows.start]
        while not held or held[-1].stop < rows.stop:
            held.append(next(strips))
        yield _Piece(start, stop, _cut(held, rows))


_EMPTY: tuple[np.ndarray, None] = (np.empty((0, 0, 0), np.uint8), None)


def _cut(strips: list[Strip], rows: slice) -> Strip:
    """Return some rows from strips that follow each other."""
    cuts = [slice(max(rows.start - s.start, 0), rows.stop - s.start) for s in strips]
    pixels = np.concatenate([s.pixels[cut] for s, cut in zip(strips, cuts, strict=True)])
    if all(s.weight is None for s in strips):
        return Strip(rows.start, pixels, None)
    weights = [np.ones(s.pixels.shape[:2], np.float32) if s.weight is None else s.weight for s in strips]
    return Strip(rows.start, pixels, np.concatenate([w[cut] for w, cut in zip(weights, cuts, strict=True)]))


@dataclass(frozen=True, eq=False)
class Painter:
    """Labels pieces of a photo; picklable.

    Attributes
    ----------
    photo : TiledPhoto
    model : PhotoModel
    label_pixels : callable
        From pixels (n, D) to labels by color alone.
    smoothing : Smoothing or None
    filter : GridFilter or None
        Where the smoothing is not in pixels.
    """

    photo: TiledPhoto
    model: PhotoModel
    label_pixels: LabelPixels
    smoothing: Smoothing | None
    filter: GridFilter | None

    def __call__(self, cuts: list[tuple[int, int]]) -> list[_Labeled]:
        """Label a group of strips or rows of cells in another process; labels in little room."""
        small = np.min_scalar_type(-self.model.parameters.n_components)
        labeled = map(self.label, _pieces(self.photo, self.smoothing, cuts, 1))
        return [each._replace(labels=each.labels.astype(small)) for each in labeled]

    def label(self, piece: _Piece) -> _Labeled:
        """Label a piece."""
        from segment.kernels.image.colors import sum_by_label

        strip = piece.window
        if not strip.pixels.size:
            strip = self.photo.read((piece.start, piece.stop))
        pixels: Any = strip.pixels
        labels: Any = self.label_pixels(pixels.reshape(-1, pixels.shape[2])).reshape(pixels.shape[:2])
        if strip.weight is not None:
            labels[strip.weight == 0] = -1
        display = self.photo.display(pixels)
        inner = slice(piece.start - strip.start, piece.stop - strip.start)
        if self.filter is not None:
            self.filter.label(display, piece.start, labels)
        elif self.smoothing is not None:
            out = np.empty((piece.stop - piece.start, labels.shape[1]), dtype=np.int32)
            filter_band(pixels, display, labels, self.model, self.smoothing, inner, out)
            labels = out
        n = self.model.parameters.n_components
        sums, counts = np.zeros((n, 3), dtype=np.int64), np.zeros(n, dtype=np.int64)
        if self.smoothing is not None:
            return _Labeled(
                piece.start, labels, sums, counts, strip_regions(piece.start, labels, display[inner])
            )
        sum_by_label(display.reshape(-1, 3), labels.ravel(), sums, counts)
        return _Labeled(piece.start, labels, sums, counts, None)


class Labeler:
    """Labels a photo, in threads or on a cluster.

    Parameters
    ----------
    photo : TiledPhoto
    counted : Counted
    model : PhotoModel
    smoothing : Smoothing or None
    n_threads : int
    cluster : Cluster, optional
    """

    def __init__(
        self,
        photo: TiledPhoto,
        counted: Counted,
        model: PhotoModel,
        smoothing: Smoothing | None,
        n_threads: int,
        cluster: Cluster | None = None,
    ) -> None:
        self._photo, self._n_threads, self._cluster = photo, n_threads, cluster
        smoothing = smoothing if model.parameters.n_components > 1 else None
        filter: GridFilter | None = None
        if smoothing is not None and not smoothing.in_pixels:
            pixels, counts = counted.points
            filter = Grid.of(photo.shape).filter(
                pixels, photo.display(pixels), counts, model, smoothing, n_jobs=n_threads
            )
        self._painter = Painter(photo, model, counted.label_pixels(model.parameters), smoothing, filter)

    def _labeled(self) -> Iterator[_Labeled]:
        photo, smoothing = self._photo, self._painter.smoothing
        in_cells = smoothing is not None and smoothing.in_pixels
        cuts = block_ranges(photo.shape[0], CELL_ROWS) if in_cells else photo.strips
        if self._cluster is None:
            pieces = _pieces(photo, smoothing, cuts, self._n_threads)
            yield from walk(self._painter.label, pieces, self._n_threads)
            return
        for group in self._cluster.walk(photo, self._painter, groups_of(cuts)):
            yield from group

    def run(self, store: LabelStore, notify: Notify) -> tuple[np.ndarray, np.ndarray]:
        """Label the whole photo into `store`; return sums of colors (K, 3) and pixels (K,) of each label."""
        n, smoothing = self._painter.model.parameters.n_components, self._painter.smoothing
        sums, counts = np.zeros((n, 3), dtype=np.int64), np.zeros(n, dtype=np.int64)
        regions: list[StripRegions] = []
        for done in self._labeled():
            store.write_labels(done.start, done.labels)
            sums += done.sums
            counts += done.counts
            regions += [done.regions] if done.regions is not None else []
            notify("label", done.start + len(done.labels), self._photo.shape[0])
        self._photo.check_unchanged()
        if smoothing is not None:
            notify("specks", 0, 1)
            sums, counts = merge_stored(store, regions, smoothing.least)
        return sums, counts
