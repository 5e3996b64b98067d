"""The scikit-learn face of Poisson mixtures: `PoissonMixture`."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import numpy as np
from sklearn.utils import Tags

from segment.data.samples import as_matrix
from segment.data.source import Source
from segment.mixture.estimators.streaming import StreamingMixture
from segment.mixture.families.counts import check_counts
from segment.mixture.families.poisson import Poisson, PoissonParameters


class PoissonMixture(StreamingMixture):
    """Mixture of Poisson components over counts, independent given the component, fitted by EM.

    Parameters
    ----------
    n_components : int, default 1
    tol : float, default 1e-5
        EM has converged when a step gains less than this per unit of sample weight (nats).
    max_iter : int, default 1000
        Most EM steps. With 0 the start is kept.
    n_init : int, default 1
        Starts, each with its own random numbers; the best fit is kept.
    init_params : {"short_runs", "kmeans", "k-means++", "random", "random_from_data"}
        As `GaussianMixture`.
    random_state : int, RandomState or None
    warm_start : bool, default False
        Start from the last fit, if there is one.
    verbose : int, default 0
    verbose_interval : int, default 10
    n_jobs : int, optional
        Threads (default: all cores). The result does not depend on it, bit for bit.
    acceleration : {"squarem", None}
        SQUAREM, or plain EM steps only.

    Attributes
    ----------
    weights_ : (n_components,) ndarray
        As all fitted arrays float32 for float32 data, else float64.
    rates_ : (n_components, n_features) ndarray
        Mean of each count.
    converged_ : bool
    n_iter_ : int
        Accepted EM steps of the best fit.
    lower_bound_ : float
        Log-likelihood per unit of sample weight (nats) of the fitted parameters.
    lower_bounds_ : (n_iter_,) float64 ndarray
    repairs_ : tuple of str
        What was repaired on the way, in words.
    n_features_in_ : int
    feature_names_in_ : (n_features_in_,) ndarray of str
        Only if the data had names.

    References
    ----------
    .. [1] Hasselblad (1969), "Estimation of finite mixtures of distributions from the exponential family",
           JASA 64(328), 1459-1471.

    Examples
    --------
    >>> from segment import PoissonMixture
    >>> rows = [[0], [1], [0], [9], [12], [11]]
    >>> PoissonMixture(2, random_state=0).fit_predict(rows)
    array([1, 1, 1, 0, 0, 0])
    """

    _parameters_type = PoissonParameters
    _arrays: ClassVar[dict[str, Callable[[PoissonParameters], np.ndarray]]] = {
        "weights_": lambda parameters: parameters.weights,
        "rates_": lambda parameters: parameters.rates,
    }

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = True
        return tags

    def _rows(self, X: np.ndarray) -> np.ndarray:
        X = as_matrix(X)
        check_counts(X)
        return X

    def _family(self, samples: Source) -> Poisson:
        return Poisson.of(samples)

    def _rebuilt(self) -> PoissonParameters:
        return PoissonParameters(self.weights_, self.rates_)
