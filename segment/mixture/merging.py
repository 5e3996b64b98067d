"""Merge the components of a mixture that model one cluster together.

A mixture with more components than clusters follows shapes that no single Gaussian has. Which components
belong together is read from the responsibilities alone: overlapping components share samples.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from segment.errors import DataError
from segment.mixture.matching import match

# Links a component keeps at least, so that many faint ones do not outweigh a strong one; with 3 the graph
# falls apart (docs/decisions/merging-links.md).
STRONGEST = 4


@dataclass(frozen=True)
class MergeStep:
    """One merge of a hierarchy: clusters `first` < `second` become `first` (numbered as components)."""

    first: int
    second: int
    score: float


@dataclass(frozen=True)
class Merging:
    """Components grouped into clusters.

    Attributes
    ----------
    groups : (n_components,) int32 ndarray
        Cluster of each component, numbered by first appearance.
    overlap : (n_components, n_components) float64 ndarray
        Posterior overlap of the components, 1 on the diagonal.
    steps : tuple of MergeStep
        The merges in order, for the hierarchical methods; empty for "overlap".
    """

    groups: np.ndarray
    overlap: np.ndarray
    steps: tuple[MergeStep, ...]

    @property
    def n_clusters(self) -> int:
        """Number of clusters after merging."""
        return int(self.groups.max()) + 1

    def merge(self, responsibilities: np.ndarray) -> np.ndarray:
        """Sum the responsibilities of merged components, (n, n_components) -> (n, n_clusters)."""
        return responsibilities @ np.eye(self.n_clusters, dtype=responsibilities.dtype)[self.groups]


def merge_components(
    responsibilities: np.ndarray,
    n_clusters: int | None = None,
    method: str = "overlap",
    *,
    threshold: float | None = None,
    sample_weight: np.ndarray | None = None,
    random_state: int = 0,
) -> Merging:
    """Merge the components of a mixture of any family to clusters.

    Parameters
    ----------
    responsibilities : (n, n_components) ndarray
        Posterior probabilities of the components, rows summing to one; a sample of the rows serves.
    n_clusters : int, optional
        By default as many as `threshold` leaves or, without one, as the elbow of the entropies has: below
        that number, merging lowers the entropy of the responsibilities hardly any more [2]_.
    method : "overlap", "demp" or "entropy"
        "overlap": spectral clustering of the components on their posterior overlap. "demp": merge, step by
        step, the pair with the highest directly estimated misclassification probability [1]_. "entropy":
        merge the pair that lowers the entropy of the responsibilities most [2]_.
    threshold : float, optional
        Merging ends before the first step of a lower score: a probability for "demp" (.025 is usual), nats of
        all samples for "entropy". "overlap" joins what a chain of overlaps as high connects.
    sample_weight : (n,) ndarray, optional
        Multiplicity of each row.
    random_state : int
        Seed of the k-means inside "overlap".

    Returns
    -------
    Merging

    Raises
    ------
    DataError
        If `method` is unknown, `n_clusters` is not between 1 and the number of components, or both it and a
        threshold are given.

    References
    ----------
    .. [1] Hennig (2010), "Methods for merging Gaussian mixture components", Adv. Data Anal. Classif. 4, 3-34.
    .. [2] Baudry, Raftery, Celeux, Lo & Gottardo (2010), "Combining mixture components for clustering",
       JCGS 19(2), 332-353.
    """
    if method not in MERGE_METHODS:
        raise DataError(f"merge method {method!r}; allowed are {', '.join(MERGE_METHODS)}")
    n_components = responsibilities.shape[1]
    if n_clusters is not None and not 1 <= n_clusters <= n_components:
        raise DataError(
            f"{n_clusters} clusters from {n_components} components; allowed are 1 to {n_components}"
        )
    if n_clusters is not None and threshold is not None:
        raise DataError(f"n_clusters is {n_clusters} and threshold {threshold:g}; give one of them")
    posterior = np.asarray(responsibilities, np.float64)
    weight = np.ones(len(posterior)) if sample_weight is None else np.asarray(sample_weight, np.float64)
    overlap = posterior_overlap(posterior, weight)

    def merged(n: int) -> tuple[np.ndarray, tuple[MergeStep, ...]]:
        return MERGE_METHODS[method](posterior, weight, overlap, n, random_state)

    if threshold is not None:
        groups, steps = _above(threshold, overlap, merged(1)[1])
        return _numbered(groups, overlap, steps)
    if n_clusters is None:
        candidates = {n: merged(n)[0] for n in range(1, n_components + 1)}
        n_clusters = elbow([_entropy(posterior, weight, candidates[n]) for n in sorted(candidates)])
    groups, steps = merged(n_clusters)
    return _numbered(groups, overlap, steps)


def _numbered(groups: np.ndarray, overlap: np.ndarray, steps: tuple[MergeStep, ...]) -> Merging:
    _, first, inverse = np.unique(groups, return_index=True, return_inverse=True)
    numbered = np.argsort(np.argsort(first))[inverse]
    return Merging(numbered.astype(np.int32), overlap, steps)


def _above(
    threshold: float, overlap: np.ndarray, steps: tuple[MergeStep, ...]
) -> tuple[np.ndarray, tuple[MergeStep, ...]]:
    """Return the clusters that a threshold leaves: by the steps of a hierarchy, or by overlap."""
    if not steps:
        from scipy.sparse.csgraph import connected_components

        return connected_components(overlap >= threshold, directed=False)[1], ()
    kept = tuple(itertools.takewhile(lambda step: step.score >= threshold, steps))
    groups = np.arange(len(overlap))
    for step in kept:
        groups[groups == step.second] = step.first
    return groups, kept


def _entropy(posterior: np.ndarray, weight: np.ndarray, groups: np.ndarray) -> float:
    from scipy.special import xlogy

    merged = posterior @ np.eye(groups.max() + 1)[groups]
    return float(-weight @ xlogy(merged, merged).sum(axis=1))


def merged_entropies(
    responsibilities: np.ndarray, steps: Sequence[MergeStep], sample_weight: np.ndarray | None = None
) -> np.ndarray:
    """Return the entropy of the responsibilities before the first step of a hierarchy and after each.

    Parameters
    ----------
    responsibilities : (n, n_components) ndarray
    steps : sequence of MergeStep
    sample_weight : (n,) ndarray, optional

    Returns
    -------
    (len(steps) + 1,) float64 ndarray
        In nats; it never rises.
    """
    posterior = np.asarray(responsibilities, np.float64)
    weight = np.ones(len(posterior)) if sample_weight is None else np.asarray(sample_weight, np.float64)
    groups = np.arange(posterior.shape[1])
    found = [_entropy(posterior, weight, groups)]
    for step in steps:
        groups[groups == step.second] = step.first
        found.append(_entropy(posterior, weight, groups))
    return np.array(found)


def elbow(entropies: Sequence[float]) -> int:
    """Return the number of clusters at which two straight lines fit the entropies of 1, 2, ... best.

    The lines meet in a number of clusters: from there on merging no longer pays (Baudry and others 2010,
    section 4.3).

    Raises
    ------
    DataError
        If there are fewer than three: two lines need them.
    """
    values = np.asarray(entropies, np.float64)
    K = len(values)
    if K < 3:
        raise DataError(f"{K} components have no elbow; give n_clusters or a threshold")

    def misfit(numbers: np.ndarray, found: np.ndarray) -> float:
        return float(np.square(found - np.polyval(np.polyfit(numbers, found, 1), numbers)).sum())

    numbers = np.arange(1.0, K + 1)
    fits = [misfit(numbers[:n], values[:n]) + misfit(numbers[n - 1 :], values[n - 1 :]) for n in range(2, K)]
    return int(np.argmin(fits)) + 2


def majority(clusterings: Sequence[np.ndarray]) -> tuple[np.ndarray, int]:
    """Return the labels that most of several clusterings of the same samples agree on.

    Clusters are matched one to one. A wrong clustering (two classes in one cluster, another class in two)
    is wrong in its own way and the right ones agree: the reference is one of the two that agree best, and
    a bare majority votes, those that agree best with it. All of them voting, or the most typical one as
    reference, lets wrong ones in: some votes on MNIST were .88 in place of .96.

    Parameters
    ----------
    clusterings : sequence of (n, n_clusters) ndarray
        Posterior probabilities of the clusters.

    Returns
    -------
    labels : (n,) int64 ndarray
        Numbered as the clusters of the reference; its own, if the vote left one empty.
    reference : int
        Index of that clustering.
    """
    n = len(clusterings)
    agreement = np.array([[_matched(one, other)[0] for other in clusterings] for one in clusterings])
    agreement = (agreement + agreement.T) / 2
    others = agreement - np.diag(np.diag(agreement))
    # Of the two that agree best, the one that has more in common with a third.
    reference = max(range(n), key=lambda i: tuple(np.sort(others[i])[::-1]))
    voters = np.argsort(-agreement[reference], kind="stable")[: n // 2 + 1]
    votes = np.sum([_matched(clusterings[reference], clusterings[i])[1] for i in voters], axis=0)
    labels = votes.argmax(axis=1)
    kept = len(np.unique(labels)) == votes.shape[1]
    return labels if kept else clusterings[reference].argmax(axis=1), reference


def _matched(reference: np.ndarray, clustering: np.ndarray) -> tuple[float, np.ndarray]:
    """Return how well two clusterings agree, and the second with its columns in the order of the first."""
    shared = reference.T @ clustering
    rows, columns = match(shared)
    return float(shared[rows, columns].sum()), clustering[:, columns]


def posterior_overlap(responsibilities: np.ndarray, sample_weight: np.ndarray) -> np.ndarray:
    """Return the cosine between the components' columns of responsibilities, (K, K)."""
    products = responsibilities.T @ (responsibilities * sample_weight[:, None])
    length = np.sqrt(np.diag(products))
    # A component that owns no sample overlaps with nothing.
    scale = np.divide(1.0, length, out=np.zeros_like(length), where=length > 0)
    overlap = products * scale[:, None] * scale
    np.fill_diagonal(overlap, 1.0)
    return overlap


