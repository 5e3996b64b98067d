"""Clusters against the truth: which cluster is which, and how far they agree."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from segment.lab.trace import Trace
from segment.mixture.expectation import assign
from segment.mixture.families.gaussian.parameters import Parameters
from segment.mixture.matching import match


class Agreement(NamedTuple):
    """Accuracy under the best matching (Hungarian), and the adjusted Rand index."""

    accuracy: float
    ari: float


def best_order(truth: np.ndarray, labels: np.ndarray, n: int) -> np.ndarray:
    """Return for each true class the label that matches it best overall, (n,) int64."""
    table = np.zeros((n, n), dtype=np.int64)
    np.add.at(table, (truth, labels), 1)
    return match(table)[1]


def agreement(truth: np.ndarray, labels: np.ndarray) -> Agreement:
    """Compare labels with the truth, whatever the labels are called."""
    from sklearn.metrics import adjusted_rand_score

    n = int(max(truth.max(), labels.max())) + 1
    order = best_order(truth, labels, n)
    return Agreement(float((order[truth] == labels).mean()), float(adjusted_rand_score(truth, labels)))


def matched(trace: Trace[Parameters], X: np.ndarray, truth: np.ndarray) -> Trace[Parameters]:
    """Rename the components of every step so that the last one's match the truth: colors stay theirs."""
    order = best_order(truth, assign(X, trace.last), trace.last.n_components)
    steps = tuple(step.reordered(order) for step in trace.parameters)
    return replace(trace, parameters=steps, result=replace(trace.result, parameters=steps[-1]))
