"""Background subtraction by adaptive mixtures: one mixture a pixel, learned frame by frame."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from segment.archive import Field, read_archive, write_archive
from segment.errors import DataError, ImageError, ModelError
from segment.kernels.video import Quorum, Rules, State, sample_ratios, update_rows, vote_rows
from segment.parallel import block_ranges, resolve_n_jobs

MAX_COMPONENTS, MAX_WINDOW = 16, 127

# Components whose weights sum to less than this, heaviest first, and the next one, are background.
SHARE = 0.75

# Numbers of the update; docs/decisions/video-background.md says how they were found.
_FIXED = {
    "prior": 0.05,
    "match": 8.0,
    "share": SHARE,
    "start": 5.0,
    "least_y": 2.0,
    "least_uv": 1.0,
    "most": 75.0,
    "tint": 8.0,
    "rise": 1.1,
    "fall": 0.999,
}
# Under an object learning is slower, so that a still one reaches a weight of 1 - SHARE, and with it the
# background, after `history` frames; but not in the first fifth of it, when an object may be but the ghost of
# one in the first frame.
_SLOWER, _EARLY = -math.log(SHARE), 5
# How dark a shadow may be; 1 knows no shadow.
_DARKEST = 0.5
# A threshold grows to so many times the least one.
_RANGE = 12.5
# Where 15 % of a window moves, an object is near, and no threshold is learned: a flicker may be its edge.
_QUORUM = Quorum(np.float32(0.3), np.float32(0.5), near=np.float32(0.15), inside=np.float32(0.3))
# The gain is the median of a grid of about so many rows, if enough of it is usable.
_GRID_ROWS, _LEAST_SAMPLES = 60, 50
# Below this number of pixels another thread costs more than it saves.
_PIXELS_PER_THREAD = 1 << 15

_FIELDS = {
    "mixtures": Field("f", 4),
    "counts": Field("u", 2),
    "thresholds": Field("f", 2),
    "verdicts": Field("u", 2),
    "inside": Field("u", 2),
    "mask": Field("u", 2),
    "n_frames": Field("iu", 0),
    "history": Field("iu", 0),
    "threshold": Field("f", 0),
    "window": Field("iu", 0),
    "shadows": Field("b", 0),
    "gain": Field("b", 0),
}
_CURE = "give one that Background.save or segment video --save model wrote"


class Background:
    """A mixture a pixel that adapts to what stays, and tells what moves.

    Every pixel has a Gaussian mixture of its own whose number of components adapts [1]_, in luma and two
    opponent chromas, and a threshold that it learns. Squares of pixels vote on what moves. The result does
    not depend on the number of threads.

    Parameters
    ----------
    shape : (int, int)
        Height and width of the frames.
    history : int
        After so many frames an object that stands still becomes background.
    threshold : float
        A pixel moves if its squared distance from the background, in units of the variance, exceeds this; one
        that flickers raises its own threshold.
    window : int
        Side of the square that votes, odd; 1 lets every pixel decide alone.
    max_components : int
        Per pixel; memory is 24 bytes for each of them.
    shadows : bool
        Tell shadows from what moves.
    gain : bool
        Follow changes of the light that are the same everywhere.
    n_jobs : int, optional
        Threads; every core by default.

    Attributes
    ----------
    n_frames : int
        Frames learned from.

    References
    ----------
    .. [1] Zivkovic (2004), "Improved adaptive Gaussian mixture model for background subtraction", ICPR.
    """

    def __init__(
        self,
        shape: tuple[int, int],
        history: int = 500,
        *,
        threshold: float = 8.0,
        window: int = 11,
        max_components: int = 5,
        shadows: bool = True,
        gain: bool = True,
        n_jobs: int | None = None,
    ) -> None:
        height, width = _checked_shape(shape)
        _check("history", history, history >= 2, "2 or more frames")
        _check("threshold", threshold, 0 < threshold < math.inf, "above 0")
        _check("window", window, 1 <= window <= MAX_WINDOW and window % 2 == 1, f"1, 3, ... {MAX_WINDOW}")
        _check(
            "max_components", max_components, 1 <= max_components <= MAX_COMPONENTS, f"1 to {MAX_COMPONENTS}"
        )
        self.history, self.threshold, self.window = int(history), float(threshold), int(window)
        self.shadows, self.gain, self.n_frames = bool(shadows), bool(gain), 0
        self._state = State(
            np.zeros((height, max_components, 6, width), np.float32),
            np.zeros((height, width), np.uint8),
            np.full((height, width), threshold, np.float32),
            np.zeros((height, width), np.uint8),
            np.zeros((height, width), np.uint8),
        )
        self._mask = np.zeros((height, width), np.uint8)
        self._prepare(n_jobs)

    def _prepare(self, n_jobs: int | None) -> None:
        height, width = self.shape
        self._samples = np.empty(sum(1 for _ in range(0, height, self._step)) * width, np.float32)
        threads = min(resolve_n_jobs(n_jobs), max(1, height * width // _PIXELS_PER_THREAD))
        self._pool = ThreadPoolExecutor(threads) if threads > 1 else None
        self._bands = block_ranges(height, -(-height // threads))

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the frames."""
        height, width = self._mask.shape
        return height, width

    @property
    def n_components(self) -> np.ndarray:
        """Components in use, (H, W) uint8."""
        return self._state.counts.copy()

    @property
    def background(self) -> np.ndarray:
        """The mean of every pixel's heaviest component, (H, W, 3) uint8."""
        light, u, v = (self._state.mixtures[:, 0, part] for part in (3, 4, 5))
        colors = np.stack([light - v - u, light + v, light - v + u], axis=-1)
        return np.clip(np.rint(colors), 0, 255).astype(np.uint8)

    def components(self, row: int, column: int) -> np.ndarray:
        """Return the mixture of one pixel.

        Parameters
        ----------
        row, column : int

        Returns
        -------
        (n, 6) float32 ndarray
            Weight, variance of luma, variance of the chromas, means of luma Y = (R + 2 G + B) / 4 and of the
            chromas (B - R) / 2 and (2 G - B - R) / 4; the heaviest component first.
        """
        return self._state.mixtures[row, : self._state.counts[row, column], :, column].copy()

    def apply(self, frame: np.ndarray, rate: float | None = None) -> np.ndarray:
        """Tell what moves in a frame, and learn from it.

        Parameters
        ----------
        frame : (H, W, 3) or (H, W) uint8 ndarray, sRGB or gray
        rate : float, optional
            Weight of the frame at every pixel, 0 to 1; 0 learns nothing at all. By default
            1 / min(2 t, history) for the t-th frame, and less where an object was in the frame before.

        Returns
        -------
        (H, W) uint8 ndarray
            255 where something moves, 127 in its shadow, 0 elsewhere. Nothing moves in the first frame.

        Raises
        ------
        ImageError
            If the frame is not of that shape and type.
        DataError
            If the rate is not in [0, 1], or 0 before anything was learned.
        """
        frame = self._checked_frame(frame)
        _check("rate", rate, rate is None or 0 <= rate <= 1, "0 to 1, or None")
        if self.n_frames == 0:
            _check("rate", rate, rate != 0, "above 0 for the first frame: nothing has been learned yet")
            self._start(frame)
            return self._mask.copy()
        learned = rate != 0
        self.n_frames += learned
        rules = self._rules(frame, rate)
        radius = self.window // 2
        # At a rate of 0 nothing is kept of the frame but the mask that is returned.
        state = self._state if learned else self._state._replace(verdicts=self._state.verdicts.copy())
        inside = self._state.inside if learned else np.empty_like(self._state.inside)
        mask = self._mask if learned else np.empty_like(self._mask)
        self._in_bands(lambda first, last: update_rows(frame, state, rules, first, last))
        self._in_bands(
            lambda first, last: vote_rows(state.verdicts, radius, _QUORUM, mask, inside, first, last)
        )
        return mask.copy() if learned else mask

    def partial_fit(self, frame: np.ndarray) -> Background:
        """Learn from a frame, as `apply` does; return the background itself.

        Parameters
        ----------
        frame : (H, W, 3) or (H, W) uint8 ndarray, sRGB or gray

        Returns
        -------
        Background
        """
        self.apply(frame)
        return self

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write all that has been learned to an .npz file; a loaded one goes on with the same bits.

        Parameters
        ----------
        path : path-like

        Returns
        -------
        None
        """
        settings = {name: getattr(self, name) for name in _FIELDS if hasattr(self, name)}
        write_archive(path, {**self._state._asdict(), "mask": self._mask, **settings})

    @classmethod
    def load(cls, path: str | os.PathLike[str], n_jobs: int | None = None) -> Background:
        """Read what `save` wrote.

        Parameters
        ----------
        path : path-like
        n_jobs : int, optional

        Returns
        -------
        Background

        Raises
        ------
        ModelError
            If there is no such file, or it is none that `save` wrote.
        """
        found = read_archive(path, "background model", _CURE, _FIELDS)
        shape, mixtures = found["mask"].shape, found["mixtures"]
        expected = (shape[0], mixtures.shape[1], 6, shape[1])
        per_pixel = [found[name].shape for name in ("counts", "thresholds", "verdicts", "inside")]
        if mixtures.shape != expected or any(other != shape for other in per_pixel):
            raise ModelError(f"{path}: its arrays are not of one size; {_CURE}")
        try:
            self = cls(
                shape,
                found["history"].item(),
                max_components=mixtures.shape[1],
                n_jobs=n_jobs,
                **{name: found[name].item() for name in ("threshold", "window", "shadows", "gain")},
            )
        except DataError as error:
            raise ModelError(
                f"{path}: not a background model that this program wrote ({error}); {_CURE}"
            ) from error
        if found["counts"].max() > mixtures.shape[1]:
            raise ModelError(f"{path}: it counts more components than it has; {_CURE}")
        for name, array in self._state._asdict().items():
            array[...] = found[name]
        self._mask[...] = found["mask"]
        self.n_frames = found["n_frames"].item()
        return self

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_pool"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._prepare(len(self._bands))

    @property
    def _step(self) -> int:
        return max(1, self.shape[0] // _GRID_ROWS)

    def _checked_frame(self, frame: np.ndarray) -> np.ndarray:
        frame = np.asarray(frame)
        if frame.ndim == 2:
            frame = np.repeat(frame[..., None], 3, axis=2)
        if frame.shape != (*self.shape, 3) or frame.dtype != np.uint8:
            height, width = self.shape
            raise ImageError(
                f"a frame of {' x '.join(map(str, frame.shape))} {frame.dtype}; this background takes "
                f"({height}, {width}, 3) or ({height}, {width}) uint8"
            )
        return np.ascontiguousarray(frame)

    def _start(self, frame: np.ndarray) -> None:
        """Take the first frame for background."""
        red, green, blue = np.moveaxis(frame.astype(np.float32), -1, 0)
        heaviest = self._state.mixtures[:, 0]
        heaviest[:, 0] = 1
        heaviest[:, 1:3] = _FIXED["start"]
        heaviest[:, 3] = (red + 2 * green + blue) / 4
        heaviest[:, 4] = (blue - red) / 2
        heaviest[:, 5] = (2 * green - blue - red) / 4
        self._state.counts[:] = 1
        self.n_frames = 1

    def _rules(self, frame: np.ndarray, rate: float | None) -> Rules:
        numbers = dict(_FIXED, gain=self._find_gain(frame) if self.gain else 1.0)
        if rate is None:
            numbers["rate"] = 1 / min(2 * self.n_frames, self.history)
            numbers["slower"] = _SLOWER if self.n_frames > self.history // _EARLY else 1.0
        else:
            numbers |= {"rate": rate, "slower": 1.0}
        if rate == 0:
            numbers |= {"rise": 1.0, "fall": 1.0}
        numbers["darkest"] = _DARKEST if self.shadows else 1.0
        numbers["least_threshold"] = self.threshold
        numbers["most_threshold"] = _RANGE * self.threshold
        return Rules(**{name: np.float32(value) for name, value in numbers.items()})

    def _find_gain(self, frame: np.ndarray) -> float:
        n = sample_ratios(frame, self._state.mixtures, self._mask, self._step, self._samples)
        return float(np.median(self._samples[:n])) if n > _LEAST_SAMPLES else 1.0

    def _in_bands(self, job: Callable[[int, int], None]) -> None:
        if self._pool is None:
            job(0, self.shape[0])
            return
        for future in [self._pool.submit(job, first, last) for first, last in self._bands]:
            future.result()


def _checked_shape(shape: tuple[int, int]) -> tuple[int, int]:
    sides = tuple(shape)
    if len(sides) != 2 or any(int(side) != side or side < 1 for side in sides):
        raise DataError(f"shape is {shape}; it must be the height and the width of the frames")
    return int(sides[0]), int(sides[1])


def _check(name: str, value: Any, allowed: bool, text: str) -> None:
    if not allowed:
        raise DataError(f"{name} is {value}; it must be {text}")
