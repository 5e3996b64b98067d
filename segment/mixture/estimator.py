"""The scikit-learn face of the mixture: `GaussianMixture`."""

from __future__ import annotations

from dataclasses import replace
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
import sklearn.exceptions
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import validate_data

from segment import errors
from segment.errors import DataError
from segment.mixture.covariance import COVARIANCE_TYPES, covariance_type_of
from segment.mixture.em import EMResult
from segment.mixture.fitted import FittedMixture
from segment.mixture.gaussian import climb, parameters_from_responsibilities, warn_of
from segment.mixture.parameters import Parameters
from segment.mixture.samples import Samples
from segment.mixture.seeding import parameters_from_means, starting_points
from segment.mixture.sklearn_form import checked_means, checked_weights, covariances_from_precisions

# init_params -> method of `starting_points`. scikit-learn's "random" (random responsibilities) has none.
_METHODS = {
    "short_runs": "short_runs",
    "kmeans": "kmeans",
    "k-means++": "k-means++",
    "random_from_data": "random",
}


class ConvergenceWarning(errors.ConvergenceWarning, sklearn.exceptions.ConvergenceWarning):
    """EM stopped before it converged; filters for either library's warning catch it."""


class GaussianMixture(FittedMixture):
    """Gaussian mixture fitted by EM; takes the place of `sklearn.mixture.GaussianMixture`.

    Constructor arguments, attributes, methods and errors are those of scikit-learn 1.9. What differs:
    `fit` takes `sample_weight`; the start is a race of short runs by default; EM is accelerated;
    ``lower_bounds_[-1]`` belongs to the fitted parameters, not to those of one step before; fitted arrays
    are float64 whatever the data; a collapsing component is repaired and reported in `repairs_` where
    scikit-learn raises ValueError.

    Parameters
    ----------
    n_components : int, default 1
    covariance_type : {"full", "tied", "diag", "spherical"}
    tol : float, default 1e-3
        EM has converged when a step gains less than this per unit of sample weight (nats).
    reg_covar : float, default 1e-6
        Added to every variance, in the squared unit of the data as in scikit-learn (`fit_em` takes it
        relative to the data's own variance). EM climbs the log-likelihood of data blurred by that variance,
        so that it never falls; with ``reg_covar=0`` every step equals scikit-learn's to rounding.
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
    weights_ : (n_components,) float64 ndarray
    means_ : (n_components, n_features) float64 ndarray
    covariances_ : float64 ndarray
        (K, D, D) "full", (D, D) "tied", (K, D) "diag", (K,) "spherical".
    precisions_, precisions_cholesky_ : float64 ndarray
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
    >>> mixture = GaussianMixture(2, random_state=0).fit([[1, 2], [1, 4], [1, 0], [10, 2], [10, 4], [10, 0]])
    >>> mixture.predict([[0, 0], [12, 3]])
    array([0, 1])
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "covariance_type": [StrOptions(set(COVARIANCE_TYPES))],
        "tol": [Interval(Real, 0.0, None, closed="left")],
        "reg_covar": [Interval(Real, 0.0, None, closed="left")],
        "max_iter": [Interval(Integral, 0, None, closed="left")],
        "n_init": [Interval(Integral, 1, None, closed="left")],
        "init_params": [StrOptions({*_METHODS, "random"})],
        "weights_init": ["array-like", None],
        "means_init": ["array-like", None],
        "precisions_init": ["array-like", None],
        "random_state": ["random_state"],
        "warm_start": ["boolean"],
        "verbose": ["verbose"],
        "verbose_interval": [Interval(Integral, 1, None, closed="left")],
        "n_jobs": [Integral, None],
        "acceleration": [StrOptions({"squarem"}), None],
    }

    def __init__(
        self,
        n_components=1,
        *,
        covariance_type="full",
        tol=1e-3,
        reg_covar=1e-6,
        max_iter=100,
        n_init=1,
        init_params="short_runs",
        weights_init=None,
        means_init=None,
        precisions_init=None,
        random_state=None,
        warm_start=False,
        verbose=0,
        verbose_interval=10,
        n_jobs=None,
        acceleration="squarem",
    ):
        self.n_components = n_components
        self.covariance_type = covariance_type
        self.tol = tol
        self.reg_covar = reg_covar
        self.max_iter = max_iter
        self.n_init = n_init
        self.init_params = init_params
        self.weights_init = weights_init
        self.means_init = means_init
        self.precisions_init = precisions_init
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose
        self.verbose_interval = verbose_interval
        self.n_jobs = n_jobs
        self.acceleration = acceleration

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Fit the mixture to samples.

        Parameters
        ----------
        X : (n_samples, n_features) array
            float32 is used as it is, anything else as float64.
        y : ignored
        sample_weight : (n_samples,) array, optional
            A weight of w means exactly "this row, w times".

        Returns
        -------
        GaussianMixture
            Itself.

        Raises
        ------
        ValueError
            If a parameter or the data are not legal; the message says where NaN or infinity was found.

        Warns
        -----
        ConvergenceWarning
            If `max_iter` steps were not enough for `tol`.
        CollapseWarning
            If a component collapsed and was repaired.
        """
        self._validate_params()
        X = validate_data(
            self, X, dtype=[np.float64, np.float32], ensure_all_finite=False, ensure_min_samples=2
        )
        samples = Samples.of(X, sample_weight)
        if samples.n_samples < self.n_components:
            raise DataError(
                f"Expected n_samples >= n_components but got n_components = {self.n_components}, "
                f"n_samples = {samples.n_samples}"
            )
        best = max(self._fits(samples), key=lambda result: result.lower_bound)
        self._keep(best)
        if self.max_iter > 0:
            warn_of(best, self.tol, self.max_iter + 1, ConvergenceWarning)
        return self

    def fit_predict(self, X: Any, y: Any = None, sample_weight: Any = None) -> np.ndarray:
        """Fit the mixture and return the most probable component of each sample, (n_samples,) int.

        Parameters
        ----------
        X, y, sample_weight
            As `fit`.

        Returns
        -------
        (n_samples,) int ndarray
        """
        return self.fit(X, y, sample_weight).predict(X)

    def _fits(self, samples: Samples) -> list[EMResult[Parameters]]:
        """Fit from every start of every initialization, or from the last fit."""
        # The core measures reg_covar in units of the data's mean variance (1 if that is 0).
        relative_reg = self.reg_covar / (float(samples.variance.mean()) or 1.0)
        continued = self.warm_start and hasattr(self, "converged_")
        random_state = check_random_state(self.random_state)
        results = []
        for init in range(1 if continued else self.n_init):
            self._say(f"Initialization {init}")
            rng = np.random.default_rng(random_state.randint(2**31, size=4))
            starts = [self._last()] if continued else self._starts(samples, relative_reg, rng)
            results += [self._climb(samples, start, relative_reg) for start in starts]
        return results

    def _starts(self, samples: Samples, relative_reg: float, rng: np.random.Generator) -> list[Parameters]:
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
            return [Parameters(**given, covariance_type=kind.name)]
        shared: dict[str, Any] = {"covariance_type": kind.name, "reg_covar": relative_reg}
        if "means" in given:
            found = [parameters_from_means(samples, given["means"], **shared)]
        elif self.init_params == "random":
            shares = rng.dirichlet(np.ones(K), samples.n_samples)
            found = [parameters_from_responsibilities(samples, shares, **shared)]
        else:
            method = _METHODS[self.init_params]
            found = starting_points(samples, K, method=method, random_state=rng, n_jobs=self.n_jobs, **shared)
        return [replace(start, **given) for start in found]

    def _last(self) -> Parameters:
        shape = (self.n_components, self.n_features_in_)
        if self.means_.shape != shape:
            raise DataError(
                f"warm_start cannot continue a fit of means {self.means_.shape} with {shape}; "
                "set warm_start=False, or keep n_components and the features"
            )
        return self._parameters()

    def _climb(self, samples: Samples, start: Parameters, relative_reg: float) -> EMResult[Parameters]:
        bounds: list[float] = []

        def report(iteration: int, bound: float, _: Parameters) -> None:
            bounds.append(bound)
            if iteration > 0 and iteration % self.verbose_interval == 0:
                change = bound - bounds[-2]
                self._say(f"  Iteration {iteration}", f"\t lower bound {bound:.5f}\t change {change:.5f}")

        # One E-step more than M-steps: the bound of the last parameters is evaluated as well.
        result = climb(
            samples,
            start,
            tol=self.tol,
            max_iter=self.max_iter + 1,
            reg_covar=relative_reg,
            acceleration=self.acceleration,
            n_jobs=self.n_jobs,
            callback=report,
        )
        ending = "converged" if result.converged else "did not converge"
        self._say(f"Initialization {ending}.", f"\t lower bound {result.lower_bound:.5f}")
        return result

    def _say(self, text: str, details: str = "") -> None:
        """Print as `verbose` asks: scikit-learn's contract, the one place outside the command line."""
        if self.verbose:
            print(text + (details if self.verbose > 1 else ""))

    def _keep(self, result: EMResult[Parameters]) -> None:
        self._set(result.parameters)
        self.converged_ = result.converged
        self.n_iter_ = result.n_iter - 1
        self.lower_bound_ = result.lower_bound
        self.lower_bounds_ = result.lower_bounds[1:]
        self.repairs_ = result.repairs
