"""Four different Gaussians in the plane, recovered by a mixture, with density contours."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from segment.data.samples import Samples
from segment.em.uncertainty import StandardErrors, observed_information
from segment.lab.drawing import draw_climb, draw_ellipses, draw_points
from segment.lab.lesson import Lesson
from segment.lab.matching import Agreement, agreement, matched
from segment.lab.outcome import SAMPLING, Check, Column, Outcome, Picture, Table, at_least, at_most
from segment.lab.trace import Trace, never_falls, plain_trace, trace_em
from segment.mixture.expectation import assign, log_densities
from segment.mixture.families.gaussian.parameters import Parameters
from segment.mixture.seeding import starting_points
from segment.mixture.uncertainty import GaussianData
from segment.style import COLORS, FAINT, new_figure, quiet_axes
from segment.words import say

N_SAMPLES = 400
TRUTH = Parameters(
    np.array([0.3, 0.25, 0.25, 0.2]),
    np.array([[-3.0, 0.0], [3.0, 0.5], [0.0, 3.5], [0.0, -3.5]]),
    np.array(
        [
            [[1.0, 0.6], [0.6, 1.0]],
            [[0.6, -0.3], [-0.3, 1.2]],
            [[1.8, 0.0], [0.0, 0.3]],
            [[1.4, -0.5], [-0.5, 0.5]],
        ]
    ),
)
FRAMES = (0, 1, 5)
N_STARTS = 10
TOL = 1e-9

LESSON = Lesson(
    given="400 points in the plane, drawn from four normals whose means, shapes and directions differ.",
    hidden="Which of the four each point came from.",
    e_step="For every point the responsibilities of the four components, which sum to 1.",
    m_step="Each component takes the weighted mean and covariance matrix of all points; its weight is "
    "its share of them.",
    look="Contours and ellipses (two standard deviations) by iteration, the log-likelihood, which "
    "never falls, and how far the estimates are from what the points were drawn from, in standard "
    "errors.",
    references=("Dempster et al. 1977", "McLachlan & Peel 2000"),
)


@dataclass(frozen=True, eq=False, kw_only=True)
class FourGaussians(Outcome):
    """Outcome of the experiment.

    Attributes
    ----------
    X : (400, 2) float64 ndarray
    truth : (400,) int64 ndarray
        The Gaussian that each point was drawn from.
    trace : Trace
        Components in the order of the truth.
    errors : StandardErrors
        Of the fitted parameters, by the observed information.
    agreement : Agreement
    """

    X: np.ndarray
    truth: np.ndarray
    trace: Trace[Parameters]
    errors: StandardErrors
    agreement: Agreement

    def record(self) -> dict[str, Any]:
        return {"trace": plain_trace(self.trace), "agreement": self.agreement._asdict()}


def draw_plane(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw the points and the number of the Gaussian that each came from."""
    truth = np.repeat(np.arange(4), np.round(TRUTH.weights * N_SAMPLES).astype(int))
    noise = rng.standard_normal((N_SAMPLES, 2))
    roots = np.linalg.cholesky(TRUTH.covariances)
    return TRUTH.means[truth] + np.einsum("iab,ib->ia", roots[truth], noise), truth


def run(random_state: int = 0) -> FourGaussians:
    """Run the experiment: EM from random centers, ten times; the best is shown."""
    data_rng, start_rng = np.random.default_rng(random_state).spawn(2)
    X, truth = draw_plane(data_rng)
    samples = Samples.of(X)
    starts = [
        starting_points(samples, 4, method="random", random_state=rng)[0] for rng in start_rng.spawn(N_STARTS)
    ]
    traces = [trace_em(samples, start, tol=TOL) for start in starts]
    best = max(traces, key=lambda trace: trace.log_likelihoods[-1])
    reached = sum(best.log_likelihoods[-1] - trace.log_likelihoods[-1] < 0.01 for trace in traces)
    trace = matched(best, X, truth)
    agreed = agreement(truth, assign(X, trace.last))
    errors = observed_information(GaussianData(samples, 4), trace.last)
    return FourGaussians(
        random_state=random_state,
        tables=(_table(trace.last, errors),),
        checks=_checks(trace, agreed, errors),
        findings=(
            say(
                "{accuracy:.1%} of the points are given to the Gaussian they came from (adjusted "
                "Rand index {ari:.3f}).",
                accuracy=agreed.accuracy,
                ari=agreed.ari,
            ),
            say(
                "{reached} of {n_starts} starts from random points reach the best optimum found; the "
                "one shown took {n_iter} iterations.",
                reached=reached,
                n_starts=N_STARTS,
                n_iter=trace.n_iter,
            ),
        ),
        X=X,
        truth=truth,
        trace=trace,
        errors=errors,
        agreement=agreed,
    )


def _vector(parameters: Parameters) -> np.ndarray:
    """Return all parameters in the order in which their standard errors are reported."""
    rows, columns = np.tril_indices(2)
    free = parameters.covariances[:, rows, columns].ravel()
    return np.concatenate([parameters.weights, parameters.means.ravel(), free])


