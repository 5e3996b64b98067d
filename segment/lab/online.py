"""The variants of EM on one problem: what each of them gains by pass over the data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from segment.data.samples import Samples
from segment.em import (
    ConditionalSteps,
    DrawnModel,
    Expectation,
    Model,
    NewtonSteps,
    NoiseAware,
    SmallGain,
    run_em,
    run_monte_carlo,
)
from segment.lab.lesson import Lesson
from segment.lab.outcome import Check, Column, Outcome, Picture, Table, at_most
from segment.mixture.expectation import log_densities, log_likelihood, responsibilities
from segment.mixture.families.gaussian.family import Gaussian
from segment.mixture.families.gaussian.parameters import Parameters
from segment.mixture.given import GivenShares
from segment.mixture.model import MixtureModel
from segment.mixture.stepwise import BlockRule, Incremental, Stepwise, block_em
from segment.style import COLORS, new_figure, quiet_axes, quiet_legend
from segment.words import say

# Three overlapping Gaussians: plain EM needs some hundred steps.
N_SAMPLES = 4000
WEIGHTS = np.array([0.3, 0.4, 0.3])
MEANS = np.array([[0.0, 0.0], [1.8, 0.6], [0.4, 2.2]])
DEVIATIONS = np.array([[1.0, 0.7], [0.8, 0.9], [1.1, 0.8]])
PASSES = 60
N_BLOCKS = 20

# Sums that nothing is taken from: weights, values, squares of each component.
Raw = tuple[np.ndarray, np.ndarray, np.ndarray]


LESSON = Lesson(
    given="4000 points in the plane, drawn from three Gaussians that overlap, and one poor start for all.",
    hidden="Which Gaussian each point came from.",
    e_step="Responsibilities of all points (EM), of one block of points at a time (incremental, "
    "stepwise), or components drawn at random by them (Monte Carlo).",
    m_step="All parameters at once (EM), some at a time (ECM), one Newton step uphill in place of "
    "the maximum, or a leap beyond the maximum along the path so far (SQUAREM, Anderson).",
    look="Where a curve is steep and where it is flat, by passes over the data: the first passes "
    "are cheap for those that take blocks, the last ones for those that extrapolate. A "
    "straight line on the logarithmic scale is a constant rate of convergence.",
    references=(
        "Neal & Hinton 1998",
        "Cappe & Moulines 2009",
        "Meng & Rubin 1993",
        "Lange 1995",
        "Varadhan & Roland 2008",
        "Walker & Ni 2011",
        "Wei & Tanner 1990",
        "Caffo et al. 2005",
    ),
)


class RawModel(Model[Parameters]):
    """A diagonal Gaussian mixture whose statistics are plain sums, so that parts of an M-step are formulas.

    Attributes
    ----------
    highest : list of float
        The highest log-likelihood so far, after each E-step: a pass over the data.
    """

    def __init__(self, samples: Samples) -> None:
        self.mixture = MixtureModel(samples, Gaussian.of(samples, "diag", relative_reg=0.0), 3, n_jobs=1)
        self.total_weight, self.chart = samples.total_weight, self.mixture.chart
        self.highest: list[float] = []

    def expect(self, parameters: Parameters) -> Expectation:
        """Return the log-likelihood and the sums."""
        value, found = self.mixture.expect(parameters)
        self.highest.append(max([value, *self.highest[-1:]]))
        counts, means = found.counts[:, None], parameters.means
        first = found.first + counts * means
        return Expectation(value, (found.counts, first, found.second + means * (2 * first - counts * means)))

    def maximize(self, statistics: Raw, parameters: Parameters) -> Parameters:
        """Return all parameters at once."""
        return spread(statistics, centers(statistics, parameters))


def centers(statistics: Raw, parameters: Parameters) -> Parameters:
    """Return better weights and means, the variances held."""
    counts, first, _ = statistics
    return replace(parameters, weights=counts / counts.sum(), means=first / counts[:, None])


def spread(statistics: Raw, parameters: Parameters) -> Parameters:
    """Return better variances, the means held."""
    counts, first, second = statistics
    about = second - parameters.means * (2 * first - counts[:, None] * parameters.means)
    return replace(parameters, covariances=about / counts[:, None])


class MixtureSurface:
    """The expected log-likelihood by logits of the weights, means and log variances."""

    def pack(self, parameters: Parameters) -> np.ndarray:
        logits = np.log(parameters.weights[:-1] / parameters.weights[-1])
        return np.concatenate([logits, parameters.means.ravel(), np.log(parameters.covariances).ravel()])

    def unpack(self, vector: np.ndarray) -> Parameters:
        shares = np.exp(np.append(vector[:2], 0.0))
        means, logs = vector[2:].reshape(2, 3, 2)
        return Parameters(shares / shares.sum(), means, np.exp(logs), "diag")

    def value(self, statistics: Raw, vector: np.ndarray) -> float:
        found, (counts, first, second) = self.unpack(vector), statistics
        about = second - found.means * (2 * first - counts[:, None] * found.means)
        spread = counts[:, None] * np.log(found.covariances) + about / found.covariances
        return float(counts @ np.log(found.weights) - 0.5 * spread.sum())

    def slopes(self, statistics: Raw, vector: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        found, (counts, first, second) = self.unpack(vector), statistics
        n, w, v = counts[:, None], found.weights[:-1], found.covariances
        about = second - found.means * (2 * first - n * found.means)
        pull = (first - n * found.means) / v
        gradient = np.concatenate(
            [counts[:-1] - counts.sum() * w, pull.ravel(), (0.5 * (about / v - n)).ravel()]
        )
        hessian = np.zeros((14, 14))
        hessian[:2, :2] = -counts.sum() * (np.diag(w) - np.outer(w, w))
        a, b = np.arange(2, 8), np.arange(8, 14)
        hessian[a, a], hessian[b, b] = -(n / v).ravel(), -0.5 * (about / v).ravel()
        hessian[a, b] = hessian[b, a] = -pull.ravel()
        return gradient, hessian


class DrawnMixture(DrawnModel[Parameters]):
    """The component of every sample is drawn."""

    def __init__(self, samples: Samples) -> None:
        self.samples, self.family = samples, Gaussian.of(samples, "diag", relative_reg=0.0)

    def draw(self, parameters: Parameters, n_draws: int, rng: np.random.Generator) -> np.ndarray:
        edges = responsibilities(self.samples.X, parameters, n_jobs=1).cumsum(axis=1)[:, :-1]
        points = rng.uniform(size=(n_draws, self.samples.n_samples, 1))
        return (points > edges).sum(axis=2)

    def maximize(self, draws: np.ndarray, parameters: Parameters) -> Parameters:
        shares = np.mean(draws[:, :, None] == np.arange(3), axis=0)
        given = GivenShares(self.family, parameters, self.samples.dtype)
        return self.family.maximize(given.accumulate(self.samples.X, shares), parameters)

    def gains(self, draws: np.ndarray, before: Parameters, after: Parameters) -> np.ndarray:
        rises = log_densities(self.samples.X, after, n_jobs=1)
        rises -= log_densities(self.samples.X, before, n_jobs=1)
        return np.take_along_axis(rises[None], draws[:, :, None], axis=2).sum(axis=(1, 2))


@dataclass(frozen=True, eq=False, kw_only=True)
class Online(Outcome):
    """Outcome of the experiment.

    Attributes
    ----------
    best : float
        The log-likelihood at the optimum, in nats.
    curves : dict of str to ndarray
        By variant: the log-likelihood after 0, 1, 2, ... passes.
    """

    best: float
    curves: dict[str, np.ndarray]

    def record(self) -> dict[str, Any]:
        return {"best": self.best, "log_likelihood": self.curves}


def draw_samples(rng: np.random.Generator) -> Samples:
    """Draw the samples of the problem."""
    truth = rng.choice(3, N_SAMPLES, p=WEIGHTS)
    return Samples.of(MEANS[truth] + DEVIATIONS[truth] * rng.standard_normal((N_SAMPLES, 2)))


def run(random_state: int = 0) -> Online:
    """Run the experiment: every variant from the same poor start."""
    samples = draw_samples(np.random.default_rng(random_state))
    means = samples.mean + np.array([[-0.5, 0.0], [0.5, 0.0], [0.0, 0.5]])
    start = Parameters(np.full(3, 1 / 3), means, np.ones((3, 2)), "diag")
    variants: dict[str, Callable[[], np.ndarray]] = {
        "EM": partial(_by_loop, samples, start),
        "ECM": partial(_by_loop, samples, start, partial(ConditionalSteps, steps=(centers, spread))),
        "multicycle ECM": partial(
            _by_loop, samples, start, partial(ConditionalSteps, steps=(centers, spread), multicycle=True)
        ),
        "one Newton step": partial(_by_loop, samples, start, partial(NewtonSteps, surface=MixtureSurface())),
        "SQUAREM": partial(_by_loop, samples, start, acceleration="squarem"),
        "Anderson": partial(_by_loop, samples, start, acceleration="anderson"),
        "incremental": partial(_by_blocks, samples, start, Incremental(), random_state),
        "stepwise": partial(_by_blocks, samples, start, Stepwise(), random_state),
        "Monte Carlo": partial(_by_draws, samples, start, random_state),
    }
    curves = {name: make() for name, make in variants.items()}
    model = RawModel(samples)
    best = run_em(model, start, stopping=SmallGain(1e-13, 5000)).log_likelihood
    return Online(
        random_state=random_state,
        tables=(_table(curves, best),),
        checks=_checks(curves, best),
        findings=_findings(curves, best),
        best=best,
        curves=curves,
    )


def _by_loop(
    samples: Samples,
    start: Parameters,
    around: Callable[[RawModel], Model[Parameters]] = lambda model: model,
    acceleration: str | None = None,
) -> np.ndarray:
    model = RawModel(samples)
    run_em(around(model), start, stopping=SmallGain(0.0, PASSES + 1), acceleration=acceleration)
    return np.array(model.highest[: PASSES + 1])


def _by_blocks(samples: Samples, start: Parameters, rule: BlockRule, seed: int) -> np.ndarray:
    found = [log_likelihood(samples, start, n_jobs=1)]

    def watch(step: int, parameters: Parameters) -> None:
        if step % N_BLOCKS == 0:
            found.append(log_likelihood(samples, parameters, n_jobs=1))

    family = Gaussian.of(samples, "diag", relative_reg=0.0)
    block_em(
        samples,
        family,
        start,
        np.random.default_rng(seed),
        rule,
        passes=PASSES,
        n_blocks=N_BLOCKS,
        n_jobs=1,
        callback=watch,
    )
    return np.array(found)


def _by_draws(samples: Samples, start: Parameters, seed: int) -> np.ndarray:
    found = [log_likelihood(samples, start, n_jobs=1)]
    run_monte_carlo(
        DrawnMixture(samples),
        start,
        np.random.default_rng(seed),
        stopping=NoiseAware(tol=1e-2, first=2, most=20, max_iter=PASSES),
        callback=lambda _, parameters: found.append(log_likelihood(samples, parameters, n_jobs=1)),
    )
    return np.array(found)


def passes_within(curve: np.ndarray, best: float, gap: float) -> int | None:
    """Return the first pass from which a curve stays within `gap` nats of the best; None if there is none."""
    far = np.flatnonzero(best - curve > gap)
    first = int(far[-1]) + 1 if len(far) else 0
    return first if first < len(curve) else None


def _table(curves: dict[str, np.ndarray], best: float) -> Table:
    rows = tuple(
        (name, *(passes_within(curve, best, gap) for gap in (50.0, 5.0, 0.5)), float(best - curve[-1]))
        for name, curve in curves.items()
    )
    columns = (
        Column("variant"),
        *(Column(say("passes to within {gap} nats", gap=gap), "d") for gap in ("50", "5", "0.5")),
        Column(say("nats below the optimum after {passes} passes or at the end", passes=PASSES), ".3f"),
    )
    return Table("online_passes", "Variants of EM: passes over the data that each needs.", columns, rows)


def _checks(curves: dict[str, np.ndarray], best: float) -> tuple[Check, ...]:
    after = {name: float(best - curve[-1]) for name, curve in curves.items()}
    same = float(np.abs(curves["ECM"] - curves["EM"]).max())
    early = {name: float(best - curve[2]) for name, curve in curves.items()}
    return (
        at_most("ECM differs from EM where the M-step falls into formulas, nats", same, 1e-6, ".1e"),
        at_most("SQUAREM, nats below the optimum at the end", after["SQUAREM"], after["EM"] / 2, ".4f"),
        at_most("Anderson, nats below the optimum at the end", after["Anderson"], after["EM"] / 2, ".4f"),
        at_most("incremental EM after two passes, nats below", early["incremental"], early["EM"], ".1f"),
        at_most("stepwise EM after two passes, nats below", early["stepwise"], early["EM"], ".1f"),
        at_most("one Newton step, nats below the optimum at the end", after["one Newton step"], 1.0, ".3f"),
        at_most("incremental EM, nats below the optimum at the end", after["incremental"], 1.0, ".3f"),
        at_most("Monte Carlo EM, nats below the optimum at the end", after["Monte Carlo"], 5.0, ".1f"),
    )


def _findings(curves: dict[str, np.ndarray], best: float) -> tuple[str, ...]:
    within = {name: passes_within(curve, best, 5.0) for name, curve in curves.items()}

    def passes(name: str) -> str:
        return say("more than {passes}", passes=PASSES) if within[name] is None else f"{within[name]}"

    return (
        say(
            "To within 5 nats of the optimum, EM takes {passes} passes, SQUAREM {squarem}, "
            "Anderson {anderson}, incremental EM {incremental}, stepwise EM {stepwise}. Of "
            "{n_blocks} blocks, stepwise EM forgets the old ones by degrees: its steps shrink, "
            "which online data need and a flat stretch punishes. Incremental EM replaces a "
            "block's sums by its new ones and climbs on.",
            passes=passes("EM"),
            squarem=passes("SQUAREM"),
            anderson=passes("Anderson"),
            incremental=passes("incremental"),
            stepwise=passes("stepwise"),
            n_blocks=N_BLOCKS,
        ),
        "ECM maximizes over weights and means first, then over variances. Here both are formulas, and it "
        "does what EM does; with an E-step between the parts (multicycle) a step climbs further but costs "
        "two passes. One Newton step in place of the M-step, halved where it would lead downhill, is as good "
        "as the maximum near the end.",
        say(
            "Monte Carlo EM draws components in place of computing probabilities; its rule draws "
            "more as gains drown in noise, and ends {best:.1f} nats below the optimum after "
            "{monte_carlo} passes.",
            best=best - curves["Monte Carlo"][-1],
            monte_carlo=len(curves["Monte Carlo"]) - 1,
        ),
    )


def pictures(result: Online) -> tuple[Picture, ...]:
    """Return the figures of the experiment, in the order to be read."""
    return (
        Picture(
            "online_variants",
            "Distance of the log-likelihood from the optimum by passes over the data, on a logarithmic "
            "scale, for every variant of EM from one start. Left, variants that change the M-step or the "
            "E-step; right, those that extrapolate or take blocks; plain EM on both sides.",
            "Two panels of falling curves; those of SQUAREM and Anderson's acceleration fall furthest.",
            partial(draw_variants, result),
        ),
    )


_LEFT = ("EM", "ECM", "multicycle ECM", "one Newton step", "Monte Carlo")
_RIGHT = ("EM", "SQUAREM", "Anderson", "incremental", "stepwise")


def draw_variants(result: Online) -> Any:
    """Draw every variant's distance from the optimum by pass."""
    figure = new_figure(7.4, 3.8)
    panels = figure.subplots(1, 2, sharey=True)
    for axes, names, title in zip(panels, (_LEFT, _RIGHT), ("other steps", "other paths"), strict=True):
        for k, name in enumerate(names):
            gap = result.best - result.curves[name]
            style = {"linestyle": "--"} if name == "ECM" else {}
            axes.semilogy(np.maximum(gap, 1e-6), color=COLORS[k], linewidth=1.6, label=name, **style)
        quiet_axes(axes, title, "passes over the data", "nats below the optimum" if axes is panels[0] else "")
        quiet_legend(axes, loc="lower left")
    return figure
