"""A part of a source in memory, drawn by weight: what starts are looked for on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from segment.data.samples import Samples
from segment.data.source import ROWS, Block, Source, weight_of


def subsample(source: Source, size: int, rng: np.random.Generator) -> Samples:
    """Draw about `size` rows with probability proportional to weight (stratified by cumulative weight).

    One point is drawn from each of `size` equal shares of the total weight, so that neither the order of the
    rows nor a period in it matters. The draws of one row become its weight: the subsample has at most `size`
    distinct rows. A row of weight w and w copies of it are drawn by the same random numbers.

    Parameters
    ----------
    source : Source
        Of `size` rows or fewer, all are returned.
    size : int
    rng : numpy.random.Generator

    Returns
    -------
    Samples
    """
    if source.n_samples <= size:
        return source if isinstance(source, Samples) else Samples(*source.arrays())
    edges = np.concatenate([[0.0], np.cumsum(_block_weights(source))])
    points = (np.arange(size) + rng.random(size)) * (edges[-1] / size)
    points = np.minimum(points, np.nextafter(edges[-1], 0.0))
    parts = source.reduce(Draw(points, edges), rows=ROWS)
    X, counts = (np.concatenate(values) for values in zip(*parts, strict=True))
    kind = type(source) if isinstance(source, Samples) else Samples
    return kind(np.ascontiguousarray(X, dtype=source.dtype), counts.astype(np.float64))


def _block_weights(source: Source) -> np.ndarray:
    """Return the total weights of blocks of `ROWS` rows."""
    if source.is_weighted:
        return np.array(list(source.map(weight_of, rows=ROWS)))
    sizes = np.full(-(-source.n_samples // ROWS), float(ROWS))
    sizes[-1] = source.n_samples - (len(sizes) - 1) * ROWS
    return sizes


@dataclass(frozen=True, eq=False)
class Draw:
    """Draws the rows of a block that given points of the cumulative weight fall into.

    Attributes
    ----------
    points : (size,) float64 ndarray
        Ascending.
    edges : (n_blocks + 1,) float64 ndarray
        Cumulative weights at the edges of blocks of `ROWS` rows.
    """

    points: np.ndarray
    edges: np.ndarray

    def __call__(self, block: Block) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return the drawn rows and how often each was drawn, as a list of one pair: lists add."""
        number = block.start // ROWS
        low, high = np.searchsorted(self.points, self.edges[number : number + 2])
        if low == high:
            return []
        cumulative = self.edges[number] + np.cumsum(block.sample_weight)
        rows = np.searchsorted(cumulative, self.points[low:high], side="right")
        # Rounding may put a point beyond the block's last edge: it belongs to the last row that counts.
        last = int(np.flatnonzero(block.sample_weight)[-1])
        rows, counts = np.unique(np.minimum(rows, last), return_counts=True)
        return [(block.X[rows], counts)]
