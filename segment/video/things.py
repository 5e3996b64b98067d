"""Connected moving things, and their identity over frames."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage
from scipy.optimize import linear_sum_assignment

from segment.video.scores import MOVING


@dataclass(frozen=True)
class Thing:
    """A connected part of a mask.

    Attributes
    ----------
    x, y, width, height : int
        Its box; x and y count from the left and the top.
    area : int
        Pixels.
    center : (float, float)
        x and y of its centroid.
    id : int
        The same over frames; 0 before it is known.
    """

    x: int
    y: int
    width: int
    height: int
    area: int
    center: tuple[float, float]
    id: int = 0


def find_things(mask: np.ndarray, min_area: int = 1) -> list[Thing]:
    """Return the connected moving parts of a mask, and take the small ones out of it.

    Parameters
    ----------
    mask : (H, W) uint8 ndarray
        255 where something moves; parts of fewer than `min_area` pixels become 0.
    min_area : int
    """
    labels, n = ndimage.label(mask == MOVING, structure=np.ones((3, 3)))
    if n == 0:
        return []
    areas = np.bincount(labels.ravel(), minlength=n + 1)
    mask[(areas < min_area)[labels] & (labels > 0)] = 0
    things = []
    for number, box in enumerate(ndimage.find_objects(labels), start=1):
        if areas[number] < min_area:
            continue
        rows, columns = np.nonzero(labels[box] == number)
        y, x = box[0].start, box[1].start
        center = (float(columns.mean()) + x, float(rows.mean()) + y)
        size = (box[1].stop - x, box[0].stop - y)
        things.append(Thing(x, y, *size, int(areas[number]), center))
    return things


@dataclass
class Track:
    """A thing as it was last seen, how it moved, and for how many frames it has been out of sight."""

    thing: Thing
    velocity: np.ndarray
    unseen: int = 0


class Tracker:
    """Gives things their numbers by the assignment of the least total distance.

    Parameters
    ----------
    patience : int
        Frames after which a thing out of sight is forgotten.
    """

    def __init__(self, patience: int = 12) -> None:
        self.patience = patience
        self.n_seen = 0
        self._tracks: list[Track] = []

    def assign(self, things: list[Thing]) -> list[Thing]:
        """Return the things of the next frame with their numbers."""
        pairs = dict(self._pairs(things))
        for track in self._tracks:
            track.unseen += 1
        known = self._tracks
        found = [self._follow(known, pairs.get(i), thing) for i, thing in enumerate(things)]
        lost = [track for i, track in enumerate(known) if i not in pairs.values()]
        self._tracks = [track for track in lost if track.unseen <= self.patience] + found
        return [track.thing for track in found]

    def _follow(self, known: list[Track], number: int | None, thing: Thing) -> Track:
        if number is None:
            self.n_seen += 1
            return Track(replace(thing, id=self.n_seen), np.zeros(2))
        track = known[number]
        step = (np.array(thing.center) - track.thing.center) / max(1, track.unseen)
        return Track(replace(thing, id=track.thing.id), (track.velocity + step) / 2)

    def _pairs(self, things: list[Thing]) -> list[tuple[int, int]]:
        """Return pairs (thing, track) that may be the same: near for their size."""
        if not things or not self._tracks:
            return []
        expected = [t.thing.center + (t.unseen + 1) * t.velocity for t in self._tracks]
        apart = np.array([thing.center for thing in things])[:, None] - np.array(expected)[None]
        distances = np.hypot(apart[..., 0], apart[..., 1])
        reach = np.array([np.hypot(t.width, t.height) for t in things])[:, None]
        reach = np.maximum(reach, [np.hypot(t.thing.width, t.thing.height) for t in self._tracks])
        costs = np.where(distances <= reach, distances / reach, 1e3)
        return [(i, j) for i, j in zip(*linear_sum_assignment(costs), strict=True) if costs[i, j] < 1e3]
