"""Watch a clip: read, tell what moves, follow it, hand every frame to the outputs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from segment.video.background import Background
from segment.video.read import Video, VideoFrame
from segment.video.things import Thing, Tracker, find_things

# A thing out of sight for so many seconds is forgotten.
_PATIENCE = 0.5


@dataclass(frozen=True)
class Seen:
    """A frame and what was found in it. `mask` (H, W) uint8: 255 moving, 127 shadow, 0 background."""

    frame: VideoFrame
    mask: np.ndarray
    things: Sequence[Thing]
    background: Background


class Output(Protocol):
    """What takes frames as they come, and writes to the disk."""

    def add(self, seen: Seen) -> None:
        """Take a frame."""

    def close(self) -> list[Any]:
        """Finish; return the paths written. Called once, also after an interrupt."""


@dataclass(frozen=True)
class Watching:
    """How a clip is watched.

    Attributes
    ----------
    rate : float or None
        As `Background.apply` takes it.
    warm_up : int
        Frames at the beginning that are learned from only.
    min_area : int
        Moving parts of fewer pixels are dropped.
    region : (H, W) bool ndarray or None
        Where to look; all of the frame if None.
    """

    rate: float | None = None
    warm_up: int = 0
    min_area: int = 1
    region: np.ndarray | None = None

    def masked(self, mask: np.ndarray, n_seen: int) -> np.ndarray:
        """Return what counts of a mask."""
        if n_seen <= self.warm_up:
            return np.zeros_like(mask)
        return mask if self.region is None else np.where(self.region, mask, 0).astype(np.uint8)


def watch(
    video: Video,
    background: Background,
    outputs: Iterable[Output],
    watching: Watching,
    progress: Callable[[Iterable[VideoFrame]], Iterable[VideoFrame]] = lambda frames: frames,
) -> int:
    """Hand every frame and what moves in it to the outputs; return the number of frames.

    The outputs are not closed: whoever made them does so, whatever happens here.
    """
    tracker = Tracker(max(1, round(_PATIENCE * video.rate)))
    outputs, n = list(outputs), 0
    for n, frame in enumerate(progress(video.frames), start=1):
        learning = n <= watching.warm_up or background.n_frames == 0
        rate = None if learning else watching.rate
        mask = watching.masked(background.apply(frame.pixels, rate), n)
        things = tracker.assign(find_things(mask, watching.min_area))
        seen = Seen(frame, mask, things, background)
        for output in outputs:
            output.add(seen)
    return n
