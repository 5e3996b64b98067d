"""Fit the mixture: a race of starts on some rows and the leading axes, then all rows, then all axes.

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

# Starts race at rising cost: all on a few rows and axes, the best of them on more, the last few on all rows.
# One start in ten to thirty leads to the best optimum of raw pixels, so many are needed and most are bad.
FIRST_AXES, FIRST_ROWS, FIRST_ROWS_EACH = 20, 6_000, 250
SECOND_ROWS = 20_000
SHORT_RUN_TOL, SHORT_RUN_STEPS = 2e-3, 30
# Shorter k-means gives as good starts as one that has converged.
KMEANS_STEPS = 5
# On these leading axes, and strongly regularized, the likelihood is compared: in more of them, or with a weak
# reg_covar, it prefers optima that split the ones and merge 4 with 9 (pixels: .68 in place of .77).
START_FEATURES = 30
START_REG_COVAR = 0.1
# On all axes a covariance of one class is badly determined: half of it is borrowed from the pool.
FINAL_REG_COVAR = 0.003
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
    race = _Race(leading, n_components, covariance_type, schedule, n_jobs)
    rng = np.random.default_rng(random_state)
    result, runs, rows = race.run(n_init, rng)
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
    shared: dict[str, Any] = {"reg_covar": FINAL_REG_COVAR, "covariance_shrinkage": FINAL_SHRINKAGE}
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
        reg_covar=FINAL_REG_COVAR,
        covariance_shrinkage=FINAL_SHRINKAGE,
    )


class _Race:
    """Many starts from k-means, of which ever fewer go on with ever more rows and axes."""

    def __init__(
        self,
        samples: Samples,
        n_components: int,
        covariance_type: str,
        schedule: Schedule,
        n_jobs: int | None,
    ) -> None:
        self.samples = samples
        self.n_components = n_components
        self.covariance_type = covariance_type
        self.schedule = schedule
        self.n_jobs = n_jobs

    def run(
        self, n_init: int, rng: np.random.Generator
    ) -> tuple[EMResult[Parameters], tuple[ShortRun, ...], np.ndarray]:
        """Return the best fit to all samples, every start, and the rows that the starts were made on."""
        order = rng.permutation(self.samples.n_samples)
        rows = np.sort(order[: max(FIRST_ROWS, FIRST_ROWS_EACH * self.n_components)])
        few = self._part(rows, FIRST_AXES)
        more = self._part(np.sort(order[: max(SECOND_ROWS, len(rows))]), START_FEATURES)

        def first(generator: np.random.Generator) -> EMResult[Parameters]:
            # Not standardized: small axes hold little of a digit and would count as much as the first.
            return self._short_run(few, kmeans(few, self.n_components, generator, KMEANS_STEPS)[1])

        def second(run: int) -> EMResult[Parameters]:
            leading = np.ascontiguousarray(more.X[:, :FIRST_AXES])
            return self._short_run(more, assign(leading, firsts[run].parameters, n_jobs=1))

        with single_threaded_blas():
            firsts = map_blocks(first, rng.spawn(n_init), self.n_jobs)
            going_on = _best(dict(enumerate(firsts)), self.schedule.second)
            seconds = dict(zip(going_on, map_blocks(second, going_on, self.n_jobs), strict=True))
        finalists = _best(seconds, self.schedule.last)
        thirds = {run: self._fit(seconds[run].parameters) for run in finalists}
        chosen = max(thirds, key=lambda run: thirds[run].lower_bound)
        runs = tuple(
            ShortRun(
                result.lower_bound,
                assign(few.X, result.parameters, n_jobs=self.n_jobs),
                1 + (run in seconds) + (run in thirds) + (run == chosen),
            )
            for run, result in enumerate(firsts)
        )
        return thirds[chosen], runs, rows

    def _part(self, rows: np.ndarray, axes: int) -> Samples:
        return Samples.of(np.ascontiguousarray(self.samples.X[rows, :axes]))

    def _short_run(self, samples: Samples, labels: np.ndarray) -> EMResult[Parameters]:
        start = parameters_from_responsibilities(
            samples,
            labels[:, None] == np.arange(self.n_components),
            covariance_type=self.covariance_type,
            reg_covar=START_REG_COVAR,
        )
        model = GaussianModel(
            samples, self.n_components, self.covariance_type, reg_covar=START_REG_COVAR, n_jobs=1
        )
        return run_em(model, start, tol=SHORT_RUN_TOL, max_iter=SHORT_RUN_STEPS)

    def _fit(self, start: Parameters) -> EMResult[Parameters]:
        options: dict[str, Any] = {"tol": self.schedule.tol, "reg_covar": START_REG_COVAR}
        return fit_em(self.samples, start, n_jobs=self.n_jobs, **options)


def _best(results: dict[int, EMResult[Parameters]], count: int) -> list[int]:
    """Return the runs of highest lower bound, best first, each optimum once."""
    ranked = sorted(results, key=lambda run: -results[run].lower_bound)
    kept = ranked[:1]
    for run in ranked[1:]:
        if len(kept) < count and results[kept[-1]].lower_bound - results[run].lower_bound > SHORT_RUN_TOL:
            kept.append(run)
    return kept
