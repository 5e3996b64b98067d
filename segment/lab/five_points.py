"""Five points and two components: EM worked by hand, the right responsibilities, and an end in a saddle."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from segment.data.samples import Samples
from segment.lab.drawing import draw_densities, draw_sum
from segment.lab.lesson import Lesson
from segment.lab.outcome import Check, Column, Outcome, Picture, Table, at_most, close
from segment.lab.trace import Trace, never_falls, plain_trace, trace_em
from segment.mixture.expectation import responsibilities, score_samples
from segment.mixture.families.gaussian.parameters import Parameters
from segment.mixture.fitting import parameters_from_responsibilities
from segment.style import COLORS, INK, new_figure, quiet_axes, quiet_legend
from segment.words import say, shown

X = np.arange(1.0, 6.0)[:, None]
START = Parameters(np.array([0.5, 0.5]), np.array([[2.0], [4.0]]), np.ones((2, 1, 1)))
GOLDEN = (0.982, 0.881, 0.5, 0.119, 0.018)
TOL = 1e-12

# Start and points mirror one another about 3, and EM keeps that; the least push off it shows where it leads.
PUSH = 0.001
PUSHED = Parameters(START.weights, START.means + np.array([[PUSH], [0.0]]), START.covariances)
SADDLE, MAXIMUM = -8.3856, -8.3307
CURVATURE = 0.377

DASHED = (0, (4, 3))

LESSON = Lesson(
    given="The numbers 1, 2, 3, 4, 5; two components with means 2 and 4, variances 1 and weights 1/2.",
    hidden="Which component each number came from.",
    e_step="Component 1 is responsible for x with probability 1 / (1 + exp(2 (x - 3))): 0.982 for x = "
    "1, 0.5 for x = 3.",
    m_step="Weighted means and variances of five numbers, by hand.",
    look="Every number of the first two steps; and that numbers and start mirror one another about 3, "
    "which EM keeps: it ends in a saddle. The least push to one side leads to a higher "
    "log-likelihood.",
    references=("Dempster et al. 1977", "Wu 1983"),
)


@dataclass(frozen=True, eq=False, kw_only=True)
class FivePoints(Outcome):
    """Outcome of the experiment.

    Attributes
    ----------
    trace : Trace
    shares : (n, 5) float64 ndarray
        Responsibility of component 1 for each point, by iteration.
    pushed : Trace
        From a start pushed off the symmetric one.
    curvatures : tuple of two (5,) float64 ndarrays
        Eigenvalues of the log-likelihood's Hessian at the end of either trace, the smallest first.
    """

    trace: Trace[Parameters]
    shares: np.ndarray
    pushed: Trace[Parameters]
    curvatures: tuple[np.ndarray, np.ndarray]

    def record(self) -> dict[str, Any]:
        return {
            "trace": plain_trace(self.trace),
            "responsibilities_of_component_1": self.shares,
            "pushed_trace": plain_trace(self.pushed),
            "hessian_eigenvalues": self.curvatures,
        }


def curvatures(parameters: Parameters, step: float = 1e-4) -> np.ndarray:
    """Return the eigenvalues of the log-likelihood's Hessian, (5,), the smallest first.

    In the weight of component 1, the means and the logarithms of the standard deviations, by central
    differences. Where the gradient vanishes, their signs are the same in any other parameters.
    """
    center = np.concatenate(
        [parameters.weights[:1], parameters.means.ravel(), 0.5 * np.log(parameters.covariances.ravel())]
    )

    def log_likelihood(vector: np.ndarray) -> float:
        weights = np.array([vector[0], 1.0 - vector[0]])
        variances = np.exp(2.0 * vector[3:]).reshape(2, 1, 1)
        return float(score_samples(X, Parameters(weights, vector[1:3, None], variances), n_jobs=1).sum())

    moves = step * np.eye(5)
    hessian = [
        [
            sum(
                sign * other * log_likelihood(center + sign * move + other * second)
                for sign in (1, -1)
                for other in (1, -1)
            )
            / (4 * step**2)
            for second in moves
        ]
        for move in moves
    ]
    return np.linalg.eigvalsh(np.array(hessian))


def run(random_state: int = 0) -> FivePoints:
    """Run the experiment; nothing in it is random."""
    samples = Samples.of(X)
    trace = trace_em(samples, START, tol=TOL, max_iter=2000)
    pushed = trace_em(samples, PUSHED, tol=TOL, max_iter=2000)
    shares = np.array([responsibilities(X, parameters)[:, 0] for parameters in trace.parameters])
    bends = (curvatures(trace.last), curvatures(pushed.last))
    halves = parameters_from_responsibilities(samples, np.full((5, 2), 0.5))
    stuck = trace_em(samples, halves, tol=-1.0, max_iter=101)
    return FivePoints(
        random_state=random_state,
        tables=(_responsibilities_table(shares, trace), _parameters_table(trace, pushed)),
        checks=_checks(shares, trace, pushed, bends),
        findings=(
            say(
                "One source prints responsibilities of 0.5 for every point in the first E-step. Only "
                "the middle point has 0.5; the first one has {shares:.3f}. From 0.5 everywhere EM "
                "could not go on: after {n_iter} more iterations the two means are {mean_1:g} and "
                "{mean_2:g}.",
                shares=shares[0, 0],
                n_iter=stuck.n_iter,
                mean_1=stuck.last.means[0, 0],
                mean_2=stuck.last.means[1, 0],
            ),
            say(
                "EM ends after {n_iter} iterations at {in_words}. It has converged, and yet this is "
                "no maximum but a saddle: points and start mirror one another about 3, every step "
                "keeps that, and EM finds the best of the symmetric mixtures only. The Hessian of "
                "the log-likelihood has the eigenvalue {bends:+.3f} there: towards two unequal "
                "components it rises.",
                n_iter=trace.n_iter,
                in_words=_in_words(trace),
                bends=bends[0][-1],
            ),
            say(
                "With {push:g} instead of 2 as the first mean, EM lingers beside the saddle, leaves "
                "it, and ends after {n_iter} iterations at {in_words}, where every eigenvalue is "
                "negative: a maximum. That EM stands still says that the gradient vanishes, no more; "
                "random starts have no symmetry to keep.",
                push=2 + PUSH,
                n_iter=pushed.n_iter,
                in_words=_in_words(pushed),
            ),
        ),
        trace=trace,
        shares=shares,
        pushed=pushed,
        curvatures=bends,
    )


def _in_words(trace: Trace[Parameters]) -> str:
    means, deviations = trace.last.means.ravel(), np.sqrt(trace.last.covariances.ravel())
    return say(
        "means {mean_1:.3f} and {mean_2:.3f}, standard deviations {deviation_1:.3f} and "
        "{deviation_2:.3f}, log-likelihood {value:.4f}",
        mean_1=means[0],
        mean_2=means[1],
        deviation_1=deviations[0],
        deviation_2=deviations[1],
        value=trace.log_likelihoods[-1],
    )


def _checks(
    shares: np.ndarray,
    trace: Trace[Parameters],
    pushed: Trace[Parameters],
    bends: tuple[np.ndarray, np.ndarray],
) -> tuple[Check, ...]:
    formula = 1.0 / (1.0 + np.exp(2.0 * (X[:, 0] - 3.0)))
    off = float(np.abs(shares[0] - formula).max())
    return (
        *(
            close(say("first responsibility of component 1 for x = {x:g}", x=x), share, golden, 0.0005)
            for x, share, golden in zip(X[:, 0], shares[0], GOLDEN, strict=True)
        ),
        close("largest difference from 1 / (1 + exp(2 (x - 3)))", off, 0.0, 1e-12, ".1e"),
        close("log-likelihood at the end", trace.log_likelihoods[-1], SADDLE, 1e-4, ".4f"),
        close("largest eigenvalue of the Hessian there, a saddle", bends[0][-1], CURVATURE, 1e-3),
        close(
            say("log-likelihood from {push:g}", push=2 + PUSH),
            pushed.log_likelihoods[-1],
            MAXIMUM,
            1e-4,
            ".4f",
        ),
        at_most("largest eigenvalue of the Hessian there, a maximum", bends[1][-1], 0.0),
        never_falls(trace, pushed),
    )


def _moments(trace: Trace[Parameters]) -> list[int]:
    return [0, 1, 2, trace.n_iter]


def _responsibilities_table(shares: np.ndarray, trace: Trace[Parameters]) -> Table:
    columns = (Column("iteration", "d"), *(Column(f"x = {x:g}", ".3f") for x in X[:, 0]))
    rows = tuple((i, *shares[i]) for i in _moments(trace))
    caption = (
        "Five points: responsibilities of component 1 at the start, after 1 and 2 iterations, at the end."
    )
    return Table("five_points_responsibilities", caption, columns, rows)


def _parameters_table(trace: Trace[Parameters], pushed: Trace[Parameters]) -> Table:
    columns = (
        Column("first mean at the start", "g"),
        Column("iteration", "d"),
        Column("mean 1", ".4f"),
        Column("mean 2", ".4f"),
        Column("variance 1", ".4f"),
        Column("variance 2", ".4f"),
        Column("weight 1", ".4f"),
        Column("log-likelihood", ".4f"),
    )
    rows = tuple(
        (
            float(each.parameters[0].means[0, 0]),
            i,
            *each.at(i).means[:, 0],
            *each.at(i).covariances[:, 0, 0],
            each.at(i).weights[0],
            each.log_likelihoods[i],
        )
        for each in (trace, pushed)
        for i in _moments(each)
    )
    caption = "Five points: parameters by iteration, from the symmetric start and from one pushed off it."
    return Table("five_points_parameters", caption, columns, rows)


def pictures(result: FivePoints) -> tuple[Picture, ...]:
    """Return the figures of the experiment, in the order to be read."""
    return (
        Picture(
            "five_points",
            "Five points, two components: at the start, after one and two iterations, and at the end. Bars "
            "show how the responsibility for each point is shared (blue: component 1).",
            "Four panels with two bell curves over five stacked bars.",
            partial(draw_steps, result),
        ),
        Picture(
            "five_points_saddle",
            say(
                "Five points: the symmetric start ends in a saddle ({saddle:.4f} nats, "
                "dashed). With {push:g} instead of 2 as the first mean, EM seems to have converged "
                "there too, for tens of iterations, and then climbs to a maximum "
                "({maximum:.4f} nats, solid), whose components differ.",
                saddle=result.trace.log_likelihoods[-1],
                push=2 + PUSH,
                maximum=result.pushed.log_likelihoods[-1],
            ),
            "Left a curve with two plateaus; right a symmetric and a lopsided density over five points.",
            partial(draw_saddle, result),
        ),
    )


def draw_steps(result: FivePoints) -> Any:
    """Draw densities and shared responsibilities at four moments."""
    figure = new_figure(7.4, 4.4)
    grid = np.linspace(-0.5, 6.5, 701)
    moments = _moments(result.trace)
    panels = figure.subplots(2, 4, sharex=True, sharey="row", height_ratios=(1.5, 1))
    for column, iteration in enumerate(moments):
        above, below = panels[:, column]
        parameters, shares = result.trace.at(iteration), result.shares[iteration]
        draw_sum(above, grid, parameters, linewidth=1.1)
        draw_densities(above, grid, parameters)
        above.plot(X[:, 0], np.zeros(5), "o", color=INK, markersize=4, clip_on=False)
        below.bar(X[:, 0], shares, color=COLORS[0], width=0.7)
        below.bar(X[:, 0], 1 - shares, bottom=shares, color=COLORS[1], width=0.7)
        below.set_xticks(X[:, 0])
        quiet_axes(
            above,
            "start" if iteration == 0 else say("iteration {iteration}", iteration=iteration),
            "",
            "density" if column == 0 else "",
        )
        quiet_axes(below, "", "x", "responsibility" if column == 0 else "")
    return figure


def draw_saddle(result: FivePoints) -> Any:
    """Draw the log-likelihood from either start, and the density at either end."""
    figure = new_figure(7.4, 3.0)
    left, right = figure.subplots(1, 2)
    symmetric, pushed = result.trace, result.pushed
    left.plot(
        pushed.log_likelihoods,
        color=COLORS[1],
        linewidth=1.8,
        label=shown(say("first mean {push:g}", push=2 + PUSH)),
    )
    left.plot(
        np.append(symmetric.log_likelihoods, symmetric.log_likelihoods[-1]),
        color=INK,
        linewidth=1.4,
        linestyle=DASHED,
    )
    left.hlines(
        symmetric.log_likelihoods[-1],
        symmetric.n_iter,
        pushed.n_iter,
        colors=INK,
        linewidth=1.4,
        linestyles=[DASHED],
        label="first mean 2",
    )
    left.set_ylim(symmetric.log_likelihoods[-1] - 0.02, pushed.log_likelihoods[-1] + 0.01)
    quiet_axes(left, "", "iteration", "log-likelihood (nats)")
    quiet_legend(left, loc="center left")
    grid = np.linspace(-0.5, 6.5, 701)
    draw_sum(right, grid, symmetric.last, linestyle=DASHED)
    draw_sum(right, grid, pushed.last, color=COLORS[1], linewidth=1.8)
    right.plot(X[:, 0], np.zeros(5), "o", color=INK, markersize=4, clip_on=False)
    right.set_ylim(0)
    quiet_axes(right, "", "x", "density at the end")
    return figure
