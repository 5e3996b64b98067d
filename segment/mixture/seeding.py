"""Where EM starts: k-means, random samples, or the winners of many short EM runs on a subsample."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from segment.data.samples import Samples
from segment.data.source import Source
from segment.data.subsample import subsample
from segment.em.result import EMResult
from segment.errors import DataError
from segment.mixture.families.family import Family
from segment.mixture.families.gaussian.family import Gaussian
from segment.mixture.model import run
from segment.mixture.race import Heat, leaders, race
from segment.parallel import single_threaded_blas

# The race of the short runs: docs/decisions/race-of-starts.md has what other numbers give.
SUBSAMPLE = 8192
N_SHORT_RUNS = 32
FIRST_STEPS = 12
N_FINALISTS = 4
SHORT_RUN_TOL = 1e-4
FINAL_TOL = 1e-5

METHODS = ("short_runs", "kmeans", "k-means++", "random")

# Finalists this close to the best (nats per unit of weight) may change places on all the samples.
MARGIN = 0.02


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


def _scale(samples: Samples) -> np.ndarray:
    deviation = np.sqrt(samples.variance)
    return np.where(deviation > 0, deviation, 1.0)


def _standardized(samples: Samples) -> Samples:
    """Scale each feature to variance 1, so that a stretched one does not decide; a constant one to 0."""
    standardized = (samples.X - samples.mean) / _scale(samples)
    # A missing entry is taken to lie at the mean.
    return Samples(np.where(np.isnan(standardized), 0.0, standardized), samples.sample_weight)


def parameters_from_means(
    samples: Samples, means: Any, *, family: Family[Any, Any] | None = None, **options: Any
) -> Any:
    """Return a start with given means; weights and covariances are those of the samples nearest to each.

    Parameters
    ----------
    samples : Samples
    means : (K, n_features) array
        Nearest is measured on standardized features. A mean that no sample is nearest to gets a tenth of
        an equal share of the weight.
    family : Family, optional
        By default Gaussian, with the options of `Gaussian.of`.
    **options
        `covariance_type`, `reg_covar`, `relative_reg` and `covariance_shrinkage` of `Gaussian.of`.

    Returns
    -------
    Parameters
    """
    family = family or Gaussian.of(samples, **options)
    means = np.asarray(means, dtype=np.float64)
    centers = (means - samples.mean) / _scale(samples)
    labels = _squared_distances(_standardized(samples).X, centers).argmin(axis=1)
    start = family.from_responsibilities(samples, labels[:, None] == np.arange(len(means)))
    weights = np.where(start.weights > 0, start.weights, 0.1 / len(means))
    return replace(start, weights=weights / weights.sum(), means=means)


def _heats(samples: Samples, family: Family[Any, Any], n_starts: int, n_jobs: int | None) -> Iterator[Heat]:
    """Give every start a few EM steps, drop the worse half, double the steps; the last ones converge."""

    def heat(tol: float, max_iter: int, most: int) -> Heat:
        def go_on(start: Any) -> EMResult[Any]:
            parameters = start.parameters if isinstance(start, EMResult) else start
            return run(samples, family, parameters, tol=tol, max_iter=max_iter, n_jobs=1)

        return Heat(go_on, most, n_jobs=n_jobs)

    steps = FIRST_STEPS
    while n_starts > N_FINALISTS:
        n_starts = max(N_FINALISTS, n_starts // 2)
        yield heat(SHORT_RUN_TOL, steps, n_starts)
        steps *= 2
    yield heat(FINAL_TOL, 1000, n_starts)


def starting_points(
    samples: Source,
    n_components: int,
    *,
    family: Family[Any, Any] | None = None,
    method: str = "short_runs",
    n_init: int | None = None,
    random_state: int | np.random.Generator | None = 0,
    n_jobs: int | None = None,
    **options: Any,
) -> list[Any]:
    """Return the starts that EM should be run from on all the samples, the most promising first.

    Parameters
    ----------
    samples : Source
        Those that are not in memory have their starts from a subsample; so have all of many rows.
    n_components : int
    family : Family, optional
        By default Gaussian, with the options of `Gaussian.of`.
    method : {"short_runs", "kmeans", "k-means++", "random"}
        "short_runs" (emEM): many random starts race on a subsample; each gets a few EM steps, the worse
        half drops out, the rest gets twice as many, and so on; what is close to the best at the end is
        returned. The others make one start, from centers on standardized features: "kmeans", weighted
        k-means++ and Lloyd's iterations; "k-means++", without the latter; "random", random rows.
    n_init : int, optional
        Number of short runs (default 32).
    random_state : int, Generator or None
    n_jobs : int, optional
        Threads; the result does not depend on it.
    **options
        `covariance_type`, `reg_covar`, `relative_reg` and `covariance_shrinkage` of `Gaussian.of`.

    Returns
    -------
    list of parameters
        Different optima; one start only unless `method` is "short_runs".

    Raises
    ------
    DataError
        If there are fewer samples than components, or an option is not known.

    References
    ----------
    .. [1] Biernacki, Celeux & Govaert (2003), "Choosing starting values for the EM algorithm for getting
           the highest likelihood in multivariate Gaussian mixture models", CSDA 41, 561-575.
    """
    _check_request(samples, n_components, method, n_init)
    rng = as_generator(random_state)
    family = family or Gaussian.of(samples, **options)
    part = part_with(samples, n_components, rng)
    standardized = _standardized(part)

    def start_from(centers: np.ndarray) -> Any:
        labels = _squared_distances(standardized.X, centers).argmin(axis=1)
        return family.from_responsibilities(part, labels[:, None] == np.arange(n_components))

    def random_centers(generator: np.random.Generator) -> np.ndarray:
        return standardized.X[_draw(part.sample_weight, generator, n_components)]

    single = {
        "kmeans": lambda: kmeans(standardized, n_components, rng)[0],
        "k-means++": lambda: kmeans_plusplus(standardized, n_components, rng),
        "random": lambda: random_centers(rng),
    }
    with single_threaded_blas():
        if n_components == 1:
            method = "random"
        if method in single:
            return [start_from(single[method]())]
        starts = [start_from(random_centers(generator)) for generator in rng.spawn(n_init or N_SHORT_RUNS)]
    finals = race(starts, _heats(part, family, len(starts), n_jobs))[-1]
    best = leaders(finals, len(finals), 10 * FINAL_TOL)
    highest = finals[best[0]].lower_bound
    near = [k for k in best[1:] if highest - finals[k].lower_bound < MARGIN]
    return [finals[k].parameters for k in (best[0], *near)]


def part_with(source: Source, n_components: int, rng: np.random.Generator) -> Samples:
    """Return a subsample to look for starts on; a larger one where few heavy rows are all of it."""
    size = SUBSAMPLE
    while True:
        part = subsample(source, size, rng)
        if part.n_samples >= n_components or size >= source.n_samples:
            return part
        size *= 16


def _check_request(samples: Source, n_components: int, method: str, n_init: int | None) -> None:
    if method not in METHODS:
        raise DataError(f"method is {method!r}; allowed are {', '.join(METHODS)}")
    if n_components < 1:
        raise DataError(f"n_components is {n_components}; at least 1 is needed")
    if n_components > samples.n_samples:
        raise DataError(
            f"n_components is {n_components}, but there are only {samples.n_samples} samples; "
            f"ask for at most {samples.n_samples}"
        )
    if n_init is not None and n_init < 1:
        raise DataError(f"n_init is {n_init}; at least one start is needed")


def initial_parameters(samples: Source, n_components: int, **options: Any) -> Any:
    """Return the most promising start.

    Parameters
    ----------
    samples : Samples
    n_components : int
    **options
        As `starting_points`.

    Returns
    -------
    parameters
    """
    return starting_points(samples, n_components, **options)[0]
