"""Fit the mixture: a race of starts on some rows and the leading axes, then all rows, then all axes.

The settings were found on MNIST with the accuracy in view (docs/decisions/digit-starts.md); no label is used
here, nor to choose a run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from segment.data.samples import Samples
from segment.em.result import EMResult
from segment.errors import DataError
from segment.mixture.expectation import assign, responsibilities
from segment.mixture.families.gaussian.family import Gaussian
from segment.mixture.families.gaussian.parameters import Parameters
from segment.mixture.fitting import fit_em, parameters_from_responsibilities, warn_of
from segment.mixture.model import climb, run
from segment.mixture.race import Heat, leaders, race
from segment.mixture.seeding import kmeans

# Starts race at rising cost: all on a few rows and axes, the best of them on more, the last few on all rows.
FIRST_AXES, FIRST_ROWS, FIRST_ROWS_EACH = 20, 6_000, 250
SECOND_ROWS = 20_000
SHORT_RUN_TOL, SHORT_RUN_STEPS, MOST_STEPS = 2e-3, 30, 1000
# Shorter k-means gives as good starts as one that has converged.
KMEANS_STEPS = 5
# On these leading axes, and strongly regularized, the likelihood is compared: in more of them, or with a weak
# reg_covar, it prefers optima that split the ones and merge 4 with 9.
START_FEATURES = 30
START_REG = 0.1
# On all axes a covariance of one class is badly determined: half of it is borrowed from the pool.
FINAL_REG = 0.003
FINAL_SHRINKAGE = 0.5
FINAL_TOL = 1e-2
FINAL_STEPS = 15
# Responsibilities below this say nothing of a component's shape, and skipping them saves most of the work.
NEGLIGIBLE = 1e-3


@dataclass(frozen=True)
class Schedule:
    """How many starts there are, go on to more rows, and are fitted to all rows with `tol`."""

    starts: int
    second: int
    last: int
    tol: float


# Many components are slower to fit (those that are merged to fewer clusters: see `committee`).
FEW_COMPONENTS = 20
FEW, MANY = Schedule(32, 8, 3, 2e-4), Schedule(6, 6, 1, 2e-3)


@dataclass(frozen=True)
class ShortRun:
    """One of the starts: its lower bound and labels on the first few rows, and how far it got.

    `rounds` is 1 for a run that was dropped at once, 2 or 3 for one that went on, 4 for the one chosen.
    """

    lower_bound: float
    labels: np.ndarray
    rounds: int


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
        The rows that the starts were made on.
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
    n_init: int | None = None,
    random_state: int = 0,
    n_jobs: int | None = None,
) -> MixtureFit:
    """Fit a mixture to the features of digits.

    Parameters
    ----------
    X : (n, d) float32 ndarray
        Principal components, strongest first.
    n_components : int
    n_init : int, optional
        Number of starts (default 32; 6 for more than 20 components).

    Raises
    ------
    DataError
        If there are fewer rows than components, or an option is not allowed.
    """
    schedule = FEW if n_components <= FEW_COMPONENTS else MANY
    n_init = schedule.starts if n_init is None else n_init
    check_request(len(X), n_components, n_init)
    leading = Samples.of(np.ascontiguousarray(X[:, :START_FEATURES]))
    rng = np.random.default_rng(random_state)
    result, runs, rows = _race(leading, n_components, covariance_type, schedule, n_init, rng, n_jobs)
    posterior = responsibilities(leading.X, result.parameters, n_jobs=n_jobs)
    if X.shape[1] > START_FEATURES:
        result = fit_from_responsibilities(X, posterior, covariance_type=covariance_type, n_jobs=n_jobs)
        posterior = responsibilities(X, result.parameters, n_jobs=n_jobs)
    return MixtureFit(result, posterior, runs, rows)


def check_request(n_samples: int, n_components: int, n_init: int) -> None:
    """Refuse what no mixture can be fitted with."""
    if not 1 <= n_components <= n_samples:
        raise DataError(f"{n_components} components for {n_samples} digits; allowed are 1 to {n_samples}")
    if n_init < 1:
        raise DataError(f"n_init is {n_init}; allowed are 1, 2, 3, ...")


def fit_from_responsibilities(
    X: np.ndarray, posterior: np.ndarray, *, covariance_type: str = "full", n_jobs: int | None = None
) -> EMResult[Parameters]:
    """Continue EM on all axes from given responsibilities, with shrunk covariances."""
    samples = Samples.of(X)
    shared: dict[str, Any] = {"relative_reg": FINAL_REG, "covariance_shrinkage": FINAL_SHRINKAGE}
    clear = np.where(posterior < NEGLIGIBLE, 0.0, posterior)
    start = parameters_from_responsibilities(samples, clear, covariance_type=covariance_type, **shared)
    return fit_em(samples, start, tol=FINAL_TOL, max_iter=FINAL_STEPS, n_jobs=n_jobs, **shared)


def mixture_of_labels(
    X: np.ndarray, labels: np.ndarray, n_clusters: int, covariance_type: str = "full"
) -> Parameters:
    """Return the mixture that has one component for each cluster, estimated from hard labels."""
    return parameters_from_responsibilities(
        Samples.of(X),
        labels[:, None] == np.arange(n_clusters),
        covariance_type=covariance_type,
        relative_reg=FINAL_REG,
        covariance_shrinkage=FINAL_SHRINKAGE,
    )


def _race(
    samples: Samples,
    n_components: int,
    covariance_type: str,
    schedule: Schedule,
    n_init: int,
    rng: np.random.Generator,
    n_jobs: int | None,
) -> tuple[EMResult[Parameters], tuple[ShortRun, ...], np.ndarray]:
    """Race starts from k-means, of which ever fewer go on with ever more rows and axes.

    Returns the best fit to all samples, every start, and the rows that the starts were made on.
    """
    order = rng.permutation(samples.n_samples)
    rows = np.sort(order[: max(FIRST_ROWS, FIRST_ROWS_EACH * n_components)])
    few = _part(samples, rows, FIRST_AXES)
    more = _part(samples, np.sort(order[: max(SECOND_ROWS, len(rows))]), START_FEATURES)
    leading = np.ascontiguousarray(more.X[:, :FIRST_AXES])
    whole = Gaussian.of(samples, covariance_type, relative_reg=START_REG)

    def short_run(part: Samples, labels: np.ndarray) -> EMResult[Parameters]:
        family = Gaussian.of(part, covariance_type, relative_reg=START_REG)
        start = family.from_responsibilities(part, labels[:, None] == np.arange(n_components))
        return run(part, family, start, tol=SHORT_RUN_TOL, max_iter=SHORT_RUN_STEPS, n_jobs=1)

    def first(generator: np.random.Generator) -> EMResult[Parameters]:
        # Not standardized: small axes hold little of a digit and would count as much as the first.
        return short_run(few, kmeans(few, n_components, generator, KMEANS_STEPS)[1])

    def second(before: EMResult[Parameters]) -> EMResult[Parameters]:
        return short_run(more, assign(leading, before.parameters, n_jobs=1))

    def last(before: EMResult[Parameters]) -> EMResult[Parameters]:
        return climb(samples, whole, before.parameters, tol=schedule.tol, max_iter=MOST_STEPS, n_jobs=n_jobs)

    heats = (
        Heat(first, schedule.second, SHORT_RUN_TOL, n_jobs),
        Heat(second, schedule.last, SHORT_RUN_TOL, n_jobs),
        Heat(last, 1, n_jobs=1),
    )
    rounds = race(rng.spawn(n_init), heats)
    chosen = leaders(rounds[-1], 1)[0]
    runs = tuple(
        ShortRun(
            result.lower_bound,
            assign(few.X, result.parameters, n_jobs=n_jobs),
            sum(start in results for results in rounds) + (start == chosen),
        )
        for start, result in rounds[0].items()
    )
    warn_of(rounds[-1][chosen], schedule.tol, MOST_STEPS)
    return rounds[-1][chosen], runs, rows


def _part(samples: Samples, rows: np.ndarray, axes: int) -> Samples:
    return Samples.of(np.ascontiguousarray(samples.X[rows, :axes]))
