"""Where EM starts: k-means, random samples, or the best of many short EM runs on a subsample."""

from __future__ import annotations

import numpy as np

from segment.errors import DataError
from segment.mixture.em import run_em
from segment.mixture.gaussian import GaussianModel, parameters_from_responsibilities
from segment.mixture.parameters import Parameters
from segment.mixture.samples import Samples
from segment.parallel import map_blocks

# Samples that the starts are made on, at most.
SUBSAMPLE = 8192

# EM steps of one short run: they end when a step gains less than this, in nats per sample.
SHORT_RUN_TOL = 1e-2
SHORT_RUN_STEPS = 40
N_SHORT_RUNS = 16


def as_generator(random_state: int | np.random.Generator | None) -> np.random.Generator:
    """Return a random generator from a seed, a generator (used as it is) or None (unpredictable)."""
    return np.random.default_rng(random_state)


def _squared_distances(X: np.ndarray, centers: np.ndarray) -> np.ndarray:
    squares = np.einsum("ij,ij->i", X, X)[:, None] + np.einsum("ij,ij->i", centers, centers)
    return np.maximum(squares - 2.0 * (X @ centers.T), 0.0)


def _draw(weight: np.ndarray, rng: np.random.Generator, size: int | None = None) -> np.ndarray:
    """Draw rows with probability proportional to weight, by inverting the cumulative weights.

    A row of weight w and w copies of it in its place are drawn by the same random numbers: that a weight
    equals repetition holds for whole fits, not in distribution only.
    """
    edges = np.cumsum(weight)
    rows = np.searchsorted(edges, rng.random(size) * edges[-1], side="right")
    return np.minimum(rows, len(weight) - 1)


def kmeans_plusplus(samples: Samples, n_clusters: int, rng: np.random.Generator) -> np.ndarray:
    """Choose spread-out rows as centers (Arthur & Vassilvitskii 2007), the best of a few draws each time.

    Parameters
    ----------
    samples : Samples
    n_clusters : int
    rng : numpy.random.Generator

    Returns
    -------
    (n_clusters, n_features) float64 ndarray
        Where there are fewer distinct rows than clusters, some are equal.
    """
    X, weight = samples.X.astype(np.float64), samples.sample_weight
    n_trials = 2 + int(np.log(n_clusters))
    centers = X[_draw(weight, rng, 1)]
    nearest = _squared_distances(X, centers)[:, 0]
    for _ in range(1, n_clusters):
        mass = weight * nearest
        rows = _draw(mass if mass.sum() > 0 else weight, rng, n_trials)
        distances = np.minimum(nearest[:, None], _squared_distances(X, X[rows]))
        best = int(np.argmin(weight @ distances))
        centers = np.vstack([centers, X[rows[best]]])
        nearest = distances[:, best]
    return centers


def kmeans(
    samples: Samples, n_clusters: int, rng: np.random.Generator, max_iter: int = 20
) -> tuple[np.ndarray, np.ndarray]:
    """Weighted k-means: k-means++ seeds, then Lloyd's iterations.

    Returns
    -------
    centers : (n_clusters, n_features) float64 ndarray
    labels : (n_samples,) int64 ndarray
    """
    X, weight = samples.X.astype(np.float64), samples.sample_weight
    centers = kmeans_plusplus(samples, n_clusters, rng)
    labels = np.full(len(X), -1)
    for _ in range(max_iter):
        nearest = _squared_distances(X, centers).argmin(axis=1)
        if np.array_equal(nearest, labels):
            break
        labels = nearest
        counts = np.bincount(labels, weight, n_clusters)
        kept = counts > 0
        sums = np.stack([np.bincount(labels, weight * column, n_clusters) for column in X.T], axis=1)
        centers[kept] = sums[kept] / counts[kept, None]
    return centers, labels


def _standardised(samples: Samples) -> Samples:
    """Scale each feature to variance 1, so that a stretched one does not decide; a constant one to 0."""
    deviation = np.sqrt(samples.variance)
    scale = np.where(deviation > 0, deviation, 1.0)
    return Samples((samples.X - samples.mean) / scale, samples.sample_weight)


