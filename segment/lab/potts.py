"""A Potts field: what neighbors in the plane tell of each other where noise hides the classes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from segment.data.samples import Samples
from segment.em import EMResult
from segment.grid import FieldParameters, fit_field
from segment.lab.lesson import Lesson
from segment.lab.matching import Agreement, agreement, best_order
from segment.lab.outcome import Check, Column, Outcome, Picture, Table, at_least, at_most
from segment.mixture.expectation import assign
from segment.mixture.fitting import fit_mixture
from segment.style import COLORS, INK, new_figure, quiet_axes
from segment.words import say, shown

SIZE = 128
N_CELLS = 12
NOISES = (0.5, 0.8, 1.0)
STRENGTH = 1.5
# What pixels by themselves reach on 256 x 256 pixels, and a mean field of strength 1.5, in a slow program.
PLAIN = (0.790, 0.649, 0.586)
SMOOTH = (0.996, 0.992, 0.989)

LESSON = Lesson(
    given="Images of three classes with the gray values 0, 1 and 2 in twelve cells, under normal "
    "noise of standard deviation 0.5, 0.8 and 1: at the last, most pixels look like another "
    "class.",
    hidden="The class of every pixel, and the gray values and the noise of the classes.",
    e_step="Every pixel weighs its own gray value against what its four neighbors are believed to "
    "be: a like neighbor raises the log probability of a class by the strength 1.5 times the "
    "belief. Beliefs are updated in turn until they agree (mean field).",
    m_step="As in any mixture: means and variances from the beliefs in place of responsibilities.",
    look="The third row of pictures against the second: pixels by themselves are speckles, pixels "
    "with neighbors are cells. What is left of the errors lies on the borders.",
    references=("Besag 1986", "Celeux et al. 2003"),
)


@dataclass(frozen=True, eq=False, kw_only=True)
class Potts(Outcome):
    """Outcome of the experiment.

    Attributes
    ----------
    truth : (M, N) int64 ndarray
    images : tuple of (M, N) float64 ndarrays
        By noise.
    plain, smooth : tuple of (M, N) ndarrays
        Label maps of a mixture and of a field, in the order of the truth.
    fits : tuple of EMResult
        Of the fields.
    """

    truth: np.ndarray
    images: tuple[np.ndarray, ...]
    plain: tuple[np.ndarray, ...]
    smooth: tuple[np.ndarray, ...]
    fits: tuple[EMResult[FieldParameters], ...]

    def record(self) -> dict[str, Any]:
        return {
            "noises": NOISES,
            "bounds": [fit.lower_bounds for fit in self.fits],
            "means": [fit.parameters.emissions.means for fit in self.fits],
        }


def draw_truth(rng: np.random.Generator) -> np.ndarray:
    """Draw the classes: cells about random sites, classes in turn."""
    sites, classes = rng.uniform(0, SIZE, (N_CELLS, 2)), np.arange(N_CELLS) % 3
    places = np.moveaxis(np.mgrid[:SIZE, :SIZE], 0, -1)
    return classes[np.square(places[:, :, None] - sites).sum(axis=3).argmin(axis=2)]


def run(random_state: int = 0) -> Potts:
    """Run the experiment: a mixture and a field at every noise."""
    rng = np.random.default_rng(random_state)
    truth = draw_truth(rng)
    images = tuple(truth + noise * rng.standard_normal(truth.shape) for noise in NOISES)
    plain, smooth, fits = [], [], []
    for image in images:
        samples = Samples.of(image.reshape(-1, 1))
        alone = fit_mixture(samples, 3, covariance_type="tied", n_init=8, n_jobs=1)
        plain.append(_in_order(truth, assign(samples.X, alone.parameters, n_jobs=1)))
        fits.append(fit_field(image, 3, strength=STRENGTH, random_state=random_state, n_jobs=1))
        smooth.append(_in_order(truth, fits[-1].parameters.labels.ravel()))
    scores = [_scores(truth, plain[i], smooth[i]) for i in range(len(NOISES))]
    return Potts(
        random_state=random_state,
        tables=(_table(scores),),
        checks=_checks(scores, fits),
        findings=_findings(scores, fits),
        truth=truth,
        images=images,
        plain=tuple(plain),
        smooth=tuple(smooth),
        fits=tuple(fits),
    )


def _in_order(truth: np.ndarray, labels: np.ndarray) -> np.ndarray:
    order = best_order(truth.ravel(), labels, 3)
    return np.argsort(order)[labels].reshape(truth.shape)


def _scores(truth: np.ndarray, plain: np.ndarray, smooth: np.ndarray) -> tuple[Agreement, Agreement]:
    return agreement(truth.ravel(), plain.ravel()), agreement(truth.ravel(), smooth.ravel())


def _checks(
    scores: list[tuple[Agreement, Agreement]], fits: list[EMResult[FieldParameters]]
) -> tuple[Check, ...]:
    # Smaller images have relatively more border, where the errors of a field lie.
    border = 256 / SIZE
    fall = min(float(np.diff(fit.lower_bounds).min()) for fit in fits)
    return (
        *(
            at_most(
                say("accuracy of pixels by themselves, noise {noise:g}", noise=noise),
                alone.accuracy,
                PLAIN[i] + 0.06,
            )
            for i, (noise, (alone, _)) in enumerate(zip(NOISES, scores, strict=True))
        ),
        *(
            at_least(
                say("accuracy of the field, noise {noise:g}", noise=noise),
                field.accuracy,
                1 - 1.5 * border * (1 - SMOOTH[i]),
            )
            for i, (noise, (_, field)) in enumerate(zip(NOISES, scores, strict=True))
        ),
        at_least("the bound never falls: the least gain, nats a pixel", fall, -1e-10, ".1e"),
    )


def _table(scores: list[tuple[Agreement, Agreement]]) -> Table:
    rows = tuple(
        (f"{noise:g}", alone.accuracy, field.accuracy, PLAIN[i], SMOOTH[i])
        for i, (noise, (alone, field)) in enumerate(zip(NOISES, scores, strict=True))
    )
    columns = (
        Column("noise"),
        Column("pixels by themselves", ".3f"),
        Column("field", ".3f"),
        Column("expected by themselves (256 x 256)", ".3f"),
        Column("expected of a field (256 x 256)", ".3f"),
    )
    return Table("potts_accuracy", "A Potts field: accuracy by noise.", columns, rows)


def _findings(
    scores: list[tuple[Agreement, Agreement]], fits: list[EMResult[FieldParameters]]
) -> tuple[str, ...]:
    alone, field = scores[-1]
    means = np.sort(fits[-1].parameters.emissions.means[:, 0])
    return (
        say(
            "At noise 1 a pixel by itself is told right with probability {accuracy:.3f}, with "
            "its neighbors {with_neighbors:.3f}: four neighbors say more than the pixel itself.",
            accuracy=alone.accuracy,
            with_neighbors=field.accuracy,
        ),
        say(
            "The field also finds the gray values again ({first:.2f}, {second:.2f}, "
            "{third:.2f}), which a mixture of single pixels can hardly tell apart at this "
            "noise.",
            first=means[0],
            second=means[1],
            third=means[2],
        ),
        "The strength is given here. It can be estimated from the beliefs (pseudo-likelihood), but smooth "
        "beliefs ask for a stronger field, which makes them smoother: on large cells the estimate ends high.",
    )


def pictures(result: Potts) -> tuple[Picture, ...]:
    """Return the figures of the experiment, in the order to be read."""
    return (
        Picture(
            "potts_maps",
            say(
                "Three classes under noise of 0.5, 0.8 and 1 (left to right): the image, pixels by "
                "themselves, and a Potts field of strength {strength:g}.",
                strength=STRENGTH,
            ),
            "Three rows of three pictures: noise, speckled cells, clean cells.",
            partial(draw_maps, result),
        ),
        Picture(
            "potts_bound",
            "The mean-field bound by iteration, in nats a pixel above its first value; it never falls.",
            "Three curves that rise and level off within some ten iterations.",
            partial(draw_bounds, result),
        ),
    )


def draw_maps(result: Potts) -> Any:
    """Draw images and label maps."""
    from matplotlib.colors import ListedColormap

    figure = new_figure(6.6, 6.8, layout="compressed")
    panels = figure.subplots(3, 3)
    colors = ListedColormap(COLORS[:3])
    rows = ((result.images, "gray"), (result.plain, colors), (result.smooth, colors))
    for row, ((maps, colormap), name) in enumerate(
        zip(rows, ("image", "by themselves", "with neighbors"), strict=True)
    ):
        for column, one in enumerate(maps):
            axes = panels[row, column]
            axes.imshow(one, cmap=colormap, interpolation="nearest")
            axes.set_xticks([])
            axes.set_yticks([])
            title = say("noise {noises:g}", noises=NOISES[column]) if row == 0 else ""
            if row > 0:
                title = say("accuracy {accuracy:.3f}", accuracy=float(np.mean(one == result.truth)))
            quiet_axes(axes, title, "", name if column == 0 else "")
    return figure


def draw_bounds(result: Potts) -> Any:
    """Draw the bounds by iteration."""
    figure = new_figure(6.4, 2.8)
    axes = figure.subplots()
    for k, (noise, fit) in enumerate(zip(NOISES, result.fits, strict=True)):
        rise = fit.lower_bounds - fit.lower_bounds[0]
        axes.plot(
            rise, "o-", color=COLORS[k], markersize=3.5, label=shown(say("noise {noise:g}", noise=noise))
        )
    axes.axhline(0, color=INK, linewidth=0.6)
    quiet_axes(axes, "", "iteration", "nats a pixel")
    axes.legend(frameon=False, fontsize=8)
    return figure
