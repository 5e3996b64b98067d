"""A mixture at every pixel: where one Gaussian calls a swaying texture a moving thing, a few do not."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np

from segment.lab.lesson import Lesson
from segment.lab.outcome import Check, Column, Outcome, Picture, Table, at_least, at_most
from segment.style import COLORS, FAINT, new_figure, quiet_axes
from segment.video import Background
from segment.video.rendered import HEIGHT, QUIET, WIDTH, Clip
from segment.video.scores import Score
from segment.words import say

HISTORY = 300
# The frame that is shown, and how often the pixel's mixture is kept.
SHOWN, EVERY = 420, 10
# Columns of the part that sways begin here; a margin is left beside it.
SWAYS, STILL = round(0.6 * WIDTH) + 4, round(0.6 * WIDTH) - 8

LESSON = Lesson(
    given="A rendered clip: discs move before a picture of which the right part sways like leaves; the "
    "truth is known for every pixel and frame.",
    hidden="For every pixel, which of its few components made the color of this frame: the wall, the "
    "leaf, or a thing passing.",
    e_step="The component that the new color is near to takes it (a hard responsibility); none: the "
    "pixel is moving.",
    m_step="Weight, mean and variance of that component move a little towards the color, once a frame; "
    "components without support are dropped, new ones come where none fits (online EM).",
    look="How many components pixels need: one where the picture stands still, more where it sways. "
    "One Gaussian a pixel calls the swaying part moving.",
    references=("Stauffer & Grimson 1999", "Neal & Hinton 1998"),
)


class SingleGaussian:
    """A running mean and variance at every pixel, in the same colors and with the same threshold."""

    def __init__(self, history: int, threshold: float = 8.0) -> None:
        self.history, self.threshold, self.t = history, threshold, 0
        self.mean, self.variance = np.zeros(0), np.zeros(0)

    def apply(self, frame: np.ndarray) -> np.ndarray:
        """Return 255 where a frame is far from the mean, and learn from it."""
        colors = opponent_colors(frame)
        self.t += 1
        if self.t == 1:
            self.mean, self.variance = colors, np.full(colors.shape, 5.0)
        apart = np.square(colors - self.mean)
        moving = (apart / self.variance).mean(axis=-1) > self.threshold
        rate = 1 / min(2 * self.t, self.history)
        self.mean = self.mean + rate * (colors - self.mean)
        self.variance = np.clip(self.variance + rate * (apart - self.variance), 1, 75)
        return np.where(moving, 255, 0).astype(np.uint8)


def opponent_colors(frame: np.ndarray) -> np.ndarray:
    """Return luma and the two chromas of `Background`, (..., 3) float64."""
    red, green, blue = np.moveaxis(frame.astype(float), -1, 0)
    return np.stack([(red + 2 * green + blue) / 4, (blue - red) / 2, (2 * green - blue - red) / 4], axis=-1)


@dataclass(frozen=True, eq=False, kw_only=True)
class VideoBackground(Outcome):
    """What the methods make of the clip with the swaying texture.

    Attributes
    ----------
    frame, truth : ndarray
        Frame `SHOWN`.
    masks : dict of str to ndarray
        Of it, by method.
    n_components : (H, W) uint8 ndarray
        At the end.
    pixel : (int, int)
        Row and column of the pixel that is followed.
    colors : (n_frames, 3) float64 ndarray
        Of that pixel, in luma and chromas.
    mixtures : tuple of ndarray
        Of that pixel after every `EVERY` frames, as `Background.components` gives them.
    """

    frame: np.ndarray
    truth: np.ndarray
    masks: dict[str, np.ndarray]
    n_components: np.ndarray
    pixel: tuple[int, int]
    colors: np.ndarray
    mixtures: tuple[np.ndarray, ...]

    def record(self) -> dict[str, Any]:
        return {
            "history": HISTORY,
            "pixel": self.pixel,
            "mixtures": [mixture.round(3).tolist() for mixture in self.mixtures],
            "mean_components": float(self.n_components.mean()),
        }


def _methods() -> dict[str, Any]:
    """Return every method's `apply` by name; OpenCV's only where it is installed."""
    found: dict[str, Any] = {
        "one Gaussian": SingleGaussian(HISTORY).apply,
        "mixtures, every pixel alone": Background((HEIGHT, WIDTH), HISTORY, window=1, gain=False).apply,
        "mixtures with a vote": Background((HEIGHT, WIDTH), HISTORY, gain=False).apply,
    }
    if find_spec("cv2") is not None:
        import cv2

        found["OpenCV's MOG2"] = cv2.createBackgroundSubtractorMOG2(HISTORY, 16, True).apply
    return found


def _restless_pixel(clip: Clip) -> tuple[int, int]:
    """Return the pixel whose luma varies most before the first disc comes."""
    quiet = np.array(
        [opponent_colors(frame.pixels)[..., 0] for frame in Clip(clip.kind, clip.random_state, 60)]
    )
    row, column = np.unravel_index(quiet.std(axis=0).argmax(), (HEIGHT, WIDTH))
    return int(row), int(column)


def run(random_state: int = 0) -> VideoBackground:
    """Watch the clip by all methods; follow one pixel's mixture."""
    clip = Clip("sway", random_state)
    pixel = _restless_pixel(clip)
    methods, followed = _methods(), Background((HEIGHT, WIDTH), HISTORY, gain=False)
    scores = dict.fromkeys(methods, Score())
    masks: dict[str, np.ndarray] = {}
    colors, mixtures, shown = [], [], None
    for t, frame in enumerate(clip):
        followed.partial_fit(frame.pixels)
        colors.append(opponent_colors(frame.pixels[pixel]))
        if t % EVERY == 0:
            mixtures.append(followed.components(*pixel))
        for name, apply in methods.items():
            mask = apply(frame.pixels)
            if t >= QUIET:
                scores[name] = scores[name].plus(Score.of(mask, frame.truth))
            if t == SHOWN:
                masks[name], shown = mask, frame
    assert shown is not None
    counts = followed.n_components
    return VideoBackground(
        random_state=random_state,
        tables=(_table(scores),),
        checks=_checks(scores, counts),
        findings=_findings(scores, counts),
        frame=shown.pixels,
        truth=shown.truth,
        masks=masks,
        n_components=counts,
        pixel=pixel,
        colors=np.array(colors),
        mixtures=tuple(mixtures),
    )


