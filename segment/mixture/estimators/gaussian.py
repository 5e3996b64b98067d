"""The scikit-learn face of Gaussian mixtures: `GaussianMixture`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from numbers import Real
from typing import Any, ClassVar

import numpy as np
from sklearn.utils import Tags
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted, validate_data

from segment.data.gaps import GappySamples
from segment.data.samples import Samples
from segment.data.source import Source
from segment.mixture.estimators.base import ConvergenceWarning
from segment.mixture.estimators.sklearn_form import (
    checked_means,
    checked_weights,
    covariances_from_precisions,
    precisions,
    precisions_cholesky,
)
from segment.mixture.estimators.streaming import StreamingMixture
from segment.mixture.families.gaussian.covariance import COVARIANCE_TYPES, covariance_type_of
from segment.mixture.families.gaussian.family import Gaussian
from segment.mixture.families.gaussian.gaps import GappyGaussian, GappyParameters
from segment.mixture.families.gaussian.parameters import Parameters
from segment.mixture.imputation import draw_missing, impute
from segment.mixture.seeding import parameters_from_means, part_with

__all__ = ["ConvergenceWarning", "GaussianMixture"]


class GaussianMixture(StreamingMixture):
    """Gaussian mixture fitted by EM; takes the place of `sklearn.mixture.GaussianMixture`.

    Constructor arguments, attributes, methods and errors are those of scikit-learn 1.9. What differs:
    `fit` takes `sample_weight`; the start is a race of short runs by default; EM is accelerated;
    ``lower_bounds_[-1]`` belongs to the fitted parameters, not to those of one step before; a collapsing
    component is repaired and reported in `repairs_` where scikit-learn raises ValueError.

    Parameters
    ----------
    n_components : int, default 1
    covariance_type : {"full", "tied", "diag", "spherical"}
    tol : float, default 1e-3
        EM has converged when a step gains less than this per unit of sample weight (nats).
    reg_covar : float, default 1e-6
        Added to every variance, in the squared unit of the data. EM climbs the log-likelihood of data
        blurred by that variance, so that it never falls; with ``reg_covar=0`` every step equals
        scikit-learn's to rounding.
    max_iter : int, default 100
        Most EM steps. With 0 the start is kept.
    n_init : int, default 1
        Starts, each with its own random numbers; the best fit is kept.
    init_params : {"short_runs", "kmeans", "k-means++", "random", "random_from_data"}
        "short_runs" (the default here; scikit-learn's is "kmeans"): many random starts race on a subsample,
        see `starting_points`. "random": random responsibilities. The others choose centers on standardized
        features, and assign every sample to the nearest.
    weights_init : (n_components,) array, optional
    means_init : (n_components, n_features) array, optional
        Starting means; weights and covariances that are not given are those of the samples nearest to each.
    precisions_init : array, optional
        Starting precisions, of the shape of `precisions_`.
    missing : {"em"}, optional
        "em": NaN marks an entry that is missing at random, and EM climbs the likelihood of those that are
        known; see also `impute`. In memory only: in what is read in blocks NaN is refused, as by default.
    random_state : int, RandomState or None
    warm_start : bool, default False
        Start from the last fit, if there is one.
    verbose : int, default 0
        1 prints the starts and every `verbose_interval`-th step; 2 also the lower bound and its change.
    verbose_interval : int, default 10
    n_jobs : int, optional
        Threads (default: all cores). The result does not depend on it, bit for bit.
    acceleration : {"squarem", None}
        SQUAREM, or plain EM steps only.

    Attributes
    ----------
    weights_ : (n_components,) ndarray
        As all fitted arrays float32 for float32 data, else float64. What the estimator computes from them is
        computed in float64, from the parameters before rounding.
    means_ : (n_components, n_features) ndarray
    covariances_ : ndarray
        (K, D, D) "full", (D, D) "tied", (K, D) "diag", (K,) "spherical".
    precisions_, precisions_cholesky_ : ndarray
        Inverse covariances, and upper triangular C with C @ C.T = precision; shaped as `covariances_`.
    converged_ : bool
    n_iter_ : int
        Accepted EM steps of the best fit.
    lower_bound_ : float
        Objective per unit of sample weight (nats) of the fitted parameters.
    lower_bounds_ : (n_iter_,) float64 ndarray
        That objective after each step.
    repairs_ : tuple of str
        What was repaired on the way, in words.
    n_features_in_ : int
    feature_names_in_ : (n_features_in_,) ndarray of str
        Only if the data had names.

    Examples
    --------
    >>> from segment import GaussianMixture
    >>> X = [[1, 2], [1, 4], [1, 0], [10, 2], [10, 4], [10, 0]]
    >>> mixture = GaussianMixture(2, covariance_type="tied", random_state=0).fit(X)
    >>> mixture.means_[mixture.predict([[0, 0], [12, 3]])].round().tolist()
    [[1.0, 2.0], [10.0, 2.0]]
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **StreamingMixture._parameter_constraints,
        "covariance_type": [StrOptions(set(COVARIANCE_TYPES))],
        "reg_covar": [Interval(Real, 0.0, None, closed="left")],
        "weights_init": ["array-like", None],
        "means_init": ["array-like", None],
        "precisions_init": ["array-like", None],
        "missing": [StrOptions({"em"}), None],
    }
    _parameters_type = Parameters
    _arrays: ClassVar[dict[str, Callable[[Parameters], np.ndarray]]] = {
        "weights_": lambda parameters: parameters.weights,
        "means_": lambda parameters: parameters.means,
        "covariances_": lambda parameters: parameters.covariances,
        "precisions_cholesky_": precisions_cholesky,
        "precisions_": precisions,
    }

    def __init__(
        self,
        n_components: int = 1,
        *,
        covariance_type: str = "full",
        tol: float = 1e-3,
        reg_covar: float = 1e-6,
        max_iter: int = 100,
        n_init: int = 1,
        init_params: str = "short_runs",
        weights_init: Any = None,
        means_init: Any = None,
        precisions_init: Any = None,
        missing: str | None = None,
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
        self.weights_init = weights_init
        self.means_init = means_init
        self.precisions_init = precisions_init
        self.missing = missing

    def _family(self, samples: Source) -> Gaussian:
        kind = Gaussian if self.missing is None else GappyGaussian
        return kind.of(samples, self.covariance_type, reg_covar=self.reg_covar)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self.missing is not None
        return tags

    def _rows(self, X: np.ndarray) -> Any:
        return X if self.missing is None else GappySamples.of(X)

    def _weighted(self, X: Any, sample_weight: Any) -> Samples:
        return Samples.of(X, sample_weight) if self.missing is None else GappySamples.of(X, sample_weight)

    def _of_source(self, source: Source) -> Source:
        return source if self.missing is None else GappySamples.of(*source.arrays())

    def _parameters(self) -> Parameters:
        found = super()._parameters()
        return found if self.missing is None else GappyParameters.of(found)

    def _with_gaps(self, X: Any) -> np.ndarray:
        check_is_fitted(self)
        return validate_data(self, X, dtype=[np.float64, np.float32], ensure_all_finite=False, reset=False)

    def impute(self, X: Any) -> np.ndarray:
        """Fill missing entries (NaN) with their means, given the entries that are known.

        Parameters
        ----------
        X : (n_samples, n_features) array

        Returns
        -------
        (n_samples, n_features) ndarray
        """
        return impute(self._with_gaps(X), self._parameters(), n_jobs=self.n_jobs)

    def sample_missing(self, X: Any, random_state: Any = None) -> np.ndarray:
        """Fill missing entries (NaN) with draws given the entries that are known: for multiple imputation.

        Parameters
        ----------
        X : (n_samples, n_features) array
        random_state : int, Generator or None

        Returns
        -------
        (n_samples, n_features) ndarray
        """
        return draw_missing(self._with_gaps(X), self._parameters(), np.random.default_rng(random_state))

    def _starts(self, samples: Source, family: Any, rng: np.random.Generator) -> list[Any]:
        """Return starts by `init_params`, with what the user has given in place of what was found."""
        K, D, kind = self.n_components, samples.n_features, covariance_type_of(self.covariance_type)
        given: dict[str, Any] = {}
        if self.weights_init is not None:
            given["weights"] = checked_weights(self.weights_init, K)
        if self.means_init is not None:
            given["means"] = checked_means(self.means_init, K, D)
        if self.precisions_init is not None:
            given["covariances"] = covariances_from_precisions(self.precisions_init, kind, K, D)
        if len(given) == 3:
            return [family.parameters(**given, covariance_type=kind.name)]
        if "means" in given:
            part = part_with(samples, K, rng)
            found = [parameters_from_means(part, given["means"], family=family)]
        else:
            found = self._raced(samples, family, rng)
        return [replace(start, **given) for start in found]

    def _raced(self, samples: Source, family: Gaussian, rng: np.random.Generator) -> list[Any]:
        if not isinstance(samples, GappySamples):
            return super()._starts(samples, family, rng)
        # An E-step by patterns costs many times as much as one over whole rows.
        part = samples.whole(10 * self.n_components * samples.n_features, rng)
        plain = Gaussian.of(part, self.covariance_type, reg_covar=self.reg_covar)
        return [GappyParameters.of(start) for start in super()._starts(part, plain, rng)]

    def _rebuilt(self) -> Parameters:
        return Parameters(self.weights_, self.means_, self.covariances_, self.covariance_type)
