"""What all mixture estimators share: fit, predict, score, save, as scikit-learn's estimators do it."""

from __future__ import annotations

import json
import os
from abc import abstractmethod
from collections.abc import Callable
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
import sklearn.exceptions
from sklearn.base import BaseEstimator, DensityMixin
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted, validate_data

from segment import errors
from segment.data.samples import Samples
from segment.em.result import EMResult
from segment.errors import DataError, ModelError
from segment.mixture import expectation, selection
from segment.mixture.families.family import Family
from segment.mixture.fitting import warn_of
from segment.mixture.model import climb
from segment.mixture.seeding import starting_points

SCHEMA = 1

# init_params -> method of `starting_points`. scikit-learn's "random" (random responsibilities) has none.
METHODS = {
    "short_runs": "short_runs",
    "kmeans": "kmeans",
    "k-means++": "k-means++",
    "random_from_data": "random",
}

# Fitted attributes that a file keeps beside the parameters, and how they come back from JSON.
_SAVED: dict[str, Callable[[Any], Any]] = {
    "converged_": bool,
    "n_iter_": int,
    "lower_bound_": float,
    "lower_bounds_": lambda values: np.array(values, dtype=np.float64),
    "repairs_": lambda texts: tuple(map(str, texts)),
    "n_features_in_": int,
    "feature_names_in_": lambda names: np.array(names, dtype=object),
}


class ConvergenceWarning(errors.ConvergenceWarning, sklearn.exceptions.ConvergenceWarning):
    """EM stopped before it converged; filters for either library's warning catch it."""


