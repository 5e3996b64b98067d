"""Student's t: a mixture of infinitely many Gaussians, whose M-step has no formula as a whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import minimize, minimize_scalar
from scipy.special import digamma, gammaln

from segment.data.samples import Samples
from segment.em import ConditionalSteps, Expectation, Model, SmallGain
from segment.lab.lesson import Lesson
from segment.lab.outcome import Check, Column, Outcome, Table, at_least, at_most
from segment.lab.trace import Trace, never_falls, plain, trace_model
from segment.mixture.families.gaussian.family import Gaussian
from segment.mixture.families.gaussian.parameters import Parameters
from segment.mixture.families.student.family import Student, root_of_degrees
from segment.mixture.families.student.parameters import StudentParameters
from segment.mixture.fitting import fit_family
from segment.mixture.model import MixtureModel
from segment.words import say

# Darwin's 15 pairs of maize plants: how much taller the cross-fertilized one grew, in eighths of an inch.
DARWIN = np.array([49.0, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48])
START_DEGREES = 10.0
MOST_STEPS = 400

# Three groups in the plane, and stray points everywhere.
CENTERS = np.array([[-4.0, 0.0], [4.0, 0.0], [0.0, 6.0]])
N_POINTS = 600
STRAY_SHARE = 0.08
STRAY_RANGE = 20.0

LESSON = Lesson(
    given="Darwin's differences in height of 15 pairs of maize plants, cross-fertilized less self-fertilized "
    "(eighths of an inch), two of them far off; then 600 points of three groups with 8 % stray points.",
    hidden="How wide a Gaussian each value came from: a t distribution is a Gaussian whose precision was "
    "multiplied with a number u drawn from a gamma distribution. In a mixture also whose group a point is.",
    e_step="The expected u of each value, (nu + 1) / (nu + d), d its squared distance from the center in "
    "units of the scale: far values get a small u. And the expected log u.",
    m_step="Center and scale are those of values that count u times, a formula. The degrees of freedom nu "
    "have none, and all three at once still less: ECM maximizes over center and scale first, over nu then. "
    "ECME lets nu maximize the likelihood itself, not its expected form.",
    look="Which of Darwin's values get little weight, and where that puts the center. Which variant takes "
    "the fewest passes. Where stray points pull Gaussians, and where t components stay.",
    references=(
        "Meng & Rubin 1993",
        "Liu & Rubin 1995",
        "Liu et al. 1998",
        "Peel & McLachlan 2000",
        "Fisher 1935",
    ),
)


class Bell(NamedTuple):
    """A t distribution on the line: center, scale (in the data's unit) and degrees of freedom."""

    center: float
    scale: float
    degrees: float

    def distances(self, x: np.ndarray) -> np.ndarray:
        """Return squared distances from the center in units of the scale."""
        return np.square((x - self.center) / self.scale)

    def precisions(self, x: np.ndarray) -> np.ndarray:
        """Return the expected u of each value."""
        return (self.degrees + 1) / (self.degrees + self.distances(x))

    def log_likelihood(self, x: np.ndarray) -> float:
        """Return the log-likelihood in nats."""
        half = 0.5 * (self.degrees + 1)
        norm = gammaln(half) - gammaln(0.5 * self.degrees) - 0.5 * np.log(np.pi * self.degrees)
        each = half * np.log1p(self.distances(x) / self.degrees)
        return float(len(x) * (norm - np.log(self.scale)) - each.sum())


class BellModel(Model[Bell]):
    """One t distribution of values on the line; statistics are the expected u and the mean of log u - u."""

    chart = None

    def __init__(self, x: np.ndarray) -> None:
        self.x, self.total_weight = x, float(len(x))

    def expect(self, parameters: Bell) -> Expectation:
        """Return the log-likelihood and what is expected of u."""
        u = parameters.precisions(self.x)
        half = 0.5 * (parameters.degrees + 1)
        logs = np.log(u) + digamma(half) - np.log(half)
        return Expectation(parameters.log_likelihood(self.x), (u, float(np.mean(logs - u))))

    def maximize(self, statistics: tuple[np.ndarray, float], parameters: Bell) -> Bell:
        """Return center and scale, then degrees of freedom: ECM with one E-step."""
        return self.shape(statistics, self.place(statistics, parameters))

    def place(self, statistics: tuple[np.ndarray, float], parameters: Bell) -> Bell:
        """Return the best center and scale, the degrees held."""
        u = statistics[0]
        center = float(u @ self.x / u.sum())
        return parameters._replace(
            center=center, scale=float(np.sqrt(u @ np.square(self.x - center) / len(u)))
        )

    def shape(self, statistics: tuple[np.ndarray, float], parameters: Bell) -> Bell:
        """Return the degrees that the expected log-likelihood is highest at."""
        return parameters._replace(degrees=float(root_of_degrees(np.array([statistics[1]]))[0]))

    def shape_by_likelihood(self, _: tuple[np.ndarray, float], parameters: Bell) -> Bell:
        """Return the degrees that the log-likelihood itself is highest at (ECME)."""
        best = minimize_scalar(
            lambda log: -parameters._replace(degrees=float(np.exp(log))).log_likelihood(self.x),
            bounds=(np.log(0.1), np.log(1e3)),
            method="bounded",
            options={"xatol": 1e-10},
        )
        found = parameters._replace(degrees=float(np.exp(best.x)))
        return max(found, parameters, key=lambda bell: bell.log_likelihood(self.x))


@dataclass(frozen=True, eq=False, kw_only=True)
class ECMT(Outcome):
    """Outcome of the experiment.

    Attributes
    ----------
    direct : Bell
        The optimum for Darwin's values, by direct maximization.
    best : float
        Its log-likelihood, in nats.
    curves : dict of str to ndarray
        By variant: the log-likelihood after 0, 1, 2, ... steps.
    X : (n, 2) ndarray
        The points in the plane.
    gaussian, student : Parameters
        Of three Gaussians fitted to them, and of three t components.
    """

    direct: Bell
    best: float
    curves: dict[str, np.ndarray]
    X: np.ndarray
    gaussian: Parameters
    student: StudentParameters

    def record(self) -> dict[str, Any]:
        return {
            "direct": self.direct._asdict(),
            "precisions": self.direct.precisions(DARWIN),
            "log_likelihood": self.curves,
            "gaussian": plain(self.gaussian),
            "t": {**plain(self.student), "degrees_of_freedom": self.student.degrees_of_freedom},
        }


def draw_points(rng: np.random.Generator) -> np.ndarray:
    """Draw the groups in the plane and the stray points."""
    X = CENTERS[np.arange(N_POINTS) % 3] + rng.standard_normal((N_POINTS, 2))
    n_stray = round(STRAY_SHARE * N_POINTS)
    X[:n_stray] = rng.uniform(-STRAY_RANGE, STRAY_RANGE, (n_stray, 2))
    return X


def run(random_state: int = 0) -> ECMT:
    """Run the experiment."""
    start = Bell(float(DARWIN.mean()), float(DARWIN.std()), START_DEGREES)
    direct, traces = _directly(start), _traces(start)
    best = direct.log_likelihood(DARWIN)
    X = draw_points(np.random.default_rng(random_state))
    plane = Samples.of(X)
    gaussian, student = (
        fit_family(plane, 3, family, random_state=random_state, n_jobs=1).parameters
        for family in (Gaussian.of(plane), Student.of(plane))
    )
    curves = {name: trace.log_likelihoods for name, trace in traces.items()}
    return ECMT(
        random_state=random_state,
        tables=(_darwin_table(direct), _steps_table(curves, best), _plane_table(gaussian, student)),
        checks=_checks(direct, traces, gaussian, student),
        findings=_findings(direct, curves, best, gaussian, student),
        direct=direct,
        best=best,
        curves=curves,
        X=X,
        gaussian=gaussian,
        student=student,
    )


def _directly(start: Bell) -> Bell:
    """Return the optimum by direct maximization, over the center and the logarithms of the others."""

    def fall(vector: np.ndarray) -> float:
        return -_bell(vector).log_likelihood(DARWIN)

    vector = np.array([start.center, np.log(start.scale), np.log(start.degrees)])
    return _bell(minimize(fall, vector, method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-13}).x)


