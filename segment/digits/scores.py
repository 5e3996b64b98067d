"""Score a clustering against known labels: matching, accuracy, purity, NMI, ARI, recall, precision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from segment.mixture.matching import match

UNMATCHED = -1


@dataclass(frozen=True)
class Scores:
    """How well clusters agree with classes.

    Attributes
    ----------
    accuracy : float
        Share of samples whose cluster is matched (one to one) to their class.
    purity : float
        The same with every cluster given its most frequent class (many to one).
    nmi, ari : float
        Normalized mutual information (arithmetic mean), adjusted Rand index.
    recall, precision : (n_classes,) float64 ndarray
        By class; NaN for a class without samples, or that no sample was given.
    mapping : (n_clusters,) int64 ndarray
        Class of each cluster, -1 for a cluster left over.
    confusion : (n_classes, n_classes + 1) int64 ndarray
        Samples by true class (row) and matched class (column); the last column holds those of left-over
        clusters. Sums to the number of samples.
    """

    accuracy: float
    purity: float
    nmi: float
    ari: float
    recall: np.ndarray
    precision: np.ndarray
    mapping: np.ndarray
    confusion: np.ndarray

    def as_dict(self) -> dict[str, Any]:
        """Return the scores as plain names and values, for JSON."""
        return dict(vars(self))


def contingency(labels: np.ndarray, clusters: np.ndarray, n_classes: int, n_clusters: int) -> np.ndarray:
    """Count samples by class and cluster, (n_classes, n_clusters) int64."""
    cells = labels.astype(np.int64) * n_clusters + clusters
    return np.bincount(cells, minlength=n_classes * n_clusters).reshape(n_classes, n_clusters)


def match_clusters(labels: np.ndarray, clusters: np.ndarray, n_clusters: int) -> np.ndarray:
    """Match clusters to classes one to one so that most samples agree (Hungarian method).

    Returns
    -------
    (n_clusters,) int64 ndarray
        The class of each cluster; -1 for those left over when there are more clusters than classes.
    """
    counts = contingency(labels, clusters, int(labels.max()) + 1, n_clusters)
    classes, matched = match(counts)
    mapping = np.full(n_clusters, UNMATCHED)
    mapping[matched] = classes
    return mapping


def score(
    labels: np.ndarray, clusters: np.ndarray, n_clusters: int, mapping: np.ndarray | None = None
) -> Scores:
    """Score `clusters` against `labels`.

    Parameters
    ----------
    labels : (n,) int ndarray
        True classes, 0, 1, 2, ...
    clusters : (n,) int ndarray
        Cluster of each sample, below `n_clusters`.
    n_clusters : int
    mapping : (n_clusters,) int ndarray, optional
        Class of each cluster as found on other samples; the default matches on these.
    """
    if mapping is None:
        mapping = match_clusters(labels, clusters, n_clusters)
    n_classes = int(max(labels.max(), mapping.max())) + 1
    counts = contingency(labels, clusters, n_classes, n_clusters)
    predicted = np.where(mapping[clusters] == UNMATCHED, n_classes, mapping[clusters])
    confusion = contingency(labels, predicted, n_classes, n_classes + 1)
    agreed = np.diag(confusion)
    with np.errstate(invalid="ignore"):
        recall = agreed / confusion.sum(axis=1)
        precision = agreed / confusion.sum(axis=0)[:n_classes]
    return Scores(
        accuracy=float(agreed.sum() / len(labels)),
        purity=float(counts.max(axis=0).sum() / len(labels)),
        nmi=normalized_information(counts),
        ari=adjusted_rand(counts),
        recall=recall,
        precision=precision,
        mapping=mapping,
        confusion=confusion,
    )


def normalized_information(counts: np.ndarray) -> float:
    """Return the mutual information of classes and clusters over the mean of their entropies.

    1 where both are one group. Counted here: loading scikit-learn's metrics takes a second.

    Parameters
    ----------
    counts : (n_classes, n_clusters) int ndarray
    """
    shares = counts / counts.sum()
    classes, clusters = shares.sum(axis=1), shares.sum(axis=0)
    entropies = _entropy(classes) + _entropy(clusters)
    if entropies == 0:
        return 1.0
    return 2 * (entropies - _entropy(shares)) / entropies


def _entropy(shares: np.ndarray) -> float:
    positive = shares[shares > 0]
    return max(0.0, -float((positive * np.log(positive)).sum()))


def adjusted_rand(counts: np.ndarray) -> float:
    """Return the share of pairs that classes and clusters treat alike, 0 where it is as by chance.

    Parameters
    ----------
    counts : (n_classes, n_clusters) int ndarray

    References
    ----------
    .. [1] Hubert & Arabie (1985), "Comparing partitions", Journal of Classification 2, 193-218.
    """
    together, classes, clusters = (
        float((groups * (groups - 1.0)).sum()) for groups in (counts, counts.sum(axis=1), counts.sum(axis=0))
    )
    n = float(counts.sum())
    by_chance = classes * clusters / max(n * (n - 1), 1.0)
    most = (classes + clusters) / 2
    return 1.0 if most == by_chance else (together - by_chance) / (most - by_chance)