def _by_overlap(
    posterior: np.ndarray, weight: np.ndarray, overlap: np.ndarray, n_clusters: int, random_state: int
) -> tuple[np.ndarray, tuple[MergeStep, ...]]:
    from sklearn.cluster import SpectralClustering

    if n_clusters in (1, len(overlap)):
        return np.arange(len(overlap)) % n_clusters, ()
    others = overlap - np.eye(len(overlap))
    rank = max(len(overlap) - STRONGEST, 0)
    strong = others >= np.sort(others, axis=1)[:, [rank]]
    # The faintest link keeps the graph connected, which the spectral embedding asks for.
    links = np.where(strong | strong.T, np.maximum(others, 0.0), 0.0) + 1e-9
    model = SpectralClustering(n_clusters, affinity="precomputed", n_init=20, random_state=random_state)
    return model.fit_predict(links), ()


def _demp_scores(
    posterior: np.ndarray, weight: np.ndarray, scores: np.ndarray | None, changed: int
) -> np.ndarray:
    """Return, for every pair, the larger probability that one's samples are assigned to the other."""
    assigned = np.eye(posterior.shape[1])[posterior.argmax(axis=1)] * weight[:, None]
    mass = np.maximum(weight @ posterior, np.finfo(float).tiny)
    confused = assigned.T @ posterior / mass
    return np.maximum(confused, confused.T)


