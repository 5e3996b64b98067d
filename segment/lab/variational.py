"""A variational mixture with too many components: those that the data do not need fade."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from segment.data.samples import Samples
from segment.lab.drawing import draw_ellipses, draw_points
from segment.lab.four_gaussians import TRUTH, draw_plane
from segment.lab.lesson import Lesson
from segment.lab.matching import Agreement, agreement
from segment.lab.outcome import Check, Column, Outcome, Picture, Table, at_least, at_most, close
from segment.lab.trace import Trace, never_falls
from segment.mixture.expectation import assign
from segment.mixture.families.gaussian.covariance import covariance_type_of
from segment.mixture.families.variational.family import Bayesian
from segment.mixture.families.variational.parameters import BayesianParameters
from segment.mixture.families.variational.priors import Priors
from segment.mixture.model import climb
from segment.mixture.seeding import starting_points
from segment.style import COLORS, new_figure, quiet_axes
from segment.words import say

N_COMPONENTS = 10
CONCENTRATION = 1e-3
# A component with less of the weight than this has faded.
FADED = 0.01
TOL = 1e-9
SHOWN = (0, 5, 20)

LESSON = Lesson(
    given="The 400 points of the experiment with four Gaussians, a mixture of ten, and a prior that "
    "finds most "
    "of ten weights near 0 likelier than ten equal ones (a Dirichlet distribution with the "
    "concentration 0.001).",
    hidden="Which component each point came from, and now the parameters too: weights, means and "
    "covariances are "
    "unknown quantities with a distribution of their own, not numbers to be found.",
    e_step="Responsibilities as ever, but with expected logarithms in place of logarithms: a component "
    "whose "
    "weight is uncertain and small is charged for it, since the mean of a logarithm is less than the "
    "logarithm "
    "of the mean.",
    m_step="The prior's counts plus the expected counts of the points give the new distribution of "
    "weights, means "
    "and covariances.",
    look="The components that fade: a small one is charged most, loses points, and is charged more. "
    "What climbs is "
    "a lower bound of the log evidence, which a plain likelihood is not: it does not grow with every "
    "component "
    "more.",
    references=("Bishop 2006",),
)


@dataclass(frozen=True, eq=False, kw_only=True)
class Variational(Outcome):
    """Outcome of the experiment.

    Attributes
    ----------
    X : (400, 2) float64 ndarray
    truth : (400,) int64 ndarray
        The Gaussian that each point was drawn from.
    trace : Trace
        Its "log-likelihoods" are the lower bounds of the log evidence.
    """

    X: np.ndarray
    truth: np.ndarray
    trace: Trace[BayesianParameters]

    def record(self) -> dict[str, Any]:
        return {
            "lower_bound": self.trace.log_likelihoods,
            "weights": [step.weights for step in self.trace.parameters],
            "means": self.trace.last.means,
            "covariances": self.trace.last.covariances,
        }


def family_of_points(samples: Samples) -> Bayesian:
    """Return the family with its priors for given points."""
    priors = Priors.of(
        samples,
        covariance_type_of("full"),
        N_COMPONENTS,
        weight_type="dirichlet_distribution",
        concentration=CONCENTRATION,
        mean_precision=None,
        mean=None,
        degrees_of_freedom=None,
        covariance=None,
    )
    return Bayesian.under(samples, "full", priors, reg_covar=0.0)


def run(random_state: int = 0) -> Variational:
    """Run the experiment: plain variational steps from ten random centers."""
    data_rng, start_rng = np.random.default_rng(random_state).spawn(2)
    X, truth = draw_plane(data_rng)
    samples = Samples.of(X)
    family = family_of_points(samples)
    options: dict[str, Any] = {
        "family": family,
        "method": "k-means++",
        "random_state": start_rng,
        "n_jobs": 1,
    }
    start = starting_points(samples, N_COMPONENTS, **options)[0]
    steps: list[BayesianParameters] = []
    bounds: list[float] = []

    def watch(iteration: int, lower_bound: float, parameters: BayesianParameters) -> None:
        steps.append(parameters)
        bounds.append(lower_bound)

    result = climb(samples, family, start, tol=TOL, acceleration=None, n_jobs=1, callback=watch)
    trace = Trace(tuple(steps), np.array(bounds) * samples.total_weight, result)
    agreed = agreement(truth, _remaining(trace.last)[1][assign(X, trace.last)])
    return Variational(
        random_state=random_state,
        tables=(_table(trace),),
        checks=_checks(trace, agreed),
        findings=_findings(trace, agreed),
        X=X,
        truth=truth,
        trace=trace,
    )


def _remaining(parameters: BayesianParameters) -> tuple[np.ndarray, np.ndarray]:
    """Return the components that have not faded, and what number each component has among them (else 0)."""
    kept = np.flatnonzero(parameters.weights > FADED)
    numbers = np.zeros(N_COMPONENTS, dtype=np.int64)
    numbers[kept] = np.arange(len(kept))
    return kept, numbers


def counts_remaining(trace: Trace[BayesianParameters]) -> np.ndarray:
    """Return how many components have not faded after every step."""
    return np.array([(step.weights > FADED).sum() for step in trace.parameters])


def _table(trace: Trace[BayesianParameters]) -> Table:
    order = np.argsort(-trace.last.weights, kind="stable")
    rows = tuple(
        (
            k,
            float(trace.parameters[0].weights[component]),
            float(trace.at(20).weights[component]),
            float(trace.last.weights[component]),
        )
        for k, component in enumerate(order)
    )
    columns = (
        Column("component", "d"),
        Column("weight at the start", ".4f"),
        Column("after 20 steps", ".4f"),
        Column("at the end", ".4f"),
    )
    return Table("variational_weights", "Variational mixture: expected weights.", columns, rows)


def _checks(trace: Trace[BayesianParameters], agreed: Agreement) -> tuple[Check, ...]:
    kept, _ = _remaining(trace.last)
    apart = np.linalg.norm(TRUTH.means[:, None] - trace.last.means[kept], axis=2).min(axis=1)
    return (
        close("components that remain", len(kept), 4, 0, ".0f"),
        at_most("distance of a true mean to the nearest that remains", float(apart.max()), 0.5),
        at_least("accuracy", agreed.accuracy, 0.95),
        never_falls(trace),
    )


def _findings(trace: Trace[BayesianParameters], agreed: Agreement) -> tuple[str, ...]:
    counts = counts_remaining(trace)
    last = int(np.argmax(counts == counts[-1]))
    bounds = trace.log_likelihoods
    return (
        say(
            "Of {n_components} components {remaining} remain, the number that the points were drawn "
            "from; the last other one fades in step {last} of {n_iter}. Nobody told how many "
            "there are.",
            n_components=N_COMPONENTS,
            remaining=counts[-1],
            last=last,
            n_iter=trace.n_iter,
        ),
        say(
            "{accuracy:.1%} of the points are given to the component of their own Gaussian "
            "(adjusted Rand index {ari:.3f}).",
            accuracy=agreed.accuracy,
            ari=agreed.ari,
        ),
        say(
            "The bound climbs by {before:.1f} nats until then, and by {after:.1f} afterwards: "
            "giving up components that say little is what it gains by.",
            before=bounds[last] - bounds[0],
            after=bounds[-1] - bounds[last],
        ),
    )


def pictures(result: Variational) -> tuple[Picture, ...]:
    """Return the figures of the experiment, in the order to be read."""
    return (
        Picture(
            "variational_steps",
            "The components at the start, after 5 and 20 steps, and at the end: ellipses at two "
            "standard deviations, "
            "left out below 1 % of the weight.",
            "Four panels of points in four groups; ten ellipses at first, four at last.",
            partial(draw_steps, result),
        ),
        Picture(
            "variational_weights",
            "Expected weights by step, one line a component, and the lower bound of the log evidence.",
            "Ten lines of which four rise and six fall to zero one after the other; the bound climbs "
            "until they are gone.",
            partial(draw_weights, result),
        ),
    )


def draw_steps(result: Variational) -> Any:
    """Draw points and ellipses at some steps."""
    figure = new_figure(7.2, 7.0, layout="compressed")
    moments = [*SHOWN, result.trace.n_iter]
    for axes, step in zip(figure.subplots(2, 2).ravel(), moments, strict=True):
        parameters = result.trace.at(step)
        draw_points(axes, result.X, assign(result.X, parameters), size=5.0)
        kept = np.flatnonzero(parameters.weights > FADED)
        draw_ellipses(axes, parameters.reordered(kept), colors=[COLORS[k] for k in kept])
        quiet_axes(axes, say("step {step}: {kept} components", step=step, kept=len(kept)))
    return figure


def draw_weights(result: Variational) -> Any:
    """Draw weights and bound by step."""
    figure = new_figure(6.4, 4.6)
    upper, lower = figure.subplots(2, 1, sharex=True)
    for k, weights in enumerate(np.array([step.weights for step in result.trace.parameters]).T):
        upper.plot(weights, color=COLORS[k], linewidth=1.6)
    quiet_axes(upper, "", "", "expected weight")
    lower.plot(result.trace.log_likelihoods, color=COLORS[6], linewidth=1.6)
    quiet_axes(lower, "", "step", "lower bound (nats)")
    return figure
