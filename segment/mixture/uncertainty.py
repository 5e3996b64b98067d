"""How sure is a fit? Standard errors of the parameters of any model that EM has fitted.

Three ways to one answer. Louis's observed information and supplemented EM ask the likelihood's curvature at
the optimum, the one by formula, the other through the EM map alone; the bootstrap fits resampled data and
needs no curvature. All serve any `CompleteData`; `GaussianData` is the one of Gaussian mixtures.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from segment.errors import DataError
from segment.mixture.covariance import covariance_type_of
from segment.mixture.em import Model, run_em
from segment.mixture.expectation import responsibilities
from segment.mixture.gaussian import GaussianModel
from segment.mixture.parameters import Parameters
from segment.mixture.samples import Samples
from segment.parallel import map_blocks, single_threaded_blas

P = TypeVar("P")

# Rows whose scores are held at once: rows x K x number of parameters.
_ROWS = 4096

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
    tol, max_iter, acceleration
        Of every fit, as in `run_em`.
    n_jobs : int, optional
        Threads; the result does not depend on it.

    References
    ----------
    .. [1] Efron (1979), "Bootstrap methods: another look at the jackknife", Annals of Statistics 7, 1-26.
    """
    if n_replicates < 2:
        raise DataError(f"n_replicates is {n_replicates}; at least 2 are needed, 200 or more are usual")

    def fit(rng: np.random.Generator) -> np.ndarray:
        again = data.resampled(rng)
        result = run_em(again.model, parameters, tol=tol, max_iter=max_iter, acceleration=acceleration)
        return data.offset + data.matrix @ data.to_vector(result.parameters)

    generators = np.random.default_rng(random_state).spawn(n_replicates)
    with single_threaded_blas():
        replicates = np.array(map_blocks(fit, generators, n_jobs))
    estimates = data.offset + data.matrix @ data.to_vector(parameters)
    return StandardErrors(data.names, estimates, np.cov(replicates.T, ddof=1).reshape(2 * [len(estimates)]))


