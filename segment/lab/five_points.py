"""Five points and two components: EM worked by hand, with the right responsibilities."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from segment.lab.drawing import draw_densities, draw_sum
from segment.lab.outcome import Column, Outcome, Picture, Table, close
from segment.lab.trace import Trace, never_falls, plain_trace, trace_em
from segment.mixture.expectation import responsibilities
from segment.mixture.gaussian import parameters_from_responsibilities
from segment.mixture.parameters import Parameters
from segment.mixture.samples import Samples
from segment.style import COLORS, INK, new_figure, quiet_axes

X = np.arange(1.0, 6.0)[:, None]
START = Parameters(np.array([0.5, 0.5]), np.array([[2.0], [4.0]]), np.ones((2, 1, 1)))
GOLDEN = (0.982, 0.881, 0.5, 0.119, 0.018)
TOL = 1e-12


@dataclass(frozen=True, eq=False, kw_only=True)
class FivePoints(Outcome):
    """Outcome of the experiment.

    Attributes
    ----------
    trace : Trace
    shares : (n, 5) float64 ndarray
        Responsibility of component 1 for each point, by iteration.
    """

    trace: Trace[Parameters]
    shares: np.ndarray

    def record(self) -> dict[str, Any]:
        return {"trace": plain_trace(self.trace), "responsibilities_of_component_1": self.shares}


def run(random_state: int = 0) -> FivePoints:
    """Run the experiment; nothing in it is random."""
    trace = trace_em(Samples.of(X), START, tol=TOL, max_iter=2000)
    shares = np.array([responsibilities(X, parameters)[:, 0] for parameters in trace.parameters])
    formula = 1.0 / (1.0 + np.exp(2.0 * (X[:, 0] - 3.0)))
    last = trace.last
    halves = parameters_from_responsibilities(Samples.of(X), np.full((5, 2), 0.5))
    stuck = trace_em(Samples.of(X), halves, tol=-1.0, max_iter=101)
    return FivePoints(
        random_state=random_state,
        tables=(_responsibilities_table(shares, trace), _parameters_table(trace)),
        checks=(
            *(
                close(f"first responsibility of component 1 for x = {x:g}", share, golden, 0.0005)
                for x, share, golden in zip(X[:, 0], shares[0], GOLDEN, strict=True)
            ),
            close(
                "largest difference from 1 / (1 + exp(2 (x - 3)))",
                float(np.abs(shares[0] - formula).max()),
                0.0,
                1e-12,
                ".1e",
            ),
            never_falls(trace),
        ),
        findings=(
            "One source prints responsibilities of 0.5 for every point in the first E-step. Only the middle "
            f"point has 0.5; the first one has {shares[0, 0]:.3f}. From 0.5 everywhere EM could not go on: "
            f"after {stuck.n_iter} more iterations the two means would still differ by "
            f"{abs(float(np.diff(stuck.last.means[:, 0])[0])):.1g}.",
            f"EM ends after {trace.n_iter} iterations at means {last.means[0, 0]:.3f} and "
            f"{last.means[1, 0]:.3f}, standard deviations {np.sqrt(last.covariances[0, 0, 0]):.3f} and "
            f"{np.sqrt(last.covariances[1, 0, 0]):.3f}, log-likelihood {trace.log_likelihoods[-1]:.4f}.",
        ),
        trace=trace,
        shares=shares,
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


def _parameters_table(trace: Trace[Parameters]) -> Table:
    columns = (
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
            i,
            *trace.at(i).means[:, 0],
            *trace.at(i).covariances[:, 0, 0],
            trace.at(i).weights[0],
            trace.log_likelihoods[i],
        )
        for i in _moments(trace)
    )
    return Table("five_points_parameters", "Five points: parameters by iteration.", columns, rows)


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
            "start" if iteration == 0 else f"iteration {iteration}",
            "",
            "density" if column == 0 else "",
        )
        quiet_axes(below, "", "x", "responsibility" if column == 0 else "")
    return figure
