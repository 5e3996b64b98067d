"""More components than clusters: several mixtures are merged, each by itself, and vote.

How many Gaussians meet where two classes touch is chance, and one merged wrongly costs a whole class; another
mixture errs elsewhere. In the end one mixture is fitted to the vote. The settings were found on MNIST with
the accuracy in view (docs/decisions/digit-committee.md); no label is used here.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from segment.data.samples import Samples
from segment.digits.fit import (
    START_FEATURES,
    START_REG,
    MixtureFit,
    ShortRun,
    check_request,
    fit_from_responsibilities,
)
from segment.em.result import EMResult
from segment.mixture.expectation import assign, responsibilities, score_samples
from segment.mixture.families.gaussian.family import Gaussian
from segment.mixture.families.gaussian.parameters import Parameters
from segment.mixture.merging import Merging, majority, merge_components, posterior_overlap
from segment.mixture.model import climb, run
from segment.mixture.seeding import kmeans
from segment.mixture.stepwise import stepwise_em
from segment.parallel import map_blocks, single_threaded_blas

# Starts, and how many of them, best log-likelihood first, go on and vote: fewer may fail to outvote an error.
STARTS, VOTERS = 8, 5
ROWS, ROWS_EACH = 20_000, 250
KMEANS_STEPS = 5
# Four passes of stepwise EM reach what a dozen steps on all samples reach.
PASSES, BLOCKS, BLOCK_ROWS_EACH = 4, 20, 10
STEPS, TOL = 10, 1e-4
# Purer components than with a strong relative_reg alone.
VOTER = {"relative_reg": 0.02, "covariance_shrinkage": 0.2}
REFIT_STEPS, REFIT_TOL = 30, 1e-3


def fit_merged(
    X: np.ndarray,
    n_components: int,
    n_clusters: int,
    method: str,
    *,
    covariance_type: str = "full",
    n_init: int | None = None,
    random_state: int = 0,
    n_jobs: int | None = None,
) -> tuple[MixtureFit, Merging]:
    """Fit a mixture of more components than clusters, and tell which components make up a cluster.

    Parameters
    ----------
    X : (n, d) float32 ndarray
        Principal components, strongest first.
    n_components, n_clusters : int
    method : "overlap", "demp" or "entropy"
        How each of the mixtures is merged.
    n_init : int, optional
        Number of starts (default 8).

    Raises
    ------
    DataError
        If there are fewer rows than components, or an option is not allowed.
    """
    n_init = STARTS if n_init is None else n_init
    check_request(len(X), n_components, n_init)
    samples = Samples.of(np.ascontiguousarray(X[:, :START_FEATURES]))
    rng = np.random.default_rng(random_state)
    rows = np.sort(rng.permutation(len(X))[: max(ROWS, ROWS_EACH * n_components)])
    starts = _starts(samples, len(rows), n_components, covariance_type, rng.spawn(n_init), n_jobs)
    few = np.ascontiguousarray(samples.X[rows])
    bounds = [float(score_samples(few, start, n_jobs=n_jobs).mean()) for start in starts]
    voters = sorted(range(n_init), key=lambda run: -bounds[run])[:VOTERS]
    posteriors = [_posterior(samples, starts[run], n_jobs) for run in voters]

    def merge(posterior: np.ndarray) -> Merging:
        return merge_components(posterior[rows], n_clusters, method, random_state=random_state)

    with single_threaded_blas():
        mergings = map_blocks(merge, posteriors, n_jobs)
    clusterings = [merging.merge(p) for merging, p in zip(mergings, posteriors, strict=True)]
    labels, reference = majority(clusterings)
    result = _refit(samples, labels, posteriors[reference], mergings[reference], covariance_type, n_jobs)
    posterior = responsibilities(samples.X, result.parameters, n_jobs=n_jobs)
    if X.shape[1] > START_FEATURES:
        result = fit_from_responsibilities(X, posterior, covariance_type=covariance_type, n_jobs=n_jobs)
        posterior = responsibilities(X, result.parameters, n_jobs=n_jobs)
    runs = tuple(
        ShortRun(bound, assign(few, start, n_jobs=n_jobs), _rounds(run, voters, voters[reference]))
        for run, (bound, start) in enumerate(zip(bounds, starts, strict=True))
    )
    overlap = posterior_overlap(posterior[rows], np.ones(len(rows)))
    return MixtureFit(result, posterior, runs, rows), replace(mergings[reference], overlap=overlap)


def _rounds(run: int, voters: list[int], chosen: int) -> int:
    return 4 if run == chosen else 3 if run in voters else 1


def _starts(
    samples: Samples,
    n_rows: int,
    n_components: int,
    covariance_type: str,
    generators: list[np.random.Generator],
    n_jobs: int | None,
) -> list[Parameters]:
    n_blocks = max(1, min(BLOCKS, samples.n_samples // (BLOCK_ROWS_EACH * n_components)))
    family = Gaussian.of(samples, covariance_type, **VOTER)

    def start(generator: np.random.Generator) -> Parameters:
        rows = np.sort(generator.permutation(samples.n_samples)[:n_rows])
        few = Samples.of(np.ascontiguousarray(samples.X[rows]))
        labels = kmeans(few, n_components, generator, KMEANS_STEPS)[1]
        rough = family.from_responsibilities(few, labels[:, None] == np.arange(n_components))
        return stepwise_em(samples, family, rough, generator, passes=PASSES, n_blocks=n_blocks, n_jobs=1)

    with single_threaded_blas():
        return map_blocks(start, generators, n_jobs)


def _posterior(samples: Samples, start: Parameters, n_jobs: int | None) -> np.ndarray:
    family = Gaussian.of(samples, start.covariance_type, **VOTER)
    # Extrapolation halves the steps; shrunk steps climb no likelihood, but near enough for it to be safe:
    # a point that lies lower than the one before is not taken.
    parameters = run(samples, family, start, tol=TOL, max_iter=STEPS, n_jobs=n_jobs).parameters
    return responsibilities(samples.X, parameters, n_jobs=n_jobs)


def _refit(
    samples: Samples,
    labels: np.ndarray,
    posterior: np.ndarray,
    merging: Merging,
    covariance_type: str,
    n_jobs: int | None,
) -> EMResult[Parameters]:
    """Fit each cluster's components to its samples alone, and put the mixture together from them.

    Ten small mixtures cost a tenth of a large one, and a component that no longer reaches into another
    class is purer.
    """
    clear = np.zeros_like(posterior)

    def refit(cluster: int) -> None:
        own, columns = np.flatnonzero(labels == cluster), np.flatnonzero(merging.groups == cluster)
        part = Samples.of(np.ascontiguousarray(samples.X[own]))
        shares = posterior[np.ix_(own, columns)] + 1e-12
        family = Gaussian.of(part, covariance_type, relative_reg=START_REG)
        start = family.from_responsibilities(part, shares / shares.sum(axis=1, keepdims=True))
        fitted = run(part, family, start, tol=REFIT_TOL, max_iter=REFIT_STEPS, n_jobs=1).parameters
        clear[np.ix_(own, columns)] = responsibilities(part.X, fitted, n_jobs=1)

    with single_threaded_blas():
        map_blocks(refit, range(merging.n_clusters), n_jobs)
    family = Gaussian.of(samples, covariance_type, relative_reg=START_REG)
    whole = family.from_responsibilities(samples, clear)
    return climb(samples, family, whole, tol=REFIT_TOL, max_iter=1, n_jobs=n_jobs)
