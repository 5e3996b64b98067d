"""How sure is a fit? Standard errors of the parameters of any model that EM has fitted.

Three ways to one answer. Louis's observed information and supplemented EM ask the likelihood's curvature at
the optimum, the one by formula, the other through the EM map alone; the bootstrap fits resampled data and
needs no curvature. All serve any `CompleteData`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from segment.em.loop import run_em
from segment.em.model import Model
from segment.em.stopping import SmallGain
from segment.errors import DataError
from segment.parallel import map_blocks, single_threaded_blas

P = TypeVar("P")

# Central differences of the EM map step by this share of a complete-data standard error: the error of the
# difference is of second order in it, and a tenth of it changed no digit that is reported.
SEM_STEP = 1e-3


class CompleteData(ABC, Generic[P]):
    """What standard errors ask of a model, in terms of its free parameters as a vector (p,).

    Attributes
    ----------
    model : Model
        E- and M-step over the observed data.
    names : tuple of str
        Of the q reported parameters; some may depend on others, as the last weight does.
    offset, matrix : (q,) and (q, p) float64 ndarrays
        The reported parameters are ``offset + matrix @ vector``.
    """

    model: Model[P]
    names: tuple[str, ...]
    offset: np.ndarray
    matrix: np.ndarray

    @abstractmethod
    def to_vector(self, parameters: P) -> np.ndarray:
        """Return the free parameters, (p,) float64."""

    @abstractmethod
    def from_vector(self, vector: np.ndarray) -> P:
        """Undo `to_vector`."""

    @abstractmethod
    def information(self, parameters: P) -> tuple[np.ndarray, np.ndarray]:
        """Return the complete and the missing information given what was observed, (p, p) each.

        The first is the expected negative second derivative of the complete-data log-likelihood, the second
        the covariance of its first derivative.
        """

    @abstractmethod
    def resampled(self, rng: np.random.Generator) -> CompleteData[P]:
        """Return the same model over data drawn from these with replacement."""


@dataclass(frozen=True, eq=False)
class StandardErrors:
    """Estimates and how far they would scatter over repeated samples.

    Attributes
    ----------
    names : tuple of str
    estimates : (q,) float64 ndarray
    covariance : (q, q) float64 ndarray
    """

    names: tuple[str, ...]
    estimates: np.ndarray
    covariance: np.ndarray

    @property
    def errors(self) -> np.ndarray:
        """Standard errors, (q,)."""
        return np.sqrt(np.diagonal(self.covariance))

    @property
    def correlations(self) -> np.ndarray:
        """Correlations of the estimates, (q, q)."""
        return self.covariance / np.outer(self.errors, self.errors)


def _report(data: CompleteData[P], parameters: P, covariance: np.ndarray) -> StandardErrors:
    # A Cholesky factorization asks for the sign of every curvature, whatever the parameters' units.
    try:
        np.linalg.cholesky(covariance)
    except np.linalg.LinAlgError as error:
        raise DataError(
            "the likelihood does not curve downwards at these parameters, so they have no standard errors; "
            "fit with a smaller tol, or with fewer components"
        ) from error
    return StandardErrors(
        data.names,
        data.offset + data.matrix @ data.to_vector(parameters),
        data.matrix @ covariance @ data.matrix.T,
    )


def _inverse(information: np.ndarray) -> np.ndarray:
    try:
        return np.linalg.inv(information)
    except np.linalg.LinAlgError as error:
        raise DataError(
            "the information matrix is singular: the data do not determine every parameter; "
            "fit fewer components or a simpler covariance_type"
        ) from error


def observed_information(data: CompleteData[P], parameters: P) -> StandardErrors:
    """Return standard errors from the observed information: complete minus missing (Louis 1982).

    Parameters
    ----------
    data : CompleteData
    parameters : P
        The maximum-likelihood estimate, to convergence.

    Raises
    ------
    DataError
        If the log-likelihood does not curve downwards there.

    References
    ----------
    .. [1] Louis (1982), "Finding the observed information matrix when using the EM algorithm", JRSS B 44,
           226-233.
    """
    complete, missing = data.information(parameters)
    return _report(data, parameters, _inverse(complete - missing))


def em_rates(data: CompleteData[P], parameters: P) -> np.ndarray:
    """Return the derivative of the EM map at a fixed point, (p, p): how slowly EM forgets each deviation.

    Entry (i, j) is the change of parameter i after one EM step per change of parameter j before it. The
    largest eigenvalue is EM's rate of convergence. Taken by central differences of the map.
    """
    center = data.to_vector(parameters)
    complete, _ = data.information(parameters)
    steps = SEM_STEP / np.sqrt(np.diagonal(complete))

    def mapped(vector: np.ndarray) -> np.ndarray:
        before = data.from_vector(vector)
        return data.to_vector(data.model.maximize(data.model.expect(before)[1], before))

    columns = [
        (mapped(center + shift) - mapped(center - shift)) / (2.0 * step)
        for step, shift in zip(steps, np.diag(steps), strict=True)
    ]
    return np.stack(columns, axis=1)


def supplemented_em(data: CompleteData[P], parameters: P) -> StandardErrors:
    """Return standard errors by supplemented EM (Meng & Rubin 1991): from EM's own rates of convergence.

    The covariance is that of complete data, inflated by 1 / (1 - rate) in matrix form. The original takes
    the rates from the iterates of EM; central differences of the EM map, as here, need no iterates and are
    more exact.

    Parameters and errors are those of `observed_information`.

    References
    ----------
    .. [1] Meng & Rubin (1991), "Using EM to obtain asymptotic variance-covariance matrices: the SEM
           algorithm", JASA 86, 899-909.
    """
    complete, _ = data.information(parameters)
    information = complete @ (np.eye(len(complete)) - em_rates(data, parameters))
    return _report(data, parameters, _inverse(0.5 * (information + information.T)))


def bootstrap(
    data: CompleteData[P],
    parameters: P,
    *,
    n_replicates: int = 400,
    random_state: int = 0,
    tol: float = 1e-8,
    max_iter: int = 2000,
    acceleration: str | None = "squarem",
    n_jobs: int | None = None,
) -> StandardErrors:
    """Return standard errors from fits to resampled data, each started at the estimate (Efron 1979).

    Parameters
    ----------
    data : CompleteData
    parameters : P
        The maximum-likelihood estimate.
    n_replicates : int
    random_state : int
    tol, max_iter
        Of every fit, as in `SmallGain`.
    acceleration : {"squarem", "anderson", None}
    n_jobs : int, optional
        Threads; the result does not depend on it.

    References
    ----------
    .. [1] Efron (1979), "Bootstrap methods: another look at the jackknife", Annals of Statistics 7, 1-26.
    """
    if n_replicates < 2:
        raise DataError(f"n_replicates is {n_replicates}; at least 2 are needed, 200 or more are usual")

    stopping = SmallGain(tol, max_iter)

    def fit(rng: np.random.Generator) -> np.ndarray:
        again = data.resampled(rng)
        result = run_em(again.model, parameters, stopping=stopping, acceleration=acceleration)
        return data.offset + data.matrix @ data.to_vector(result.parameters)

    generators = np.random.default_rng(random_state).spawn(n_replicates)
    with single_threaded_blas():
        replicates = np.array(map_blocks(fit, generators, n_jobs))
    estimates = data.offset + data.matrix @ data.to_vector(parameters)
    return StandardErrors(data.names, estimates, np.cov(replicates.T, ddof=1).reshape(2 * [len(estimates)]))
