"""Binary digits: a mixture whose component means are images."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial, reduce
from typing import Any

import numpy as np

from segment.data.samples import Samples
from segment.em.result import EMResult
from segment.lab.lesson import Lesson
from segment.lab.matching import Agreement, agreement, best_order
from segment.lab.outcome import Check, Column, Outcome, Picture, Table, at_least, at_most
from segment.mixture.expectation import assign, log_likelihood, responsibilities
from segment.mixture.families.bernoulli import Bernoulli, BernoulliParameters
from segment.mixture.fitting import fit_family
from segment.style import COLORS, new_figure, quiet_axes
from segment.words import say

# Ink of 8 or more of 16 counts as 1.
THRESHOLD = 7.5
SIDE, N_CLASSES, N_MANY = 8, 10, 40
N_INIT = 4

LESSON = Lesson(
    given="1 797 handwritten digits of 8 x 8 pixels, each pixel made 1 where it is at least half "
    "covered by ink "
    "and 0 elsewhere.",
    hidden="Which of ten patterns each image was made from. The digits that people read are used only "
    "to name the "
    "patterns and to score them.",
    e_step="For every image the probability of each pattern: its weight times the product, over all 64 "
    "pixels, of "
    "the probability of ink where there is ink and of none where there is none.",
    m_step="Pixel by pixel the share of inked images among those of a pattern, each image counted by its "
    "responsibility: the average image, which can be looked at.",
    look="The ten mean images: most are digits. Where two forms of one digit take two patterns, two "
    "digits have to "
    "share one; forty patterns show the forms apart.",
    references=("Lazarsfeld & Henry 1968", "Bishop 2006"),
)


@dataclass(frozen=True, eq=False, kw_only=True)
class BernoulliDigits(Outcome):
    """Outcome of the experiment.

    Attributes
    ----------
    ten, many : EMResult
        Fits of 10 and of 40 components; those of the ten stand in the order of the digits matched to them.
    digits : (10,), (40,) tuple of int64 ndarray
        The digit most frequent in each component.
    """

    ten: EMResult[BernoulliParameters]
    many: EMResult[BernoulliParameters]
    digits: tuple[np.ndarray, np.ndarray]

    def record(self) -> dict[str, Any]:
        return {
            name: {
                "log_likelihood": found.log_likelihood,
                "weights": found.parameters.weights,
                "probabilities": found.parameters.probabilities,
                "digits": digits,
            }
            for name, found, digits in zip(("ten", "forty"), (self.ten, self.many), self.digits, strict=True)
        }


def binary_digits() -> tuple[np.ndarray, np.ndarray]:
    """Return the binary images as rows, (1797, 64), and their digits."""
    from sklearn.datasets import load_digits

    found = load_digits()
    return (found.data > THRESHOLD).astype(np.float64), found.target.astype(np.int64)


def commonest(truth: np.ndarray, labels: np.ndarray, n: int) -> np.ndarray:
    """Return the most frequent digit of each label, (n,) int64."""
    counts = np.zeros((n, N_CLASSES), dtype=np.int64)
    np.add.at(counts, (labels, truth), 1)
    return counts.argmax(axis=1)


def run(random_state: int = 0) -> BernoulliDigits:
    """Run the experiment: 10 components, the best of a few starts, and 40."""
    X, truth = binary_digits()
    samples = Samples.of(X)
    family = Bernoulli.of(samples)
    fits = [
        max(
            (
                fit_family(samples, n, family, random_state=random_state + i, n_jobs=1)
                for i in range(N_INIT if n == N_CLASSES else 1)
            ),
            key=lambda found: found.log_likelihood,
        )
        for n in (N_CLASSES, N_MANY)
    ]
    labels = assign(X, fits[0].parameters)
    score = agreement(truth, labels)
    digits = tuple(
        commonest(truth, assign(X, found.parameters), found.parameters.n_components) for found in fits
    )
    purity = float((digits[1][assign(X, fits[1].parameters)] == truth).mean())
    single = log_likelihood(samples, family.from_responsibilities(samples, np.ones((len(X), 1))))
    order = best_order(truth, labels, N_CLASSES)
    return BernoulliDigits(
        random_state=random_state,
        tables=(_table(fits[0].parameters, labels, truth, order),),
        checks=_checks(fits, score, purity, single),
        findings=_findings(fits, score, purity, X, digits[0]),
        ten=_renamed(fits[0], order),
        many=fits[1],
        digits=(digits[0][order], digits[1]),
    )


def _renamed(found: EMResult[BernoulliParameters], order: np.ndarray) -> EMResult[BernoulliParameters]:
    return replace(found, parameters=found.parameters.reordered(order))


def _table(
    parameters: BernoulliParameters, labels: np.ndarray, truth: np.ndarray, order: np.ndarray
) -> Table:
    rows = []
    for digit, component in enumerate(order):
        own = truth[labels == component]
        found = np.bincount(own, minlength=N_CLASSES)
        second = int(np.argsort(-found, kind="stable")[1])
        share, other = (float(found[d] / max(len(own), 1)) for d in (digit, second))
        rows.append((digit, float(parameters.weights[component]), len(own), share, str(second), other))
    columns = (
        Column("matched digit", "d"),
        Column("weight", ".3f"),
        Column("images", "d"),
        Column("share of that digit", ".3f"),
        Column("next digit"),
        Column("its share", ".3f"),
    )
    caption = "Binary digits: the ten components, each matched to a digit (the best matching of all)."
    return Table("bernoulli_digits_components", caption, columns, tuple(rows))


def _checks(
    fits: list[EMResult[BernoulliParameters]], score: Agreement, purity: float, single: float
) -> tuple[Check, ...]:
    falls = min(float(np.diff(found.lower_bounds).min(initial=0.0)) for found in fits)
    return (
        at_least("accuracy of ten components", score.accuracy, 0.60),
        at_least("adjusted Rand index of ten components", score.ari, 0.50),
        at_least("share of the commonest digit, forty components", purity, 0.80),
        at_least(
            "nats an image gained over one component", (fits[0].log_likelihood - single) / 1797, 5.0, ".2f"
        ),
        at_most("largest fall of the log-likelihood (nats an image)", max(0.0, -falls), 1e-9, ".1e"),
    )


def _findings(
    fits: list[EMResult[BernoulliParameters]],
    score: Agreement,
    purity: float,
    X: np.ndarray,
    digits: np.ndarray,
) -> tuple[str, ...]:
    sure = float((responsibilities(X, fits[0].parameters).max(axis=1) > 0.99).mean())
    missing = sorted(set(range(N_CLASSES)) - set(digits.tolist()))
    without = (
        "Every digit is the commonest of some component."
        if not missing
        else say(
            "No component has {digits} as its commonest digit: another digit takes two.",
            digits=reduce(
                lambda one, other: say("{one} or {other}", one=one, other=other), map(str, missing)
            ),
        )
    )
    return (
        say(
            "Ten components find the digits of {accuracy:.1%} of the images without having seen "
            "one (adjusted Rand index {ari:.3f}). {without}",
            accuracy=score.accuracy,
            ari=score.ari,
            without=without,
        ),
        say(
            "Forty components have {purity:.1%} images of their own commonest digit: the forms "
            "of a digit are real, and ten Gaussians or Bernoullis cannot hold them all.",
            purity=purity,
        ),
        say(
            "{sure:.0%} of the images are assigned with more than 99 % probability, far more "
            "than are right: pixels are not independent within a digit, so that 64 of them seem "
            "to say more than they do.",
            sure=sure,
        ),
    )


def pictures(result: BernoulliDigits) -> tuple[Picture, ...]:
    """Return the figures of the experiment, in the order to be read."""
    return (
        Picture(
            "bernoulli_digits_ten",
            "The probabilities of ink of ten components, in the order of the digits that they are "
            "matched to, with "
            "their weights.",
            "Ten blurred digits.",
            partial(draw_means, result.ten.parameters, result.digits[0], 5),
        ),
        Picture(
            "bernoulli_digits_forty",
            "The same for forty components, sorted by the commonest digit of each.",
            "Forty images, several forms of each digit.",
            partial(draw_sorted, result),
        ),
    )


def draw_sorted(result: BernoulliDigits) -> Any:
    """Draw the forty components by digit."""
    order = np.argsort(result.digits[1], kind="stable")
    return draw_means(result.many.parameters.reordered(order), result.digits[1][order], 10)


def draw_means(parameters: BernoulliParameters, digits: np.ndarray, columns: int) -> Any:
    """Draw the probabilities of every component as an image."""
    rows = -(-parameters.n_components // columns)
    figure = new_figure(0.95 * columns + 0.4, 1.2 * rows + 0.2)
    for axes, means, digit, weight in zip(
        figure.subplots(rows, columns).ravel(),
        parameters.probabilities,
        digits,
        parameters.weights,
        strict=True,
    ):
        axes.imshow(means.reshape(SIDE, SIDE), cmap="Greys", vmin=0, vmax=1)
        quiet_axes(axes, f"{digit}: {weight:.0%}")
        axes.title.set_color(COLORS[int(digit) % len(COLORS)])
        axes.set_xticks([])
        axes.set_yticks([])
        axes.spines[:].set_visible(False)
    return figure