def _table(scores: dict[str, Score]) -> Table:
    caption = "What moves before a swaying texture, all frames from the first disc on."
    columns = (Column("method"), Column("F", ".3f"), Column("precision", ".3f"), Column("recall", ".3f"))
    rows = tuple((name, score.f, score.precision, score.recall) for name, score in scores.items())
    return Table("video_background", caption, columns, rows)


def _means(counts: np.ndarray) -> tuple[float, float]:
    return float(counts[:, SWAYS:].mean()), float(counts[:, :STILL].mean())


def _checks(scores: dict[str, Score], counts: np.ndarray) -> tuple[Check, ...]:
    swaying, still = _means(counts)
    return (
        at_least("F of mixtures with a vote", scores["mixtures with a vote"].f, 0.9),
        at_most(
            "precision of one Gaussian",
            scores["one Gaussian"].precision,
            scores["mixtures with a vote"].precision,
        ),
        at_least("mean number of components where the texture sways", swaying, still + 0.15, ".2f"),
    )


def _findings(scores: dict[str, Score], counts: np.ndarray) -> tuple[str, ...]:
    swaying, still = _means(counts)
    one, alone, voted = (score for _, score in list(scores.items())[:3])
    return (
        say(
            "Where the texture sways a pixel takes {swaying:.2f} components on average, "
            "elsewhere {still:.2f}: their number adapts by itself, a component without support "
            "is removed.",
            swaying=swaying,
            still=still,
        ),
        say(
            "One Gaussian a pixel finds {recall:.0%} of what moves at a precision of "
            "{precision:.0%}; mixtures {recall_alone:.0%} at {precision_alone:.0%}; with the vote of "
            "squares {recall_voted:.0%} at {precision_voted:.0%}.",
            recall=one.recall,
            precision=one.precision,
            recall_alone=alone.recall,
            precision_alone=alone.precision,
            recall_voted=voted.recall,
            precision_voted=voted.precision,
        ),
    )


def pictures(outcome: VideoBackground) -> tuple[Picture, ...]:
    """Return the figures."""
    row, column = outcome.pixel
    return (
        Picture(
            "video_background_masks",
            say(
                "Frame {shown} of the rendered clip, what moves in truth and by each method, and the "
                "number of components of every pixel at the end. The right part of the picture sways.",
                shown=SHOWN + 1,
            ),
            "A frame, its true mask, the masks of the methods and a map of the number of components, which "
            "is larger in the right part.",
            lambda: draw_masks(outcome),
        ),
        Picture(
            "video_background_pixel",
            say(
                "The pixel in row {row}, column {column} over time: its luma (dots), and its "
                "components: means as lines, as strong as they weigh, with two standard deviations "
                "about them.",
                row=row,
                column=column,
            ),
            "Dots of luma by frame in several bands; lines of component means run through them.",
            lambda: draw_pixel(outcome),
        ),
    )


def draw_masks(outcome: VideoBackground) -> Any:
    """Draw the frame, the masks and the map of components."""
    figure = new_figure(9.0, 3.8, layout="compressed")
    panels = {"frame": outcome.frame, "truth": outcome.truth, **outcome.masks}
    axes = figure.subplots(2, -(-(len(panels) + 1) // 2)).ravel()
    for ax in axes:
        ax.set_axis_off()
    for ax, (title, pixels) in zip(axes, panels.items(), strict=False):
        ax.imshow(pixels, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
        ax.set_title(title, fontsize=9)
    ax = axes[len(panels)]
    image = ax.imshow(outcome.n_components, cmap="viridis", vmin=0.5, vmax=5.5, interpolation="nearest")
    ax.set_title("components a pixel", fontsize=9)
    figure.colorbar(image, ax=ax, ticks=range(1, 6), shrink=0.8)
    return figure


def draw_pixel(outcome: VideoBackground) -> Any:
    """Draw one pixel's luma and the components it is explained by."""
    figure = new_figure(8.0, 3.6)
    axes = quiet_axes(figure.add_subplot(), "", "frame", "luma")
    axes.plot(outcome.colors[:, 0], ".", color=FAINT, markersize=2.5)
    for number, mixture in enumerate(outcome.mixtures):
        begin, end = number * EVERY, (number + 1) * EVERY
        for k, (weight, variance, _, mean, *_) in enumerate(mixture):
            strength, spread = float(np.clip(weight, 0.08, 1)), 2 * np.sqrt(variance)
            axes.hlines(mean, begin, end, color=COLORS[k], alpha=strength, linewidth=2)
            band = (mean - spread, mean + spread)
            axes.fill_between([begin, end], *band, color=COLORS[k], alpha=0.25 * strength, linewidth=0)
    axes.margins(x=0.01)
    return figure
