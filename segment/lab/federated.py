"""Federated: sites that keep their rows and send sums, the fit of the pool, and what sums of few rows "
"tell."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from segment.data.samples import Samples
from segment.em import SmallGain, run_em
from segment.lab.lesson import Lesson
from segment.lab.outcome import Check, Column, Outcome, Picture, Table, at_least, at_most
from segment.mixture.expectation import accumulate, assign
from segment.mixture.families.gaussian.family import Gaussian
from segment.mixture.families.gaussian.parameters import Parameters
from segment.mixture.federated import FederatedModel, Federation, Traffic, fit_federated, random_starts
from segment.mixture.model import MixtureModel
from segment.style import COLORS, new_figure, quiet_axes, quiet_legend
from segment.words import say

SITES = (3000, 1200, 400, 150, 60)
MEANS = np.array([[0.0, 0.0], [4.0, 1.0], [1.0, 4.5]])
SHARES = np.array([0.6, 0.3, 0.1])
SIZES = (1, 2, 3, 5, 10, 20, 50, 100)
N_REPEATS = 200

LESSON = Lesson(
    given="Five hospitals with 60 to 3000 rows of the same two features, of three kinds of people "
    "in other shares at each. No row may leave its hospital.",
    hidden="The kind of every person; and, to the one who fits, all rows.",
    e_step="At every hospital by itself, under the parameters that were sent to it. It answers with "
    "sums only: for each kind the expected count, the sum of the differences from the kind's "
    "mean, and of their products.",
    m_step="In one place, from the sums of the sums. They are what the pooled rows would have given, "
    "so the fit is the pooled fit.",
    look="How little differs from the pooled fit (rounding), and what goes over the wires: it does "
    "not grow with the number of rows. Then how well a row can be guessed from a site's sums, "
    "by the size of the site: of one row, exactly.",
    references=("Dempster et al. 1977", "Neal & Hinton 1998", "Nowak 2003"),
)


@dataclass(frozen=True, eq=False, kw_only=True)
class Federated(Outcome):
    """Outcome of the experiment.

    Attributes
    ----------
    pooled, joint : (n,) float64 ndarrays
        Log-likelihood by iteration, of the pooled rows and by sums.
    differences : dict of str to float
        Largest difference of the parameters, by kind.
    traffic : Traffic
        Of a whole fit, starts and all.
    guesses : (len(SIZES),) float64 ndarray
        Distance of the guess from a row, by size of the site.
    """

    pooled: np.ndarray
    joint: np.ndarray
    differences: dict[str, float]
    traffic: Traffic
    guesses: np.ndarray

    def record(self) -> dict[str, Any]:
        return {
            "pooled": self.pooled,
            "joint": self.joint,
            "differences": self.differences,
            "traffic": self.traffic._asdict(),
            "sizes": SIZES,
            "guesses": self.guesses,
        }


def draw_sites(rng: np.random.Generator) -> list[Samples]:
    """Draw the rows of every site, the kinds in other shares at each."""
    found = []
    for number, size in enumerate(SITES):
        kinds = rng.choice(3, size, p=np.roll(SHARES, number))
        found.append(Samples.of(MEANS[kinds] + rng.standard_normal((size, 2))))
    return found


def run(random_state: int = 0) -> Federated:
    """Run the experiment: the same steps by sums and on the pool, a whole fit, and what sums tell."""
    rng = np.random.default_rng(random_state)
    sites = draw_sites(rng)
    together = Samples.of(np.concatenate([site.X for site in sites]))
    federation = Federation(sites)
    family = Gaussian.of(federation)
    start = random_starts(federation, 3, family, 1, rng)[0]
    stopping = SmallGain(-1.0, 40)
    joint = run_em(
        FederatedModel(federation, family, 3, n_jobs=1), start, stopping=stopping, acceleration=None
    )
    model = MixtureModel(together, Gaussian.of(together), 3, n_jobs=1)
    pooled = run_em(model, start, stopping=stopping, acceleration=None)
    differences = {
        name: float(np.abs(getattr(joint.parameters, name) - getattr(pooled.parameters, name)).max())
        for name in ("weights", "means", "covariances")
    }
    differences["log-likelihood, relative"] = float(
        np.abs(joint.lower_bounds / pooled.lower_bounds - 1).max()
    )
    whole = fit_federated(Federation(sites), 3, random_state=random_state, n_jobs=1)
    guesses = np.array([_guess(joint.parameters, size, rng) for size in SIZES])
    return Federated(
        random_state=random_state,
        tables=(_differences_table(differences), _guesses_table(guesses)),
        checks=_checks(differences, guesses, whole.result.lower_bound - pooled.lower_bound),
        findings=_findings(whole.traffic, differences, guesses),
        pooled=pooled.lower_bounds * together.total_weight,
        joint=joint.lower_bounds * together.total_weight,
        differences=differences,
        traffic=whole.traffic,
        guesses=guesses,
    )


def _guess(parameters: Parameters, size: int, rng: np.random.Generator) -> float:
    """Return how far a row is from what a site's sums tell of its kind (median over made-up sites)."""
    off = []
    for _ in range(N_REPEATS):
        kinds = rng.choice(3, size, p=SHARES)
        site = Samples.of(MEANS[kinds] + rng.standard_normal((size, 2)))
        found = accumulate(Federation([site], least_weight=0.0), parameters, n_jobs=1)
        k = int(assign(site.X[:1], parameters, n_jobs=1)[0])
        guess = parameters.means[k] + found.first[k] / found.counts[k]
        off.append(float(np.linalg.norm(site.X[0] - guess)))
    return float(np.median(off))


