"""Fit the mixture: short runs on a part of the rows and the leading axes, then all rows, then all axes.

The settings were found on MNIST with the accuracy in view; no label is used here, nor to choose a run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from segment.errors import DataError
from segment.mixture.em import EMResult, run_em
from segment.mixture.expectation import assign, responsibilities
from segment.mixture.gaussian import GaussianModel, fit_em, parameters_from_responsibilities
from segment.mixture.parameters import Parameters
from segment.mixture.samples import Samples
from segment.mixture.seeding import kmeans
from segment.parallel import map_blocks, single_threaded_blas

# The likelihood is compared between starts on these many leading axes, strongly regularised: with a weak
# reg_covar it prefers optima that split the ones and merge 4 with 9.
START_FEATURES = 50
START_REG_COVAR = 0.1
SHORT_RUN_ROWS = 20_000
SHORT_RUN_TOL = 2e-3
SHORT_RUN_STEPS = 60
START_TOL = 2e-4
# On all axes a covariance of one class is badly determined: half of it is borrowed from the pool.
FINAL_REG_COVAR = 0.003
FINAL_SHRINKAGE = 0.5
FINAL_TOL = 1e-2
FINAL_STEPS = 15
# Responsibilities below this say nothing of a component's shape, and skipping them saves most of the work.
NEGLIGIBLE = 1e-3


@dataclass(frozen=True)
class ShortRun:
    """One of the starts: its lower bound and its labels on the rows that all starts were made on."""

    lower_bound: float
    labels: np.ndarray


@dataclass(frozen=True)
class MixtureFit:
    """A fitted mixture and how it was come by.

    Attributes
    ----------
    result : EMResult
        Of the last stage.
    responsibilities : (n, n_components) float64 ndarray
    short_runs : tuple of ShortRun
    short_run_rows : (n_rows,) int64 ndarray
        The rows that the short runs were made on.
    """

    result: EMResult[Parameters]
    responsibilities: np.ndarray
    short_runs: tuple[ShortRun, ...]
    short_run_rows: np.ndarray


def fit_digits(
    X: np.ndarray,
    n_components: int,
    *,
    covariance_type: str = "full",
    n_init: int = 10,
    random_state: int = 0,
    n_jobs: int | None = None,
) -> MixtureFit:
    """Fit a mixture to the features of digits.

    Parameters
    ----------
    X : (n, d) float32 ndarray
        Principal components, strongest first.
    n_components : int
    n_init : int
        Number of short runs; the best lower bound on their rows is continued on all rows.

    Raises
    ------
    DataError
        If there are fewer rows than components, or an option is not allowed.
    """
    if not 1 <= n_components <= len(X):
        raise DataError(f"{n_components} components for {len(X)} digits; allowed are 1 to {len(X)}")
    if n_init < 1:
        raise DataError(f"n_init is {n_init}; allowed are 1, 2, 3, ...")
    leading = Samples.of(np.ascontiguousarray(X[:, :START_FEATURES]))
    rng = np.random.default_rng(random_state)
    rows = np.sort(rng.permutation(len(X))[: max(SHORT_RUN_ROWS, n_components)])
    part = Samples.of(leading.X[rows])

    def short_run(generator: np.random.Generator) -> EMResult[Parameters]:
        return _short_run(part, n_components, covariance_type, generator)

    with single_threaded_blas():
        results = map_blocks(short_run, rng.spawn(n_init), n_jobs)
    runs = tuple(ShortRun(run.lower_bound, assign(part.X, run.parameters, n_jobs=n_jobs)) for run in results)
    best = max(results, key=lambda run: run.lower_bound)
    result = fit_em(leading, best.parameters, tol=START_TOL, reg_covar=START_REG_COVAR, n_jobs=n_jobs)
    posterior = responsibilities(leading.X, result.parameters, n_jobs=n_jobs)
    if X.shape[1] > START_FEATURES:
        result = fit_from_responsibilities(X, posterior, covariance_type=covariance_type, n_jobs=n_jobs)
        posterior = responsibilities(X, result.parameters, n_jobs=n_jobs)
    return MixtureFit(result, posterior, runs, rows)


def fit_from_responsibilities(
    X: np.ndarray, posterior: np.ndarray, *, covariance_type: str = "full", n_jobs: int | None = None
) -> EMResult[Parameters]:
    """Continue EM on all axes from given responsibilities, with shrunk covariances."""
    samples = Samples.of(X)
    shared: dict[str, Any] = {"reg_covar": FINAL_REG_COVAR, "covariance_shrinkage": FINAL_SHRINKAGE}
    clear = np.where(posterior < NEGLIGIBLE, 0.0, posterior)
    start = parameters_from_responsibilities(samples, clear, covariance_type=covariance_type, **shared)
    return fit_em(samples, start, tol=FINAL_TOL, max_iter=FINAL_STEPS, n_jobs=n_jobs, **shared)


def mixture_of_labels(
    X: np.ndarray, labels: np.ndarray, n_clusters: int, covariance_type: str = "full"
) -> Parameters:
    """Return the mixture that has one component for each cluster, estimated from hard labels."""
    return parameters_from_responsibilities(
        Samples.of(X), labels[:, None] == np.arange(n_clusters), covariance_type=covariance_type,
        reg_covar=FINAL_REG_COVAR, covariance_shrinkage=FINAL_SHRINKAGE,
    )  # fmt: skip


def _short_run(
    samples: Samples, n_components: int, covariance_type: str, rng: np.random.Generator
) -> EMResult[Parameters]:
    # Not standardised: small axes hold little of a digit and would count as much as the first.
    _, labels = kmeans(samples, n_components, rng)
    start = parameters_from_responsibilities(
        samples, labels[:, None] == np.arange(n_components),
        covariance_type=covariance_type, reg_covar=START_REG_COVAR,
    )  # fmt: skip
    model = GaussianModel(samples, n_components, covariance_type, reg_covar=START_REG_COVAR,
                          covariance_shrinkage=0.0, n_jobs=1)  # fmt: skip
    return run_em(model, start, tol=SHORT_RUN_TOL, max_iter=SHORT_RUN_STEPS, acceleration=None)
