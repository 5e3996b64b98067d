"""How the chain is estimated: first states with probabilities of their own, or stationary."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from segment.errors import DataError
from segment.sequence.parameters import ChainParameters, ChainStatistics


class ChainRule(Protocol):
    """An M-step for starts and transitions, and what the starts of other transitions are."""

    free_starts: bool

    def maximize(self, found: ChainStatistics, last: ChainParameters) -> tuple[np.ndarray, np.ndarray]:
        """Return starts and transitions."""

    def starts(self, starts: np.ndarray, transitions: np.ndarray) -> np.ndarray:
        """Return the starts that belong to transitions, given free ones."""


class Estimated:
    """First states have probabilities of their own."""

    free_starts = True

    def maximize(self, found: ChainStatistics, last: ChainParameters) -> tuple[np.ndarray, np.ndarray]:
        """Return the shares of the expected counts; a state that is never left keeps its row."""
        return found.starts / found.starts.sum(), _shares(found.transitions, last.transitions)

    def starts(self, starts: np.ndarray, transitions: np.ndarray) -> np.ndarray:
        """Return the starts themselves."""
        return starts


class Stationary:
    """The chain has run for ever: first states have the distribution that the transitions keep.

    Its M-step has no closed form; a step that raises the expected log-likelihood is enough (generalized EM).
    """

    free_starts = False

    def maximize(self, found: ChainStatistics, last: ChainParameters) -> tuple[np.ndarray, np.ndarray]:
        """Return better transitions, and what they keep."""
        candidates = [_shares(found.transitions, last.transitions), last.transitions]
        values = [_expected(found, transitions) for transitions in candidates]
        best = candidates[int(np.argmax(values))]
        better = _climb(found, best)
        if _expected(found, better) > max(values):
            best = better
        return stationary(best), best

    def starts(self, starts: np.ndarray, transitions: np.ndarray) -> np.ndarray:
        """Return what the transitions keep."""
        return stationary(transitions)


CHAIN_RULES: dict[str, ChainRule] = {"estimated": Estimated(), "stationary": Stationary()}


def chain_rule(name: str) -> ChainRule:
    """Return the rule called `name`.

    Raises
    ------
    DataError
        If there is none.
    """
    if name not in CHAIN_RULES:
        raise DataError(f"starts is {name!r}; allowed are {' and '.join(map(repr, CHAIN_RULES))}")
    return CHAIN_RULES[name]


def stationary(transitions: np.ndarray) -> np.ndarray:
    """Return the distribution that transitions keep, (K,); where there are several, a mean of them."""
    K = len(transitions)
    # A trace of every other state leaves one answer also where the chain falls apart.
    mixed = (1 - 1e-12) * transitions + 1e-12 / K
    system = np.vstack([mixed.T - np.eye(K), np.ones(K)])
    found = np.linalg.lstsq(system, np.append(np.zeros(K), 1.0))[0]
    found = np.maximum(found, 0.0)
    return found / found.sum()


def _shares(moves: np.ndarray, last: np.ndarray) -> np.ndarray:
    left = moves.sum(axis=1, keepdims=True)
    return np.where(left > 0, moves / np.where(left > 0, left, 1.0), last)


def _expected(found: ChainStatistics, transitions: np.ndarray) -> float:
    """Return the expected complete log-likelihood of the chain."""
    from scipy.special import xlogy

    moves = xlogy(found.transitions, transitions).sum()
    return float(moves + xlogy(found.starts, stationary(transitions)).sum())


def _climb(found: ChainStatistics, transitions: np.ndarray) -> np.ndarray:
    """Climb the expected log-likelihood over the logits of the transitions that are possible."""
    from scipy.optimize import minimize

    possible = transitions > 0
    K = len(transitions)

    def rows(logits: np.ndarray) -> np.ndarray:
        full = np.full((K, K), -np.inf)
        full[possible] = logits
        shares = np.exp(full - full.max(axis=1, keepdims=True))
        return shares / shares.sum(axis=1, keepdims=True)

    def descent(logits: np.ndarray) -> tuple[float, Any]:
        A = rows(logits)
        kept = np.maximum(stationary(A), 1e-300)
        fundamental = np.linalg.inv(np.eye(K) - A + kept)
        slopes = np.divide(found.transitions, A, out=np.zeros_like(A), where=A > 0)
        slopes += np.outer(kept, fundamental @ (found.starts / kept))
        down = A * (slopes - (A * slopes).sum(axis=1, keepdims=True))
        return -_expected(found, A), -down[possible]

    start = np.log(transitions[possible])
    return rows(minimize(descent, start, jac=True, method="L-BFGS-B", options={"maxiter": 8}).x)
