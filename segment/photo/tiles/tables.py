"""Distinct colors counted strip by strip: a table of all 8-bit colors, or sorted keys that are merged."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from segment.parallel import block_ranges

# Pixels after which the counts of 32 bits are added to those of 64.
ROOM = 2**31 - 1


class Table(Protocol):
    """What a thread counts in; tables add up."""

    def add(self, pixels: np.ndarray, weight: np.ndarray | None) -> None:
        """Count pixels (n, D), by weights (n,) if there are any."""

    def merge(self, other: Any) -> None:
        """Add what another table has counted."""

    def packed(self) -> Any:
        """Return what has been counted in little room, for `add_packed` of another table."""

    def add_packed(self, packed: Any) -> None:
        """Add what another table has packed."""

    def listed(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the distinct pixels and their weights, float64."""

    @property
    def nbytes(self) -> int:
        """Memory it takes."""


class ColorTable:
    """Counts of all 2^24 8-bit colors; weights between 0 and 1 are added up apart, once there are any."""

    def __init__(self) -> None:
        from segment.kernels.image.colors import TABLE_SIZE

        self._counts = np.zeros(TABLE_SIZE, dtype=np.int32)
        self._room = ROOM
        self._total: np.ndarray | None = None
        self._parts: np.ndarray | None = None

    def add(self, pixels: np.ndarray, weight: np.ndarray | None) -> None:
        from segment.kernels.image import colors

        whole = None if weight is None else weight == 1
        for start, stop in block_ranges(len(pixels), ROOM):
            rows = slice(start, stop)
            if stop - start > self._room:
                self._spill()
            self._room -= stop - start
            if whole is None:
                colors.count_colors(pixels[rows], self._counts)
            else:
                colors.count_some_colors(pixels[rows], whole[rows], self._counts)
        if weight is not None and whole is not None and (weight[~whole] > 0).any():
            if self._parts is None:
                self._parts = np.zeros(colors.TABLE_SIZE)
            colors.add_weights(pixels, np.where(whole, np.float32(0), weight), self._parts)

    def _spill(self) -> np.ndarray:
        total = self._counts.astype(np.int64) if self._total is None else self._total + self._counts
        self._counts[:] = 0
        self._room = ROOM
        self._total = total
        return total

    def merge(self, other: ColorTable) -> None:
        """Add what another table has counted."""
        n = ROOM - other._room
        if other._total is None and n <= self._room:
            self._room -= n
            self._counts += other._counts
        else:
            total = self._spill()
            total += other._spill()
        if other._parts is not None:
            self._parts = other._parts if self._parts is None else self._parts + other._parts

    def packed(self) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """Return the places of colors that were seen, their counts, and the sums of weights below 1."""
        total = self._counts if self._total is None else self._total + self._counts
        places, parts = np.flatnonzero(total), None
        if self._parts is not None:
            places = np.union1d(places, np.flatnonzero(self._parts))
            parts = self._parts[places]
        return places.astype(np.int32), total[places], parts

    def add_packed(self, packed: tuple[np.ndarray, np.ndarray, np.ndarray | None]) -> None:
        """Add what another table has packed."""
        places, counts, parts = packed
        n = int(counts.sum())
        if n <= self._room:
            self._room -= n
            self._counts[places] += counts
        else:
            self._spill()[places] += counts
        if parts is not None:
            self._parts = np.zeros(len(self._counts)) if self._parts is None else self._parts
            self._parts[places] += parts

    def listed(self) -> tuple[np.ndarray, np.ndarray]:
        from segment.kernels.image import colors

        table: np.ndarray = self._counts if self._total is None else self._total + self._counts
        if self._parts is not None:
            table = table + self._parts
        n = int(np.count_nonzero(table))
        values, weights = np.empty((n, 3), dtype=np.uint8), np.empty(n)
        colors.list_colors(table, values, weights)
        return values, weights

    @property
    def nbytes(self) -> int:
        return sum(part.nbytes for part in (self._counts, self._total, self._parts) if part is not None)


def color_keys(pixels: np.ndarray) -> np.ndarray:
    """Return pixels of up to 8 bytes as integers in their order, (n,) uint64."""
    bits = np.uint64(8 * pixels.dtype.itemsize)
    keys = np.zeros(len(pixels), dtype=np.uint64)
    for column in pixels.T:
        keys = (keys << bits) | column.astype(np.uint64)
    return keys


def values_of(keys: np.ndarray, n_bands: int, dtype: np.dtype) -> np.ndarray:
    """Return the pixels of keys, (n, n_bands)."""
    bits = 8 * dtype.itemsize
    columns = [keys >> np.uint64(bits * (n_bands - 1 - band)) for band in range(n_bands)]
    return np.stack([column.astype(dtype) for column in columns], axis=1)


class KeyTable:
    """Sorted keys of pixels and their weights; runs are merged when one is as long as the one before."""

    def __init__(self, n_bands: int, dtype: np.dtype) -> None:
        self._n_bands, self._dtype = n_bands, dtype
        self._runs: list[tuple[np.ndarray, np.ndarray]] = []

    def add(self, pixels: np.ndarray, weight: np.ndarray | None) -> None:
        if weight is not None:
            pixels, weight = pixels[weight > 0], weight[weight > 0]
        if len(pixels):
            ones = np.ones(len(pixels)) if weight is None else weight.astype(np.float64)
            self._append(_gathered(color_keys(pixels), ones))

    def _append(self, run: tuple[np.ndarray, np.ndarray]) -> None:
        while self._runs and len(self._runs[-1][0]) <= len(run[0]):
            run = _merged(self._runs.pop(), run)
        self._runs.append(run)

    def merge(self, other: KeyTable) -> None:
        """Add what another table has counted."""
        for run in other._runs:
            self._append(run)

    def packed(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the keys, sorted, and their weights."""
        return self.by_key()

    def add_packed(self, packed: tuple[np.ndarray, np.ndarray]) -> None:
        """Add what another table has packed."""
        if len(packed[0]):
            self._append(packed)

    def listed(self) -> tuple[np.ndarray, np.ndarray]:
        keys, weights = self.by_key()
        return values_of(keys, self._n_bands, self._dtype), weights

    def by_key(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the keys, sorted, and their weights."""
        while len(self._runs) > 1:
            last = self._runs.pop()
            self._runs.append(_merged(self._runs.pop(), last))
        return self._runs[0] if self._runs else (np.empty(0, np.uint64), np.empty(0))

    @property
    def n_distinct(self) -> int:
        """Number of distinct pixels, those of several runs counted as often."""
        return sum(len(keys) for keys, _ in self._runs)

    @property
    def nbytes(self) -> int:
        return 16 * self.n_distinct


def _gathered(keys: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    first = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
    return keys[first], np.add.reduceat(weights[order], first)


def _merged(
    a: tuple[np.ndarray, np.ndarray], b: tuple[np.ndarray, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    return _gathered(np.concatenate([a[0], b[0]]), np.concatenate([a[1], b[1]]))


def table_for(n_bands: int, dtype: np.dtype) -> Callable[[], Table] | None:
    """Return what makes a table for pixels of a kind; None where they have too many bits for one."""
    if dtype == np.uint8 and n_bands == 3:
        return ColorTable
    if dtype.kind == "u" and n_bands * dtype.itemsize <= 8:
        return lambda: KeyTable(n_bands, dtype)
    return None