class GaussianData(CompleteData[Parameters]):
    """Complete data of a Gaussian mixture: its free parameters are weights, means and (co)variances.

    Parameters
    ----------
    samples : Samples
    n_components : int
    covariance_type : {"full", "diag", "tied", "spherical"}

    Notes
    -----
    The likelihood is the plain one, without reg_covar. A block of samples holds as many numbers a sample as
    there are parameters times components: this is for mixtures of few features.
    """

    def __init__(self, samples: Samples, n_components: int, covariance_type: str = "full") -> None:
        self.samples = samples
        self.n_components, self.covariance_type = n_components, covariance_type
        self.model = GaussianModel(samples, n_components, covariance_type, reg_covar=0.0, n_jobs=1)
        K, D = n_components, samples.n_features
        self.entries = covariance_entries(covariance_type, K, D)
        self.shape = covariance_type_of(covariance_type).shape(K, D)
        self.names = (
            *(f"weight {k + 1}" for k in range(K)),
            *(f"mean {k + 1}" + _subscript(D, j) for k in range(K) for j in range(D)),
            *(f"covariance {j + 1}" for j in range(len(self.entries))),
        )
        p = len(self.names) - 1
        self.offset = np.zeros(p + 1)
        self.offset[K - 1] = 1.0
        self.matrix = np.insert(np.eye(p), K - 1, 0.0, axis=0)
        self.matrix[K - 1, : K - 1] = -1.0

    def to_vector(self, parameters: Parameters) -> np.ndarray:
        free = [parameters.covariances[index[0]] for index, _ in self.entries]
        return np.concatenate([parameters.weights[:-1], parameters.means.ravel(), free])

    def from_vector(self, vector: np.ndarray) -> Parameters:
        K, D = self.n_components, self.samples.n_features
        weights, means, free = np.split(vector, [K - 1, K - 1 + K * D])
        covariances = np.zeros(self.shape)
        for value, (index, _) in zip(free, self.entries, strict=True):
            for cell in index:
                covariances[cell] = value
        last = 1.0 - weights.sum()
        return Parameters(np.append(weights, last), means.reshape(K, D), covariances, self.covariance_type)

    def resampled(self, rng: np.random.Generator) -> GaussianData:
        weight = self.samples.sample_weight
        draws = rng.multinomial(round(self.samples.total_weight), weight / weight.sum())
        kept = draws > 0
        samples = Samples(self.samples.X[kept], draws[kept].astype(np.float64))
        return GaussianData(samples, self.n_components, self.covariance_type)

    def information(self, parameters: Parameters) -> tuple[np.ndarray, np.ndarray]:
        precisions = np.linalg.inv(parameters.spread_covariances())
        slopes = np.stack([slope for _, slope in self.entries])
        p = self.matrix.shape[1]
        complete, missing = np.zeros((p, p)), np.zeros((p, p))
        for start in range(0, self.samples.n_samples, _ROWS):
            rows = slice(start, start + _ROWS)
            X, weight = self.samples.X[rows].astype(np.float64), self.samples.sample_weight[rows]
            shares = responsibilities(X, parameters, n_jobs=1)
            scores = self._scores(X, parameters, precisions, slopes)
            mean_scores = np.einsum("ik,ikp->ip", shares, scores)
            shares *= weight[:, None]
            missing += np.einsum("ik,ikp,ikq->pq", shares, scores, scores, optimize=True)
            missing -= (mean_scores * weight[:, None]).T @ mean_scores
            complete += self._curvature(X, shares, parameters, precisions, slopes)
        return complete, missing

    def _scores(
        self, X: np.ndarray, parameters: Parameters, precisions: np.ndarray, slopes: np.ndarray
    ) -> np.ndarray:
        """Return the first derivatives of log(weight) + log density of each component, (n, K, p)."""
        n, (K, D) = len(X), parameters.means.shape
        scaled = np.einsum("kab,ikb->ika", precisions, X[:, None, :] - parameters.means)
        scores = np.zeros((n, K, self.matrix.shape[1]))
        for k in range(K):
            if k < K - 1:
                scores[:, k, k] = 1.0 / parameters.weights[k]
            else:
                scores[:, k, : K - 1] = -1.0 / parameters.weights[k]
            scores[:, k, K - 1 + k * D : K - 1 + (k + 1) * D] = scaled[:, k]
        squares = np.einsum("ika,jkab,ikb->ikj", scaled, slopes, scaled, optimize=True)
        traces = np.einsum("kab,jkba->kj", precisions, slopes)
        scores[:, :, K - 1 + K * D :] = 0.5 * (squares - traces)
        return scores

    def _curvature(
        self,
        X: np.ndarray,
        shares: np.ndarray,
        parameters: Parameters,
        precisions: np.ndarray,
        slopes: np.ndarray,
    ) -> np.ndarray:
        """Return the negative second derivatives of the expected complete-data log-likelihood, (p, p)."""
        K, D = parameters.means.shape
        out = np.zeros(2 * (self.matrix.shape[1],))
        counts = shares.sum(axis=0)
        inflated = counts / parameters.weights**2
        out[: K - 1, : K - 1] = np.diag(inflated[:-1]) + inflated[-1]
        tail = slice(K - 1 + K * D, None)
        for k in range(K):
            precision = precisions[k]
            centered = X - parameters.means[k]
            first = shares[:, k] @ centered
            second = (centered * shares[:, [k]]).T @ centered
            own = slice(K - 1 + k * D, K - 1 + (k + 1) * D)
            out[own, own] = counts[k] * precision
            bent = precision @ slopes[:, k] @ precision
            out[own, tail] = (bent @ first).T
            out[tail, own] = out[own, tail].T
            middle = second - 0.5 * counts[k] * parameters.spread_covariances()[k]
            out[tail, tail] += np.einsum(
                "jab,lbc,ca->jl", bent, slopes[:, k], precision @ middle, optimize=True
            )
        out[tail, tail] = 0.5 * (out[tail, tail] + out[tail, tail].T)
        return out


def _subscript(D: int, j: int) -> str:
    return f", feature {j + 1}" if D > 1 else ""


def covariance_entries(
    covariance_type: str, K: int, D: int
) -> list[tuple[list[tuple[int, ...]], np.ndarray]]:
    """Return, for every free entry of the covariances, its cells and the slope of all K matrices in it.

    Returns
    -------
    list of (cells, slope)
        Cells are indices into the covariances of that type, equal by symmetry; slope is (K, D, D).
    """
    everywhere: dict[str, list[list[tuple[int, ...]]]] = {
        "full": [[(k, a, b), (k, b, a)] for k in range(K) for a in range(D) for b in range(a + 1)],
        "diag": [[(k, a)] for k in range(K) for a in range(D)],
        "tied": [[(a, b), (b, a)] for a in range(D) for b in range(a + 1)],
        "spherical": [[(k,)] for k in range(K)],
    }
    entries = []
    for cells in everywhere[covariance_type]:
        unit = np.zeros(covariance_type_of(covariance_type).shape(K, D))
        for cell in cells:
            unit[cell] = 1.0
        entries.append((cells, _spread(unit, covariance_type, K, D)))
    return entries


def _spread(unit: np.ndarray, covariance_type: str, K: int, D: int) -> np.ndarray:
    return Parameters(np.full(K, 1.0 / K), np.zeros((K, D)), unit, covariance_type).spread_covariances()
