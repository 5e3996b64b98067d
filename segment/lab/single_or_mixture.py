"""One Gaussian or two? Likelihood, Jensen's inequality, and the lower bound that EM climbs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from segment.data.samples import Samples
from segment.em import Expectation, Model, SmallGain
from segment.lab.heights_fits import TRUTH as HEIGHTS
from segment.lab.heights_fits import draw_heights
from segment.lab.lesson import Lesson
from segment.lab.outcome import Check, Column, Outcome, Table, at_least, at_most, close
from segment.lab.trace import Trace, plain, trace_em, trace_model
from segment.mixture.expectation import log_densities, responsibilities, score_samples
from segment.mixture.families.gaussian.parameters import Parameters
from segment.mixture.seeding import starting_points
from segment.mixture.selection import bic
from segment.words import say

N_LINE, N_PLANE = 40, 300
CANDIDATES = ((-1.0, 1.0), (0.5, 2.5), (2.0, 1.0))
BIMODAL = Parameters(np.array([0.55, 0.45]), np.array([[-2.0], [2.5]]), np.array([[[1.0]], [[0.64]]]))
PLANE = Parameters(
    np.array([0.6, 0.4]),
    np.array([[0.0, 0.0], [4.0, 2.5]]),
    np.array([[[1.5, 0.9], [0.9, 1.2]], [[0.6, -0.4], [-0.4, 0.9]]]),
)

# Where the free mean of the lower bound starts, in cm, and the iterations shown.
FREE_START = 195.0
SHOWN = 2

LESSON = Lesson(
    given="Samples of one normal, samples of a mixture of two in one dimension, points of a mixture of "
    "two in the plane, and the heights of the first experiment with everything known but one "
    "mean.",
    hidden="Which component a sample came from, where there are two.",
    e_step="The responsibilities at the current mean fix a lower bound of the log-likelihood that "
    "touches it there: by Jensen's inequality the logarithm of a mean is never below the mean "
    "of the logarithms.",
    m_step="The mean at which the lower bound is highest, a weighted average, is the next one.",
    look="How much better two Gaussians explain what came from two, and the bound: each of its maxima "
    "lies below the log-likelihood, so that the log-likelihood at the next mean is higher still.",
    references=("Neal & Hinton 1998", "Wu 1983"),
)


class OneFreeMean(Model[float]):
    """A mixture of which everything is known but the first mean.

    Parameters
    ----------
    samples : Samples
        In one dimension.
    known : Parameters
    """

    def __init__(self, samples: Samples, known: Parameters) -> None:
        self.samples = samples
        self.known = known
        self.total_weight = samples.total_weight

    def at(self, mean: float) -> Parameters:
        """Return the mixture whose first mean is `mean`."""
        means = self.known.means.copy()
        means[0] = mean
        return replace(self.known, means=means)

    def expect(self, parameters: float) -> Expectation:
        """Return the log-likelihood and the responsibilities of the first component."""
        mixture = self.at(parameters)
        value = float(self.samples.sample_weight @ score_samples(self.samples.X, mixture))
        return Expectation(value, responsibilities(self.samples.X, mixture)[:, 0])

    def maximize(self, statistics: np.ndarray, parameters: float) -> float:
        """Return the mean of the samples, weighted by their responsibilities."""
        weight = self.samples.sample_weight * statistics
        return float(weight @ self.samples.X[:, 0] / weight.sum())

    def log_likelihoods(self, means: np.ndarray) -> np.ndarray:
        """Return the log-likelihood at each value of the free mean."""
        return np.array([self.expect(float(mean)).objective for mean in means])

    def lower_bounds(self, means: np.ndarray, touching: float) -> np.ndarray:
        """Return EM's lower bound of the log-likelihood that touches it at `touching`, at each mean."""
        X, weight = self.samples.X, self.samples.sample_weight
        shares = responsibilities(X, self.at(touching))
        positive = np.where(shares > 0, shares, 1.0)
        entropy = -np.einsum("i,ik,ik->", weight, shares, np.log(positive))
        return np.array(
            [
                np.einsum("i,ik,ik->", weight, shares, log_densities(X, self.at(float(mean)))) + entropy
                for mean in means
            ]
        )


@dataclass(frozen=True, eq=False, kw_only=True)
class Comparison:
    """One Gaussian and two on the same samples.

    Attributes
    ----------
    X : (n, d) float64 ndarray
    truth : (n,) int64 ndarray
    single, double : Parameters
        Maximum-likelihood fits.
    log_likelihoods, bics : tuple of 2 floats
        Of one Gaussian and of two.
    """

    X: np.ndarray
    truth: np.ndarray
    single: Parameters
    double: Parameters
    log_likelihoods: tuple[float, float]
    bics: tuple[float, float]

    @property
    def gain(self) -> float:
        """Log-likelihood that the second Gaussian gains, in nats."""
        return self.log_likelihoods[1] - self.log_likelihoods[0]


