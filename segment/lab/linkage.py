"""Genetic linkage: the classic example, by EM, Newton's method and Monte Carlo EM."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from segment.em import DrawnModel, Expectation, Model, NewtonSteps, NoiseAware, SmallGain, run_monte_carlo
from segment.em.monte_carlo import DrawnResult
from segment.em.uncertainty import (
    CompleteData,
    StandardErrors,
    bootstrap,
    em_rates,
    observed_information,
    supplemented_em,
)
from segment.lab.lesson import Lesson
from segment.lab.outcome import SAMPLING, Check, Column, Outcome, Table, at_most, close
from segment.lab.trace import Trace, never_falls, trace_model
from segment.words import say

# Rao (1965): 197 animals in four classes of probabilities 1/2 + p/4, (1 - p)/4, (1 - p)/4, p/4.
COUNTS = np.array([125.0, 18.0, 20.0, 34.0])
SMALL = np.array([14.0, 0.0, 1.0, 5.0])
START = 0.5
# What Dempster, Laird & Rubin (1977) print; the limit is the root of 197 p^2 - 15 p - 68.
PATH = (0.5, 0.608247, 0.624321, 0.626489)
LIMIT, SMALL_LIMIT = 0.6268214979, 0.9034401
RATE, INFORMATION = 0.132779, 377.517
N_REPLICATES = 1000


LESSON = Lesson(
    given="197 animals in four classes, 125, 18, 20 and 34 of them. Genetics says that the classes "
    "have the probabilities 1/2 + p/4, (1 - p)/4, (1 - p)/4 and p/4, with one unknown number "
    "p.",
    hidden="For each of the 125 whether it belongs to the half that says nothing of p, or to the "
    "quarter p/4. Were that known, p would be a share.",
    e_step="The 125 are shared out in the proportion of the two probabilities, 1/2 to p/4: so many "
    "of them speak for p, on average. Monte Carlo EM draws that number many times and takes "
    "the mean.",
    m_step="p is the share of the animals that speak for p (those of the 125, and the 34) among all "
    "that speak at all (these, and the 18 and 20 that speak against it).",
    look="How fast the distance from the limit falls: by the same factor at every step of EM, the "
    "share of the information that is hidden; in leaps for Newton's method, which may also "
    "leave [0, 1] and fall, as EM never does.",
    references=(
        "Dempster et al. 1977",
        "Rao 1965",
        "Louis 1982",
        "Meng & Rubin 1991",
        "Lange 1995",
        "Wei & Tanner 1990",
        "Caffo et al. 2005",
    ),
)


class LinkageModel(Model[float]):
    """The first class hides two: probability 1/2, which says nothing of p, and p/4.

    Parameters
    ----------
    counts : (4,) float64 ndarray
        Of the classes.
    """

    def __init__(self, counts: np.ndarray) -> None:
        self.counts = counts
        self.total_weight = float(counts.sum())

    def log_likelihood(self, p: float) -> float:
        """Return the log-likelihood but for a constant, in nats."""
        a, b, c, d = self.counts
        return float(a * np.log(2.0 + p) + (b + c) * np.log1p(-p) + d * np.log(p))

    def expect(self, parameters: float) -> Expectation:
        """Return the log-likelihood and the expected count of what lies hidden in the first class."""
        hidden = self.counts[0] * parameters / (2.0 + parameters)
        return Expectation(self.log_likelihood(parameters), hidden)

    def maximize(self, statistics: float, parameters: float) -> float:
        """Return the share of the animals that speak for p among those that speak at all."""
        _, b, c, d = self.counts
        return float((statistics + d) / (statistics + b + c + d))


class LinkageSurface:
    """The expected complete log-likelihood: (hidden + d) log p + (b + c) log(1 - p)."""

    def __init__(self, counts: np.ndarray) -> None:
        self.counts = counts

    def pack(self, parameters: float) -> np.ndarray:
        return np.array([parameters])

    def unpack(self, vector: np.ndarray) -> float:
        return float(vector[0])

    def value(self, statistics: float, vector: np.ndarray) -> float:
        p = float(vector[0])
        if not 0 < p < 1:
            return -np.inf
        _, b, c, d = self.counts
        return float((statistics + d) * np.log(p) + (b + c) * np.log1p(-p))

    def slopes(self, statistics: float, vector: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        p, (_, b, c, d) = float(vector[0]), self.counts
        gradient = (statistics + d) / p - (b + c) / (1.0 - p)
        return np.array([gradient]), np.array([[-(statistics + d) / p**2 - (b + c) / (1.0 - p) ** 2]])


class DrawnLinkage(DrawnModel[float]):
    """The hidden count is drawn: binomial, given p and the first class."""

    def __init__(self, counts: np.ndarray) -> None:
        self.model, self.surface = LinkageModel(counts), LinkageSurface(counts)

    def draw(self, parameters: float, n_draws: int, rng: np.random.Generator) -> np.ndarray:
        share = parameters / (2.0 + parameters)
        return rng.binomial(int(self.model.counts[0]), share, n_draws).astype(np.float64)

    def maximize(self, draws: np.ndarray, parameters: float) -> float:
        return self.model.maximize(float(draws.mean()), parameters)

    def gains(self, draws: np.ndarray, before: float, after: float) -> np.ndarray:
        _, b, c, d = self.model.counts
        return (draws + d) * np.log(after / before) + (b + c) * np.log((1.0 - after) / (1.0 - before))


class LinkageData(CompleteData[float]):
    """The four classes; the free parameter is p."""

    def __init__(self, counts: np.ndarray) -> None:
        self.counts, self.model = counts, LinkageModel(counts)
        self.names, self.offset, self.matrix = ("p",), np.zeros(1), np.eye(1)

    def to_vector(self, parameters: float) -> np.ndarray:
        return np.array([parameters])

    def from_vector(self, vector: np.ndarray) -> float:
        return float(vector[0])

    def information(self, parameters: float) -> tuple[np.ndarray, np.ndarray]:
        a, b, c, d = self.counts
        p, share = parameters, parameters / (2.0 + parameters)
        complete = (a * share + d) / p**2 + (b + c) / (1.0 - p) ** 2
        return np.array([[complete]]), np.array([[a * share * (1.0 - share) / p**2]])

    def resampled(self, rng: np.random.Generator) -> LinkageData:
        total = self.counts.sum()
        return LinkageData(rng.multinomial(int(total), self.counts / total).astype(np.float64))


def newton(counts: np.ndarray, p: float) -> list[float]:
    """Return the iterates of Newton's method on the log-likelihood itself, which needs no hidden data."""
    a, b, c, d = counts
    path = [p]
    while len(path) < 2 or abs(path[-1] - path[-2]) > 1e-14:
        slope = a / (2 + p) - (b + c) / (1 - p) + d / p
        curvature = -a / (2 + p) ** 2 - (b + c) / (1 - p) ** 2 - d / p**2
        p -= slope / curvature
        path.append(float(p))
    return path


