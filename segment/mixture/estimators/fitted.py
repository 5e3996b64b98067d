"""A fitted mixture of any family: what it predicts, how well it explains samples, samples drawn from it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator, DensityMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from segment.data.opening import as_source, is_dask
from segment.data.samples import Samples, as_matrix
from segment.data.source import Source
from segment.errors import DataError
from segment.mixture import expectation, selection


class FittedMixture(DensityMixin, BaseEstimator):
    """Fitted attributes, the parameters behind them, and all that can be asked of these."""

    n_components: int
    random_state: Any
    n_jobs: int | None
    feature_names_in_: np.ndarray

    _arrays: ClassVar[dict[str, Callable[[Any], np.ndarray]]]
    """Fitted attribute -> how it comes from parameters."""

    def _rows(self, X: np.ndarray) -> np.ndarray:
        """Return validated samples as the family takes them."""
        return X

    def _weighted(self, X: Any, sample_weight: Any) -> Samples:
        """Return rows, as the family takes them, with their weights."""
        return Samples.of(X, sample_weight)

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

    def _of_source(self, source: Source) -> Source:
        """Return a source as the family takes it."""
        return source if type(self)._rows is FittedMixture._rows else source.changed(self._rows)

    def _note_features(self, source: Source) -> None:
        """Set what scikit-learn knows of the features of the samples fitted."""
        self.n_features_in_ = source.n_features
        if hasattr(self, "feature_names_in_"):
            del self.feature_names_in_
        if source.columns:
            self.feature_names_in_ = np.array(source.columns, dtype=object)

    def _checked_samples(self, X: Any) -> tuple[Any, Any]:
        """Return rows or a source as the family takes them, and the parameters."""
        check_is_fitted(self)
        if (source := as_source(X)) is not None:
            return self._of_source(self._checked(source)), self._parameters()
        X = validate_data(self, X, dtype=[np.float64, np.float32], ensure_all_finite=False, reset=False)
        return self._rows(X), self._parameters()

    def _checked(self, X: Any) -> Any:
        """Return a source or Dask array, if it has as many features as the samples fitted."""
        n = X.n_features if isinstance(X, Source) else X.shape[1]
        if n != self.n_features_in_:
            raise DataError(
                f"X has {n} features, but {type(self).__name__} is expecting {self.n_features_in_} features "
                "as input"
            )
        return X

    def _each(self, X: Any, of_rows: Any, dtype: type, n_columns: int | None = None) -> Any:
        """Return what a function finds on rows: an array, of a Dask collection a lazy one."""
        if is_dask(X):
            from segment.data.dask import mapped

            check_is_fitted(self)
            found = partial(_found, of_rows, self._parameters(), self._rows, dtype)
            return mapped(X, self._checked, found, dtype, n_columns)
        X, parameters = self._checked_samples(X)
        return of_rows(X, parameters, n_jobs=self.n_jobs).astype(dtype, copy=False)

    def predict(self, X: Any) -> np.ndarray:
        """Return the most probable component of each sample.

        Parameters
        ----------
        X : (n_samples, n_features) array, or Source
            What is not in memory is read in blocks; for a Dask array, the result is a lazy one.

        Returns
        -------
        (n_samples,) int ndarray
        """
        return self._each(X, expectation.assign, np.intp)

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
        return self._each(X, expectation.responsibilities, np.float64, self.n_components)

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
        return self._each(X, expectation.score_samples, np.float64)

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

    def _samples(self, X: Any, sample_weight: Any) -> tuple[Source, Any]:
        if (source := as_source(X, sample_weight)) is not None:
            return self._checked_samples(source)
        X, parameters = self._checked_samples(X)
        return self._weighted(X, sample_weight), parameters

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

        Raises
        ------
        DataError
            If `n_samples` is below 1.
        """
        check_is_fitted(self)
        if n_samples < 1:
            raise DataError(
                f"Invalid value for 'n_samples': {n_samples}. The sampling requires at least one sample."
            )
        parameters = self._parameters()
        rng = check_random_state(self.random_state)
        y = np.repeat(np.arange(parameters.n_components), rng.multinomial(n_samples, parameters.weights))
        return parameters.drawn(y, rng), y


def _found(of_rows: Any, parameters: Any, rows: Any, dtype: type, X: np.ndarray) -> np.ndarray:
    """Return what a function finds on a block of rows, as a task of its own."""
    return of_rows(rows(as_matrix(X)), parameters, n_jobs=1).astype(dtype, copy=False)
