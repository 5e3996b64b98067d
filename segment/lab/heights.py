"""Heights of men and women: two Gaussians in one dimension, and how much the start matters."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np

from segment.data.samples import Samples
from segment.em.uncertainty import StandardErrors
from segment.lab.basin import PairFits
from segment.lab.heights_fits import (
    GROUPS,
    N_DATA_SETS,
    N_REPLICATES,
    RELATIVE_REG,
    STARTS,
    TRUTH,
    basin_map,
    draw_heights,
    repeat,
    standard_errors,
    start_at,
    starting_means,
)
from segment.lab.lesson import Lesson
from segment.lab.outcome import SAMPLING, Check, Column, Outcome, Table, at_least, at_most
from segment.lab.trace import Trace, never_falls, plain_trace, trace_em
from segment.mixture.expectation import score_samples
from segment.mixture.families.gaussian.parameters import Parameters
from segment.mixture.seeding import starting_points
from segment.words import say

ITERATIONS = (100, 200, 300)
TOL = 1e-9

# Nats by which one optimum must lie below another to be a different, worse one, and the standard deviation
# (cm) below which a component describes a few neighboring heights and no group of people.
WORSE = 0.01
NARROW = 2.0

LESSON = Lesson(
    given="1 000 heights in centimeters, 600 of men drawn from a normal with mean 176 and standard "
    "deviation 8, 400 of women with mean 164 and 6, in one heap. Three starts, all with the "
    "standard deviation of the heap and equal weights: A, means 10 cm above and below the mean "
    "of the heap; B, means 200 and 100; C, its mirror image, 100 and 200.",
    hidden="Who is a man and who a woman.",
    e_step="For every height the probability that a man has it: his weight times his density, divided "
    "by the sum of both.",
    m_step="Weight, mean and variance of the men are those of all heights, each counted by that "
    "probability; of the women, by what is left to 1.",
    look="Where the three starts end, and how many iterations that takes; the map of the "
    "log-likelihoods that every pair of starting means leads to. Standard errors come from the "
    "curvature of the log-likelihood (observed information), from how fast EM converges "
    "(supplemented EM), and from refitting resampled heights (bootstrap).",
    references=("Dempster et al. 1977", "Meng & Rubin 1991", "Varadhan & Roland 2008", "Wu 1983"),
)


@dataclass(frozen=True, eq=False, kw_only=True)
class Heights(Outcome):
    """Outcome of the experiment.

    Attributes
    ----------
    heights : (1000,) float64 ndarray
        In cm, men first.
    traces : dict of str to Trace
        Plain EM from the starts A, B and C.
    basin_means : (n,) float64 ndarray
        The starting means of the basin map.
    basin : (n, n) float64 ndarray
        Final log-likelihood by starting mean of the first (rows) and second component.
    errors : dict of str to StandardErrors
        Of weights, means and standard deviations at the optimum that A reaches, by method.
    repeats : dict of str to PairFits
        Fits of 200 further data sets from each start.
    """

    heights: np.ndarray
    traces: dict[str, Trace[Parameters]]
    basin_means: np.ndarray
    basin: np.ndarray
    errors: dict[str, StandardErrors]
    repeats: dict[str, PairFits]

    def record(self) -> dict[str, Any]:
        return {
            "traces": {name: plain_trace(trace) for name, trace in self.traces.items()},
            "basin": {"means": self.basin_means, "log_likelihood": self.basin},
            "standard_errors": {
                name: {"names": found.names, "estimates": found.estimates, "covariance": found.covariance}
                for name, found in self.errors.items()
            },
            "repeats": {name: fits.log_likelihoods for name, fits in self.repeats.items()},
        }


def run(random_state: int = 0) -> Heights:
    """Run the experiment: three starts, their basins, standard errors, and 200 repetitions."""
    data_rng, repeat_rng = np.random.default_rng(random_state).spawn(2)
    heights = draw_heights(data_rng)
    samples = Samples.of(heights[:, None])
    starts = {name: start_at(heights, means) for name, means in starting_means(heights).items()}
    options = {"tol": TOL, "max_iter": 20000, "relative_reg": RELATIVE_REG}
    traces = {name: trace_em(samples, start, **options) for name, start in starts.items()}
    basin_means, basin = basin_map(heights)
    # Curvatures ask for more digits of the optimum than plain EM has when it stops.
    optimum = trace_em(samples, traces["A"].last, tol=1e-15, max_iter=20000, acceleration="squarem")
    errors = standard_errors(samples, optimum.last, random_state)
    gain = optimum.log_likelihoods[-1] - float(score_samples(samples.X, TRUTH).sum())
    repeats = repeat(repeat_rng)
    own = starting_points(samples, 2, random_state=random_state, n_jobs=1)[0]
    accelerated = {
        name: trace_em(samples, start, **options, acceleration="squarem")
        for name, start in {**starts, "own": own}.items()
    }
    plain = {**traces, "own": trace_em(samples, own, **options)}
    tables = (
        _starts_table(traces),
        _speed_table(plain, accelerated),
        _errors_table(errors),
        _repeats_table(repeats),
    )
    return Heights(
        random_state=random_state,
        tables=tables,
        checks=_checks(traces, gain, errors, basin),
        findings=_findings(traces, plain, accelerated, errors, repeats, basin),
        heights=heights,
        traces=traces,
        basin_means=basin_means,
        basin=basin,
        errors=errors,
        repeats=repeats,
    )


def six(parameters: Parameters) -> tuple[float, ...]:
    """Return mean, sd and weight of the first component, then of the second."""
    deviations = np.sqrt(parameters.covariances.ravel())
    columns = zip(parameters.means.ravel(), deviations, parameters.weights, strict=True)
    return tuple(float(value) for column in columns for value in column)


_SIX = tuple(
    Column(say("{what}, {who}", what=what, who=who), spec)
    for who in GROUPS
    for what, spec in (("mean (cm)", ".2f"), ("sd (cm)", ".2f"), ("weight", ".3f"))
)


def _starts_table(traces: dict[str, Trace[Parameters]]) -> Table:
    best = max(trace.log_likelihoods[-1] for trace in traces.values())
    rows: list[tuple[Any, ...]] = [("truth", None, *six(TRUTH), None, "")]
    for name, trace in traces.items():
        for iteration in (*(i for i in ITERATIONS if i < trace.n_iter), trace.n_iter):
            value = trace.log_likelihoods[iteration]
            end = _optimum(trace, best) if iteration == trace.n_iter else ""
            rows.append((name, iteration, *six(trace.at(iteration)), value, end))
    columns = (
        Column("start"),
        Column("iteration", "d"),
        *_SIX,
        Column("log-likelihood", ".3f"),
        Column("end"),
    )
    return Table(
        "heights_starts",
        "Parameters of the heights mixture by start and iteration; the last row of a start is its end.",
        columns,
        tuple(rows),
    )


def _optimum(trace: Trace[Parameters], best: float) -> str:
    behind = best - trace.log_likelihoods[-1]
    if behind < WORSE:
        return "best of the three"
    return say("{behind:.2f} nats lower", behind=behind)


def _speed_table(plain: dict[str, Trace[Parameters]], accelerated: dict[str, Trace[Parameters]]) -> Table:
    rows = tuple(
        (
            "emEM (own)" if name == "own" else name,
            plain[name].result.n_evaluations,
            plain[name].log_likelihoods[-1],
            accelerated[name].result.n_evaluations,
            accelerated[name].log_likelihoods[-1],
        )
        for name in plain
    )
    columns = (
        Column("start"),
        Column("E-steps, plain EM", "d"),
        Column("log-likelihood, plain EM", ".3f"),
        Column("E-steps, SQUAREM", "d"),
        Column("log-likelihood, SQUAREM", ".3f"),
    )
    caption = say(
        "E-steps until a step gains less than {tol:g} nats a sample, plain and accelerated "
        "by SQUAREM, and the log-likelihood reached.",
        tol=TOL,
    )
    return Table("heights_speed", caption, columns, rows)


def _errors_table(errors: dict[str, StandardErrors]) -> Table:
    first = errors["observed information"]
    truth = (*TRUTH.weights, *TRUTH.means.ravel(), *np.sqrt(TRUTH.covariances.ravel()))
    rows = tuple(
        (name, truth[i], first.estimates[i], *(found.errors[i] for found in errors.values()))
        for i, name in enumerate(first.names)
    )
    columns = (
        Column("parameter"),
        Column("truth", ".2f"),
        Column("estimate", ".3f"),
        *(Column(say("s.e., {name}", name=name), ".3f") for name in errors),
    )
    return Table(
        "heights_errors",
        "Estimates from start A and their standard errors by three methods (means and sd in cm).",
        columns,
        rows,
    )


def shares(repeats: dict[str, PairFits]) -> dict[str, tuple[float, float, float]]:
    """Return, by start, how often it ends below, at and above the end of start A."""
    reference = repeats["A"].log_likelihoods
    found = {}
    for name, fits in repeats.items():
        difference = fits.log_likelihoods - reference
        below, above = float((difference < -WORSE).mean()), float((difference > WORSE).mean())
        found[name] = (below, 1.0 - below - above, above)
    return found


def _narrow_share(fits: PairFits) -> float:
    return float((np.sqrt(fits.variances).min(axis=1) < NARROW).mean())


def _repeats_table(repeats: dict[str, PairFits]) -> Table:
    rows = tuple(
        (name, *(100 * share for share in each), 100 * _narrow_share(repeats[name]))
        for name, each in shares(repeats).items()
    )
    columns = (
        Column("start"),
        Column("lower than A (%)", ".1f"),
        Column("same optimum as A (%)", ".1f"),
        Column("higher than A (%)", ".1f"),
        Column(say("with a component of sd < {narrow:g} cm (%)", narrow=NARROW), ".1f"),
    )
    caption = say(
        "Where each start ends on {n_data_sets} data sets, by its log-likelihood against that of start A.",
        n_data_sets=N_DATA_SETS,
    )
    return Table("heights_repeats", caption, columns, rows)


def _checks(
    traces: dict[str, Trace[Parameters]], gain: float, errors: dict[str, StandardErrors], basin: np.ndarray
) -> tuple[Check, ...]:
    from scipy.stats import chi2, norm

    # Twice the gain over the truth is chi-squared, flat as the likelihood may be; as rare as `SAMPLING`.
    most = float(chi2.isf(2 * norm.sf(SAMPLING), df=5))
    b, c = traces["B"].last, traces["C"].last.reordered([1, 0])
    mirrored = max(float(np.abs(b.means - c.means).max()), float(np.abs(b.covariances - c.covariances).max()))
    apart = errors["supplemented EM"].errors / errors["observed information"].errors - 1.0
    return (
        at_most("start A: twice the nats it gains over the truth", 2 * gain, most, ".2f"),
        never_falls(*traces.values()),
        at_most("start C is B mirrored: largest difference", mirrored, 1e-6, ".1e"),
        at_most(
            "supplemented EM against observed information, relative", float(np.abs(apart).max()), 1e-4, ".1e"
        ),
        at_least("starts of the basin map", basin.size, 1600, "d"),
    )


def _findings(
    traces: dict[str, Trace[Parameters]],
    plain: dict[str, Trace[Parameters]],
    accelerated: dict[str, Trace[Parameters]],
    errors: dict[str, StandardErrors],
    repeats: dict[str, PairFits],
    basin: np.ndarray,
) -> tuple[str, ...]:
    lost = float((basin < basin.max() - WORSE).mean())
    # C is B mirrored, the same run: it counts once.
    evaluations = [
        (plain[n].result.n_evaluations, accelerated[n].result.n_evaluations) for n in plain if n != "C"
    ]
    elsewhere = [
        name
        for name in STARTS
        if abs(plain[name].log_likelihoods[-1] - accelerated[name].log_likelihoods[-1]) > WORSE
    ]
    weight_error = errors["observed information"].errors[0]
    ratio = float(np.median([before / after for before, after in evaluations]))
    return (
        _of_start_b(repeats),
        _of_start_c(traces["C"].last),
        say(
            "On this data set {lost:.1%} of the {size} starts of the basin map miss the best optimum found.",
            lost=lost,
            size=basin.size,
        ),
        _of_acceleration(ratio, elsewhere),
        say(
            "A thousand heights leave the weights uncertain by {weight_error:.2f}: the groups "
            "overlap so much that the likelihood is nearly flat, which is also why plain EM "
            "needs {n_iter} iterations from the sensible start.",
            weight_error=weight_error,
            n_iter=traces["A"].n_iter,
        ),
        _of_the_bootstrap(errors),
    )


def _of_start_b(repeats: dict[str, PairFits]) -> str:
    below, same, above = shares(repeats)["B"]
    return say(
        "Over {n_data_sets} data sets, start B ends in a lower optimum than start A in "
        "{below:.1%}, in the same in {same:.1%} and in a higher one in {above:.1%}; in "
        "{share_b:.1%} (A: {share_a:.1%}) one of its components is narrower than "
        "{narrow:g} cm: a few neighboring heights, not a group of people.",
        n_data_sets=N_DATA_SETS,
        below=below,
        same=same,
        above=above,
        share_b=_narrow_share(repeats["B"]),
        share_a=_narrow_share(repeats["A"]),
        narrow=NARROW,
    )


def _of_start_c(end: Parameters) -> str:
    wide, narrow = sorted(zip(np.sqrt(end.covariances.ravel()), end.weights, strict=True), reverse=True)
    return say(
        "C is B with the components' names exchanged, so its two standard deviations differ "
        "as B's do: here {wide:.2f} cm (weight {wide_weight:.3f}) and {narrow:.2f} cm (weight "
        "{narrow_weight:.3f}). A published table for C prints 0.85 cm for both: an error; by its "
        "own table for B the wide one has 9.17 cm.",
        wide=wide[0],
        wide_weight=wide[1],
        narrow=narrow[0],
        narrow_weight=narrow[1],
    )


def _of_acceleration(ratio: float, elsewhere: list[str]) -> str:
    fewer = say(
        "Acceleration takes {ratio:.1f} times fewer E-steps (median over A, B, which C mirrors, and emEM).",
        ratio=ratio,
    )
    if not elsewhere:
        return fewer
    starts = reduce(lambda first, second: say("{first} and {second}", first=first, second=second), elsewhere)
    return say("{fewer} It may end elsewhere than plain EM: here from {starts}.", fewer=fewer, starts=starts)


def _of_the_bootstrap(errors: dict[str, StandardErrors]) -> str:
    """Say whether the bootstrap's standard errors differ by more than its replicates' own error."""
    ratios = errors["bootstrap"].errors / errors["observed information"].errors
    noise = SAMPLING / np.sqrt(2 * (N_REPLICATES - 1))
    verdict = (
        say(
            "further off than {n_replicates} replicates explain ({noise:.0%}), for the "
            "likelihood of so few heights is no parabola",
            n_replicates=N_REPLICATES,
            noise=noise,
        )
        if np.abs(ratios - 1).max() > noise
        else say(
            "no further off than {n_replicates} replicates explain ({noise:.0%})",
            n_replicates=N_REPLICATES,
            noise=noise,
        )
    )
    return say(
        "The bootstrap's standard errors are {low:.2f} to {high:.2f} times those of the "
        "observed information: {verdict}.",
        low=ratios.min(),
        high=ratios.max(),
        verdict=verdict,
    )