@dataclass(frozen=True, eq=False, kw_only=True)
class Linkage(Outcome):
    """Outcome of the experiment.

    Attributes
    ----------
    trace, lange : Trace
        EM, and EM with one Newton step in place of its M-step; parameters are p.
    newton : list of float
    drawn : DrawnResult
        Monte Carlo EM.
    errors : dict of str to StandardErrors
        By method.
    """

    trace: Trace[float]
    lange: Trace[float]
    newton: list[float]
    drawn: DrawnResult
    errors: dict[str, StandardErrors]

    def record(self) -> dict[str, Any]:
        return {
            "log_likelihood": self.trace.log_likelihoods,
            "p": self.trace.parameters,
            "p_newton_m_step": self.lange.parameters,
            "p_newton": self.newton,
            "p_monte_carlo": [step.parameters for step in self.drawn.steps],
            "draws": [step.n_draws for step in self.drawn.steps],
            "standard_errors": {name: float(found.errors[0]) for name, found in self.errors.items()},
        }


def monte_carlo_error(drawn: DrawnResult, rate: float, p: float) -> float:
    """Return the standard error that drawing leaves in the last p.

    One step's p varies by its draws' binomial deviation times the M-step's slope; the next keeps `rate` of
    that.
    """
    _, b, c, d = COUNTS
    share = p / (2.0 + p)
    hidden = COUNTS[0] * share
    slope = (b + c) / (hidden + b + c + d) ** 2
    noises = [hidden * (1 - share) * slope**2 / step.n_draws for step in drawn.steps]
    kept = rate ** (2.0 * np.arange(len(noises))[::-1])
    return float(np.sqrt(np.sum(kept * noises)))


