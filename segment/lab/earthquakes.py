"""Earthquakes: yearly counts from a world that is calm, middling or wild, and stays so for a while."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from segment.em import SmallGain
from segment.lab.lesson import Lesson
from segment.lab.outcome import Check, Column, Outcome, Picture, Table, close
from segment.lab.trace import Trace, never_falls, trace_model
from segment.mixture.families.table import FAMILIES
from segment.sequence import ChainParameters, HiddenMarkov, Sequences
from segment.sequence.chains import chain_rule
from segment.sequence.expectation import most_probable_paths, posteriors
from segment.sequence.model import ChainModel
from segment.style import COLORS, FAINT, new_figure, quiet_axes, quiet_legend
from segment.words import say, shown

# Earthquakes of magnitude 7 and more in the world, 1900-2006: Zucchini, MacDonald & Langrock (2016), table
# 1.1.
FIRST_YEAR = 1900
COUNTS = np.array(
    [
        *(13, 14, 8, 10, 16, 26, 32, 27, 18, 32, 36, 24, 22, 23, 22, 18, 25, 21, 21, 14),
        *(8, 11, 14, 23, 18, 17, 19, 20, 22, 19, 13, 26, 13, 14, 22, 24, 21, 22, 26, 21),
        *(23, 24, 27, 41, 31, 27, 35, 26, 28, 36, 39, 21, 17, 22, 17, 19, 15, 34, 10, 15),
        *(22, 18, 15, 20, 15, 22, 19, 16, 30, 27, 29, 23, 20, 16, 21, 21, 25, 16, 18, 15),
        *(18, 14, 10, 15, 8, 15, 6, 11, 8, 7, 18, 16, 13, 12, 13, 20, 15, 16, 12, 18),
        *(15, 16, 13, 15, 16, 11, 11),
    ],
    dtype=np.float64,
)
# Their log-likelihoods with 1, 2 and 3 states, the rates of three, and the first two stationary (ibid.,
# chapter 4).
GOLDEN = (-391.9189, -341.8787, -328.5275)
RATES = (13.134, 19.713, 29.710)
STATIONARY = (-342.3183, -329.4603)
# An independent mixture of three Poissons of the same counts.
MIXTURE = -356.8489
STATES = ("calm", "middling", "wild")


LESSON = Lesson(
    given="How many earthquakes of magnitude 7 and more the world had in each of 107 years, 1900 to 2006.",
    hidden="The state that the world was in each year: calm, middling or wild. Each has a rate of "
    "its own, and the next year's state depends on this year's.",
    e_step="Forward through the years, then backward: the probability of every state in every year, "
    "and of every step from one state to another, given all the counts. A year alone says "
    "little; its neighbors say more.",
    m_step="The rate of a state is the mean count of its years, each counted by its probability; the "
    "probability of going from one state to another is the share of such steps.",
    look="In the replay, how years that are alike and near each other settle into one color, where "
    "the counts alone would flicker. Then how the most probable path differs from the most "
    "probable state of each year.",
    references=(
        "Zucchini et al. 2016",
        "Baum et al. 1970",
        "Viterbi 1967",
    ),
)


@dataclass(frozen=True, eq=False, kw_only=True)
class Earthquakes(Outcome):
    """Outcome of the experiment.

    Attributes
    ----------
    model : HiddenMarkov
        Of three states, calm first.
    trace : Trace
        Baum-Welch from a poor start to it.
    path : (107,) int32 ndarray
        The most probable states (Viterbi).
    shares : (107, 3) float64 ndarray
        Posterior probabilities of the states.
    paths, posteriors : tuple of ndarrays
        The same after every step of the trace.
    """

    model: HiddenMarkov
    trace: Trace[ChainParameters]
    path: np.ndarray
    shares: np.ndarray
    paths: tuple[np.ndarray, ...]
    posteriors: tuple[np.ndarray, ...]

    def record(self) -> dict[str, Any]:
        return {
            "rates": self.model.rates_[:, 0],
            "transitions": self.model.transitions_,
            "starts": self.model.starts_,
            "log_likelihood": self.trace.log_likelihoods,
            "path": self.path,
            "posterior": self.shares,
        }


def fit(K: int, random_state: int, starts: str = "estimated", n_init: int = 24) -> HiddenMarkov:
    """Return the best of many starts, states in the order of their rates."""
    X = COUNTS[:, None]
    options: dict[str, Any] = {"family": "poisson", "random_state": random_state, "n_jobs": 1, "tol": 1e-10}
    model = HiddenMarkov(K, starts=starts, n_init=n_init, **options).fit(X)
    model._set(model.parameters_.reordered(np.argsort(model.rates_[:, 0])))
    return model


def run(random_state: int = 0) -> Earthquakes:
    """Run the experiment: one to three states, and the way of EM to three."""
    sequences = Sequences.of(COUNTS[:, None])
    models = [fit(K, random_state) for K in (1, 2, 3)]
    kept = [fit(K, random_state, "stationary", 5) for K in (2, 3)]
    model = models[-1]
    kind: Any = FAMILIES["poisson"]
    chain = ChainModel(sequences, kind.of(sequences.samples), 3, chain_rule("estimated"), n_jobs=1)
    start = ChainParameters(
        np.full(3, 1 / 3),
        np.full((3, 3), 1 / 3),
        kind.parameters(np.full(3, 1 / 3), np.quantile(COUNTS, [0.2, 0.5, 0.8])[:, None]),
    )
    trace = trace_model(chain, start, SmallGain(1e-7, 500))
    return Earthquakes(
        random_state=random_state,
        tables=(_states_table(model), _models_table(models, kept)),
        checks=_checks(models, kept, trace),
        findings=_findings(models, trace),
        model=model,
        trace=trace,
        path=model.predict(COUNTS[:, None]),
        shares=model.predict_proba(COUNTS[:, None]),
        paths=tuple(most_probable_paths(sequences, step, n_jobs=1)[0] for step in trace.parameters),
        posteriors=tuple(posteriors(sequences, step, n_jobs=1) for step in trace.parameters),
    )


def _checks(
    models: list[HiddenMarkov], kept: list[HiddenMarkov], trace: Trace[ChainParameters]
) -> tuple[Check, ...]:
    return (
        *(
            close(
                say("log-likelihood, {k} states", k=K),
                models[K - 1].log_likelihood_,
                GOLDEN[K - 1],
                5.1e-5,
                ".4f",
            )
            for K in (1, 2, 3)
        ),
        *(
            close(say("rate of the {name} state", name=name), float(models[2].rates_[k, 0]), RATES[k], 6e-4)
            for k, name in enumerate(STATES)
        ),
        *(
            close(
                say("log-likelihood, {k} states, stationary", k=K),
                kept[K - 2].log_likelihood_,
                STATIONARY[K - 2],
                5.1e-5,
                ".4f",
            )
            for K in (2, 3)
        ),
        close("EM from one poor start", float(trace.log_likelihoods[-1]), GOLDEN[2], 1e-3, ".4f"),
        never_falls(trace),
    )


def _states_table(model: HiddenMarkov) -> Table:
    rows = tuple(
        (name, float(model.rates_[k, 0]), *model.transitions_[k], float(model.stationary_[k]))
        for k, name in enumerate(STATES)
    )
    columns = (
        Column("state"),
        Column("rate a year", ".3f"),
        *(Column(say("to {name}", name=name), ".3f") for name in STATES),
        Column("share in the long run", ".3f"),
    )
    return Table("earthquakes_states", "Earthquakes: the three states and where they lead.", columns, rows)


def _models_table(models: list[HiddenMarkov], kept: list[HiddenMarkov]) -> Table:
    X = COUNTS[:, None]
    rows = tuple(
        (
            say("{n}, starts {starts}", n=len(model.starts_), starts=model.starts),
            model.log_likelihood_,
            model.aic(X),
            model.bic(X),
        )
        for model in (*models, *kept)
    )
    columns = (Column("states"), Column("log-likelihood", ".4f"), Column("AIC", ".2f"), Column("BIC", ".2f"))
    return Table(
        "earthquakes_models", "Earthquakes: how many states? Smaller criteria are better.", columns, rows
    )


def _findings(models: list[HiddenMarkov], trace: Trace[ChainParameters]) -> tuple[str, ...]:
    model = models[-1]
    return (
        say(
            "Three states of {calm:.1f}, {middling:.1f} and {active:.1f} earthquakes a year. A "
            "calm year is followed by a calm one with probability {stay:.2f}: neighbors "
            "in time tell of each other, and the log-likelihood rises from {mixture:.1f} for a "
            "mixture that takes every year by itself to {log_likelihood:.1f}.",
            calm=model.rates_[0, 0],
            middling=model.rates_[1, 0],
            active=model.rates_[2, 0],
            stay=model.transitions_[0, 0],
            mixture=MIXTURE,
            log_likelihood=model.log_likelihood_,
        ),
        say(
            "Baum-Welch is EM: from rates at three quantiles and a chain that knows nothing it "
            "takes {n_iter} plain steps. In the first of them the rates part, then the chain "
            "learns to stay.",
            n_iter=trace.n_iter,
        ),
        "The posterior asks which state is likely in each year, Viterbi's path which sequence of states is "
        "likely as a whole; they differ where a single year stands out.",
    )


def pictures(result: Earthquakes) -> tuple[Picture, ...]:
    """Return the figures of the experiment, in the order to be read."""
    return (
        Picture(
            "earthquakes_path",
            "Earthquakes of magnitude 7 and more by year, colored by the most probable path of states "
            "(Viterbi), with the rates of the states; below, the posterior probability of each state.",
            "A series of yearly dots about a stepped line of three levels, above stacked colored areas.",
            partial(draw_path, result),
        ),
        Picture(
            "earthquakes_rates",
            say(
                "The rates by iteration of EM from the quantiles, {n_iter} steps in all, and the "
                "log-likelihood.",
                n_iter=result.trace.n_iter,
            ),
            "Three curves that part and level off; a rising curve.",
            partial(draw_rates, result),
        ),
    )


def draw_path(result: Earthquakes) -> Any:
    """Draw counts, path and posterior by year."""
    figure = new_figure(7.4, 4.6)
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(2, 1))
    years = FIRST_YEAR + np.arange(len(COUNTS))
    top.step(years, result.model.rates_[result.path, 0], where="mid", color=FAINT, linewidth=1.2)
    for k, name in enumerate(STATES):
        here = result.path == k
        label = shown(say("{name}, {rate:.1f} a year", name=name, rate=result.model.rates_[k, 0]))
        top.plot(years[here], COUNTS[here], "o", color=COLORS[k], markersize=4, label=label)
    quiet_axes(top, "", "", "earthquakes")
    quiet_legend(top, loc="upper right", ncols=3)
    top.set_ylim(0, 48)
    bottom.stackplot(years, result.shares.T, colors=COLORS[:3], linewidth=0)
    bottom.set_ylim(0, 1)
    quiet_axes(bottom, "", "year", "posterior")
    return figure


def draw_rates(result: Earthquakes) -> Any:
    """Draw rates and log-likelihood by iteration."""
    figure = new_figure(7.4, 2.9)
    left, right = figure.subplots(1, 2)
    rates = np.array([step.emissions.rates[:, 0] for step in result.trace.parameters])
    for k, name in enumerate(STATES):
        left.plot(rates[:, k], color=COLORS[k], linewidth=1.6, label=name)
    quiet_axes(left, "", "iteration", "rate a year")
    right.plot(result.trace.log_likelihoods, color=COLORS[0], linewidth=1.6)
    quiet_axes(right, "", "iteration", "log-likelihood (nats)")
    quiet_legend(left, loc="upper right", bbox_to_anchor=(1.0, 0.76))
    return figure