@dataclass(frozen=True, eq=False, kw_only=True)
class SingleOrMixture(Outcome):
    """Outcome of the experiment.

    Attributes
    ----------
    sample : (40,) float64 ndarray
    candidates : tuple of Parameters
        Three Gaussians, then the maximum-likelihood one.
    candidate_log_likelihoods : (4,) float64 ndarray
    line, plane : Comparison
    climb : Trace
        EM of the free mean of the heights mixture.
    bound_model : OneFreeMean
    jensen : (points, weights) : two (n,) float64 ndarrays
        A discrete distribution for Jensen's inequality.
    """

    sample: np.ndarray
    candidates: tuple[Parameters, ...]
    candidate_log_likelihoods: np.ndarray
    line: Comparison
    plane: Comparison
    climb: Trace[float]
    bound_model: OneFreeMean
    jensen: tuple[np.ndarray, np.ndarray]

    def record(self) -> dict[str, Any]:
        return {
            "candidate_log_likelihoods": self.candidate_log_likelihoods,
            "line": {"single": plain(self.line.single), "double": plain(self.line.double)},
            "plane": {"single": plain(self.plane.single), "double": plain(self.plane.double)},
            "free_mean": self.climb.parameters,
            "free_mean_log_likelihood": self.climb.log_likelihoods,
        }


def gaussian(mean: float, deviation: float) -> Parameters:
    """Return a single Gaussian in one dimension."""
    return Parameters(np.ones(1), np.array([[mean]]), np.array([[[deviation**2]]]))