def run(random_state: int = 0) -> Linkage:
    """Run the experiment."""
    data = LinkageData(COUNTS)
    stopping = SmallGain(1e-18)
    trace = trace_model(data.model, START, stopping)
    lange = trace_model(NewtonSteps(data.model, LinkageSurface(COUNTS)), START, stopping)
    small = trace_model(LinkageModel(SMALL), START, stopping)
    rng = np.random.default_rng(random_state)
    drawn = run_monte_carlo(DrawnLinkage(COUNTS), START, rng, stopping=NoiseAware(tol=1e-5, first=200))
    errors = {
        "observed information": observed_information(data, trace.last),
        "supplemented EM": supplemented_em(data, trace.last),
        "bootstrap": bootstrap(
            data, trace.last, n_replicates=N_REPLICATES, random_state=random_state, n_jobs=1
        ),
    }
    rate = float(em_rates(data, trace.last)[0, 0])
    away = abs(drawn.parameters - trace.last) / monte_carlo_error(drawn, rate, trace.last)
    path = newton(COUNTS, START)
    return Linkage(
        random_state=random_state,
        tables=(_steps_table(trace, lange, path), _errors_table(errors)),
        checks=(
            close("p by EM", trace.last, LIMIT, 1e-9, ".10f"),
            *(
                close(say("p after step {i}", i=i), trace.at(i), PATH[i], 5.1e-7, ".6f")
                for i in range(1, len(PATH))
            ),
            close("p by Newton's method", path[-1], LIMIT, 1e-10, ".10f"),
            close("p by EM with one Newton step", lange.last, LIMIT, 1e-8, ".10f"),
            at_most("Monte Carlo EM, standard errors of its drawing from the limit", float(away), 3.0, ".2f"),
            close("p of 14, 0, 1 and 5 animals", small.last, SMALL_LIMIT, 5.1e-8, ".7f"),
            close("EM's rate of convergence", rate, RATE, 5.1e-7, ".6f"),
            close(
                "observed information",
                float(1 / errors["observed information"].covariance[0, 0]),
                INFORMATION,
                5.1e-4,
            ),
            *_error_checks(errors),
            never_falls(trace, lange, small),
        ),
        findings=_findings(trace, path, drawn, errors, rate),
        trace=trace,
        lange=lange,
        newton=path,
        drawn=drawn,
        errors=errors,
    )


def _error_checks(errors: dict[str, StandardErrors]) -> tuple[Check, ...]:
    first = errors["observed information"].errors[0]
    supplemented = abs(float(errors["supplemented EM"].errors[0] / first - 1))
    resampled = abs(float(errors["bootstrap"].errors[0] / first - 1))
    noise = SAMPLING / np.sqrt(2 * (N_REPLICATES - 1))
    return (
        at_most("supplemented EM against observed information, relative", supplemented, 1e-6, ".1e"),
        at_most("bootstrap against observed information, relative", resampled, noise, ".3f"),
    )


def _steps_table(trace: Trace[float], lange: Trace[float], path: list[float]) -> Table:
    def cell(values: Any, i: int) -> float | None:
        return float(values[i]) if i < len(values) else None

    rows = tuple(
        (
            i,
            cell(trace.parameters, i),
            cell(trace.log_likelihoods, i),
            cell(lange.parameters, i),
            cell(path, i),
        )
        for i in range(9)
    )
    columns = (
        Column("step", "d"),
        Column("p by EM", ".8f"),
        Column("log-likelihood", ".8f"),
        Column("p, one Newton step for the M-step", ".8f"),
        Column("p by Newton's method", ".8f"),
    )
    return Table("linkage_steps", "Genetic linkage: p by step, from 1/2.", columns, rows)


def _errors_table(errors: dict[str, StandardErrors]) -> Table:
    rows = tuple((name, found.estimates[0], found.errors[0]) for name, found in errors.items())
    columns = (Column("method"), Column("p", ".6f"), Column("standard error", ".5f"))
    return Table(
        "linkage_errors", "Genetic linkage: the standard error of p by three methods.", columns, rows
    )


def _findings(
    trace: Trace[float],
    path: list[float],
    drawn: DrawnResult,
    errors: dict[str, StandardErrors],
    rate: float,
) -> tuple[str, ...]:
    found = errors["observed information"]
    return (
        say(
            "At the end {last:.2f} of the 125 animals speak for p, which is {p:.6f}.",
            last=125 * trace.last / (2 + trace.last),
            p=trace.last,
        ),
        say(
            "EM gains a digit about every {steps:.2f} steps, for each keeps {rate:.6f} of the "
            "distance to the limit {last:.10f}, which is the share of the information that is "
            "hidden. Newton's method needs {path} steps, since its digits double, but it may "
            "leave [0, 1] and fall; EM never does.",
            steps=-1 / np.log10(rate),
            rate=rate,
            last=trace.last,
            path=len(path) - 1,
        ),
        say(
            "Monte Carlo EM draws in place of computing. Its rule draws more where a step may be "
            "no gain, from {first_draws} draws to {last_draws}, and stops at {stop:.5f} after "
            "{all_draws} draws: noise is cheap at first, where steps are long, and dear at the "
            "end.",
            first_draws=drawn.steps[0].n_draws,
            last_draws=drawn.steps[-1].n_draws,
            stop=drawn.parameters,
            all_draws=drawn.n_draws,
        ),
        say(
            "The standard error of p is {louis:.5f} by Louis's observed information "
            "({information:.3f}), {supplemented:.5f} by supplemented EM, which needs nothing but EM "
            "steps, and {bootstrap:.5f} by {n_replicates} fits to resampled animals.",
            louis=found.errors[0],
            information=1 / found.covariance[0, 0],
            supplemented=errors["supplemented EM"].errors[0],
            bootstrap=errors["bootstrap"].errors[0],
            n_replicates=N_REPLICATES,
        ),
    )
