"""The scikit-learn face of mixtures of t distributions: `TMixture`."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Real
from typing import Any, ClassVar

import numpy as np
from sklearn.utils._param_validation import Interval, StrOptions

from segment.data.source import Source
from segment.mixture.estimators.base import MixtureEstimator
from segment.mixture.families.gaussian.covariance import COVARIANCE_TYPES
from segment.mixture.families.student.family import Student
from segment.mixture.families.student.parameters import MOST, StudentParameters


class TMixture(MixtureEstimator):
    """Mixture of Student's t distributions, fitted by ECM: robust where a Gaussian follows outliers.

    Parameters
    ----------
    n_components : int, default 1
    covariance_type : {"full", "tied", "diag", "spherical"}
        Of the scale matrices.
    degrees_of_freedom : {"free", "shared"} or float, default "free"
        Estimated for each component, estimated for all together, or given. The fewer, the heavier the tails;
        1 is Cauchy's distribution, many are a Gaussian.
    tol : float, default 1e-5
        EM has converged when a step gains less than this per unit of sample weight (nats).
    reg_covar : float, default 1e-6
        Added to every variance, as in `GaussianMixture`.
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
    means_ : (n_components, n_features) ndarray
        Centers; the means where there are more than 1 degrees of freedom.
    scales_ : ndarray
        Scale matrices, shaped as the covariances of `GaussianMixture`; covariances are these times
        degrees / (degrees - 2), where there are more than 2 degrees of freedom.
    degrees_of_freedom_ : (n_components,) ndarray
        Between 0.1 and 1e6.
    converged_ : bool
    n_iter_ : int
        Accepted EM steps of the best fit.
    lower_bound_ : float
        Objective per unit of sample weight (nats) of the fitted parameters.
    lower_bounds_ : (n_iter_,) float64 ndarray
    repairs_ : tuple of str
        What was repaired on the way, in words.
    n_features_in_ : int
    feature_names_in_ : (n_features_in_,) ndarray of str
        Only if the data had names.

    References
    ----------
    .. [1] Peel & McLachlan (2000), "Robust mixture modelling using the t distribution", Statistics and
           Computing 10, 339-348.
    .. [2] Liu & Rubin (1995), "ML estimation of the t distribution using EM and its extensions, ECM and
           ECME", Statistica Sinica 5, 19-39.

    Examples
    --------
    >>> from segment import TMixture
    >>> rows = [[0.0], [0.1], [0.2], [0.1], [5.0], [5.1], [5.2], [5.1], [90.0]]
    >>> mixture = TMixture(2, degrees_of_freedom=1.0, covariance_type="tied", random_state=0).fit(rows)
    >>> mixture.means_[mixture.predict(rows[:1])].round(1)
    array([[0.1]])
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **MixtureEstimator._parameter_constraints,
        "covariance_type": [StrOptions(set(COVARIANCE_TYPES))],
        "degrees_of_freedom": [StrOptions({"free", "shared"}), Interval(Real, 0.0, MOST, closed="right")],
        "reg_covar": [Interval(Real, 0.0, None, closed="left")],
    }
    _parameters_type = StudentParameters
    _arrays: ClassVar[dict[str, Callable[[StudentParameters], np.ndarray]]] = {
        "weights_": lambda parameters: parameters.weights,
        "means_": lambda parameters: parameters.means,
        "scales_": lambda parameters: parameters.covariances,
        "degrees_of_freedom_": lambda parameters: parameters.degrees_of_freedom,
    }

    def __init__(
        self,
        n_components: int = 1,
        *,
        covariance_type: str = "full",
        degrees_of_freedom: float | str = "free",
        tol: float = 1e-5,
        reg_covar: float = 1e-6,
        max_iter: int = 1000,
        n_init: int = 1,
        init_params: str = "short_runs",
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
        self.degrees_of_freedom = degrees_of_freedom
        self.reg_covar = reg_covar

    def _family(self, samples: Source) -> Student:
        return Student.of(
            samples,
            self.covariance_type,
            degrees_of_freedom=self.degrees_of_freedom,
            reg_covar=self.reg_covar,
        )

    def _rebuilt(self) -> StudentParameters:
        given = self.degrees_of_freedom
        rule = given if isinstance(given, str) else "fixed"
        return StudentParameters(
            self.weights_, self.means_, self.scales_, self.covariance_type, self.degrees_of_freedom_, rule
        )