class MixtureEstimator(DensityMixin, BaseEstimator):
    """A mixture of some family; a subclass brings constructor, family, and its fitted attributes."""

    n_components: int
    tol: float
    max_iter: int
    n_init: int
    init_params: str
    random_state: Any
    warm_start: bool
    verbose: int
    verbose_interval: int
    n_jobs: int | None
    acceleration: str | None

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0.0, None, closed="left")],
        "max_iter": [Interval(Integral, 0, None, closed="left")],
        "n_init": [Interval(Integral, 1, None, closed="left")],
        "init_params": [StrOptions({*METHODS, "random"})],
        "random_state": ["random_state"],
        "warm_start": ["boolean"],
        "verbose": ["verbose"],
        "verbose_interval": [Interval(Integral, 1, None, closed="left")],
        "n_jobs": [Integral, None],
        "acceleration": [StrOptions({"squarem"}), None],
    }
    _parameters_type: ClassVar[Any]
    _arrays: ClassVar[dict[str, Callable[[Any], np.ndarray]]]
    """Fitted attribute -> how it comes from parameters."""

    @abstractmethod
    def _family(self, samples: Samples) -> Family[Any, Any]:
        """Return the family for given samples."""

    def _rows(self, X: np.ndarray) -> np.ndarray:
        """Return validated samples as the family takes them."""
        return X

    @abstractmethod
    def _rebuilt(self) -> Any:
        """Return the parameters that the fitted attributes hold."""

    def _set(self, parameters: Any, dtype: np.dtype) -> None:
        """Set the fitted attributes, and remember what they were rounded from."""
        self._dtype, self._exact = dtype, parameters
        for name, of in self._arrays.items():
            setattr(self, name, of(parameters).astype(dtype))
        self._set_to = {name: getattr(self, name) for name in self._arrays}

    def _parameters(self) -> Any:
        """Return the fitted parameters, or what someone has put in their place since."""
        known = getattr(self, "_set_to", None)
        if known and all(getattr(self, name) is array for name, array in known.items()):
            return self._exact
        return self._rebuilt()

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
        self
            The estimator itself.

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
        samples = Samples.of(self._rows(X), sample_weight)
        if samples.n_samples < self.n_components:
            raise DataError(
                f"Expected n_samples >= n_components but got n_components = {self.n_components}, "
                f"n_samples = {samples.n_samples}"
            )
        best = max(self._fits(samples), key=lambda result: result.lower_bound)
        self._keep(best, samples.dtype)
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

    def _fits(self, samples: Samples) -> list[EMResult[Any]]:
        """Fit from every start of every initialization, or from the last fit."""
        family = self._family(samples)
        continued = self.warm_start and hasattr(self, "converged_")
        random_state = check_random_state(self.random_state)
        results = []
        for init in range(1 if continued else self.n_init):
            self._say(f"Initialization {init}")
            rng = np.random.default_rng(random_state.randint(2**31, size=4))
            starts = [self._last()] if continued else self._starts(samples, family, rng)
            results += [self._climb(samples, family, start) for start in starts]
        return results

    def _starts(self, samples: Samples, family: Family[Any, Any], rng: np.random.Generator) -> list[Any]:
        """Return starts by `init_params`."""
        if self.init_params == "random":
            shares = rng.dirichlet(np.ones(self.n_components), samples.n_samples)
            return [family.from_responsibilities(samples, shares)]
        return starting_points(
            samples,
            self.n_components,
            family=family,
            method=METHODS[self.init_params],
            random_state=rng,
            n_jobs=self.n_jobs,
        )

    def _last(self) -> Any:
        parameters = self._parameters()
        found = (parameters.n_components, parameters.n_features)
        if found != (self.n_components, self.n_features_in_):
            raise DataError(
                f"warm_start cannot continue a fit of {found[0]} components over {found[1]} features with "
                f"{self.n_components} over {self.n_features_in_}; set warm_start=False, or keep both"
            )
        return parameters

    def _climb(self, samples: Samples, family: Family[Any, Any], start: Any) -> EMResult[Any]:
        bounds: list[float] = []

        def report(iteration: int, bound: float, _: Any) -> None:
            bounds.append(bound)
            if iteration > 0 and iteration % self.verbose_interval == 0:
                change = bound - bounds[-2]
                self._say(f"  Iteration {iteration}", f"\t lower bound {bound:.5f}\t change {change:.5f}")

        # One E-step more than M-steps: the bound of the last parameters is evaluated as well.
        result = climb(
            samples,
            family,
            start,
            tol=self.tol,
            max_iter=self.max_iter + 1,
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

    def _keep(self, result: EMResult[Any], dtype: np.dtype) -> None:
        self._set(result.parameters, dtype)
        self.converged_ = result.converged
        self.n_iter_ = result.n_iter - 1
        self.lower_bound_ = result.lower_bound
        self.lower_bounds_ = result.lower_bounds[1:]
        self.repairs_ = tuple(map(str, result.repairs))

    def _checked_samples(self, X: Any) -> tuple[np.ndarray, Any]:
        check_is_fitted(self)
        X = validate_data(self, X, dtype=[np.float64, np.float32], ensure_all_finite=False, reset=False)
        return self._rows(X), self._parameters()

    def predict(self, X: Any) -> np.ndarray:
        """Return the most probable component of each sample.

        Parameters
        ----------
        X : (n_samples, n_features) array

        Returns
        -------
        (n_samples,) int ndarray
        """
        X, parameters = self._checked_samples(X)
        return expectation.assign(X, parameters, n_jobs=self.n_jobs).astype(np.intp)

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the posterior probability of each component (the responsibilities).

        Parameters
        ----------
        X : (n_samples, n_features) array

        Returns
        -------
        (n_samples, n_components) float64 ndarray
            Rows sum to 1.
        """
        X, parameters = self._checked_samples(X)
        return expectation.responsibilities(X, parameters, n_jobs=self.n_jobs)

    def score_samples(self, X: Any) -> np.ndarray:
        """Return the log density (of discrete samples: log probability) of each sample under the mixture.

        Parameters
        ----------
        X : (n_samples, n_features) array

        Returns
        -------
        (n_samples,) float64 ndarray
            In nats.
        """
        X, parameters = self._checked_samples(X)
        return expectation.score_samples(X, parameters, n_jobs=self.n_jobs)

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Return the mean log density of the samples.

        Parameters
        ----------
        X : (n_samples, n_features) array
        y : ignored
        sample_weight : (n_samples,) array, optional

        Returns
        -------
        float
            In nats per unit of sample weight.
        """
        samples, parameters = self._samples(X, sample_weight)
        return expectation.log_likelihood(samples, parameters, n_jobs=self.n_jobs) / samples.total_weight

    def _samples(self, X: Any, sample_weight: Any) -> tuple[Samples, Any]:
        X, parameters = self._checked_samples(X)
        return Samples.of(X, sample_weight), parameters

    def aic(self, X: Any, sample_weight: Any = None) -> float:
        """Return Akaike's information criterion; smaller is better.

        Parameters
        ----------
        X : (n_samples, n_features) array
        sample_weight : (n_samples,) array, optional

        Returns
        -------
        float
        """
        return selection.aic(*self._samples(X, sample_weight), n_jobs=self.n_jobs)

    def bic(self, X: Any, sample_weight: Any = None) -> float:
        """Return the Bayesian information criterion; smaller is better. Its n is the sum of the weights.

        Parameters
        ----------
        X : (n_samples, n_features) array
        sample_weight : (n_samples,) array, optional

        Returns
        -------
        float
        """
        return selection.bic(*self._samples(X, sample_weight), n_jobs=self.n_jobs)

    def icl(self, X: Any, sample_weight: Any = None) -> float:
        """Return the integrated completed likelihood criterion, BIC + 2 entropy; smaller is better.

        Parameters
        ----------
        X : (n_samples, n_features) array
        sample_weight : (n_samples,) array, optional

        Returns
        -------
        float
        """
        return selection.icl(*self._samples(X, sample_weight), n_jobs=self.n_jobs)

    def _n_parameters(self) -> int:
        """Return the number of free parameters: scikit-learn's private name, which programs use."""
        return self._parameters().n_parameters

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted mixture to an .npz file that holds no pickle.

        Parameters
        ----------
        path : path-like
            Replaced at once if it exists. A `random_state` that is no number is not kept.

        Raises
        ------
        OutputError
            If it cannot be written.
        """
        check_is_fitted(self)
        fitted = {name: getattr(self, name) for name in _SAVED if hasattr(self, name)}
        self._parameters().save(
            path,
            schema=np.array(SCHEMA),
            estimator=np.array(type(self).__name__),
            dtype=np.array(self._dtype.name),
            settings=np.array(json.dumps(self.get_params(), default=_plain)),
            fitted=np.array(json.dumps(fitted, default=_plain)),
        )

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read what `save` wrote.

        Parameters
        ----------
        path : path-like

        Returns
        -------
        estimator
            Fitted.

        Raises
        ------
        ModelError
            If the file is missing, damaged, of a newer schema, or not saved by this class.
        """
        parameters, found = cls._parameters_type.load(path)
        if found.keys() < {"schema", "settings", "fitted"}:
            raise ModelError(f"{path}: a mixture, but not one that {cls.__name__}.save has written")
        try:
            if int(found["schema"]) > SCHEMA:
                raise ModelError(
                    f"{path}: written by a newer version (schema {int(found['schema'])}, this one reads up "
                    f"to {SCHEMA}); update segment"
                )
            mixture = cls(**json.loads(str(found["settings"])))
            mixture._validate_params()
            dtype = np.dtype(str(found.get("dtype", "float64")))
            if dtype not in (np.float32, np.float64):
                raise ValueError(f"dtype is {dtype}")
            mixture._set(parameters, dtype)
            for name, value in json.loads(str(found["fitted"])).items():
                setattr(mixture, name, _SAVED[name](value))
            fits = mixture.n_features_in_ == parameters.n_features
            if not fits or mixture.n_components != parameters.n_components:
                raise ValueError("its settings are not those of its parameters")
        except ModelError:
            raise
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            raise ModelError(
                f"{path}: not a model that {cls.__name__}.save has written ({error}); "
                "give one that it has written"
            ) from error
        return mixture


def _plain(value: Any) -> Any:
    """Turn what JSON does not know into what it knows: arrays into lists, a RandomState into None."""
    return value.tolist() if hasattr(value, "tolist") else None
