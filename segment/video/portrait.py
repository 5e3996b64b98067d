"""What is kept of a clip without keeping the clip: its background, a timeline, a few frames."""

from __future__ import annotations

from typing import Any

import numpy as np

# Colors that differ by no more are the same.
_ALIKE = 12


class Portrait:
    """The color that every pixel had for most of the time, by a majority vote in one pass.

    A pixel holds a candidate and its lead; like colors add to the lead, others take from it, and one that has
    none left gives way (Boyer & Moore). Slow objects and first frames leave no ghosts.
    """

    def __init__(self, shape: tuple[int, int]) -> None:
        self._candidates = np.zeros((*shape, 3), np.float32)
        self._leads = np.zeros(shape, np.int32)

    def add(self, colors: np.ndarray) -> None:
        """Count the colors of a moment, (H, W, 3) uint8."""
        apart = colors - self._candidates
        alike = (np.abs(apart).max(axis=-1) <= _ALIKE) & (self._leads > 0)
        self._leads += np.where(alike, 1, -1)
        new = self._leads < 0
        self._leads[new] = 1
        shares = np.where(alike, 1 / np.maximum(self._leads, 1), 0).astype(np.float32)
        shares[new] = 1
        self._candidates += shares[..., None] * apart

    def colors(self) -> np.ndarray:
        """Return the picture, (H, W, 3) uint8."""
        return np.clip(np.rint(self._candidates), 0, 255).astype(np.uint8)


class Thinned:
    """At most `limit` items of a stream of any length, evenly spaced.

    Parameters
    ----------
    limit : int
    """

    def __init__(self, limit: int) -> None:
        self.limit, self.stride, self.items, self._n = limit, 1, list[Any](), 0

    def wants_next(self) -> bool:
        """Return whether the next item will be kept; it must then be added."""
        wanted = self._n % self.stride == 0
        self._n += 1
        return wanted

    def add(self, item: Any) -> None:
        """Keep an item."""
        self.items.append(item)
        if len(self.items) > self.limit:
            self.items = self.items[::2]
            self.stride *= 2


class Timeline:
    """Moving area over time in at most `limit` bins: neighbors are joined as the clip grows."""

    def __init__(self, limit: int = 2000) -> None:
        self.limit, self.width = limit, 1
        self._bins: list[tuple[float, float, int]] = []

    def add(self, time: float, share: float) -> None:
        """Add a frame: its time in seconds and the share of it that moves."""
        if self._bins and self._bins[-1][2] < self.width:
            begun, total, n = self._bins[-1]
            self._bins[-1] = (begun, total + share, n + 1)
            return
        self._bins.append((time, share, 1))
        if len(self._bins) > self.limit:
            pairs = zip(self._bins[::2], [*self._bins[1::2], None], strict=False)
            self._bins = [(a[0], a[1] + b[1], a[2] + b[2]) if b else a for a, b in pairs]
            self.width *= 2

    def curve(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the times at which the bins begin, and the mean share of each."""
        if not self._bins:
            return np.empty(0), np.empty(0)
        begun, totals, counts = (np.array(part, float) for part in zip(*self._bins, strict=True))
        return begun, totals / counts
