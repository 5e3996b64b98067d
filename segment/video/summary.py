"""What a watched clip comes to in numbers."""

from __future__ import annotations

from typing import Any

from segment.output import versions
from segment.video.scores import MOVING
from segment.video.watch import Seen


class Summary:
    """Counts as the frames come."""

    def __init__(self) -> None:
        self.n_frames, self.n_things, self.share = 0, 0, 0.0
        self.last: Seen | None = None

    def add(self, seen: Seen) -> None:
        """Count a frame."""
        self.n_frames += 1
        self.n_things = max([self.n_things, *(thing.id for thing in seen.things)])
        self.share += float((seen.mask == MOVING).mean())
        self.last = seen

    def facts(self) -> dict[str, Any]:
        """Return the counts, for JSON."""
        if self.last is None:
            return {"n_frames": 0}
        height, width = self.last.mask.shape
        return {
            "n_frames": self.n_frames,
            "width": width,
            "height": height,
            "last_time": self.last.frame.time,
            "n_things": self.n_things,
            "moving": self.share / self.n_frames,
            "mean_components": float(self.last.background.n_components.mean()),
            "versions": versions(),
        }
