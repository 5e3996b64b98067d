"""Consensus clustering of any features: the scikit-learn face, and a function that returns everything."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator, ClusterMixin
from sklearn.utils import check_array, check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import validate_data

from segment.consensus.cluster import Consensus, cluster_graphs
from segment.consensus.members import FAR, N_MEMBERS, NEAR, Neighborhood
from segment.consensus.neighbors import find_neighbors
from segment.consensus.stability import StabilityCurve, choose_n_clusters
from segment.consensus.whitening import whiten_by_neighbors
from segment.errors import DataError
from segment.parallel import single_threaded_blas


@dataclass(frozen=True)
class ConsensusResult:
    """The outcome of `cluster_consensus`.

    Attributes
    ----------
    labels : (n_samples,) int64 ndarray
        Clusters, numbered in the order in which they first appear.
    confidence : (n_samples,) float32 ndarray
        Share of the members of the consensus that agree with each label.
    n_clusters : int
    stability : float
        How much draws of members are like the best one (1: they all are the same).
    candidates : dict of str to float
        What each candidate tells along the edges of the graph of neighbors, nats.
    taken : str
        The candidate of most information.
    curve : StabilityCurve, or None
        How the number of clusters was chosen, if it was.
    """

    labels: np.ndarray
    confidence: np.ndarray
    n_clusters: int
    stability: float
    candidates: dict[str, float]
    taken: str
    curve: StabilityCurve | None


def cluster_consensus(
    X: Any,
    n_clusters: int | str = "auto",
    *,
    n_neighbors: int = NEAR,
    n_members: int = N_MEMBERS,
    standardize: bool = True,
    random_state: int = 0,
    n_jobs: int | None = None,
) -> ConsensusResult:
    """Cluster samples by the consensus of many clusterings of their graph of neighbors.

    Features are whitened by the differences between neighbors. Many members each part the samples into far
    more cells than clusters, by k-means on the graph's leading eigenvectors, and merge them by the graph;
    what they agree on is refined, and the candidate that tells most along the edges of the graph is taken.
    Clusters may have any shape, and several forms.

    Parameters
    ----------
    X : (n_samples, n_features) array
    n_clusters : int or "auto"
        "auto" chooses from 2 to 20, by the stability of the members.
    n_neighbors : int
        Neighbors of a sample in the near graph; the far one has three times as many.
    n_members : int
    standardize : bool
        Scale each feature to variance one first. Not needed where all are of one kind.
    random_state : int
    n_jobs : int, optional
        Threads (default: all cores). The result does not depend on it, bit for bit.

    Returns
    -------
    ConsensusResult
        ``labels`` and ``confidence`` of each sample, and what the labels were chosen by.

    Raises
    ------
    DataError
        If there are fewer samples than clusters, or an argument is not allowed.
    """
    X = check_array(X, dtype=np.float64, ensure_min_samples=2)
    for name, value in (("n_neighbors", n_neighbors), ("n_members", n_members)):
        if value < 1:
            raise DataError(f"{name} is {value}; allowed are 1, 2, 3, ...")
    if n_clusters != "auto" and (isinstance(n_clusters, str) or not 1 <= n_clusters <= len(X)):
        raise DataError(f'n_clusters is {n_clusters!r}; allowed are "auto" and 1 to {len(X)}, the samples')
    graphs = _graphs(X, n_neighbors, standardize, n_jobs)
    curve = None
    if isinstance(n_clusters, str):
        curve = choose_n_clusters(graphs, random_state=random_state, n_jobs=n_jobs)
        n_clusters = curve.chosen
    found: Consensus = cluster_graphs(
        graphs, n_clusters, n_members=n_members, random_state=random_state, n_jobs=n_jobs
    )
    return ConsensusResult(
        found.labels, found.confidence, n_clusters, found.stability, found.candidates, found.taken, curve
    )


@single_threaded_blas()
def _graphs(X: np.ndarray, n_neighbors: int, standardize: bool, n_jobs: int | None) -> Neighborhood:
    centered = X - X.mean(axis=0)
    if standardize:
        deviations = X.std(axis=0)
        centered = centered / np.where(deviations > 0, deviations, 1.0)
    else:
        # Distances only count beside each other; in float32, large or small ones would be lost.
        centered = centered / (np.abs(centered).max() or 1.0)
    rows = centered.astype(np.float32)
    white = whiten_by_neighbors(rows, n_jobs).apply(rows)
    far = min(n_neighbors * FAR // NEAR, len(X) - 1)
    return Neighborhood.of([find_neighbors(white, far, n_jobs=n_jobs)], n_neighbors)


class ConsensusClustering(ClusterMixin, BaseEstimator):
    """Consensus of many clusterings of the graph of neighbors, as a scikit-learn estimator.

    Parameters
    ----------
    n_clusters : int or "auto", default 8
        "auto" chooses from 2 to 20, by the stability of the members.
    n_neighbors : int, default 10
        Neighbors of a sample in the near graph; the far one has three times as many.
    n_members : int, default 240
    standardize : bool, default True
        Scale each feature to variance one first.
    random_state : int, RandomState or None
    n_jobs : int, optional
        Threads (default: all cores). The result does not depend on it, bit for bit.

    Attributes
    ----------
    labels_ : (n_samples,) int64 ndarray
    confidence_ : (n_samples,) float32 ndarray
        Share of the members that agree with each label.
    n_clusters_ : int
    result_ : ConsensusResult
        All that `cluster_consensus` returns.
    n_features_in_ : int
    feature_names_in_ : (n_features_in_,) ndarray of str
        Only if the data had names.

    Examples
    --------
    >>> from segment import ConsensusClustering
    >>> X = [[0, 0], [0, 1], [1, 0], [9, 9], [9, 8], [8, 9]]
    >>> ConsensusClustering(2, n_neighbors=2, n_members=20, random_state=0).fit_predict(X)
    array([0, 0, 0, 1, 1, 1])
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "n_clusters": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "n_neighbors": [Interval(Integral, 1, None, closed="left")],
        "n_members": [Interval(Integral, 1, None, closed="left")],
        "standardize": ["boolean"],
        "random_state": ["random_state"],
        "n_jobs": [Integral, None],
    }

    def __init__(
        self,
        n_clusters: int | str = 8,
        *,
        n_neighbors: int = NEAR,
        n_members: int = N_MEMBERS,
        standardize: bool = True,
        random_state: Any = None,
        n_jobs: int | None = None,
    ) -> None:
        self.n_clusters = n_clusters
        self.n_neighbors = n_neighbors
        self.n_members = n_members
        self.standardize = standardize
        self.random_state = random_state
        self.n_jobs = n_jobs

    def fit(self, X: Any, y: Any = None) -> Self:
        """Cluster samples.

        Parameters
        ----------
        X : (n_samples, n_features) array
        y : ignored

        Returns
        -------
        self
            The estimator itself.
        """
        self._validate_params()
        X = validate_data(self, X, dtype=np.float64, ensure_min_samples=2)
        seed = int(check_random_state(self.random_state).randint(2**31))
        self.result_ = cluster_consensus(
            X,
            self.n_clusters,
            n_neighbors=self.n_neighbors,
            n_members=self.n_members,
            standardize=self.standardize,
            random_state=seed,
            n_jobs=self.n_jobs,
        )
        self.labels_, self.confidence_ = self.result_.labels, self.result_.confidence
        self.n_clusters_ = self.result_.n_clusters
        return self
