"""What a fitted mixture can do, as scikit-learn's estimators do it: predict, score, draw, save."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, DensityMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from segment.errors import DataError, ModelError
from segment.mixture import expectation, selection
from segment.mixture.parameters import Parameters
from segment.mixture.samples import Samples
from segment.mixture.sklearn_form import precisions, precisions_cholesky

SCHEMA = 1

# Fitted attributes that a file keeps beside the parameters, and how they come back from JSON.
_SAVED: dict[str, Callable[[Any], Any]] = {
    "converged_": bool,
    "n_iter_": int,
    "lower_bound_": float,
    "lower_bounds_": np.array,
    "repairs_": tuple,
    "n_features_in_": int,
    "feature_names_in_": lambda names: np.array(names, dtype=object),
}


class FittedMixture(DensityMixin, BaseEstimator):
    """Methods that need a fitted mixture; a subclass brings the constructor and `fit`."""

    covariance_type: str
    n_jobs: int | None
    random_state: Any

    def _set(self, parameters: Parameters) -> None:
        self.weights_, self.means_ = parameters.weights, parameters.means
        self.covariances_ = parameters.covariances
        self.precisions_cholesky_ = precisions_cholesky(parameters)
        self.precisions_ = precisions(parameters)

    def _parameters(self) -> Parameters:
        check_is_fitted(self)
        return Parameters(self.weights_, self.means_, self.covariances_, self.covariance_type)

    def _checked_samples(self, X: Any) -> tuple[np.ndarray, Parameters]:
        parameters = self._parameters()
        X = validate_data(self, X, dtype=[np.float64, np.float32], ensure_all_finite=False, reset=False)
        return X, parameters

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
        """Return the log density of each sample under the mixture.

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
        scores = expectation.score_samples(samples.X, parameters, n_jobs=self.n_jobs)
        return float(samples.sample_weight @ scores) / samples.total_weight

    def _samples(self, X: Any, sample_weight: Any) -> tuple[Samples, Parameters]:
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

    def sample(self, n_samples: int = 1) -> tuple[np.ndarray, np.ndarray]:
        """Draw from the fitted mixture.

        Parameters
        ----------
        n_samples : int, default 1

        Returns
        -------
        X : (n_samples, n_features) float64 ndarray
        y : (n_samples,) int ndarray
            The component that each sample was drawn from, in ascending order.
        """
        parameters = self._parameters()
        if n_samples < 1:
            raise DataError(
                f"Invalid value for 'n_samples': {n_samples}. The sampling requires at least one sample."
            )
        rng = check_random_state(self.random_state)
        counts = rng.multinomial(n_samples, parameters.weights)
        y = np.repeat(np.arange(parameters.n_components), counts)
        X = rng.standard_normal((n_samples, parameters.n_features))
        for k, covariance in enumerate(parameters.spread_covariances()):
            X[y == k] = parameters.means[k] + X[y == k] @ np.linalg.cholesky(covariance).T
        return X, y

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
        parameters = self._parameters()
        fitted = {name: getattr(self, name) for name in _SAVED if hasattr(self, name)}
        parameters.save(
            path,
            schema=np.array(SCHEMA),
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
        GaussianMixture
            Fitted.

        Raises
        ------
        ModelError
            If the file is missing, damaged, of a newer schema, or no saved `GaussianMixture`.
        """
        parameters, found = Parameters.load(path)
        if "schema" not in found or "settings" not in found:
            raise ModelError(f"{path}: a mixture, but not one that GaussianMixture.save has written")
        if int(found["schema"]) > SCHEMA:
            raise ModelError(
                f"{path}: written by a newer version (schema {int(found['schema'])}, this one reads up to "
                f"{SCHEMA}); update segment"
            )
        mixture = cls(**json.loads(str(found["settings"])))
        mixture._set(parameters)
        for name, value in json.loads(str(found["fitted"])).items():
            setattr(mixture, name, _SAVED[name](value))
        return mixture


def _plain(value: Any) -> Any:
    """Turn what JSON does not know into what it knows: arrays into lists, a RandomState into None."""
    return value.tolist() if hasattr(value, "tolist") else None