def _bell(vector: np.ndarray) -> Bell:
    return Bell(float(vector[0]), *np.exp(vector[1:]).tolist())


def _traces(start: Bell) -> dict[str, Trace[Any]]:
    """Return the path of every variant from one start."""
    model, stopping = BellModel(DARWIN), SmallGain(1e-14, MOST_STEPS)
    cycles = {
        "ECM": ConditionalSteps(model, (model.place, model.shape)),
        "multicycle ECM": ConditionalSteps(model, (model.place, model.shape), multicycle=True),
        "ECME": ConditionalSteps(model, (model.place, model.shape_by_likelihood)),
    }
    samples = Samples.of(DARWIN[:, None])
    expanded = MixtureModel(samples, Student.of(samples, relative_reg=0.0), 1, n_jobs=1)
    at = StudentParameters(
        np.ones(1),
        np.array([[start.center]]),
        np.array([[[start.scale**2]]]),
        "full",
        np.array([start.degrees]),
        "free",
    )
    return {
        **{name: trace_model(cycle, start, stopping) for name, cycle in cycles.items()},
        "parameter-expanded ECM": trace_model(expanded, at, stopping),
    }


def steps_within(curve: np.ndarray, best: float, gap: float) -> int | None:
    """Return the first step within `gap` nats of the best; None if there is none."""
    near = np.flatnonzero(best - curve <= gap)
    return int(near[0]) if len(near) else None


