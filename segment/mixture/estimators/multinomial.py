"""The scikit-learn face of multinomial mixtures: `MultinomialMixture`."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import numpy as np
from sklearn.utils import Tags

from segment.data.samples import as_matrix
from segment.data.source import Source
from segment.mixture.estimators.streaming import StreamingMixture
from segment.mixture.families.counts import check_counts
from segment.mixture.families.multinomial import Multinomial, MultinomialParameters


class MultinomialMixture(StreamingMixture):
    """Mixture of multinomial components over counts, such as words of texts, fitted by EM.

    What counts is how a sample's total shares out among the features, not the total itself. Log probabilities
    hold the multinomial coefficient: they are those of the counts, given their total.

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
    probabilities_ : (n_components, n_features) ndarray
        Of each feature for one count; rows sum to 1.
    length_ : float
        Mean total of a sample; what `sample` draws has this total, rounded.
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
    .. [1] Nigam, McCallum, Thrun & Mitchell (2000), "Text classification from labeled and unlabeled documents
           using EM", Machine Learning 39, 103-134.

    Examples
    --------
    >>> from segment import MultinomialMixture
    >>> words = [[5, 1, 0], [9, 0, 1], [50, 9, 2], [0, 1, 7], [1, 0, 6], [2, 3, 40]]
    >>> labels = MultinomialMixture(2, random_state=0).fit_predict(words)
    >>> (labels == labels[0]).tolist()
    [True, True, True, False, False, False]
    """

    _parameters_type = MultinomialParameters
    _arrays: ClassVar[dict[str, Callable[[MultinomialParameters], np.ndarray]]] = {
        "weights_": lambda parameters: parameters.weights,
        "probabilities_": lambda parameters: parameters.probabilities,
        "length_": lambda parameters: np.array(parameters.length),
    }

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = True
        return tags

    def _rows(self, X: np.ndarray) -> np.ndarray:
        X = as_matrix(X)
        check_counts(X)
        return X

    def _family(self, samples: Source) -> Multinomial:
        return Multinomial.of(samples)

    def _rebuilt(self) -> MultinomialParameters:
        return MultinomialParameters(self.weights_, self.probabilities_, float(self.length_))