def _entropy_scores(
    posterior: np.ndarray, weight: np.ndarray, scores: np.ndarray | None, changed: int
) -> np.ndarray:
    """Return, for every pair, by how much merging it lowers the entropy of the responsibilities.

    Only pairs with the `changed` component differ from the `scores` of the step before.
    """
    from scipy.special import xlogy

    n = posterior.shape[1]
    own = weight @ xlogy(posterior, posterior)
    first = scores is None
    scores = np.zeros((n, n)) if scores is None else scores
    for i in range(n) if first else [changed]:
        others = slice(i + 1, n) if first else slice(0, n)
        sums = posterior[:, others] + posterior[:, i, None]
        scores[i, others] = scores[others, i] = weight @ xlogy(sums, sums) - own[i] - own[others]
    return scores


def _hierarchy(score_pairs: Callable[..., np.ndarray]) -> Callable:
    """Return the method that merges the pair of highest score until `n_clusters` are left."""

    def merge(
        posterior: np.ndarray, weight: np.ndarray, overlap: np.ndarray, n_clusters: int, random_state: int
    ) -> tuple[np.ndarray, tuple[MergeStep, ...]]:
        names = list(range(posterior.shape[1]))
        groups, steps, scores, i = np.arange(len(names)), [], None, 0
        while len(names) > n_clusters:
            scores = score_pairs(posterior, weight, scores, i)
            upper = np.where(np.triu(np.ones_like(scores, dtype=bool), 1), scores, -np.inf)
            i, j = (int(index) for index in np.unravel_index(upper.argmax(), upper.shape))
            steps.append(MergeStep(names[i], names[j], float(scores[i, j])))
            groups[groups == names.pop(j)] = names[i]
            merged = posterior[:, i] + posterior[:, j]
            posterior = np.delete(posterior, j, axis=1)
            posterior[:, i] = merged
            scores = np.delete(np.delete(scores, j, axis=0), j, axis=1)
        return groups, tuple(steps)

    return merge


MERGE_METHODS: dict[str, Callable] = {
    "overlap": _by_overlap,
    "demp": _hierarchy(_demp_scores),
    "entropy": _hierarchy(_entropy_scores),
}