def _from_centers(samples: Samples, standardised: Samples, centers: np.ndarray, **options) -> Parameters:
    labels = _squared_distances(standardised.X, centers).argmin(axis=1)
    responsibilities = labels[:, None] == np.arange(len(centers))
    return parameters_from_responsibilities(samples, responsibilities, **options)


def _short_run(
    samples: Samples,
    standardised: Samples,
    n_components: int,
    rng: np.random.Generator,
    number: int,
    **options,
) -> tuple[float, Parameters]:
    """Run EM for a few steps from k-means (even numbers) or from random rows (odd ones)."""
    if number % 2 == 0:
        centers, _ = kmeans(standardised, n_components, rng)
    else:
        centers = standardised.X[_draw(standardised.sample_weight, rng, n_components)]
    start = _from_centers(samples, standardised, centers, **options)
    model = GaussianModel(samples, n_components, start.covariance_type, n_jobs=1,
                          reg_covar=options["reg_covar"],
                          covariance_shrinkage=options["covariance_shrinkage"])  # fmt: skip
    result = run_em(model, start, tol=SHORT_RUN_TOL, max_iter=SHORT_RUN_STEPS, acceleration=None)
    return result.lower_bound, result.parameters


def initial_parameters(
    samples: Samples,
    n_components: int,
    *,
    covariance_type: str = "full",
    method: str = "short_runs",
    n_init: int | None = None,
    random_state: int | np.random.Generator | None = 0,
    reg_covar: float = 1e-6,
    covariance_shrinkage: float = 0.0,
    n_jobs: int | None = None,
) -> Parameters:
    """Return parameters for EM to start from.

    Parameters
    ----------
    samples : Samples
    n_components : int
    method : {"short_runs", "kmeans", "random"}
        "short_runs" (emEM): `n_init` starts, from k-means and from random rows in turn, a few EM steps
        each on a subsample, and the one of the best lower bound; "kmeans": weighted k-means++ and Lloyd's
        iterations on standardised features; "random": random rows as means.
    n_init : int, optional
        Number of short runs (default 16); the other methods make one start.
    random_state : int, Generator or None

    Raises
    ------
    DataError
        If there are fewer samples than components, or an option is not known.

    References
    ----------
    .. [1] Biernacki, Celeux & Govaert (2003), "Choosing starting values for the EM algorithm for getting
           the highest likelihood in multivariate Gaussian mixture models", CSDA 41, 561-575.
    """
    if n_components < 1:
        raise DataError(f"n_components is {n_components}; at least 1 is needed")
    if n_components > samples.n_samples:
        raise DataError(
            f"n_components is {n_components}, but there are only {samples.n_samples} samples; "
            f"ask for at most {samples.n_samples}"
        )
    if n_init is not None and n_init < 1:
        raise DataError(f"n_init is {n_init}; at least one start is needed")
    rng = as_generator(random_state)
    part = samples.subsample(SUBSAMPLE, rng)
    if part.n_samples < n_components:
        part = samples
    standardised = _standardised(part)
    options = {
        "covariance_type": covariance_type,
        "reg_covar": reg_covar,
        "covariance_shrinkage": covariance_shrinkage,
    }
    if method == "kmeans":
        return _from_centers(part, standardised, kmeans(standardised, n_components, rng)[0], **options)
    if method == "random":
        rows = _draw(part.sample_weight, rng, n_components)
        return _from_centers(part, standardised, standardised.X[rows], **options)
    if method == "short_runs":
        return _best_short_run(
            part, standardised, n_components, n_init or N_SHORT_RUNS, rng, n_jobs, **options
        )
    raise DataError(f"method is {method!r}; allowed are 'short_runs', 'kmeans' and 'random'")


def _best_short_run(
    samples: Samples, standardised: Samples, n_components: int, n_init: int,
    rng: np.random.Generator, n_jobs: int | None, **options,
) -> Parameters:  # fmt: skip
    if n_components == 1:
        n_init = 1
    runs = list(enumerate(rng.spawn(n_init)))

    def run(numbered: tuple[int, np.random.Generator]) -> tuple[float, Parameters]:
        number, generator = numbered
        return _short_run(samples, standardised, n_components, generator, number, **options)

    results = map_blocks(run, runs, n_jobs)
    return max(results, key=lambda result: result[0])[1]
