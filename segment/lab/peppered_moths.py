"""Peppered moths: allele frequencies from the counts of what can be seen, by EM without Gaussians."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from segment.em import Expectation, Model, SmallGain
from segment.em.uncertainty import (
    CompleteData,
    StandardErrors,
    bootstrap,
    em_rates,
    observed_information,
    supplemented_em,
)
from segment.lab.lesson import Lesson
from segment.lab.outcome import SAMPLING, Check, Column, Outcome, Picture, Table, at_most, close
from segment.lab.trace import Trace, never_falls, trace_model
from segment.style import COLORS, new_figure, quiet_axes, quiet_legend
from segment.words import say, shown

PHENOTYPES = ("carbonaria", "insularia", "typica")
COUNTS = np.array([85.0, 196.0, 341.0])
ALLELES = ("C", "I", "T")

# Genotype -> its two alleles, how many orders it has, and the phenotype it shows (C > I > T).
GENOTYPES = ("CC", "CI", "CT", "II", "IT", "TT")
ALLELE_COUNTS = np.array([[g.count(a) for a in ALLELES] for g in GENOTYPES], dtype=np.float64)
ORDERS = np.array([1.0, 2.0, 2.0, 1.0, 2.0, 1.0])
SHOWN = np.array([0, 0, 0, 1, 1, 2])

GOLDEN = (0.070837, 0.18874, 0.74043)
TOL = 1e-14
N_REPLICATES = 2000

LESSON = Lesson(
    given="622 moths of three looks: 85 carbonaria (black), 196 insularia (mottled), 341 typica "
    "(light). Three alleles, of which C dominates I and I dominates T: CC, CI and CT look black, "
    "II and IT mottled, TT light. Mating at random (Hardy-Weinberg) makes the frequency of a "
    "genotype the product of those of its alleles, doubled where they differ.",
    hidden="The genotypes behind the looks.",
    e_step="The moths of each look are shared among its genotypes in proportion to their frequencies: "
    "85 black moths become expected counts of CC, CI and CT.",
    m_step="Count alleles: two for every moth, and divide by 1 244.",
    look="EM without any Gaussian. The table gives every iteration from 1/3 each, beginning with "
    "iteration 0, and the ratio of convergence; standard errors come from the observed "
    "information, from supplemented EM (which reads the missing information off the speed of EM) "
    "and from the bootstrap, and agree.",
    references=("Dempster et al. 1977", "Meng & Rubin 1991"),
)


class _LogFrequencies:
    """Frequencies as their logarithms: the vector form for acceleration."""

    def pack(self, parameters: np.ndarray) -> np.ndarray:
        return np.log(parameters)

    def unpack(self, vector: np.ndarray) -> np.ndarray:
        frequencies = np.exp(vector - vector.max())
        return frequencies / frequencies.sum()


class AlleleModel(Model[np.ndarray]):
    """Hardy-Weinberg: genotypes are products of allele frequencies; the phenotypes are counted.

    Parameters
    ----------
    counts : (3,) float64 ndarray
        Of the phenotypes.
    """

    chart = _LogFrequencies()

    def __init__(self, counts: np.ndarray) -> None:
        self.counts = counts
        self.total_weight = float(counts.sum())

    def shares(self, frequencies: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the probability of each phenotype, (3,), and of each genotype given its phenotype, (6,)."""
        genotypes = ORDERS * np.prod(frequencies**ALLELE_COUNTS, axis=1)
        phenotypes = np.bincount(SHOWN, genotypes)
        return phenotypes, genotypes / phenotypes[SHOWN]

    def expect(self, parameters: np.ndarray) -> Expectation:
        """Return the log-likelihood of the phenotypes and the expected counts of the genotypes."""
        phenotypes, shares = self.shares(parameters)
        return Expectation(float(self.counts @ np.log(phenotypes)), self.counts[SHOWN] * shares)

    def maximize(self, statistics: np.ndarray, parameters: np.ndarray) -> np.ndarray:
        """Count alleles."""
        return statistics @ ALLELE_COUNTS / (2.0 * self.total_weight)


