"""Mixtures that learn from an endless stream of batches: stepwise EM."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.utils import check_random_state

from segment.em.result import EMResult
from segment.errors import DataError
from segment.mixture.estimators.base import MixtureEstimator
from segment.mixture.expectation import accumulate
from segment.mixture.families.family import Family
from segment.mixture.stepwise import Stepwise


class StreamingMixture(MixtureEstimator):
    """A mixture estimator with `partial_fit`."""

    _stream: tuple[Family[Any, Any], Stepwise, int] | None = None
    """Family, what is known of the stream, and number of batches."""

    def partial_fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Learn from one batch of a stream: one E-step on it, one M-step on what is known so far.

        The first batch gives the starts and the units of the features, and is fitted as `fit` does it; batch
        number t then counts for (t + 2) ** -0.7 of all before it. So the result depends on the order of the
        batches, which should each look like the whole stream. After `fit`, or in an estimator that was read
        from a file, the first batch moves nothing yet: it brings the sums that the next ones join.

        Parameters
        ----------
        X : (n_samples, n_features) array, or Source
            At least `n_components` rows in the first batch.
        y : ignored
        sample_weight : (n_samples,) array, optional

        Returns
        -------
        self
            `lower_bound_` is that of the batch, before it was learned from; `n_iter_` counts batches.

        Raises
        ------
        DataError
            If a batch has other features than those before it.

        References
        ----------
        .. [1] Cappe & Moulines (2009), "On-line expectation-maximization algorithm for latent data models",
               JRSS B 71(3), 593-613.
        """
        self._validate_params()
        if self._stream is None:
            return self._first_batch(X, sample_weight)
        samples, parameters = self._samples(X, sample_weight)
        family, rule, step = self._stream
        found = accumulate(samples, parameters, family=family, n_jobs=self.n_jobs)
        bound = found.log_likelihood / samples.total_weight
        following = family.maximize(rule.join(step, 0, found, samples.total_weight), parameters)
        rule.move(parameters, following)
        self._stream = family, rule, step + 1
        self._set(following, self._dtype)
        self.lower_bound_, self.n_iter_ = bound, step + 1
        self.lower_bounds_ = np.append(self.lower_bounds_, bound)
        return self

    def _keep(self, result: EMResult[Any], dtype: np.dtype) -> None:
        super()._keep(result, dtype)
        self._stream = None

    def _first_batch(self, X: Any, sample_weight: Any) -> Self:
        is_fitted = hasattr(self, "converged_")
        samples = self._samples(X, sample_weight)[0] if is_fitted else self._opened(X, sample_weight, None)
        if samples.n_samples < self.n_components:
            raise DataError(
                f"the first batch has {samples.n_samples} rows for {self.n_components} components; give more"
            )
        family, rule = self._family(samples), Stepwise()
        if not is_fitted:
            rng = np.random.default_rng(check_random_state(self.random_state).randint(2**31, size=4))
            self._keep(self._climb(samples, family, self._starts(samples, family, rng)[0]), samples.dtype)
        found = accumulate(samples, self._parameters(), family=family, n_jobs=self.n_jobs)
        rule.join(0, 0, found, samples.total_weight)
        self._stream = family, rule, 1
        self.lower_bound_, self.n_iter_ = found.log_likelihood / samples.total_weight, 1
        self.lower_bounds_ = np.array([self.lower_bound_])
        return self
