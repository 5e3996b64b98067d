"""Missing entries: what EM was named for, a saddle between two optima, and gaps filled in."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from segment.data.gaps import GappySamples
from segment.data.samples import Samples
from segment.lab.drawing import draw_ellipses
from segment.lab.four_gaussians import TRUTH, draw_plane
from segment.lab.lesson import Lesson
from segment.lab.outcome import Check, Column, Outcome, Picture, Table, at_most, close
from segment.lab.trace import Trace, never_falls
from segment.mixture.expectation import assign, log_likelihood
from segment.mixture.families.gaussian.gaps import GappyGaussian, GappyParameters
from segment.mixture.families.gaussian.parameters import Parameters
from segment.mixture.imputation import impute
from segment.mixture.model import climb
from segment.style import COLORS, FAINT, INK, new_figure, quiet_axes, quiet_legend
from segment.words import say, shown

# Murray (1977), in the discussion of Dempster, Laird & Rubin: four whole points, eight with one entry.
_GAP = np.nan
TWELVE = np.array(
    [[1, 1], [1, -1], [-1, 1], [-1, -1]]
    + [[x, _GAP] for x in (2, 2, -2, -2)]
    + [[_GAP, x] for x in (2, 2, -2, -2)]
)
CORRELATIONS = (-0.1, 0.0, 0.1)
MAXIMUM, SADDLE, VARIANCE = -29.97429, -30.03334, 8 / 3
SHARE = 0.3
TOL = 1e-12

LESSON = Lesson(
    given="Twelve points in the plane: four of both coordinates, four of the first only, four of the "
    "second only. "
    "And the 400 points of four Gaussians, of which 30 % of the coordinates have been struck out at "
    "random.",
    hidden="The coordinates that are missing. That they are missing must not depend on what they are: "
    "missing at "
    "random.",
    e_step="For every gap its expectation and its variance, given what is known of the point: a "
    "regression on the "
    "known coordinate under the current parameters.",
    m_step="Mean and covariance of the filled points, with the variances of the gaps added to the "
    "covariance: who "
    "forgets them calls the data more certain than they are.",
    look="The log-likelihood of the twelve points by correlation: two maxima, at -1/2 and 1/2, since "
    "the whole points "
    "know no sign. A start without correlation stays without: EM ends in a saddle. And the points "
    "filled in.",
    references=("Dempster et al. 1977", "Murray 1977"),
)


@dataclass(frozen=True, eq=False, kw_only=True)
class Missing(Outcome):
    """Outcome of the experiment.

    Attributes
    ----------
    twelve : tuple of Trace
        One Gaussian on the twelve points, from the correlations -0.1, 0 and 0.1.
    X, gappy : (400, 2) float64 ndarray
        The points of four Gaussians, whole and with gaps.
    fit : Trace
        Four Gaussians on the points with gaps.
    filling : Trace
        The same from four wide Gaussians near the middle: gaps move far.
    """

    twelve: tuple[Trace[Parameters], ...]
    X: np.ndarray
    gappy: np.ndarray
    fit: Trace[Parameters]
    filling: Trace[Parameters]

    def record(self) -> dict[str, Any]:
        return {
            "twelve": [
                {
                    "log_likelihood": trace.log_likelihoods,
                    "correlation": [correlation(step) for step in trace.parameters],
                }
                for trace in self.twelve
            ],
            "four": {"log_likelihood": self.fit.log_likelihoods, "means": self.fit.last.means},
        }


def correlation(parameters: Parameters) -> float:
    """Return the correlation of one Gaussian in the plane."""
    covariance = parameters.covariances[0]
    return float(covariance[0, 1] / np.sqrt(covariance[0, 0] * covariance[1, 1]))


def _traced(samples: GappySamples, start: Parameters, tol: float = TOL) -> Trace[Parameters]:
    steps: list[Parameters] = []
    bounds: list[float] = []

    def watch(iteration: int, lower_bound: float, parameters: Parameters) -> None:
        steps.append(parameters)
        bounds.append(lower_bound)

    family = GappyGaussian.of(samples, "full", reg_covar=0.0)
    options: dict[str, Any] = {"acceleration": None, "n_jobs": 1, "callback": watch}
    result = climb(samples, family, GappyParameters.of(start), tol=tol, max_iter=5000, **options)
    return Trace(tuple(steps), np.array(bounds) * samples.total_weight, result)


def _one(rho: float, variance: float = 2.0) -> Parameters:
    covariance = variance * np.array([[1.0, rho], [rho, 1.0]])
    return Parameters(np.ones(1), np.zeros((1, 2)), covariance[None])


def wide_start(gappy: np.ndarray) -> Parameters:
    """Return four equal Gaussians as wide as the data, their means a little off the middle."""
    off = TRUTH.means - TRUTH.means.mean(axis=0)
    covariance = np.diag(np.nanvar(gappy, axis=0))
    return Parameters(
        np.full(4, 0.25), np.nanmean(gappy, axis=0) + 0.3 * off, np.repeat(covariance[None], 4, axis=0)
    )


def run(random_state: int = 0) -> Missing:
    """Run the experiment: the twelve points from three correlations, then four Gaussians with gaps."""
    data_rng, gap_rng = np.random.default_rng(random_state).spawn(2)
    twelve = tuple(_traced(GappySamples.of(TWELVE), _one(rho)) for rho in CORRELATIONS)
    X, _ = draw_plane(data_rng)
    gappy = np.where(gap_rng.random(X.shape) < SHARE, np.nan, X)
    fit = _traced(GappySamples.of(gappy), TRUTH)
    errors = _errors(X, gappy, fit.last)
    return Missing(
        random_state=random_state,
        tables=(_twelve_table(twelve), _filled_table(errors)),
        checks=_checks(twelve, fit, errors),
        findings=_findings(twelve, fit, gappy, errors),
        twelve=twelve,
        X=X,
        gappy=gappy,
        fit=fit,
        filling=_traced(GappySamples.of(gappy), wide_start(gappy), tol=1e-7),
    )


def _errors(X: np.ndarray, gappy: np.ndarray, found: Parameters) -> dict[str, float]:
    """Return the root mean square errors of gaps filled in by means, by the fit, and by the truth."""
    gaps = np.isnan(gappy)

    def error(filled: np.ndarray) -> float:
        return float(np.sqrt(np.square(filled[gaps] - X[gaps]).mean()))

    means = np.where(gaps, np.nanmean(gappy, axis=0), gappy)
    return {
        "the mean of the coordinate": error(means),
        "EM": error(impute(gappy, found, n_jobs=1)),
        "the true parameters": error(impute(gappy, TRUTH, n_jobs=1)),
    }


def _twelve_table(twelve: tuple[Trace[Parameters], ...]) -> Table:
    rows = tuple(
        (
            start,
            correlation(trace.last),
            float(trace.last.covariances[0, 0, 0]),
            float(trace.log_likelihoods[-1]),
            trace.n_iter,
        )
        for start, trace in zip(CORRELATIONS, twelve, strict=True)
    )
    columns = (
        Column("correlation at the start", ".1f"),
        Column("at the end", ".4f"),
        Column("variances", ".4f"),
        Column("log-likelihood", ".5f"),
        Column("iterations", "d"),
    )
    return Table("missing_twelve", "Twelve points: where EM ends by where it starts.", columns, rows)


def _filled_table(errors: dict[str, float]) -> Table:
    columns = (Column("gaps filled in by"), Column("root mean square error", ".3f"))
    return Table("missing_filled", "Four Gaussians with 30 % gaps.", columns, tuple(errors.items()))


def _checks(
    twelve: tuple[Trace[Parameters], ...], fit: Trace[Parameters], errors: dict[str, float]
) -> tuple[Check, ...]:
    low, middle, high = twelve
    apart = np.linalg.norm(fit.last.means - TRUTH.means, axis=1)
    return (
        close("correlation from 0.1", correlation(high.last), 0.5, 1e-4, ".4f"),
        close("correlation from -0.1", correlation(low.last), -0.5, 1e-4, ".4f"),
        close("variances there", float(high.last.covariances[0, 0, 0]), VARIANCE, 1e-3, ".4f"),
        close("log-likelihood there", float(high.log_likelihoods[-1]), MAXIMUM, 6e-6, ".5f"),
        close("log-likelihood of the saddle", float(middle.log_likelihoods[-1]), SADDLE, 6e-6, ".5f"),
        at_most("distance of a mean to the true one, with gaps", float(apart.max()), 0.6),
        at_most("error of EM over that of the truth", errors["EM"] / errors["the true parameters"], 1.1),
        never_falls(*twelve, fit),
    )


def _findings(
    twelve: tuple[Trace[Parameters], ...],
    fit: Trace[Parameters],
    gappy: np.ndarray,
    errors: dict[str, float],
) -> tuple[str, ...]:
    _, middle, high = twelve
    gaps = int(np.isnan(gappy).sum())
    apart = float(np.linalg.norm(fit.last.means - TRUTH.means, axis=1).max())
    nothing = int(np.isnan(gappy).all(axis=1).sum())
    return (
        say(
            "From a correlation of 0.1 EM climbs to {correlation:.3f} and a log-likelihood of "
            "{maximum:.5f}; from -0.1 to the mirror image; from exactly 0 it stays at 0 "
            "and ends in a saddle, at {saddle:.5f}: a gain of 0 is no proof of a "
            "maximum.",
            correlation=correlation(high.last),
            maximum=high.log_likelihoods[-1],
            saddle=middle.log_likelihoods[-1],
        ),
        say(
            "With {gaps} of {size} coordinates gone, {nothing} points without any, the four "
            "means are found again within {apart:.2f}. The single gap is not: filled in by its "
            "expectation it is off by {em:.2f}, with the true parameters by "
            "{truth:.2f}, with the mean of the coordinate by "
            "{mean:.2f}. One coordinate hardly tells which group a point "
            "is of; what EM gets right is the whole, not each guess.",
            gaps=gaps,
            size=gappy.size,
            nothing=nothing,
            apart=apart,
            em=errors["EM"],
            truth=errors["the true parameters"],
            mean=errors["the mean of the coordinate"],
        ),
    )


def profile(rhos: np.ndarray) -> np.ndarray:
    """Return the log-likelihood of the twelve points by correlation, the variances at their best."""
    samples = GappySamples.of(TWELVE)
    variances = np.linspace(1.5, 4.5, 61)
    return np.array(
        [
            max(log_likelihood(samples, GappyParameters.of(_one(rho, v)), n_jobs=1) for v in variances)
            for rho in rhos
        ]
    )


def pictures(result: Missing) -> tuple[Picture, ...]:
    """Return the figures of the experiment, in the order to be read."""
    return (
        Picture(
            "missing_twelve",
            "The log-likelihood of the twelve points by correlation, at the best variances (line), and "
            "the way of EM "
            "from -0.1, 0 and 0.1 (dots).",
            "A curve with two equal humps and a dip at 0; two ways climb to the humps, one stays in the dip.",
            partial(draw_twelve, result),
        ),
        Picture(
            "missing_filled",
            "The points with gaps filled in (dots: whole, crosses: filled in; those without any "
            "coordinate left "
            "out), in the colors of their components, and the Gaussians found, at two standard deviations.",
            "Four groups, and filled points between them and along the regression lines of their component.",
            partial(draw_filled, result),
        ),
    )


def draw_twelve(result: Missing) -> Any:
    """Draw the log-likelihood by correlation, and the ways of EM."""
    figure = new_figure(6.4, 3.4)
    axes = figure.subplots()
    rhos = np.linspace(-0.85, 0.85, 69)
    axes.plot(rhos, profile(rhos), color=INK, linewidth=1.6)
    for k, (start, trace) in enumerate(zip(CORRELATIONS, result.twelve, strict=True)):
        way = np.array([correlation(step) for step in trace.parameters])
        axes.plot(
            way,
            trace.log_likelihoods,
            "o",
            color=COLORS[k],
            markersize=3.5,
            label=shown(say("from {start:g}", start=start)),
        )
    axes.set_ylim(-30.3, -29.9)
    quiet_axes(axes, "", "correlation", "log-likelihood (nats)")
    quiet_legend(axes)
    return figure


def draw_filled(result: Missing) -> Any:
    """Draw whole and filled points with the components found."""
    figure = new_figure(6.4, 5.6, layout="compressed")
    axes = figure.subplots()
    gaps = np.isnan(result.gappy)
    known = ~gaps.all(axis=1)
    filled = impute(result.gappy, result.fit.last, n_jobs=1)[known]
    samples: Samples = GappySamples.of(result.gappy[known])
    colors = np.array(COLORS)[assign(samples, result.fit.last)]
    part = gaps[known].any(axis=1)
    axes.scatter(*filled[~part].T, s=8, c=colors[~part], linewidths=0, alpha=0.75)
    axes.scatter(*filled[part].T, s=14, c=colors[part], marker="x", linewidths=0.9)
    axes.scatter(*result.X[known][part].T, s=4, c=FAINT, linewidths=0)
    draw_ellipses(axes, result.fit.last)
    axes.set_aspect("equal")
    quiet_axes(axes, "gray: where the filled points were")
    return figure
