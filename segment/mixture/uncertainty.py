"""The complete data of a Gaussian mixture: what the standard errors of its parameters are computed from."""

from __future__ import annotations

import numpy as np

from segment.data.samples import Samples
from segment.em.uncertainty import CompleteData
from segment.mixture.expectation import responsibilities
from segment.mixture.families.gaussian.covariance import CovarianceType
from segment.mixture.families.gaussian.family import Gaussian
from segment.mixture.families.gaussian.parameters import Parameters
from segment.mixture.model import MixtureModel

# Rows whose scores are held at once: rows x K x number of parameters.
_ROWS = 4096


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
        family = Gaussian.of(samples, covariance_type, reg_covar=0.0)
        self.model = MixtureModel(samples, family, n_components, n_jobs=1)
        K, D = n_components, samples.n_features
        self.entries = covariance_entries(family.type, K, D)
        self.shape = family.type.shape(K, D)
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
    kind: CovarianceType, K: int, D: int
) -> list[tuple[list[tuple[int, ...]], np.ndarray]]:
    """Return, for every free entry of the covariances, its cells and the slope of all K matrices in it.

    Returns
    -------
    list of (cells, slope)
        Cells are indices into the covariances of that type, equal by symmetry; slope is (K, D, D).
    """
    entries = []
    for cells in kind.free_cells(K, D):
        unit = np.zeros(kind.shape(K, D))
        for cell in cells:
            unit[cell] = 1.0
        parameters = Parameters(np.full(K, 1.0 / K), np.zeros((K, D)), unit, kind.name)
        entries.append((cells, parameters.spread_covariances()))
    return entries
