"""What all mixture estimators share: constructor and `fit`, as scikit-learn's estimators have them."""

from __future__ import annotations

import os
from abc import abstractmethod
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
import sklearn.exceptions
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import validate_data

from segment import errors
from segment.data.journal import Journal
from segment.data.opening import as_source
from segment.data.source import Source
from segment.em.result import EMResult
from segment.errors import DataError
from segment.mixture.estimators.saved import SavedMixture
from segment.mixture.families.family import Family
from segment.mixture.fitting import warn_of
from segment.mixture.model import climb
from segment.mixture.seeding import part_with, starting_points

# init_params -> method of `starting_points`. scikit-learn's "random" (random responsibilities) has none.
METHODS = {
    "short_runs": "short_runs",
    "kmeans": "kmeans",
    "k-means++": "k-means++",
    "random_from_data": "random",
}


# What a fit does not depend on.
_IRRELEVANT = ("n_jobs", "verbose", "verbose_interval")


class ConvergenceWarning(errors.ConvergenceWarning, sklearn.exceptions.ConvergenceWarning):
    """EM stopped before it converged; filters for either library's warning catch it."""


class MixtureEstimator(SavedMixture):
    """A mixture of some family; a subclass brings the family and its fitted attributes."""

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

    def __init__(
        self,
        n_components: int = 1,
        *,
        tol: float = 1e-5,
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
        self.n_components = n_components
        self.tol = tol
        self.max_iter = max_iter
        self.n_init = n_init
        self.init_params = init_params
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose
        self.verbose_interval = verbose_interval
        self.n_jobs = n_jobs
        self.acceleration = acceleration

    @abstractmethod
    def _family(self, samples: Source) -> Family[Any, Any]:
        """Return the family for given samples."""

    def fit(
        self,
        X: Any,
        y: Any = None,
        sample_weight: Any = None,
        *,
        client: Any = None,
        checkpoint: str | os.PathLike[str] | None = None,
        resume: bool = False,
    ) -> Self:
        """Fit the mixture to samples.

        Parameters
        ----------
        X : (n_samples, n_features) array, or Source
            float32 is used as it is, anything else as float64. A memory map, a Dask array and what
            `segment.open_samples` has opened are read in blocks, and give the same bits as in memory.
        y : ignored
        sample_weight : (n_samples,) array, optional
            A weight of w means exactly "this row, w times".
        client : dask.distributed.Client or str, optional
            Where the passes over a Dask array run; by default on the client that is current, if any.
        checkpoint : path-like, optional
            File to which the result of every pass is written as soon as it is there. It needs a
            `random_state` that is a number.
        resume : bool, default False
            Go on from `checkpoint`, if it exists: what it holds is not computed again, and the end has the
            same bits as without a break.

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
        samples = self._opened(X, sample_weight, client)
        if checkpoint is not None:
            samples = self._journaled(samples, checkpoint, resume)
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

    def _opened(self, X: Any, sample_weight: Any, client: Any) -> Source:
        """Return what `fit` is given as a source, its features noted."""
        source = as_source(X, sample_weight, client)
        if source is not None:
            self._note_features(source)
            return self._of_source(source)
        X = validate_data(
            self, X, dtype=[np.float64, np.float32], ensure_all_finite=False, ensure_min_samples=2
        )
        return self._weighted(self._rows(X), sample_weight)

    def _journaled(self, samples: Source, checkpoint: str | os.PathLike[str], resume: bool) -> Source:
        if not isinstance(self.random_state, Integral):
            raise DataError(
                f"random_state is {self.random_state!r}; a checkpoint needs a number, so that the starts are "
                "the same when it is resumed"
            )
        settings = self.get_params()
        asked = {name: repr(settings[name]) for name in sorted(settings) if name not in _IRRELEVANT}
        return Journal(samples, checkpoint, {"estimator": type(self).__name__, **asked}, resume=resume)

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

    def _fits(self, samples: Source) -> list[EMResult[Any]]:
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

    def _starts(self, samples: Source, family: Family[Any, Any], rng: np.random.Generator) -> list[Any]:
        """Return starts by `init_params`."""
        if self.init_params == "random":
            part = part_with(samples, self.n_components, rng)
            return [
                family.from_responsibilities(part, rng.dirichlet(np.ones(self.n_components), part.n_samples))
            ]
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

    def _climb(self, samples: Source, family: Family[Any, Any], start: Any) -> EMResult[Any]:
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

    def adopt(self, result: EMResult[Any], source: Source) -> Self:
        """Take over a fit that was made by the functions of the library.

        Parameters
        ----------
        result : EMResult
        source : Source
            What was fitted.

        Returns
        -------
        self
        """
        self._note_features(source)
        self._keep(result, source.dtype)
        return self

    def _keep(self, result: EMResult[Any], dtype: np.dtype) -> None:
        self._set(result.parameters, dtype)
        self.converged_ = result.converged
        self.n_iter_ = result.n_iter - 1
        self.lower_bound_ = result.lower_bound
        self.lower_bounds_ = result.lower_bounds[1:]
        self.repairs_ = tuple(map(str, result.repairs))
