"""Death notices: counts that one Poisson does not explain, and EM so slow that acceleration pays."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from segment.data.samples import Samples
from segment.em.result import EMResult
from segment.lab.lesson import Lesson
from segment.lab.outcome import Check, Column, Outcome, Picture, Table, at_least, at_most, close
from segment.lab.trace import Trace, never_falls
from segment.mixture.expectation import log_densities, responsibilities
from segment.mixture.families.poisson import Poisson, PoissonParameters
from segment.mixture.model import climb
from segment.style import COLORS, FAINT, INK, new_figure, quiet_axes, quiet_legend
from segment.words import say

# Days on which The Times held 0, 1, ..., 9 notices of deaths of women of 80 years and more, 1910-1912.
DAYS = np.array([162, 267, 271, 185, 111, 61, 27, 8, 3, 1])
NOTICES = np.arange(10.0)[:, None]
START = PoissonParameters(np.array([0.3, 0.7]), np.array([[1.0], [2.5]]))
SINGLE, PAIR = -2001.3979, -1989.94586
WEIGHT, RATES = 0.3598854, (1.2560951, 2.6634044)
# A gain that rounding hides: the likelihood is flat to its last digits.
TOL = 1e-15
# How near, in nats, is near the maximum.
NEAR = 1e-6

LESSON = Lesson(
    given="1 096 days of 1910 to 1912, and on how many of them The Times held 0, 1, ..., 9 notices of "
    "deaths "
    "of women of 80 years and more. Ten counts, each standing for as many days: a weighted sample.",
    hidden="The kind of each day: more people die in winter than in summer, but the season is not given.",
    e_step="For 0, 1, ..., 9 notices the probability that such a day is of the quiet kind: its weight "
    "times its "
    "Poisson probability, divided by the sum over both kinds.",
    m_step="Each kind's rate is the mean number of notices of all days, each counted by that "
    "probability; its "
    "weight is its share of the days.",
    look="How many more days without notices there are than one Poisson allows, and how slowly plain EM "
    "crawls "
    "along the ridge of the likelihood while SQUAREM leaps.",
    references=("Hasselblad 1969", "Varadhan & Roland 2008"),
)


@dataclass(frozen=True, eq=False, kw_only=True)
class DeathNotices(Outcome):
    """Outcome of the experiment.

    Attributes
    ----------
    single : EMResult
        One Poisson.
    plain, fast : Trace
        Two, by plain EM and by SQUAREM, from the same start.
    """

    single: EMResult[PoissonParameters]
    plain: Trace[PoissonParameters]
    fast: Trace[PoissonParameters]

    def record(self) -> dict[str, Any]:
        return {
            name: {
                "log_likelihood": trace.log_likelihoods,
                "evaluations": trace.result.n_evaluations,
                "weights": trace.last.weights,
                "rates": trace.last.rates[:, 0],
            }
            for name, trace in (("plain", self.plain), ("squarem", self.fast))
        } | {
            "single": {"log_likelihood": self.single.log_likelihood, "rate": self.single.parameters.rates[0]}
        }


def _traced(samples: Samples, start: PoissonParameters, acceleration: str | None) -> Trace[PoissonParameters]:
    steps: list[PoissonParameters] = []
    bounds: list[float] = []

    def watch(iteration: int, lower_bound: float, parameters: PoissonParameters) -> None:
        steps.append(parameters)
        bounds.append(lower_bound)

    options: dict[str, Any] = {"tol": TOL, "max_iter": 5000, "acceleration": acceleration, "n_jobs": 1}
    result = climb(samples, Poisson.of(samples), start, callback=watch, **options)
    return Trace(tuple(steps), np.array(bounds) * samples.total_weight, result)


def run(random_state: int = 0) -> DeathNotices:
    """Run the experiment: one Poisson, and two by plain and by accelerated EM. Nothing in it is random."""
    samples = Samples.of(NOTICES, DAYS)
    mean = PoissonParameters(np.ones(1), samples.mean[None])
    single = climb(samples, Poisson.of(samples), mean, tol=TOL, n_jobs=1)
    plain, fast = (_traced(samples, START, acceleration) for acceleration in (None, "squarem"))
    return DeathNotices(
        random_state=random_state,
        tables=(_counts_table(single, fast), _fits_table(single, plain, fast)),
        checks=_checks(single, plain, fast),
        findings=_findings(single, plain, fast),
        single=single,
        plain=plain,
        fast=fast,
    )


def expected_days(parameters: PoissonParameters) -> np.ndarray:
    """Return the days with 0, ..., 9 notices that each component expects, (10, K)."""
    return DAYS.sum() * np.exp(log_densities(NOTICES, parameters))


def steps_until_near(trace: Trace[PoissonParameters], highest: float) -> int:
    """Return the first iteration whose log-likelihood is within `NEAR` of the highest."""
    return int(np.argmax(trace.log_likelihoods > highest - NEAR))


def _counts_table(single: EMResult[PoissonParameters], fast: Trace[PoissonParameters]) -> Table:
    one, two = expected_days(single.parameters)[:, 0], expected_days(fast.last).sum(axis=1)
    quiet = responsibilities(NOTICES, fast.last)[:, 0]
    rows = tuple(
        (n, int(days), one[n], two[n], float(share))
        for n, (days, share) in enumerate(zip(DAYS, quiet, strict=True))
    )
    columns = (
        Column("notices", "d"),
        Column("days", "d"),
        Column("expected, one Poisson", ".1f"),
        Column("expected, two", ".1f"),
        Column("probability of the quiet kind", ".3f"),
    )
    return Table(
        "death_notices_counts", "Death notices: days seen and days expected by either model.", columns, rows
    )


def _fits_table(
    single: EMResult[PoissonParameters], plain: Trace[PoissonParameters], fast: Trace[PoissonParameters]
) -> Table:
    rows: list[tuple[Any, ...]] = [
        ("one Poisson", None, float(single.parameters.rates[0, 0]), None, single.log_likelihood, None)
    ]
    for name, trace in (("two, plain EM", plain), ("two, SQUAREM", fast)):
        rates = trace.last.rates[:, 0].tolist()
        found = trace.result
        rows.append((name, float(trace.last.weights[0]), *rates, found.log_likelihood, found.n_evaluations))
    columns = (
        Column("fit"),
        Column("weight", ".5f"),
        Column("rate", ".5f"),
        Column("second rate", ".5f"),
        Column("log-likelihood", ".5f"),
        Column("E-steps", "d"),
    )
    return Table("death_notices_fits", "Death notices: what each fit found.", columns, tuple(rows))


def _checks(
    single: EMResult[PoissonParameters], plain: Trace[PoissonParameters], fast: Trace[PoissonParameters]
) -> tuple[Check, ...]:
    rates = fast.last.rates[:, 0]
    return (
        close("log-likelihood of one Poisson", single.log_likelihood, SINGLE, 6e-5, ".4f"),
        close("log-likelihood of two", fast.result.log_likelihood, PAIR, 6e-6, ".5f"),
        close("weight of the quiet days", float(fast.last.weights[0]), WEIGHT, 1e-5, ".5f"),
        close("rate of the quiet days", float(rates[0]), RATES[0], 1e-5, ".5f"),
        close("rate of the other days", float(rates[1]), RATES[1], 1e-5, ".5f"),
        at_most("E-steps with SQUAREM", fast.result.n_evaluations, 100, ".0f"),
        at_least("E-steps of plain EM", plain.result.n_evaluations, 1000, ".0f"),
        never_falls(plain, fast),
    )


def _findings(
    single: EMResult[PoissonParameters], plain: Trace[PoissonParameters], fast: Trace[PoissonParameters]
) -> tuple[str, ...]:
    one, two = expected_days(single.parameters)[0, 0], expected_days(fast.last)[0].sum()
    highest = fast.result.log_likelihood
    gain = highest - single.log_likelihood
    low, high = fast.last.rates[:, 0]
    return (
        say(
            "One Poisson with the mean of {mean:.3f} notices expects {one:.0f} days without "
            "any; there were {found}. Two expect {two:.0f}, and explain all days better by "
            "{gain:.2f} nats for two parameters more.",
            mean=single.parameters.rates[0, 0],
            one=one,
            found=DAYS[0],
            two=two,
            gain=gain,
        ),
        say(
            "Quiet days are {quiet:.0%} of all and have {low:.2f} notices on average, the "
            "others {high:.2f}. No single day can be told: even one without notices is quiet "
            "with probability {certainty:.2f} only. A mixture can be certain about the "
            "whole and uncertain about each part.",
            quiet=fast.last.weights[0],
            low=low,
            high=high,
            certainty=responsibilities(NOTICES, fast.last)[0, 0],
        ),
        say(
            "The two kinds overlap so much that plain EM needs {near_steps} steps to come "
            "within {near:g} nats of the maximum, and {plain} until it stops; SQUAREM "
            "stops after {accelerated} E-steps.",
            near_steps=steps_until_near(plain, highest),
            near=NEAR,
            plain=plain.result.n_evaluations,
            accelerated=fast.result.n_evaluations,
        ),
    )


def pictures(result: DeathNotices) -> tuple[Picture, ...]:
    """Return the figures of the experiment, in the order to be read."""
    return (
        Picture(
            "death_notices_days",
            "Days with 0, 1, ..., 9 notices (bars), what one Poisson expects (gray) and what two expect "
            "(black), "
            "with the share of either kind in color.",
            "The gray line lies below the bar at 0 and above those at 2 and 3; the black one follows "
            "the bars.",
            partial(draw_days, result),
        ),
        Picture(
            "death_notices_climb",
            "What is missing to the highest log-likelihood, by number of E-steps, on logarithmic scales.",
            "Plain EM falls in a slow curve over two thousand E-steps; SQUAREM falls steeply within a "
            "hundred.",
            partial(draw_race, result),
        ),
    )


def draw_days(result: DeathNotices) -> Any:
    """Draw the days seen and expected."""
    figure = new_figure(6.4, 3.4)
    axes = figure.subplots()
    x = NOTICES[:, 0]
    kinds = expected_days(result.fast.last)
    axes.bar(x, DAYS, color="#DDDDDD", width=0.8, label="seen")
    axes.plot(
        x,
        expected_days(result.single.parameters)[:, 0],
        "s--",
        color=FAINT,
        markersize=4,
        label="one Poisson",
    )
    axes.plot(x, kinds.sum(axis=1), "o-", color=INK, markersize=4, label="two")
    for k, name in enumerate(("quiet days", "other days")):
        axes.plot(x, kinds[:, k], color=COLORS[k], linewidth=1.6, label=name)
    axes.set_xticks(x)
    quiet_axes(axes, "", "notices a day", "days")
    quiet_legend(axes)
    return figure


def draw_race(result: DeathNotices) -> Any:
    """Draw what is missing to the highest log-likelihood by E-steps."""
    figure = new_figure(6.4, 3.2)
    axes = figure.subplots()
    highest = max(result.plain.log_likelihoods.max(), result.fast.log_likelihoods.max())
    for trace, name, color in ((result.plain, "plain EM", COLORS[0]), (result.fast, "SQUAREM", COLORS[1])):
        missing = highest - trace.log_likelihoods
        # Steps of SQUAREM that did not climb were E-steps too: they are spread evenly.
        steps = np.linspace(1, trace.result.n_evaluations, len(missing))
        shown = missing > 1e-10
        axes.loglog(steps[shown], missing[shown], color=color, linewidth=1.6, label=name)
    quiet_axes(axes, "", "E-steps", "log-likelihood missing (nats)")
    quiet_legend(axes)
    return figure
