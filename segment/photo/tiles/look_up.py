"""From pixels to the labels that a fitted mixture gives them: picklable functions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from segment.mixture.expectation import assign
from segment.mixture.families.gaussian.parameters import Parameters
from segment.photo.colors import to_features
from segment.photo.tiles.tables import color_keys

# From pixels (n, D) to labels (n,) int32.
LabelPixels = Callable[[np.ndarray], np.ndarray]


class ByColor:
    """Labels of 8-bit colors, from a table of all of them.

    Parameters
    ----------
    values : (n, 3) uint8 ndarray
        The colors that occur.
    labels : (n,) ndarray
    """

    def __init__(self, values: np.ndarray, labels: np.ndarray) -> None:
        from segment.kernels.image.colors import TABLE_SIZE

        self._values, self._labels = values, labels
        self._table = np.zeros(TABLE_SIZE, dtype=labels.dtype)
        red, green, blue = values.astype(np.int64).T
        self._table[(red << 16) | (green << 8) | blue] = labels

    @classmethod
    def of(cls, values: np.ndarray, labels: np.ndarray, n_labels: int) -> ByColor:
        """Return the table for labels below `n_labels`: a small one stays in the cache."""
        return cls(values, labels.astype(np.uint8 if n_labels <= 256 else np.int32))

    def __reduce__(self) -> tuple[Any, ...]:
        return ByColor, (self._values, self._labels)

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        """Return the labels of pixels."""
        from segment.kernels.image.colors import look_up

        out = np.empty(len(pixels), dtype=np.int32)
        look_up(pixels, self._table, out)
        return out


@dataclass(frozen=True, eq=False)
class ByKey:
    """Labels of pixels of up to 8 bytes, by their sorted keys."""

    keys: np.ndarray
    labels: np.ndarray

    @classmethod
    def of(cls, values: np.ndarray, labels: np.ndarray, n_labels: int) -> ByKey:
        """Return the table of distinct pixels, in the order of their keys."""
        return cls(color_keys(values), labels)

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        """Return the labels of pixels."""
        # What has weight 0 may have a color of its own: any label does, it gets none in the end.
        places = np.searchsorted(self.keys, color_keys(pixels))
        return self.labels[np.minimum(places, len(self.keys) - 1)]


@dataclass(frozen=True, eq=False)
class Anew:
    """Labels of pixels of any kind, computed."""

    parameters: Parameters
    color_space: str

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        """Return the labels of pixels."""
        return assign(to_features(pixels, self.color_space, n_jobs=1), self.parameters, n_jobs=1)
