"""How well masks find what moves: precision, recall and F, by the rule of the change detection benchmarks."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

# Values of a truth.
MOVING, SHADOW, STILL = 255, (50, 127), 0


class Score(NamedTuple):
    """Pixels found, found wrongly and missed; scores add.

    A shadow is background. What a truth gives another value (unknown, outside) is skipped.
    """

    found: int = 0
    wrong: int = 0
    missed: int = 0

    @classmethod
    def of(cls, mask: np.ndarray, truth: np.ndarray) -> Score:
        """Score a mask (255 moving) against the truth about a frame."""
        moving, present = mask == MOVING, truth == MOVING
        absent = (truth == STILL) | np.isin(truth, SHADOW)
        counts = ((moving & present), (moving & absent), (~moving & present))
        return cls(*(int(np.count_nonzero(part)) for part in counts))

    def plus(self, other: Score) -> Score:
        """Return the score of both."""
        return Score(*(a + b for a, b in zip(self, other, strict=True)))

    @property
    def precision(self) -> float:
        """Share of what was found that moves; 1 if nothing was found."""
        return self.found / (self.found + self.wrong) if self.found + self.wrong else 1.0

    @property
    def recall(self) -> float:
        """Share of what moves that was found; 1 if nothing moves."""
        return self.found / (self.found + self.missed) if self.found + self.missed else 1.0

    @property
    def f(self) -> float:
        """Harmonic mean of precision and recall."""
        return 2 * self.found / max(1, 2 * self.found + self.wrong + self.missed)
