"""A segmentation of a photo, however it was found: label map, palette, shares."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np

from segment.parallel import block_ranges, map_blocks
from segment.photo.photo import Photo

_BLOCK = 1 << 19


@dataclass(frozen=True, eq=False)
class Segmentation:
    """What every output is drawn from.

    Attributes
    ----------
    photo : Photo
    label_map : (M, N) int32 ndarray
        Label of each pixel; -1 where the photo is fully transparent.
    palette : (K, 3) uint8 ndarray
        Mean sRGB color of each label.
    shares : (K,) float64 ndarray
        Share of the area that each label covers; they sum to 1.
    """

    photo: Photo
    label_map: np.ndarray
    palette: np.ndarray
    shares: np.ndarray

    @property
    def n_labels(self) -> int:
        """Number of labels, those of no pixel included."""
        return len(self.palette)


def palette_of(
    colors: np.ndarray, label_map: np.ndarray, n_labels: int, *, n_jobs: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return mean color and area share of each label.

    Parameters
    ----------
    colors : (M, N, 3) uint8 ndarray
    label_map : (M, N) int32 ndarray
    n_labels : int

    Returns
    -------
    palette : (n_labels, 3) uint8 ndarray
        Black for a label of no pixel.
    shares : (n_labels,) float64 ndarray
    """
    from segment.kernels.image.colors import sum_by_label

    rows, labels = colors.reshape(-1, 3), label_map.ravel()

    def sum_block(block: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
        sums, counts = np.zeros((n_labels, 3), dtype=np.int64), np.zeros(n_labels, dtype=np.int64)
        sum_by_label(rows[slice(*block)], labels[slice(*block)], sums, counts)
        return sums, counts

    parts = map_blocks(sum_block, block_ranges(len(rows), _BLOCK), n_jobs)
    sums = np.sum([part[0] for part in parts], axis=0)
    counts = np.sum([part[1] for part in parts], axis=0)
    palette = np.rint(sums / np.maximum(counts, 1)[:, None]).astype(np.uint8)
    return palette, counts / max(int(counts.sum()), 1)


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
    def step(self, name: str) -> Any:
        """Time a step; a step timed twice adds up."""
        self.notify(name)
        start = perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + perf_counter() - start