def distances(parameters: Parameters) -> np.ndarray:
    """Return the distance of every group's center from the nearest component's mean, (3,)."""
    return np.linalg.norm(CENTERS[:, None] - parameters.means, axis=2).min(axis=1)


def _darwin_table(direct: Bell) -> Table:
    rows = tuple(
        (f"{value:.0f}", float(u)) for value, u in sorted(zip(DARWIN, direct.precisions(DARWIN), strict=True))
    )
    columns = (Column("difference in eighths of an inch"), Column("expected u", ".2f"))
    return Table(
        "ecm_t_darwin", "Darwin's differences, and how much each counts at the optimum.", columns, rows
    )


def _steps_table(curves: dict[str, np.ndarray], best: float) -> Table:
    gaps = (1e-2, 1e-4, 1e-6)
    rows = tuple((name, *(steps_within(curve, best, gap) for gap in gaps)) for name, curve in curves.items())
    columns = (
        Column("variant"),
        *(Column(say("steps to within {gap:g} nats", gap=gap), "d") for gap in gaps),
    )
    return Table("ecm_t_steps", "Steps that each variant needs for Darwin's values.", columns, rows)


def _plane_table(gaussian: Parameters, student: StudentParameters) -> Table:
    rows = tuple(
        (f"({x:.0f}, {y:.0f})", far, near)
        for (x, y), far, near in zip(CENTERS, distances(gaussian), distances(student), strict=True)
    )
    columns = (
        Column("center of the group"),
        Column("distance of the nearest Gaussian", ".2f"),
        Column("distance of the nearest t", ".2f"),
    )
    return Table("ecm_t_plane", "Three groups and stray points: where components end.", columns, rows)


def _checks(
    direct: Bell, traces: dict[str, Trace[Any]], gaussian: Parameters, student: StudentParameters
) -> tuple[Check, ...]:
    best = direct.log_likelihood(DARWIN)
    last = max(abs(best - float(trace.log_likelihoods[-1])) for trace in traces.values())
    center = max(abs(traces[name].last.center - direct.center) for name in ("ECM", "multicycle ECM", "ECME"))
    precisions = direct.precisions(DARWIN)
    return (
        never_falls(*traces.values()),
        at_most("every variant ends at the optimum of direct maximization, nats off", last, 1e-8, ".0e"),
        at_most("and at its center, eighths of an inch off", center, 1e-3, ".0e"),
        at_most("expected u of the two wild differences", float(np.sort(precisions)[1]), 0.3, ".2f"),
        at_least("log-likelihood above that of a Gaussian, nats", best - _gaussian_height(), 0.5, ".3f"),
        at_most("t components: furthest from a center", float(distances(student).max()), 0.4, ".2f"),
        at_least("Gaussians: furthest from a center", float(distances(gaussian).max()), 1.0, ".2f"),
    )


def _gaussian_height() -> float:
    return float(-0.5 * len(DARWIN) * (np.log(2 * np.pi * DARWIN.var()) + 1))


def _findings(
    direct: Bell,
    curves: dict[str, np.ndarray],
    best: float,
    gaussian: Parameters,
    student: StudentParameters,
) -> tuple[str, ...]:
    low, second = np.sort(direct.precisions(DARWIN))[:2]
    steps = {name: steps_within(curve, best, 1e-4) for name, curve in curves.items()}
    degrees = ", ".join(f"{nu:.1f}" for nu in np.sort(student.degrees_of_freedom))
    return (
        say(
            "The mean of Darwin's differences is {mean:.2f} eighths of an inch; the center of "
            "the t distribution is {center:.2f}, with {degrees:.2f} degrees of freedom. The two "
            "plants that grew much less than their partners count {low:.2f} and {second:.2f} "
            "times, not once: nobody had to call them outliers.",
            mean=DARWIN.mean(),
            center=direct.center,
            degrees=direct.degrees,
            low=low,
            second=second,
        ),
        say(
            "To within 0.0001 nats of the optimum, ECM takes {ecm} steps, with an E-step before "
            "each part (two passes a step) {multicycle}, ECME {ecme}, and parameter-expanded "
            "ECM, which divides by the sum of u where ECM divides by n, "
            "{expanded}. ECME pays with a search over nu along the likelihood "
            "itself, a pass for every value tried. None ever falls.",
            ecm=steps["ECM"],
            multicycle=steps["multicycle ECM"],
            ecme=steps["ECME"],
            expanded=steps["parameter-expanded ECM"],
        ),
        say(
            "In the plane one of three Gaussians gives up its group to cover the stray points: "
            "it ends {gaussian:.2f} from the center that it should hold, while every t component lies "
            "within {student:.2f}. Heavy tails hold the strays, most of them those of one "
            "component (degrees of freedom {degrees}).",
            gaussian=distances(gaussian).max(),
            student=distances(student).max(),
            degrees=degrees,
        ),
    )
