"""The second pass: label pixels strip by strip, smooth them, merge specks, add up colors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from segment.parallel import block_ranges
from segment.photo.model import PhotoModel
from segment.photo.smooth import CELL_ROWS, Grid, GridFilter, Smoothing, filter_band, with_halo
from segment.photo.tiles.count import Counted
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


def _pieces(photo: TiledPhoto, smoothing: Smoothing | None, n_threads: int) -> Iterator[_Piece]:
    """Yield strips as they are; for a radius in pixels, rows of cells with their halo."""
    if smoothing is None or not smoothing.in_pixels:
        yield from (_Piece(start, stop, Strip(start, *_EMPTY)) for start, stop in photo.strips)
        return
    strips = walk(photo.read, photo.strips, n_threads)
    held: list[Strip] = []
    for start, stop in block_ranges(photo.shape[0], CELL_ROWS):
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


class Labeler:
    """Labels pieces of a photo.

    Parameters
    ----------
    photo : TiledPhoto
    counted : Counted
    model : PhotoModel
    smoothing : Smoothing or None
    """

    def __init__(
        self,
        photo: TiledPhoto,
        counted: Counted,
        model: PhotoModel,
        smoothing: Smoothing | None,
        n_threads: int,
    ) -> None:
        self._photo, self._model, self._n_threads = photo, model, n_threads
        self._smoothing = smoothing if model.parameters.n_components > 1 else None
        self._label_pixels: Callable[[np.ndarray], np.ndarray] = counted.label_pixels(model.parameters)
        self._filter: GridFilter | None = None
        if self._smoothing is not None and not self._smoothing.in_pixels:
            pixels, counts = counted.points
            self._filter = Grid.of(photo.shape).filter(
                pixels, photo.display(pixels), counts, model, self._smoothing, n_jobs=n_threads
            )

    def run(self, store: LabelStore, notify: Notify) -> tuple[np.ndarray, np.ndarray]:
        """Label the whole photo into `store`; return sums of colors (K, 3) and pixels (K,) of each label."""
        n = self._model.parameters.n_components
        sums, counts = np.zeros((n, 3), dtype=np.int64), np.zeros(n, dtype=np.int64)
        regions: list[StripRegions] = []
        for done in walk(
            self._label, _pieces(self._photo, self._smoothing, self._n_threads), self._n_threads
        ):
            store.write_labels(done.start, done.labels)
            sums += done.sums
            counts += done.counts
            regions += [done.regions] if done.regions is not None else []
            notify("label", done.start + len(done.labels), self._photo.shape[0])
        self._photo.check_unchanged()
        if self._smoothing is not None:
            notify("specks", 0, 1)
            sums, counts = merge_stored(store, regions, self._smoothing.least)
        return sums, counts

    def _label(self, piece: _Piece) -> _Labeled:
        from segment.kernels.image.colors import sum_by_label

        strip = piece.window
        if not strip.pixels.size:
            strip = self._photo.read((piece.start, piece.stop))
        pixels: Any = strip.pixels
        labels: Any = self._label_pixels(pixels.reshape(-1, pixels.shape[2])).reshape(pixels.shape[:2])
        if strip.weight is not None:
            labels[strip.weight == 0] = -1
        display = self._photo.display(pixels)
        inner = slice(piece.start - strip.start, piece.stop - strip.start)
        if self._filter is not None:
            self._filter.label(display, piece.start, labels)
        elif self._smoothing is not None:
            out = np.empty((piece.stop - piece.start, labels.shape[1]), dtype=np.int32)
            filter_band(pixels, display, labels, self._model, self._smoothing, inner, out)
            labels = out
        n = self._model.parameters.n_components
        sums, counts = np.zeros((n, 3), dtype=np.int64), np.zeros(n, dtype=np.int64)
        if self._smoothing is not None:
            return _Labeled(
                piece.start, labels, sums, counts, strip_regions(piece.start, labels, display[inner])
            )
        sum_by_label(display.reshape(-1, 3), labels.ravel(), sums, counts)
        return _Labeled(piece.start, labels, sums, counts, None)
