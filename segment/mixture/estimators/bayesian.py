"""The scikit-learn face of variational Gaussian mixtures: `BayesianGaussianMixture`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from numbers import Real
from typing import Any, ClassVar

import numpy as np
from sklearn.utils._param_validation import Interval, StrOptions

from segment.data.source import Source
from segment.em.result import EMResult
from segment.mixture.estimators.base import MixtureEstimator
from segment.mixture.estimators.sklearn_form import precisions, precisions_cholesky
from segment.mixture.families.gaussian.covariance import COVARIANCE_TYPES, covariance_type_of
from segment.mixture.families.variational.concentrations import WEIGHT_PRIORS
from segment.mixture.families.variational.family import Bayesian
from segment.mixture.families.variational.parameters import BayesianParameters
from segment.mixture.families.variational.priors import Priors


class BayesianGaussianMixture(MixtureEstimator):
    """Variational Gaussian mixture; takes the place of `sklearn.mixture.BayesianGaussianMixture`.

    Components that the samples do not need lose their weight. Constructor arguments, attributes, methods and
    errors are those of scikit-learn 1.9. What differs: `fit` takes `sample_weight`; the start is a race of
    short runs; steps are accelerated; `lower_bound_` is the evidence lower bound with all its terms, per unit
    of sample weight; precisions of type "diag" and "spherical" have gamma posteriors, so that the bound
    never falls.

    Parameters
    ----------
    n_components : int, default 1
        The most that can remain.
    covariance_type : {"full", "tied", "diag", "spherical"}
    tol : float, default 1e-3
        Converged when a step gains less than this of the bound of all samples (nats).
    reg_covar : float, default 1e-6
        Variance of a blur of the samples, as in `GaussianMixture`.
    max_iter : int, default 100
        Most steps. With 0 the start is kept.
    n_init : int, default 1
    init_params : {"short_runs", "kmeans", "k-means++", "random", "random_from_data"}
        As `GaussianMixture`.
    weight_concentration_prior_type : {"dirichlet_process", "dirichlet_distribution"}
    weight_concentration_prior : float, optional
        The smaller, the fewer components remain (default: 1 / n_components).
    mean_precision_prior : float, default 1
    mean_prior : (n_features,) array, optional
        Default: the mean of the samples.
    degrees_of_freedom_prior : float, optional
        Above n_features - 1 (default: n_features).
    covariance_prior : array or float, optional
        Default: the covariance of the samples. (D, D) "full" and "tied", (D,) "diag", a float "spherical".
    random_state : int, RandomState or None
    warm_start : bool, default False
    verbose : int, default 0
    verbose_interval : int, default 10
    n_jobs : int, optional
        Threads (default: all cores). The result does not depend on it, bit for bit.
    acceleration : {"squarem", None}
        SQUAREM, or plain steps only.

    Attributes
    ----------
    weights_ : (n_components,) ndarray
        Expected mixing proportions.
    means_ : (n_components, n_features) ndarray
    covariances_, precisions_, precisions_cholesky_ : ndarray
        Of the expected precisions; shaped as those of `GaussianMixture`.
    weight_concentration_ : (n_components,) ndarray, or a pair of them for a Dirichlet process
    mean_precision_, degrees_of_freedom_ : (n_components,) ndarray
    weight_concentration_prior_, mean_precision_prior_, degrees_of_freedom_prior_ : float
    mean_prior_, covariance_prior_ : ndarray
    converged_ : bool
    n_iter_ : int
    lower_bound_ : float
    lower_bounds_ : (n_iter_,) float64 ndarray
    repairs_ : tuple of str
    n_features_in_ : int
    feature_names_in_ : (n_features_in_,) ndarray of str
        Only if the data had names.

    References
    ----------
    .. [1] Bishop (2006), "Pattern recognition and machine learning", section 10.2.
    .. [2] Blei & Jordan (2006), "Variational inference for Dirichlet process mixtures", Bayesian Analysis
           1(1), 121-143.

    Examples
    --------
    >>> from segment import BayesianGaussianMixture
    >>> X = [[1, 2], [1, 4], [1, 0], [4, 2], [12, 4], [10, 7]]
    >>> mixture = BayesianGaussianMixture(n_components=2, random_state=42).fit(X)
    >>> mixture.predict([[0, 0], [9, 3]]).shape
    (2,)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **MixtureEstimator._parameter_constraints,
        "covariance_type": [StrOptions(set(COVARIANCE_TYPES))],
        "reg_covar": [Interval(Real, 0.0, None, closed="left")],
        "weight_concentration_prior_type": [StrOptions(set(WEIGHT_PRIORS))],
        "weight_concentration_prior": [None, Interval(Real, 0.0, None, closed="neither")],
        "mean_precision_prior": [None, Interval(Real, 0.0, None, closed="neither")],
        "mean_prior": [None, "array-like"],
        "degrees_of_freedom_prior": [None, Interval(Real, 0.0, None, closed="neither")],
        "covariance_prior": [None, "array-like", Interval(Real, 0.0, None, closed="neither")],
    }
    _parameters_type = BayesianParameters
    _arrays: ClassVar[dict[str, Callable[[BayesianParameters], np.ndarray]]] = {
        "weights_": lambda parameters: parameters.weights,
        "means_": lambda parameters: parameters.means,
        "covariances_": lambda parameters: parameters.covariances,
        "precisions_cholesky_": precisions_cholesky,
        "precisions_": precisions,
        "mean_precision_": lambda parameters: parameters.mean_precision,
        "degrees_of_freedom_": lambda parameters: parameters.degrees_of_freedom,
    }

    def __init__(
        self,
        *,
        n_components: int = 1,
        covariance_type: str = "full",
        tol: float = 1e-3,
        reg_covar: float = 1e-6,
        max_iter: int = 100,
        n_init: int = 1,
        init_params: str = "short_runs",
        weight_concentration_prior_type: str = "dirichlet_process",
        weight_concentration_prior: float | None = None,
        mean_precision_prior: float | None = None,
        mean_prior: Any = None,
        degrees_of_freedom_prior: float | None = None,
        covariance_prior: Any = None,
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
        self.covariance_type = covariance_type
        self.reg_covar = reg_covar
        self.weight_concentration_prior_type = weight_concentration_prior_type
        self.weight_concentration_prior = weight_concentration_prior
        self.mean_precision_prior = mean_precision_prior
        self.mean_prior = mean_prior
        self.degrees_of_freedom_prior = degrees_of_freedom_prior
        self.covariance_prior = covariance_prior

    def _family(self, samples: Source) -> Bayesian:
        priors = Priors.of(
            samples,
            covariance_type_of(self.covariance_type),
            self.n_components,
            weight_type=self.weight_concentration_prior_type,
            concentration=self.weight_concentration_prior,
            mean_precision=self.mean_precision_prior,
            mean=self.mean_prior,
            degrees_of_freedom=self.degrees_of_freedom_prior,
            covariance=self.covariance_prior,
        )
        self.weight_concentration_prior_ = priors.concentration
        self.mean_precision_prior_ = priors.mean_precision
        self.mean_prior_ = priors.mean
        self.degrees_of_freedom_prior_ = priors.degrees_of_freedom
        self.covariance_prior_ = priors.covariance
        return Bayesian.under(samples, self.covariance_type, priors, reg_covar=self.reg_covar)

    def _climb(self, samples: Source, family: Any, start: Any) -> EMResult[Any]:
        # scikit-learn's tol is of the whole bound; the starts race by that of a sample.
        return super()._climb(samples, replace(family, total_weight=samples.total_weight), start)

    @property
    def weight_concentration_(self) -> np.ndarray | tuple[np.ndarray, np.ndarray]:
        """Concentrations of the weights: (K,), or for a Dirichlet process two of them, taken and left."""
        found = self._exact.concentrations.astype(self._dtype)
        return found[0] if len(found) == 1 else tuple(found)

    def _rebuilt(self) -> BayesianParameters:
        return replace(
            self._exact,
            weights=self.weights_,
            means=self.means_,
            covariances=self.covariances_,
            mean_precision=self.mean_precision_,
            degrees_of_freedom=self.degrees_of_freedom_,
        )