def _checks(differences: dict[str, float], guesses: np.ndarray, gap: float) -> tuple[Check, ...]:
    return (
        *(
            at_most(say("joint against pooled fit, {name}", name=name), value, 1e-11, ".1e")
            for name, value in differences.items()
        ),
        at_least("a whole fit by sums against the pooled one, nats a row", gap, -1e-5, ".1e"),
        at_most("distance of the guess from the only row of a site", float(guesses[0]), 1e-9, ".1e"),
    )


def _differences_table(differences: dict[str, float]) -> Table:
    columns = (Column("of"), Column("largest difference", ".1e"))
    caption = "Federated: the joint fit against the fit of the pooled rows, after 39 steps."
    return Table("federated_differences", caption, columns, tuple(differences.items()))


def _guesses_table(guesses: np.ndarray) -> Table:
    columns = (Column("rows of the site", "d"), Column("distance of the guess from a row", ".2g"))
    caption = "Federated: how near the guess from one round of sums comes to a row (median)."
    rows = tuple(zip(SIZES, (float(guess) for guess in guesses), strict=True))
    return Table("federated_guesses", caption, columns, rows)


def _findings(traffic: Traffic, differences: dict[str, float], guesses: np.ndarray) -> tuple[str, ...]:
    rows = sum(SITES) * 2 * 8
    return (
        say(
            "The joint fit is the pooled fit: after 39 steps the means differ by {means:.0e}, "
            "which is rounding in another order.",
            means=differences["means"],
        ),
        say(
            "A whole fit, eight random starts and all, takes {rounds} rounds, {sent:.0f} kB to "
            "the sites and {received:.0f} kB back. The rows themselves are {rows:.0f} kB here, "
            "but grow with their number; the sums do not.",
            rounds=traffic.rounds,
            sent=traffic.sent / 1000,
            received=traffic.received / 1000,
            rows=rows / 1000,
        ),
        say(
            "Sums of few rows are nearly rows: from those of a single row it is read off to the "
            "last digit (off by {guesses:.0e}). Of more rows, one round tells means of "
            "components; many rounds tell more (docs/guide/federated.md). That is why sites of a "
            "weight below 10 are refused.",
            guesses=guesses[0],
        ),
    )


def pictures(result: Federated) -> tuple[Picture, ...]:
    """Return the figures of the experiment, in the order to be read."""
    return (
        Picture(
            "federated_fit",
            "Log-likelihood by iteration, from pooled rows and from the sums of five sites: one curve. "
            "Right, how near the best guess from one round of sums comes to a row, by the size of the site "
            "(median); of one row the guess is the row.",
            "Two rising curves that coincide; a curve that begins near 1e-16 and jumps to about 1.",
            partial(draw_fit, result),
        ),
    )


def draw_fit(result: Federated) -> Any:
    """Draw both climbs, and the guesses."""
    figure = new_figure(7.4, 3.2)
    left, right = figure.subplots(1, 2)
    left.plot(result.pooled, color=COLORS[0], linewidth=3.5, alpha=0.5, label="pooled rows")
    left.plot(result.joint, color=COLORS[1], linewidth=1.3, linestyle="--", label="sums of five sites")
    quiet_axes(left, "one fit", "iteration", "log-likelihood (nats)")
    quiet_legend(left, loc="lower right")
    right.loglog(SIZES, np.maximum(result.guesses, 1e-17), "o-", color=COLORS[0], markersize=4)
    quiet_axes(right, "what sums tell", "rows of the site", "distance of the guess from a row")
    return figure
