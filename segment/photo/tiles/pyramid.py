"""A pyramid of labels: every level takes every second row and column of the one above."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from segment.parallel import block_ranges
from segment.photo.tiles.store import LabelStore

# The smallest level fits in a square of this side.
TOP = 512

# Rows read at a time: even, so that every second of all rows is every second of each piece.
_ROWS = 512


@contextmanager
def pyramid(store: LabelStore) -> Iterator[list[LabelStore]]:
    """Yield the levels of labels, the largest first; those below are gone afterwards."""
    levels = [store]
    with ExitStack() as stack:
        while max(levels[-1].shape) > TOP:
            levels.append(_halved(levels[-1]))
            stack.callback(levels[-1].close)
        yield levels


def _halved(store: LabelStore) -> LabelStore:
    half = LabelStore((-(-store.shape[0] // 2), -(-store.shape[1] // 2)), store.n_labels, store.folder)
    for start, stop in block_ranges(store.shape[0], _ROWS):
        half.write(start // 2, store.read(start, stop)[::2, ::2])
    return half
