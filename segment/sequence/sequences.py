"""Sequences of samples: rows one after another, cut by lengths; each sequence may have a weight."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from segment.data.samples import Samples
from segment.errors import DataError

# Short sequences are worked on together, up to about so many rows at a time.
ROWS = 4096


class Part(NamedTuple):
    """Consecutive whole sequences.

    Attributes
    ----------
    X : (n, n_features) ndarray
    offsets : (S + 1,) int64 ndarray
        Where the sequences begin within `X`, and the end of the last.
    weights : (S,) float64 ndarray
    row, sequence : int
        Numbers of the first row and of the first sequence.
    """

    X: np.ndarray
    offsets: np.ndarray
    weights: np.ndarray
    row: int
    sequence: int


@dataclass(frozen=True, eq=False)
class Sequences:
    """Validated sequences; make them with `Sequences.of`.

    Attributes
    ----------
    samples : Samples
        All rows; each weighs as much as its sequence.
    lengths : (S,) int64 ndarray
        They sum to the number of rows.
    weights : (S,) float64 ndarray
        A weight of w means exactly "this sequence, w times".
    """

    samples: Samples
    lengths: np.ndarray
    weights: np.ndarray

    @classmethod
    def of(cls, X: Any, lengths: Any = None, sample_weight: Any = None) -> Sequences:
        """Validate rows, lengths and weights; without lengths the rows are one sequence.

        Raises
        ------
        DataError
            If the lengths do not cut the rows, or there is not one legal weight a sequence.
        """
        samples = Samples.of(X)
        cut = _checked_lengths(lengths, samples.n_samples)
        if sample_weight is None:
            return cls(samples, cut, np.ones(len(cut)))
        weights = np.ascontiguousarray(sample_weight, dtype=np.float64)
        if weights.shape != cut.shape:
            raise DataError(
                f"sample_weight has shape {weights.shape}; one weight for each of {len(cut)} sequences is "
                "needed: a row within a sequence cannot count more than its neighbors"
            )
        return cls(Samples.of(samples.X, np.repeat(weights, cut)), cut, weights)

    @cached_property
    def offsets(self) -> np.ndarray:
        """Where the sequences begin, and the end of the last, (S + 1,) int64."""
        return np.concatenate([[0], np.cumsum(self.lengths)])

    @cached_property
    def parts(self) -> list[tuple[int, int]]:
        """Numbers (first, stop) of the sequences of each part; they depend on the lengths only."""
        cuts, begun = [0], 0
        for s, end in enumerate(self.offsets[1:].tolist(), start=1):
            if end - begun >= ROWS:
                cuts.append(s)
                begun = end
        if cuts[-1] < len(self.lengths):
            cuts.append(len(self.lengths))
        return list(itertools.pairwise(cuts))

    def part(self, cut: tuple[int, int]) -> Part:
        """Return the sequences with the numbers `cut`."""
        first, stop = cut
        offsets = self.offsets[first : stop + 1]
        rows = slice(int(offsets[0]), int(offsets[-1]))
        return Part(
            self.samples.X[rows], offsets - offsets[0], self.weights[first:stop], int(offsets[0]), first
        )


def _checked_lengths(lengths: Any, n_rows: int) -> np.ndarray:
    if lengths is None:
        return np.array([n_rows])
    given = np.atleast_1d(np.asarray(lengths))
    if given.ndim != 1 or given.dtype.kind not in "iu":
        raise DataError(f"lengths is {lengths!r}; a list of whole numbers, one a sequence, is needed")
    if given.size == 0 or given.min() < 1:
        raise DataError(f"lengths holds {given.min() if given.size else 'nothing'}; all must be at least 1")
    if given.sum() != n_rows:
        raise DataError(f"lengths sum to {given.sum()}, but there are {n_rows} rows; they must agree")
    return given.astype(np.int64)
