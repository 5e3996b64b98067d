"""Specks across strips: the regions of a label map that is never in memory as a whole.

What is found equals `segment.photo.specks.merge_specks` on the whole map, byte for byte: regions are numbered
by their first pixels, and pairs of neighbors are listed in the same order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from segment.errors import DataError
from segment.photo.specks import borders, joined_labels, mean_features
from segment.photo.tiles.store import LabelStore

_MOST_REGIONS = 2**31 - 2


@dataclass(frozen=True, eq=False)
class StripRegions:
    """The regions of a strip on its own.

    Attributes
    ----------
    start, stop : int
        Rows of the strip.
    sums, counts : (n, 3) int64, (n,) int64 ndarray
        Sums of colors, and pixels.
    first, last : (N,) int32 ndarray
        Regions of the first row and the last, -1 where there is none.
    first_labels, last_labels : (N,) int32 ndarray
    """

    start: int
    stop: int
    sums: np.ndarray
    counts: np.ndarray
    first: np.ndarray
    last: np.ndarray
    first_labels: np.ndarray
    last_labels: np.ndarray


def strip_regions(start: int, labels: np.ndarray, colors: np.ndarray) -> StripRegions:
    """Find the regions of a strip. labels (h, N) int32; colors (h, N, 3) uint8."""
    from segment.kernels.image.colors import sum_by_label

    regions, n = _regions_of(labels)
    sums, counts = np.zeros((n, 3), dtype=np.int64), np.zeros(n, dtype=np.int64)
    sum_by_label(colors.reshape(-1, 3), regions.ravel(), sums, counts)
    edges = [row.copy() for row in (regions[0], regions[-1], labels[0], labels[-1])]
    return StripRegions(start, start + len(labels), sums, counts, *edges)


def _regions_of(labels: np.ndarray) -> tuple[np.ndarray, int]:
    from segment.kernels.image.specks import label_regions

    regions = np.empty(labels.size, dtype=np.int32)
    n = label_regions(labels, regions)
    return regions.reshape(labels.shape), n


def merge_stored(
    store: LabelStore, strips: list[StripRegions], least_of: Callable[[float], float]
) -> tuple[np.ndarray, np.ndarray]:
    """Merge the specks of stored labels, in place.

    Parameters
    ----------
    store : LabelStore
    strips : list of StripRegions
        Of all strips, from the first row to the last.
    least_of : callable
        From the number of labeled pixels to the size from which a region stays.

    Returns
    -------
    sums : (n_labels, 3) int64 ndarray
        Of the colors of each label's pixels, after merging.
    counts : (n_labels,) int64 ndarray
    """
    numbers = _numbered(strips)
    n_regions = 1 + max((int(part.max()) for part in numbers if len(part)), default=-1)
    everywhere = np.concatenate(numbers) if numbers else np.empty(0, np.int64)
    counts = _added(everywhere, np.concatenate([s.counts for s in strips]), n_regions)
    all_sums = np.concatenate([s.sums for s in strips])
    sums = np.stack([_added(everywhere, all_sums[:, c], n_regions) for c in range(3)], axis=1)
    labels = np.empty(n_regions, dtype=np.int32)
    least = least_of(float(counts.sum()))
    small = counts < least
    pairs = []
    above: np.ndarray | None = None
    for labeled, regions in _walked(store, strips, numbers):
        labels[regions[regions >= 0]] = labeled[regions >= 0]
        if small.any():
            joined = regions if above is None else np.concatenate([above, regions])
            pairs.append(borders(joined, small))
            above = regions[-1:].copy()
    if small.any():
        means = mean_features(sums, counts)
        labels = joined_labels(np.concatenate(pairs), counts, means, labels, least)
        for strip, (_, regions) in zip(strips, _walked(store, strips, numbers), strict=True):
            store.write_labels(strip.start, np.append(labels, np.int32(-1))[regions])
    kept = [_added(labels, sums[:, c], store.n_labels) for c in range(3)]
    return np.stack(kept, axis=1), _added(labels, counts, store.n_labels)


def _added(places: np.ndarray, values: np.ndarray, n: int) -> np.ndarray:
    """Return the sums of integers by place: exact below 2^53."""
    return np.bincount(places, values, n).astype(np.int64)


def _numbered(strips: list[StripRegions]) -> list[np.ndarray]:
    """Return for each strip the numbers of its regions in the whole map, in the order of first pixels."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    offsets = np.cumsum([0, *(len(strip.counts) for strip in strips)])
    n = int(offsets[-1])
    if n > _MOST_REGIONS:
        raise DataError(f"{n} regions are too many to look for specks; ask for stronger smoothing, or none")
    edges = []
    for number, (upper, lower) in enumerate(pairwise(strips)):
        meet = (upper.last_labels == lower.first_labels) & (upper.last_labels >= 0)
        edges.append(np.stack([upper.last[meet] + offsets[number], lower.first[meet] + offsets[number + 1]]))
    a, b = np.concatenate(edges, axis=1) if edges else np.empty((2, 0), dtype=np.int64)
    graph = coo_array((np.ones(len(a), dtype=np.int8), (a, b)), shape=(n, n))
    n_found, found = connected_components(graph, directed=False)
    first = np.full(n_found, n, dtype=np.int64)
    np.minimum.at(first, found, np.arange(n))
    order = np.empty(n_found, dtype=np.int64)
    order[np.argsort(first)] = np.arange(n_found)
    return np.split(order[found], offsets[1:-1])


def _walked(
    store: LabelStore, strips: list[StripRegions], numbers: list[np.ndarray]
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield labels and regions (numbered in the whole map) of each strip."""
    for strip, numbered in zip(strips, numbers, strict=True):
        labels = store.labels(strip.start, strip.stop)
        regions, _ = _regions_of(labels)
        yield labels, np.append(numbered, -1).astype(np.int32)[regions]