class AlleleData(CompleteData[np.ndarray]):
    """The genotypes behind the phenotypes; free parameters are the frequencies of C and I."""

    def __init__(self, counts: np.ndarray) -> None:
        self.counts = counts
        self.alleles = AlleleModel(counts)
        self.model = self.alleles
        self.names = ALLELES
        self.offset = np.array([0.0, 0.0, 1.0])
        self.matrix = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]])

    def to_vector(self, parameters: np.ndarray) -> np.ndarray:
        return parameters[:2]

    def from_vector(self, vector: np.ndarray) -> np.ndarray:
        return self.offset + self.matrix @ vector

    def information(self, parameters: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        _, shares = self.alleles.shares(parameters)
        expected = self.counts[SHOWN] * shares
        complete = self.matrix.T @ np.diag(expected @ ALLELE_COUNTS / parameters**2) @ self.matrix
        scores = (ALLELE_COUNTS / parameters) @ self.matrix
        means = np.stack([np.bincount(SHOWN, shares * column) for column in scores.T], axis=1)
        centered = scores - means[SHOWN]
        return complete, (centered * expected[:, None]).T @ centered

    def resampled(self, rng: np.random.Generator) -> AlleleData:
        total = self.counts.sum()
        return AlleleData(rng.multinomial(int(total), self.counts / total).astype(np.float64))


@dataclass(frozen=True, eq=False, kw_only=True)
class PepperedMoths(Outcome):
    """Outcome of the experiment.

    Attributes
    ----------
    trace : Trace
        Parameters are the frequencies of the alleles C, I and T.
    errors : dict of str to StandardErrors
        By method.
    """

    trace: Trace[np.ndarray]
    errors: dict[str, StandardErrors]

    def record(self) -> dict[str, Any]:
        return {
            "log_likelihood": self.trace.log_likelihoods,
            "frequencies": self.trace.parameters,
            "standard_errors": {
                name: {"names": found.names, "estimates": found.estimates, "covariance": found.covariance}
                for name, found in self.errors.items()
            },
        }


def run(random_state: int = 0) -> PepperedMoths:
    """Run the experiment: EM from equal frequencies, and standard errors by three methods."""
    data = AlleleData(COUNTS)
    trace = trace_model(data.model, np.full(3, 1.0 / 3.0), SmallGain(TOL))
    errors = {
        "observed information": observed_information(data, trace.last),
        "supplemented EM": supplemented_em(data, trace.last),
        "bootstrap": bootstrap(
            data, trace.last, n_replicates=N_REPLICATES, random_state=random_state, n_jobs=1
        ),
    }
    rate = float(np.abs(np.linalg.eigvals(em_rates(data, trace.last))).max())
    return PepperedMoths(
        random_state=random_state,
        tables=(_iterations_table(trace), _errors_table(errors), _correlations_table(errors)),
        checks=_checks(trace, errors),
        findings=_findings(trace, errors, rate),
        trace=trace,
        errors=errors,
    )


def relative_change(trace: Trace[np.ndarray]) -> np.ndarray:
    """Return the relative change of the frequencies in each iteration, |p - p before| / |p before|."""
    steps = np.array(trace.parameters)
    return np.linalg.norm(np.diff(steps, axis=0), axis=1) / np.linalg.norm(steps[:-1], axis=1)


def steps_to_five_digits(trace: Trace[np.ndarray]) -> int:
    """Return the first iteration from which all frequencies stay within 5e-6 of their limit."""
    off = np.abs(np.array(trace.parameters) - trace.last).max(axis=1)
    return int(np.flatnonzero(off >= 5e-6)[-1]) + 1


def _iterations_table(trace: Trace[np.ndarray]) -> Table:
    changes = relative_change(trace)
    off = np.array(trace.parameters) - trace.last
    rows: list[tuple[Any, ...]] = []
    for i in range(min(trace.n_iter, 9) + 1):
        # Ratios of differences that are themselves rounding say nothing.
        seen = i > 0 and np.abs(off[i - 1, :2]).min() > 1e-10
        change = changes[i - 1] if i else None
        ratios = off[i, :2] / off[i - 1, :2] if seen else (None, None)
        rows.append((i, *trace.parameters[i], trace.log_likelihoods[i], change, *ratios))
    columns = (
        Column("iteration", "d"),
        *(Column(f"p({a})", ".6f") for a in ALLELES),
        Column("log-likelihood", ".6f"),
        Column("relative change", ".1e"),
        Column("convergence ratio, C", ".4f"),
        Column("convergence ratio, I", ".4f"),
    )
    caption = (
        "Peppered moths: allele frequencies by iteration; the convergence ratio is what remains of the "
        "distance to the limit after one step."
    )
    return Table("peppered_moths_iterations", caption, columns, tuple(rows))


def _errors_table(errors: dict[str, StandardErrors]) -> Table:
    first = errors["observed information"]
    rows = tuple(
        (
            f"p({allele})",
            first.estimates[i],
            *(found.errors[i] for found in errors.values()),
        )
        for i, allele in enumerate(ALLELES)
    )
    columns = (
        Column("allele"),
        Column("estimate", ".6f"),
        *(Column(say("s.e., {name}", name=name), ".5f") for name in errors),
    )
    return Table("peppered_moths_errors", "Peppered moths: standard errors by three methods.", columns, rows)


_PAIRS = ((0, 1), (0, 2), (1, 2))


def _correlations_table(errors: dict[str, StandardErrors]) -> Table:
    rows = tuple(
        (
            f"p({ALLELES[a]}), p({ALLELES[b]})",
            *(found.correlations[a, b] for found in errors.values()),
        )
        for a, b in _PAIRS
    )
    columns = (Column("pair"), *(Column(name, ".3f") for name in errors))
    caption = "Peppered moths: correlations of the estimated frequencies, by method."
    return Table("peppered_moths_correlations", caption, columns, rows)


def _checks(trace: Trace[np.ndarray], errors: dict[str, StandardErrors]) -> tuple[Check, ...]:
    first = errors["observed information"].errors
    supplemented = float(np.abs(errors["supplemented EM"].errors / first - 1).max())
    resampled = float(np.abs(errors["bootstrap"].errors / first - 1).max())
    noise = SAMPLING / np.sqrt(2 * (N_REPLICATES - 1))
    return (
        *(
            close(
                say("frequency of {alleles}", alleles=ALLELES[i]), float(trace.last[i]), GOLDEN[i], span, spec
            )
            for i, (span, spec) in enumerate(((5e-7, ".6f"), (5e-6, ".5f"), (5e-6, ".5f")))
        ),
        at_most("supplemented EM against observed information, relative", supplemented, 1e-4, ".1e"),
        at_most("bootstrap against observed information, relative", resampled, noise, ".3f"),
        never_falls(trace),
    )


def _findings(trace: Trace[np.ndarray], errors: dict[str, StandardErrors], rate: float) -> tuple[str, ...]:
    found = errors["observed information"]
    near = int(np.flatnonzero(relative_change(trace) < 1e-3)[0]) + 1
    return (
        say(
            "{n} moths of three looks tell three allele frequencies: C {p_c:.6f}, I "
            "{p_i:.5f}, T {p_t:.5f}, with standard errors {errors}.",
            n=int(COUNTS.sum()),
            p_c=trace.last[0],
            p_i=trace.last[1],
            p_t=trace.last[2],
            errors=", ".join(f"{error:.4f}" for error in found.errors),
        ),
        say(
            "EM from 1/3 each changes the frequencies by less than a thousandth in iteration "
            "{near} and has their first five decimals after {steps_to_five_digits}; each step "
            "then keeps {rate:.3f} of the distance to the limit.",
            near=near,
            steps_to_five_digits=steps_to_five_digits(trace),
            rate=rate,
        ),
    )


def pictures(result: PepperedMoths) -> tuple[Picture, ...]:
    """Return the figures of the experiment, in the order to be read."""
    return (
        Picture(
            "peppered_moths_frequencies",
            "Allele frequencies by iteration of EM from 1/3 each; bands are two standard errors (observed "
            "information) about the estimates.",
            "Three curves that are level after about five iterations.",
            partial(draw_frequencies, result),
        ),
    )


def draw_frequencies(result: PepperedMoths) -> Any:
    """Draw the three frequencies by iteration, with their standard errors."""
    figure = new_figure(6.4, 3.2)
    axes = figure.subplots()
    steps = np.array(result.trace.parameters[:11])
    found = result.errors["observed information"]
    for k, allele in enumerate(ALLELES):
        low, high = found.estimates[k] - 2 * found.errors[k], found.estimates[k] + 2 * found.errors[k]
        axes.axhspan(low, high, color=COLORS[k], alpha=0.15, linewidth=0)
        axes.plot(
            steps[:, k],
            "o-",
            color=COLORS[k],
            markersize=4,
            linewidth=1.6,
            label=shown(say("allele {allele}", allele=allele)),
        )
    axes.set_ylim(0, 0.85)
    quiet_axes(axes, "", "iteration", "frequency")
    quiet_legend(axes, loc="center right")
    return figure
