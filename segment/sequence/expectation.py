"""The E-step of hidden Markov models over any family: sums, posteriors, most probable paths.

Each part of the sequences is worked on by itself and leaves sums; no posterior is kept.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from segment.data.reduction import map_in_order, reduce_blocks
from segment.errors import DataError
from segment.kernels.em import chain, narrow
from segment.mixture.families.family import Family
from segment.mixture.families.table import family_of
from segment.mixture.given import GivenShares
from segment.parallel import block_ranges, map_blocks, resolve_n_jobs
from segment.sequence.parameters import ChainParameters, ChainStatistics
from segment.sequence.sequences import Part, Sequences

_ROWS = 16384


class _Posterior(NamedTuple):
    """What forward-backward finds for a part; `shares` are weighted by the sequences' weights."""

    shares: np.ndarray
    starts: np.ndarray
    transitions: np.ndarray
    log_likelihoods: np.ndarray


class PreparedChain:
    """A model ready for one pass: constants of the densities are computed once.

    Parameters
    ----------
    parameters : ChainParameters
    dtype : numpy.dtype
        Of the rows.
    family : Family, optional
        A regularized family; the plain one by default.
    n_jobs : int
        Threads within a part, for long sequences; no result depends on it.
    """

    def __init__(
        self,
        parameters: ChainParameters,
        dtype: np.dtype,
        family: Family[Any, Any] | None = None,
        n_jobs: int = 1,
    ) -> None:
        self.parameters, self.n_jobs = parameters, n_jobs
        family, emissions = family or family_of(parameters.emissions), parameters.emissions
        self.states = family.prepare(emissions, dtype)
        self.given = GivenShares(family, emissions, dtype)

    def log_densities(self, X: np.ndarray) -> np.ndarray:
        """Return the log density of every row in every state, (n, K).

        A row that no state can explain tells its states apart as far as the family knows, and is impossible.
        """
        K = self.parameters.n_components
        out = np.empty((len(X), K))

        def write(cut: tuple[int, int]) -> None:
            rows = slice(*cut)
            out[rows] = self.states.log_densities(X[rows]) + np.log(K)

        map_blocks(write, block_ranges(len(X), min(self.states.rows, _ROWS)), self.n_jobs)
        return out

    def posterior(self, part: Part) -> _Posterior:
        """Run forward-backward over a part."""
        densities = self.log_densities(part.X)
        relative, scores = densities.copy(), np.empty(len(densities))
        narrow.normalize_rows(relative, scores)
        K = self.parameters.n_components
        found = _Posterior(
            np.empty_like(densities), np.zeros(K), np.zeros((K, K)), np.empty(len(part.weights))
        )
        chain.forward_backward(
            densities,
            relative,
            scores,
            part.offsets,
            part.weights,
            self.parameters.starts,
            self.parameters.transitions,
            *found,
        )
        return found

    def accumulate(self, part: Part) -> ChainStatistics:
        """Return the statistics of a part: the family's own, one state at a time, and those of the chain."""
        found = self.posterior(part)
        impossible = np.flatnonzero(found.log_likelihoods == -np.inf)
        if len(impossible):
            raise DataError(
                f"sequence {part.sequence + impossible[0]} is impossible under these parameters; start from "
                "others"
            )

        emissions = self.given.accumulate(part.X, found.shares, self.n_jobs)
        total = float(part.weights @ found.log_likelihoods)
        return ChainStatistics(emissions, found.starts, found.transitions, total)


def _threads(sequences: Sequences, n_jobs: int | None) -> tuple[int, int]:
    """Return threads over parts and within each: few parts leave the threads to their rows."""
    threads = resolve_n_jobs(n_jobs)
    return (threads, 1) if len(sequences.parts) >= 2 * threads else (1, threads)


def accumulate(
    sequences: Sequences,
    parameters: ChainParameters,
    *,
    family: Family[Any, Any] | None = None,
    n_jobs: int | None = None,
) -> ChainStatistics:
    """Return the statistics of sequences under the current parameters; no posterior is stored.

    Raises
    ------
    DataError
        If the model cannot bring a sequence forth.
    """
    over, within = _threads(sequences, n_jobs)
    prepared = PreparedChain(parameters, sequences.samples.dtype, family, within)
    return reduce_blocks(lambda cut: prepared.accumulate(sequences.part(cut)), sequences.parts, over)


def _map_parts(
    sequences: Sequences,
    parameters: ChainParameters,
    work: Callable[[PreparedChain, Part], None],
    n_jobs: int | None,
) -> None:
    over, within = _threads(sequences, n_jobs)
    prepared = PreparedChain(parameters, sequences.samples.dtype, n_jobs=within)
    for _ in map_in_order(lambda cut: work(prepared, sequences.part(cut)), sequences.parts, over):
        pass


def log_likelihoods(
    sequences: Sequences, parameters: ChainParameters, *, n_jobs: int | None = None
) -> np.ndarray:
    """Return the log density of each sequence in nats, (S,); -inf for one that is impossible."""
    out = np.empty(len(sequences.lengths))

    def write(prepared: PreparedChain, part: Part) -> None:
        out[part.sequence : part.sequence + len(part.weights)] = prepared.posterior(part).log_likelihoods

    _map_parts(sequences, parameters, write, n_jobs)
    return out


def posteriors(sequences: Sequences, parameters: ChainParameters, *, n_jobs: int | None = None) -> np.ndarray:
    """Return the posterior probability of every state at every row, (n, K) float64.

    Raises
    ------
    DataError
        If a sequence is impossible: then nothing is known of its states.
    """
    out = np.empty((sequences.samples.n_samples, parameters.n_components))

    def write(prepared: PreparedChain, part: Part) -> None:
        found = prepared.posterior(part._replace(weights=np.ones(len(part.weights))))
        _check_possible(found.log_likelihoods, part.sequence)
        out[part.row : part.row + len(part.X)] = found.shares

    _map_parts(sequences, parameters, write, n_jobs)
    return out


def most_probable_paths(
    sequences: Sequences, parameters: ChainParameters, *, n_jobs: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the most probable states of every sequence (Viterbi), and the log density of each with its path.

    Returns
    -------
    path : (n,) int32 ndarray
    log_densities : (S,) float64 ndarray

    Raises
    ------
    DataError
        If a sequence is impossible.

    References
    ----------
    .. [1] Viterbi (1967), "Error bounds for convolutional codes and an asymptotically optimum decoding
           algorithm", IEEE Transactions on Information Theory 13(2), 260-269.
    """
    path = np.empty(sequences.samples.n_samples, np.int32)
    scores = np.empty(len(sequences.lengths))
    with np.errstate(divide="ignore"):
        logs = np.log(parameters.starts), np.log(parameters.transitions)

    def write(prepared: PreparedChain, part: Part) -> None:
        rows = slice(part.row, part.row + len(part.X))
        own = slice(part.sequence, part.sequence + len(part.weights))
        chain.viterbi(prepared.log_densities(part.X), part.offsets, *logs, path[rows], scores[own])
        _check_possible(scores[own], part.sequence)

    _map_parts(sequences, parameters, write, n_jobs)
    return path, scores


def _check_possible(log_likelihoods: np.ndarray, first: int) -> None:
    impossible = np.flatnonzero(log_likelihoods == -np.inf)
    if len(impossible):
        raise DataError(
            f"sequence {first + impossible[0]} has probability 0 under this model, so nothing is known of "
            "its states; fit with sequences like it"
        )