def _table(found: Parameters, errors: StandardErrors) -> Table:
    weights, means, covariances = np.split(errors.errors, [4, 12])
    rows, columns = np.tril_indices(2)
    triples = found.covariances[:, rows, columns]
    true_triples = TRUTH.covariances[:, rows, columns]
    lines = []
    for k in range(4):
        error = np.concatenate([[weights[k]], means[2 * k : 2 * k + 2], covariances[3 * k : 3 * k + 3]])
        lines.append((f"{k + 1}", "truth", TRUTH.weights[k], *TRUTH.means[k], *true_triples[k]))
        lines.append(("", "estimate", found.weights[k], *found.means[k], *triples[k]))
        lines.append(("", "standard error", *error))
    names = ("weight", "mean x", "mean y", "variance x", "covariance", "variance y")
    return Table(
        "four_gaussians",
        "Four Gaussians: true and estimated parameters, standard errors from the observed information.",
        (Column("component"), Column(""), *(Column(name, ".3f") for name in names)),
        tuple(lines),
    )


def _checks(trace: Trace[Parameters], agreed: Agreement, errors: StandardErrors) -> tuple[Check, ...]:
    off = np.abs(errors.estimates - _vector(TRUTH)) / errors.errors
    return (
        at_most("means off the truth, in standard errors", float(off[4:12].max()), SAMPLING, ".2f"),
        at_most("covariances off the truth, in standard errors", float(off[12:].max()), SAMPLING, ".2f"),
        at_least("adjusted Rand index", agreed.ari, 0.9),
        never_falls(trace),
    )


def pictures(result: FourGaussians) -> tuple[Picture, ...]:
    """Return the figures of the experiment, in the order to be read."""
    return (
        Picture(
            "four_gaussians_contours",
            say(
                "{n_samples} points from four Gaussians as EM is given them (left), and contours of "
                "each fitted component's density over the points colored by the Gaussian that they "
                "came from (right).",
                n_samples=N_SAMPLES,
            ),
            "Two scatter plots: gray points, and four colored clusters with elliptical contours.",
            partial(draw_contours, result),
        ),
        Picture(
            "four_gaussians_frames",
            say(
                "EM at work: ellipses of two standard deviations at iterations 0, 1, 5 and at "
                "convergence (iteration {n_iter}). Points are colored by their most probable "
                "component.",
                n_iter=result.trace.n_iter,
            ),
            "Four scatter plots in which four ellipses move to the clusters.",
            partial(draw_frames, result),
        ),
        Picture(
            "four_gaussians_log_likelihood",
            "Log-likelihood of the four-component mixture by iteration.",
            "A rising curve that levels off.",
            partial(draw_log_likelihood, result),
        ),
    )


def draw_contours(result: FourGaussians) -> Any:
    """Draw the points as they are given, and with truth and contours."""
    figure = new_figure(7.4, 3.7, layout="compressed")
    left, right = figure.subplots(1, 2, sharex=True, sharey=True)
    draw_points(left, result.X)
    draw_points(right, result.X, result.truth)
    low, high = result.X.min(axis=0) - 0.8, result.X.max(axis=0) + 0.8
    x, y = np.meshgrid(np.linspace(low[0], high[0], 161), np.linspace(low[1], high[1], 161))
    densities = np.exp(log_densities(np.stack([x.ravel(), y.ravel()], axis=1), result.trace.last))
    for k, density in enumerate(densities.T):
        # Contours at one, two and three standard deviations hold their names for every component.
        levels = density.max() * np.exp(-0.5 * np.array([9.0, 4.0, 1.0]))
        right.contour(x, y, density.reshape(x.shape), levels=levels, colors=COLORS[k], linewidths=1.3)
    quiet_axes(left, "the data", "x", "y")
    quiet_axes(right, "truth (colors) and fit (1, 2, 3 sd)", "x")
    return figure


def draw_frames(result: FourGaussians) -> Any:
    """Draw points and ellipses at four moments."""
    figure = new_figure(7.4, 7.2, layout="compressed")
    moments = (*FRAMES, result.trace.n_iter)
    for axes, iteration in zip(figure.subplots(2, 2, sharex=True, sharey=True).ravel(), moments, strict=True):
        parameters = result.trace.at(iteration)
        draw_points(axes, result.X, None if iteration == 0 else assign(result.X, parameters))
        draw_ellipses(axes, parameters)
        value = result.trace.log_likelihoods[iteration]
        quiet_axes(
            axes,
            say(
                "iteration {iteration}: log-likelihood {value}",
                iteration=iteration,
                value=f"{value:.1f}".replace("-", "\N{MINUS SIGN}"),
            ),
        )
    return figure


def draw_log_likelihood(result: FourGaussians) -> Any:
    """Draw the log-likelihood by iteration and the moments shown in the frames."""
    figure = new_figure(6.4, 2.8)
    axes = figure.subplots()
    draw_climb(axes, result.trace.log_likelihoods)
    for iteration in (*FRAMES, result.trace.n_iter):
        axes.plot(iteration, result.trace.log_likelihoods[iteration], "o", color=FAINT, markersize=5)
    return figure
