"""Where Baum-Welch starts: many random models race, a few steps each, and the best goes on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from segment.em.loop import run_em
from segment.em.result import EMResult
from segment.mixture.families.family import Family
from segment.mixture.race import Heat, leaders, race
from segment.mixture.seeding import starting_points
from segment.sequence.chains import ChainRule
from segment.sequence.model import ChainModel
from segment.sequence.parameters import ChainParameters
from segment.sequence.sequences import Sequences

# Rows beyond which starts race on some of the sequences only.
RACE_ROWS = 20_000
N_STARTS = 24
FIRST_STEPS = 8
N_FINALISTS = 3


def random_start(
    sequences: Sequences,
    n_components: int,
    family: Family[Any, Any],
    rule: ChainRule,
    rng: np.random.Generator,
) -> ChainParameters:
    """Return densities about random rows, and a chain that stays in its state half of the time or more."""
    emissions = starting_points(
        sequences.samples, n_components, family=family, method="random", random_state=rng
    )[0]
    K = n_components
    stay = rng.uniform(0.5, 0.95)
    others = (1.0 - stay) * rng.dirichlet(np.ones(K), K)
    transitions = stay * np.eye(K) + others
    starts = rule.starts(np.full(K, 1.0 / K), transitions)
    return ChainParameters(starts, transitions, emissions)


def starting_chains(
    model: ChainModel, n_components: int, rng: np.random.Generator, n_starts: int | None = None
) -> list[ChainParameters]:
    """Return the best of many random starts after some steps of Baum-Welch each, the most promising first.

    Parameters
    ----------
    model : ChainModel
    n_components : int
    rng : numpy.random.Generator
    n_starts : int, optional
        Random starts (default 24).

    Returns
    -------
    list of ChainParameters
        Different optima, as far as the race tells.
    """
    sequences = some(model.sequences, rng)
    n = 1 if n_components == 1 else n_starts or N_STARTS
    starts = [
        random_start(sequences, n_components, model.family, model.rule, generator)
        for generator in rng.spawn(n)
    ]
    if n == 1:
        return starts
    racing = ChainModel(sequences, model.family, n_components, model.rule, n_jobs=1)
    finals = race(starts, _heats(racing, n, model.n_jobs))[-1]
    return [finals[k].parameters for k in leaders(finals, N_FINALISTS, 1e-4)]


def some(sequences: Sequences, rng: np.random.Generator) -> Sequences:
    """Return a part of long data: whole sequences if there are many, else the first rows of them."""
    if sequences.samples.n_samples <= RACE_ROWS:
        return sequences
    offsets = sequences.offsets
    order = rng.permutation(len(sequences.lengths))
    order = order[sequences.weights[order] > 0]
    taken: list[np.ndarray] = []
    left = RACE_ROWS
    for s in order.tolist():
        rows = np.arange(offsets[s], min(offsets[s + 1], offsets[s] + left))
        taken.append(rows)
        left -= len(rows)
        if left == 0:
            break
    chosen = order[: len(taken)]
    lengths = [len(rows) for rows in taken]
    return Sequences.of(sequences.samples.X[np.concatenate(taken)], lengths, sequences.weights[chosen])


def _heats(model: ChainModel, n_starts: int, n_jobs: int | None) -> Iterator[Heat]:
    """Give every start a few steps, drop the worse two thirds, treble the steps."""

    def heat(tol: float, max_iter: int, most: int) -> Heat:
        def go_on(start: Any) -> EMResult[ChainParameters]:
            parameters = start.parameters if isinstance(start, EMResult) else start
            return run_em(model, parameters, stopping=model.family.stopping(tol, max_iter))

        return Heat(go_on, most, n_jobs=n_jobs)

    steps = FIRST_STEPS
    while n_starts > N_FINALISTS:
        n_starts = max(N_FINALISTS, n_starts // 3)
        yield heat(1e-5, steps, n_starts)
        steps *= 3
    yield heat(1e-6, 300, n_starts)
