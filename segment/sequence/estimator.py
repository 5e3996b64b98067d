"""Hidden Markov models as scikit-learn's estimators are used: `HiddenMarkov`."""

from __future__ import annotations

import json
import os
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from segment.em.result import EMResult
from segment.errors import DataError, ModelError
from segment.mixture.estimators.base import ConvergenceWarning
from segment.mixture.families.family import Family
from segment.mixture.families.gaussian.gaps import GappyGaussian
from segment.mixture.families.table import FAMILIES
from segment.mixture.families.variational.family import Bayesian
from segment.mixture.fitting import warn_of
from segment.sequence import expectation
from segment.sequence.chains import CHAIN_RULES, chain_rule, stationary
from segment.sequence.model import ChainModel, climb
from segment.sequence.parameters import ChainParameters
from segment.sequence.sequences import Sequences
from segment.sequence.starts import starting_chains

SCHEMA = 1

# Family -> the constructor's arguments that it takes.
_OPTIONS = {"gaussian": ("covariance_type", "reg_covar")}
_FITTED = {"converged_": bool, "n_iter_": int, "log_likelihood_": float, "lower_bound_": float}

# Families that need priors, or whose rows lack entries.
_NOT_OF_CHAINS = {Bayesian.name, GappyGaussian.name}


class HiddenMarkov(BaseEstimator):
    """Hidden Markov model over a family of densities, fitted by Baum-Welch.

    Parameters
    ----------
    n_components : int, default 1
        States.
    family : {"gaussian", "bernoulli", "poisson", "multinomial", "student"}
        Density of a row in a state.
    covariance_type : {"full", "tied", "diag", "spherical"}
        Of Gaussian states.
    reg_covar : float, default 1e-6
        Added to every variance of Gaussian states, as in `GaussianMixture`.
    starts : {"estimated", "stationary"}
        First states have probabilities of their own, or the distribution that the transitions keep.
    tol : float, default 1e-6
        EM has converged when a step gains less than this per row (nats).
    max_iter : int, default 1000
    n_init : int, optional
        Random starts, which race (default 24); the best is kept.
    random_state : int, RandomState or None
    n_jobs : int, optional
        Threads (default: all cores). The result does not depend on it, bit for bit.
    acceleration : {"squarem", None}

    Attributes
    ----------
    starts_, transitions_ : (K,), (K, K) ndarrays
        Probabilities of the first state, and of going from state i to state j.
    stationary_ : (K,) ndarray
        Distribution that the transitions keep.
    parameters_ : ChainParameters
        All of the above, and `parameters_.emissions`, the densities. Their arrays are attributes too:
        `means_` and `covariances_`, `probabilities_`, `rates_`.
    converged_ : bool
    n_iter_ : int
    log_likelihood_ : float
        Of the sequences fitted to, in nats.
    lower_bound_ : float
        Objective per row.
    repairs_ : tuple of str

    Examples
    --------
    >>> from segment import HiddenMarkov
    >>> calm, wild = [[0], [1], [0], [1]] * 3, [[9], [8], [9], [7]] * 3
    >>> chain = HiddenMarkov(2, family="poisson", random_state=0).fit(calm + wild)
    >>> chain.rates_[chain.predict([[1], [0], [8], [9]])].round(2).ravel().tolist()
    [0.5, 0.5, 8.25, 8.25]
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "family": [StrOptions(set(FAMILIES) - _NOT_OF_CHAINS)],
        "covariance_type": [StrOptions({"full", "tied", "diag", "spherical"})],
        "reg_covar": [Interval(Real, 0.0, None, closed="left")],
        "starts": [StrOptions(set(CHAIN_RULES))],
        "tol": [Interval(Real, 0.0, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "n_init": [Interval(Integral, 1, None, closed="left"), None],
        "random_state": ["random_state"],
        "n_jobs": [Integral, None],
        "acceleration": [StrOptions({"squarem"}), None],
    }

    def __init__(
        self,
        n_components: int = 1,
        *,
        family: str = "gaussian",
        covariance_type: str = "full",
        reg_covar: float = 1e-6,
        starts: str = "estimated",
        tol: float = 1e-6,
        max_iter: int = 1000,
        n_init: int | None = None,
        random_state: Any = None,
        n_jobs: int | None = None,
        acceleration: str | None = "squarem",
    ) -> None:
        self.n_components = n_components
        self.family = family
        self.covariance_type = covariance_type
        self.reg_covar = reg_covar
        self.starts = starts
        self.tol = tol
        self.max_iter = max_iter
        self.n_init = n_init
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.acceleration = acceleration

    def _family(self, sequences: Sequences) -> Family[Any, Any]:
        kind: Any = FAMILIES[self.family]
        options = {name: getattr(self, name) for name in _OPTIONS.get(self.family, ())}
        return kind.of(sequences.samples, **options)

    def fit(self, X: Any, lengths: Any = None, sample_weight: Any = None) -> Self:
        """Fit the model to sequences.

        Parameters
        ----------
        X : (n, n_features) array
            All rows, sequence after sequence.
        lengths : (n_sequences,) array of int, optional
            Rows of each sequence; by default all rows are one.
        sample_weight : (n_sequences,) array, optional
            Of each sequence: a weight of w means exactly "this sequence, w times".

        Returns
        -------
        self
            The estimator itself.

        Raises
        ------
        DataError
            If data, lengths and weights do not fit, or there are fewer rows than states.

        Warns
        -----
        ConvergenceWarning
            If `max_iter` E-steps were not enough for `tol`.
        CollapseWarning
            If a Gaussian state collapsed onto its rows.
        """
        self._validate_params()
        sequences = Sequences.of(X, lengths, sample_weight)
        if sequences.samples.n_samples < self.n_components:
            raise DataError(
                f"n_components is {self.n_components}, but there are only {sequences.samples.n_samples} rows"
            )
        family, rule = self._family(sequences), chain_rule(self.starts)
        model = ChainModel(sequences, family, self.n_components, rule, n_jobs=self.n_jobs)
        rng = np.random.default_rng(check_random_state(self.random_state).randint(2**31, size=4))
        starts = starting_chains(model, self.n_components, rng, self.n_init)
        options: dict[str, Any] = {
            "tol": self.tol,
            "max_iter": self.max_iter,
            "acceleration": self.acceleration,
        }
        best = max((climb(model, start, **options) for start in starts), key=lambda found: found.lower_bound)
        self._keep(best)
        warn_of(best, self.tol, self.max_iter, ConvergenceWarning)
        return self

    def _keep(self, result: EMResult[ChainParameters]) -> None:
        self._set(result.parameters)
        self.converged_ = result.converged
        self.n_iter_ = result.n_iter - 1
        self.log_likelihood_ = result.log_likelihood
        self.lower_bound_ = result.lower_bound
        self.repairs_ = tuple(map(str, result.repairs))

    def _set(self, parameters: ChainParameters) -> None:
        self.parameters_ = parameters
        self.starts_, self.transitions_ = parameters.starts, parameters.transitions
        self.stationary_ = stationary(parameters.transitions)
        self.n_features_in_ = parameters.n_features
        arrays = {name: getattr(parameters.emissions, name) for name in parameters.emissions.fields}
        for name, value in arrays.items():
            if isinstance(value, np.ndarray) and name != "weights":
                setattr(self, f"{name}_", value)

    def _sequences(self, X: Any, lengths: Any, sample_weight: Any = None) -> Sequences:
        check_is_fitted(self)
        sequences = Sequences.of(X, lengths, sample_weight)
        if sequences.samples.n_features != self.n_features_in_:
            raise DataError(
                f"X has {sequences.samples.n_features} features, but the model {self.n_features_in_}; "
                "they must agree"
            )
        # The family's own check of values: binary, counts.
        self._family(sequences)
        return sequences

    def predict(self, X: Any, lengths: Any = None) -> np.ndarray:
        """Return the most probable sequence of states (Viterbi).

        Parameters
        ----------
        X, lengths
            As `fit`.

        Returns
        -------
        (n,) int ndarray
        """
        sequences = self._sequences(X, lengths)
        found = expectation.most_probable_paths(sequences, self.parameters_, n_jobs=self.n_jobs)
        return found[0].astype(np.intp)

    def predict_proba(self, X: Any, lengths: Any = None) -> np.ndarray:
        """Return the posterior probability of every state at every row, given its whole sequence.

        Parameters
        ----------
        X, lengths
            As `fit`.

        Returns
        -------
        (n, n_components) float64 ndarray
            Rows sum to 1.
        """
        return expectation.posteriors(self._sequences(X, lengths), self.parameters_, n_jobs=self.n_jobs)

    def score_samples(self, X: Any, lengths: Any = None) -> np.ndarray:
        """Return the log density of each sequence.

        Parameters
        ----------
        X, lengths
            As `fit`.

        Returns
        -------
        (n_sequences,) float64 ndarray
            In nats.
        """
        return expectation.log_likelihoods(self._sequences(X, lengths), self.parameters_, n_jobs=self.n_jobs)

    def score(self, X: Any, lengths: Any = None, sample_weight: Any = None) -> float:
        """Return the log density of the sequences, in all.

        Parameters
        ----------
        X, lengths, sample_weight
            As `fit`.

        Returns
        -------
        float
            In nats.
        """
        sequences = self._sequences(X, lengths, sample_weight)
        each = expectation.log_likelihoods(sequences, self.parameters_, n_jobs=self.n_jobs)
        # A sequence of weight zero counts nothing, also where it is impossible.
        counted = sequences.weights > 0
        return float(sequences.weights[counted] @ each[counted])

    def _n_parameters(self) -> int:
        free = chain_rule(self.starts).free_starts
        return self.parameters_.n_parameters - (0 if free else self.parameters_.n_components - 1)

    def aic(self, X: Any, lengths: Any = None, sample_weight: Any = None) -> float:
        """Return Akaike's information criterion; smaller is better.

        Parameters
        ----------
        X, lengths, sample_weight
            As `fit`.

        Returns
        -------
        float
        """
        return -2.0 * self.score(X, lengths, sample_weight) + 2.0 * self._n_parameters()

    def bic(self, X: Any, lengths: Any = None, sample_weight: Any = None) -> float:
        """Return the Bayesian information criterion; smaller is better. Its n is the weight of all rows.

        Parameters
        ----------
        X, lengths, sample_weight
            As `fit`.

        Returns
        -------
        float
        """
        n = self._sequences(X, lengths, sample_weight).samples.total_weight
        return -2.0 * self.score(X, lengths, sample_weight) + self._n_parameters() * float(np.log(n))

    def sample(self, n_samples: int = 1) -> tuple[np.ndarray, np.ndarray]:
        """Draw one sequence from the fitted model.

        Parameters
        ----------
        n_samples : int, default 1
            Its length.

        Returns
        -------
        X : (n_samples, n_features) float64 ndarray
        states : (n_samples,) int ndarray

        Raises
        ------
        DataError
            If `n_samples` is below 1.
        """
        check_is_fitted(self)
        if n_samples < 1:
            raise DataError(f"n_samples is {n_samples}; at least one row must be drawn")
        rng = check_random_state(self.random_state)
        edges = np.cumsum(np.vstack([self.starts_, self.transitions_]), axis=1)
        states = np.empty(n_samples, dtype=np.intp)
        last = -1
        for t, point in enumerate(rng.uniform(size=n_samples)):
            row = edges[last + 1]
            last = states[t] = min(int(np.searchsorted(row, point * row[-1], side="right")), len(row) - 1)
        return self.parameters_.emissions.drawn(states, rng), states

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted model to an .npz file that holds no pickle.

        Parameters
        ----------
        path : path-like
            Replaced at once if it exists. A `random_state` that is no number is not kept.
        """
        check_is_fitted(self)
        settings = {name: _plain(value) for name, value in self.get_params().items()}
        fitted = {name: getattr(self, name) for name in _FITTED} | {"repairs_": list(self.repairs_)}
        self.parameters_.save(
            path,
            schema=np.array(SCHEMA),
            settings=np.array(json.dumps(settings)),
            fitted=np.array(json.dumps(fitted)),
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
            If the file is missing, damaged, of a newer schema, or no such model.
        """
        parameters, found = ChainParameters.load(path)
        try:
            if int(found["schema"]) > SCHEMA:
                raise ValueError(f"schema {int(found['schema'])} is newer than {SCHEMA}: update segment")
            model = cls(**json.loads(str(found["settings"])))
            model._validate_params()
            if model.n_components != parameters.n_components:
                raise ValueError("its settings are not those of its parameters")
            fitted = json.loads(str(found["fitted"]))
            for name, kind in _FITTED.items():
                setattr(model, name, kind(fitted[name]))
            model.repairs_ = tuple(map(str, fitted["repairs_"]))
        except (TypeError, ValueError, KeyError) as error:
            raise ModelError(
                f"{path}: not a model that {cls.__name__}.save has written ({error}); give one that it has"
            ) from error
        model._set(parameters)
        return model


def _plain(value: Any) -> Any:
    """Return numbers as Python's own, and None for a RandomState."""
    if hasattr(value, "item"):
        return value.item()
    return value if isinstance(value, (str, int, float, bool)) else None