def draw_mixture(parameters: Parameters, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw samples and the component that each came from; the shares are the weights, rounded."""
    truth = np.repeat(np.arange(2), np.round(parameters.weights * n).astype(int))
    noise = rng.standard_normal((len(truth), parameters.n_features))
    roots = np.linalg.cholesky(parameters.covariances)
    return parameters.means[truth] + np.einsum("iab,ib->ia", roots[truth], noise), truth


def compare(X: np.ndarray, truth: np.ndarray, random_state: int) -> Comparison:
    """Fit one Gaussian in closed form and two by EM."""
    samples = Samples.of(X)
    single = Parameters(np.ones(1), X.mean(axis=0)[None], np.cov(X.T, bias=True).reshape(1, X.shape[1], -1))
    start = starting_points(samples, 2, random_state=random_state, n_jobs=1)[0]
    double = trace_em(samples, start, tol=1e-10).last
    double = double.reordered(np.argsort(double.means[:, 0]))
    values = tuple(float(score_samples(X, each).sum()) for each in (single, double))
    return Comparison(
        X=X,
        truth=truth,
        single=single,
        double=double,
        log_likelihoods=(values[0], values[1]),
        bics=(bic(samples, single), bic(samples, double)),
    )


def run(random_state: int = 0) -> SingleOrMixture:
    """Run the experiment."""
    sample_rng, line_rng, plane_rng, heights_rng = np.random.default_rng(random_state).spawn(4)
    sample = sample_rng.normal(0.5, 1.5, N_LINE)
    best = gaussian(float(sample.mean()), float(sample.std()))
    candidates = (*(gaussian(mean, deviation) for mean, deviation in CANDIDATES), best)
    values = np.array([score_samples(sample[:, None], each).sum() for each in candidates])
    line = compare(*draw_mixture(BIMODAL, 400, line_rng), random_state)
    plane = compare(*draw_mixture(PLANE, N_PLANE, plane_rng), random_state)
    model = OneFreeMean(Samples.of(draw_heights(heights_rng)[:, None]), HEIGHTS)
    climb = trace_model(model, FREE_START, SmallGain(1e-12))
    jensen = (np.array([0.4, 1.5, 4.0]), np.array([0.3, 0.4, 0.3]))
    fields: dict[str, Any] = {
        "sample": sample,
        "candidates": candidates,
        "candidate_log_likelihoods": values,
        "line": line,
        "plane": plane,
        "climb": climb,
        "bound_model": model,
        "jensen": jensen,
    }
    return SingleOrMixture(
        random_state=random_state,
        tables=(_candidates_table(candidates, values), _comparison_table(line, plane), _climb_table(climb)),
        checks=_checks(values, line, plane, climb, model, jensen),
        findings=_findings(values, line, plane, climb, jensen),
        **fields,
    )


def _candidates_table(candidates: tuple[Parameters, ...], values: np.ndarray) -> Table:
    rows = tuple(
        (name, each.means[0, 0], float(np.sqrt(each.covariances[0, 0, 0])), value)
        for name, each, value in zip(
            ("candidate 1", "candidate 2", "candidate 3", "maximum likelihood"),
            candidates,
            values,
            strict=True,
        )
    )
    columns = (Column(""), Column("mean", ".3f"), Column("sd", ".3f"), Column("log-likelihood", ".2f"))
    caption = say(
        "Three candidate Gaussians and the maximum-likelihood one for {n_line} points.", n_line=N_LINE
    )
    return Table("single_candidates", caption, columns, rows)


def _comparison_table(line: Comparison, plane: Comparison) -> Table:
    rows = tuple(
        (name, *each.log_likelihoods, *each.bics)
        for name, each in (("bimodal, one dimension", line), ("two normals in the plane", plane))
    )
    columns = (
        Column("data"),
        Column("log-likelihood, one", ".1f"),
        Column("log-likelihood, two", ".1f"),
        Column("BIC, one", ".1f"),
        Column("BIC, two", ".1f"),
    )
    return Table("single_or_mixture", "One Gaussian against two; a smaller BIC is better.", columns, rows)


def _climb_table(climb: Trace[float]) -> Table:
    rows = tuple((i, climb.parameters[i], climb.log_likelihoods[i]) for i in range(min(climb.n_iter, 8) + 1))
    columns = (Column("iteration", "d"), Column("free mean (cm)", ".4f"), Column("log-likelihood", ".4f"))
    caption = "EM for one free mean of the heights mixture, the other parameters known."
    return Table("single_free_mean", caption, columns, rows)


def _gap(model: OneFreeMean, climb: Trace[float]) -> tuple[float, float, float]:
    """Return how far the bound is from touching, its least distance elsewhere, and its maximum's error."""
    grid = np.linspace(160.0, 200.0, 401)
    current, following = float(climb.parameters[0]), float(climb.parameters[1])
    touch = abs(model.lower_bounds(np.array([current]), current)[0] - climb.log_likelihoods[0])
    bounds = model.lower_bounds(grid, current)
    least = float((model.log_likelihoods(grid) - bounds).min())
    # The bound is a parabola in the mean: three of its values give the place of its maximum.
    a, b, _ = np.polyfit(grid - current, bounds, 2)
    return float(touch), least, abs(float(current - b / (2 * a)) - following)


def _checks(
    values: np.ndarray,
    line: Comparison,
    plane: Comparison,
    climb: Trace[float],
    model: OneFreeMean,
    jensen: tuple[np.ndarray, np.ndarray],
) -> tuple[Check, ...]:
    touch, least, off = _gap(model, climb)
    points, weights = jensen
    slack = float(np.log(weights @ points) - weights @ np.log(points))
    return (
        at_least(
            "maximum-likelihood Gaussian over the best candidate, nats",
            values[3] - max(values[:3]),
            0.0,
            ".2f",
        ),
        at_least("bimodal data: two Gaussians over one, nats", line.gain, 50.0, ".1f"),
        at_least("plane: two Gaussians over one, nats", plane.gain, 50.0, ".1f"),
        at_least("Jensen: log E[x] - E[log x]", slack, 0.0),
        close("the bound touches the log-likelihood at the current mean", touch, 0.0, 1e-6, ".1e"),
        at_least("log-likelihood minus bound, smallest elsewhere", least, -1e-6, ".1e"),
        at_most("maximum of the bound off the next mean, cm", off, 1e-6, ".1e"),
    )


def _findings(
    values: np.ndarray,
    line: Comparison,
    plane: Comparison,
    climb: Trace[float],
    jensen: tuple[np.ndarray, np.ndarray],
) -> tuple[str, ...]:
    points, weights = jensen
    return (
        say(
            "The best candidate has log-likelihood {best:.2f}; the sample's own mean and standard "
            "deviation reach {reached:.2f}: no Gaussian can do better.",
            best=values[:3].max(),
            reached=values[3],
        ),
        say(
            "On the bimodal data two Gaussians gain {gain:.1f} nats over one, and BIC falls by "
            "{bic:.1f}; in the plane they gain {plane_gain:.1f} and {plane_bic:.1f}.",
            gain=line.gain,
            bic=line.bics[0] - line.bics[1],
            plane_gain=plane.gain,
            plane_bic=plane.bics[0] - plane.bics[1],
        ),
        say(
            "Jensen: E[log x] = {mean_log:.3f} lies below log E[x] = {log_mean:.3f}. EM's lower bound "
            "is this inequality, used for every sample.",
            mean_log=weights @ np.log(points),
            log_mean=np.log(weights @ points),
        ),
        say(
            "From {begin:g} cm the free mean moves to {first:.2f} and "
            "{second:.2f} cm in two iterations, each the maximum of a bound, and to "
            "{last:.2f} cm in the end.",
            begin=FREE_START,
            first=climb.parameters[1],
            second=climb.parameters[2],
            last=climb.last,
        ),
    )
