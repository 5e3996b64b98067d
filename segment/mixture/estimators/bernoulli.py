"""The scikit-learn face of Bernoulli mixtures: `BernoulliMixture`."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Real
from typing import Any, ClassVar

import numpy as np

from segment.data.samples import as_matrix
from segment.data.source import Source
from segment.mixture.estimators.streaming import StreamingMixture
from segment.mixture.families.bernoulli import Bernoulli, BernoulliParameters, check_binary


class BernoulliMixture(StreamingMixture):
    """Mixture of Bernoulli components over binary features (latent class analysis), fitted by EM.

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
    binarize : float, optional
        Values above it count as 1, all others as 0. By default samples must be 0 and 1 already.
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
        Of a 1 in each feature.
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
    .. [1] Lazarsfeld & Henry (1968), "Latent structure analysis".

    Examples
    --------
    >>> from segment import BernoulliMixture
    >>> rows = [[1, 1, 0], [1, 1, 0], [1, 0, 0], [0, 0, 1], [0, 1, 1], [0, 0, 1]]
    >>> BernoulliMixture(2, random_state=0).fit_predict(rows)
    array([1, 1, 1, 0, 0, 0])
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **StreamingMixture._parameter_constraints,
        "binarize": [Real, None],
    }
    _parameters_type = BernoulliParameters
    _arrays: ClassVar[dict[str, Callable[[BernoulliParameters], np.ndarray]]] = {
        "weights_": lambda parameters: parameters.weights,
        "probabilities_": lambda parameters: parameters.probabilities,
    }

    def __init__(
        self,
        n_components: int = 1,
        *,
        tol: float = 1e-5,
        max_iter: int = 1000,
        n_init: int = 1,
        init_params: str = "short_runs",
        binarize: float | None = None,
        random_state: Any = None,
        warm_start: bool = False,
        verbose: int = 0,
        verbose_interval: int = 10,
        n_jobs: int | None = None,
        acceleration: str | None = "squarem",
    ) -> None:
        super().__init__(
            n_components,
            tol=tol,
            max_iter=max_iter,
            n_init=n_init,
            init_params=init_params,
            random_state=random_state,
            warm_start=warm_start,
            verbose=verbose,
            verbose_interval=verbose_interval,
            n_jobs=n_jobs,
            acceleration=acceleration,
        )
        self.binarize = binarize

    def _rows(self, X: np.ndarray) -> np.ndarray:
        # NaN would count as 0: what is no number is refused first.
        X = as_matrix(X)
        if self.binarize is not None:
            return (self.binarize < X).astype(X.dtype)
        check_binary(X)
        return X

    def _family(self, samples: Source) -> Bernoulli:
        return Bernoulli.of(samples)

    def _rebuilt(self) -> BernoulliParameters:
        return BernoulliParameters(self.weights_, self.probabilities_)
