"""Rendered clips of eight kinds whose masks are known exactly: for tests, the lab and the benchmark."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from segment.errors import DataError

HEIGHT, WIDTH, N_FRAMES = 120, 160, 600

# Frames before the first object: the background is learned.
QUIET = 120

# When the object that stops does so, and when it goes on; after HISTORY frames it counts as background.
STOPS, LEAVES, HISTORY = 200, 500, 150
_NEVER = 10**9

# What sways lies to the right of this share of the width.
_SWAYS, _CONTRAST = 0.6, 28


class Frame(NamedTuple):
    """A frame and the truth about it.

    pixels (H, W, 3) uint8; truth (H, W) uint8: 255 moving, 127 in shadow, 0 background.
    """

    pixels: np.ndarray
    truth: np.ndarray


@dataclass(frozen=True, eq=False)
class Disc:
    """A textured disc that enters at a frame, crosses the picture and may stop for a while."""

    row: float
    speed: float
    radius: float
    enters: int
    texture: np.ndarray
    stops: int = _NEVER
    leaves: int = _NEVER

    def column(self, t: int) -> float:
        """Return the column of its center."""
        still = max(0, min(t, self.leaves) - self.stops)
        start = -self.radius if self.speed > 0 else WIDTH + self.radius
        return start + self.speed * (t - self.enters - still)

    def counts(self, t: int) -> bool:
        """Return whether it moves, or has not stood still for long."""
        return not self.stops + HISTORY <= t < self.leaves


@dataclass(frozen=True)
class Kind:
    """What a clip has beside noise and objects.

    Attributes
    ----------
    about : str
    noise : float
        Standard deviation.
    sway : float
        Pixels by which a textured part of the picture sways.
    step, drift : float
        Relative change of the light at once, and slowly back and forth.
    shadow : float
        Share of the light that a shadow takes.
    alike : bool
        Objects have nearly the color of what is behind them.
    jitter : float
        Pixels by which the camera shakes.
    stops : bool
        One object stops and stays.
    """

    about: str
    noise: float = 3.0
    sway: float = 0.0
    step: float = 0.0
    drift: float = 0.0
    shadow: float = 0.0
    alike: bool = False
    jitter: float = 0.0
    stops: bool = False


KINDS = {
    "noise": Kind("strong noise", noise=9.0),
    "sway": Kind("a swaying texture", sway=2.0),
    "step": Kind("the light changes at once", step=0.35),
    "drift": Kind("the light drifts", drift=0.3),
    "shadow": Kind("objects throw shadows", shadow=0.35),
    "alike": Kind("objects of nearly the background's color", alike=True),
    "jitter": Kind("the camera shakes", jitter=1.5),
    "stop": Kind("an object stops, stays and goes", stops=True),
}


@dataclass(frozen=True)
class Clip:
    """A rendered clip; iterating over it renders it anew, the same each time.

    Parameters
    ----------
    kind : str
        A key of `KINDS`.
    random_state : int
    n_frames : int
    """

    kind: str
    random_state: int = 0
    n_frames: int = N_FRAMES
    scene: np.ndarray = field(init=False, repr=False)
    discs: tuple[Disc, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise DataError(f"there is no rendered clip {self.kind!r}; allowed are {', '.join(KINDS)}")
        rng = np.random.default_rng([self.random_state, list(KINDS).index(self.kind)])
        object.__setattr__(self, "scene", _scene(rng, KINDS[self.kind]))
        object.__setattr__(self, "discs", tuple(self._discs(rng)))

    def _discs(self, rng: np.random.Generator) -> Iterator[Disc]:
        kind = KINDS[self.kind]
        if kind.stops:
            yield _disc(rng, self.scene, kind, row=75.0, speed=1.0, enters=QUIET, stops=STOPS, leaves=LEAVES)
        for enters in range(QUIET, self.n_frames, 150 if kind.stops else 50):
            row = 25.0 if kind.stops else float(rng.uniform(25, HEIGHT - 25))
            speed = float(rng.uniform(1.0, 2.5) * rng.choice((-1, 1)))
            yield _disc(rng, self.scene, kind, row=row, speed=speed, enters=enters)

    def __len__(self) -> int:
        return self.n_frames

    def __iter__(self) -> Iterator[Frame]:
        rng = np.random.default_rng([self.random_state, 1])
        kind = KINDS[self.kind]
        for t in range(self.n_frames):
            shake = rng.normal(0, kind.jitter, 2) if kind.jitter else np.zeros(2)
            colors, truth = _draw(self.scene, self.discs, kind, t, shake)
            colors = colors * _light(kind, t) + rng.normal(0, kind.noise, colors.shape)
            yield Frame(np.clip(np.rint(colors), 0, 255).astype(np.uint8), truth)


def _smooth(rng: np.random.Generator, shape: tuple[int, ...], width: float) -> np.ndarray:
    """Return smooth noise of variance 1."""
    values = ndimage.gaussian_filter(rng.normal(size=shape), (width, width, 0), mode="wrap")
    return values / values.std()


def _scene(rng: np.random.Generator, kind: Kind) -> np.ndarray:
    """Return a picture of fine and coarse texture in moderate colors; what sways has more contrast."""
    shape = (HEIGHT, WIDTH, 3)
    tints = 14 * _smooth(rng, shape, 25)
    light = 16 * _smooth(rng, (HEIGHT, WIDTH, 1), 12) + 11 * _smooth(rng, (HEIGHT, WIDTH, 1), 1.2)
    if kind.sway:
        light[:, round(_SWAYS * WIDTH) :] += (
            _CONTRAST * _smooth(rng, (HEIGHT, WIDTH, 1), 1.5)[:, round(_SWAYS * WIDTH) :]
        )
    return np.clip(110 + tints + light, 25, 190)


def _disc(
    rng: np.random.Generator,
    scene: np.ndarray,
    kind: Kind,
    *,
    row: float,
    speed: float,
    enters: int,
    stops: int = _NEVER,
    leaves: int = _NEVER,
) -> Disc:
    """Return a disc of a random color, or of nearly the color of the picture along its way."""
    radius = int(rng.integers(8, 15))
    way = scene[max(0, int(row) - radius) : int(row) + radius].mean(axis=(0, 1))
    # The less it differs, the more by luma: a color of its own would tell it apart.
    color = way + rng.choice((-1, 1)) * 22 if kind.alike else rng.uniform(40, 190, 3)
    texture = color + (4 if kind.alike else 12) * _smooth(rng, (2 * radius + 1, 2 * radius + 1, 1), 2)
    return Disc(row, speed, float(radius), enters, texture, stops, leaves)


def _draw(
    scene: np.ndarray, discs: tuple[Disc, ...], kind: Kind, t: int, shake: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return colors and truth of a frame in even light, without noise."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH].astype(float)
    colors = _moved(scene, rows, columns, kind, t, shake)
    truth = np.zeros((HEIGHT, WIDTH), np.uint8)
    present = [disc for disc in discs if disc.enters <= t]
    places = [(rows - disc.row - shake[0], columns - disc.column(t) - shake[1]) for disc in present]
    if kind.shadow:
        for disc, (down, right) in zip(present, places, strict=True):
            across = (right / (1.4 * disc.radius)) ** 2 + ((down - disc.radius) / (0.4 * disc.radius)) ** 2
            truth[across < 1] = 127
        colors[truth == 127] *= 1 - kind.shadow
    for disc, (down, right) in zip(present, places, strict=True):
        inside = down**2 + right**2 <= disc.radius**2
        at = np.rint([down[inside] + disc.radius, right[inside] + disc.radius]).astype(int)
        colors[inside] = disc.texture[at[0], at[1]]
        truth[inside] = 255 if disc.counts(t) else 0
    return colors, truth


def _moved(
    scene: np.ndarray, rows: np.ndarray, columns: np.ndarray, kind: Kind, t: int, shake: np.ndarray
) -> np.ndarray:
    """Return the picture as the camera's shaking and the swaying of its right part leave it."""
    if not (kind.jitter or kind.sway):
        return scene.copy()
    wave = np.sin(0.31 * t + 0.05 * rows) + 0.6 * np.sin(0.77 * t + 1)
    sway = np.where(columns >= _SWAYS * WIDTH, kind.sway * wave, 0.0)
    at = np.array([rows - shake[0], columns - shake[1] + sway])
    planes = [ndimage.map_coordinates(scene[..., c], at, order=1, mode="reflect") for c in range(3)]
    return np.stack(planes, axis=-1)


def _light(kind: Kind, t: int) -> float:
    """Return the light's strength: a step down at frame 300 and up again at 450, a slow wave."""
    return 1 - kind.step * (300 <= t < 450) + kind.drift * np.sin(2 * np.pi * t / 400)
