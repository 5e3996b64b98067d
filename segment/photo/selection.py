"""How many color clusters? The fewest that gain nearly the best ICL over 1 .. 12, on a coarse histogram.

docs/decisions/number-of-colors.md has what else was tried.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from segment.data.samples import Samples
from segment.data.subsample import subsample
from segment.em.result import EMResult
from segment.mixture.expectation import log_densities
from segment.mixture.families.gaussian.family import Gaussian
from segment.mixture.families.gaussian.parameters import Parameters
from segment.mixture.model import run
from segment.mixture.race import Heat, leaders, race
from segment.mixture.seeding import starting_points

MAX_COMPONENTS = 12

# A photo counts as this many samples. Neighboring pixels repeat each other: a pixel's color says much about
# those within some 8 pixels, so that a photo of 481 x 321 holds about 2 000 independent colors. Were
# each pixel a witness of its own, ICL would charge next to nothing for a component, and a photo scaled up
# would get more components.
SAMPLE_SIZE = 2000.0

# Width of a cell of the histogram, in standard deviations of the colors.
CELL = 0.15
MOST_CELLS = 16384

# Up to this number of components short runs find better optima than splits of the one before.
FEW, SHORT_RUNS = 4, 8
SPLIT_STEPS, FINALISTS, TOL = 5, 2, 1e-4

# Share of the best number's gain in ICL over a single component that fewer components may lack.
LACKING = 0.05


@dataclass(frozen=True)
class Selection:
    """ICL of every number of components tried, and how far sampling alone may have moved it.

    Attributes
    ----------
    icl : dict of int to float
    errors : dict of int to float
        Standard error of the difference from the smallest ICL; 0 for that one.
    """

    icl: dict[int, float]
    errors: dict[int, float]

    @property
    def best(self) -> int:
        """Number of components with the smallest ICL."""
        return min(self.icl, key=lambda n: self.icl[n])

    @property
    def n_components(self) -> int:
        """The smallest number with nearly all (all but `LACKING`) of the gain that the best has over one."""
        least = self.icl[self.best]
        slack = LACKING * (self.icl[1] - least)
        return min(n for n in self.icl if self.icl[n] - least <= slack)

    def __str__(self) -> str:
        n, best = self.n_components, self.best
        others = sorted((m for m in self.icl if m != n), key=lambda m: self.icl[m])
        if not others:
            return f"{_counted(n)}: there are no more colors"
        other = others[0]
        gap, error = self.icl[other] - self.icl[n], self.errors[other if n == best else n]
        why = "the smallest ICL" if n == best else f"the fewest with {1 - LACKING:.0%} of the best ICL's gain"
        return (
            f"{_counted(n)}, {why}; the runner-up is {other}, its ICL {abs(gap):.0f} "
            f"{'higher' if gap >= 0 else 'lower'} (standard error {error:.0f})"
        )


def _counted(n: int) -> str:
    return f"{n} component{'s' if n > 1 else ''}"


def select_n_components(
    samples: Samples,
    *,
    covariance_type: str = "full",
    relative_reg: float = 1e-6,
    n_photos: int = 1,
    random_state: int = 0,
    n_jobs: int | None = None,
) -> Selection:
    """Choose the number of components by ICL: the fewest that gain nearly what the best number gains.

    The first few numbers are fitted by short runs. Each further one starts from the best mixture with
    one component less: every component is split in two, each split gets a few EM steps, and the most
    promising are continued.

    Parameters
    ----------
    samples : Samples
        Colors, weighted by their counts.
    covariance_type, relative_reg, n_jobs
        As in `fit_em`.
    n_photos : int
        Number of photos that the colors are of: each counts as `SAMPLE_SIZE` samples.
    random_state : int

    Returns
    -------
    Selection
        A photo counted as `SAMPLE_SIZE` samples.

    References
    ----------
    .. [1] Vuong (1989), "Likelihood ratio tests for model selection and non-nested hypotheses", Econometrica
           57(2), 307-333: the standard error of a difference of log-likelihoods.
    """
    histogram = coarse_histogram(samples, random_state, n_photos)
    # The spread within a cell is missing from the histogram: it is given back as blur.
    family = Gaussian.of(histogram, covariance_type, relative_reg=relative_reg + CELL**2 / 12)
    best: EMResult[Parameters] | None = None
    terms: dict[int, np.ndarray] = {}
    penalties: dict[int, float] = {}
    for n_components in range(1, min(MAX_COMPONENTS, histogram.n_samples) + 1):
        if best is None or n_components <= FEW:
            starts = starting_points(
                histogram,
                n_components,
                family=family,
                n_init=SHORT_RUNS,
                random_state=random_state,
                n_jobs=n_jobs,
            )
        else:
            starts = splits(best.parameters)
        best = _best_of(histogram, family, starts, n_jobs)
        terms[n_components] = _terms(histogram.X, best.parameters, n_jobs)
        penalties[n_components] = best.parameters.n_parameters * np.log(histogram.total_weight)
    return _judged(terms, penalties, histogram.sample_weight)


def _terms(X: np.ndarray, parameters: Parameters, n_jobs: int | None) -> np.ndarray:
    """Return what each row of weight 1 adds to ICL: -2 log density + 2 entropy of its posterior."""
    densities = log_densities(X, parameters, n_jobs=n_jobs)
    scores = np.logaddexp.reduce(densities, axis=1)
    logarithms = densities - scores[:, None]
    shares = np.exp(logarithms)
    entropies = -np.einsum("ik,ik->i", shares, np.where(shares > 0, logarithms, 0.0))
    return 2.0 * (entropies - scores)


def _judged(terms: dict[int, np.ndarray], penalties: dict[int, float], weight: np.ndarray) -> Selection:
    """Return ICL by number of components, and the standard error of the difference of each from the smallest.

    ICL is a sum over the samples: the variance of the differences of its terms is that of a bootstrap.
    """
    icl = {n: float(weight @ each + penalties[n]) for n, each in terms.items()}
    best = terms[min(icl, key=lambda n: icl[n])]
    errors = {}
    for n, each in terms.items():
        differences = each - best
        mean = weight @ differences / weight.sum()
        errors[n] = float(np.sqrt(weight @ np.square(differences - mean)))
    return Selection(icl, errors)


def _best_of(
    histogram: Samples, family: Gaussian, starts: list[Parameters], n_jobs: int | None
) -> EMResult[Parameters]:
    """Give every start a few EM steps and the best of them as many as they need; return the best."""

    def first(start: Parameters) -> EMResult[Parameters]:
        return run(histogram, family, start, tol=TOL, max_iter=SPLIT_STEPS, n_jobs=1)

    def last(start: EMResult[Parameters] | Parameters) -> EMResult[Parameters]:
        parameters = start.parameters if isinstance(start, EMResult) else start
        return run(histogram, family, parameters, tol=TOL, n_jobs=1)

    heats = [Heat(first, FINALISTS, n_jobs=n_jobs)] if len(starts) > FINALISTS else []
    finals = race(starts, [*heats, Heat(last, 1, n_jobs=n_jobs)])[-1]
    return finals[leaders(finals, 1)[0]]


def coarse_histogram(samples: Samples, random_state: int = 0, n_photos: int = 1) -> Samples:
    """Gather samples in the cells of a grid; return one sample a cell, at the mean of those within.

    Cells are `CELL` standard deviations wide, and the weights of a photo together are `SAMPLE_SIZE` at most.
    Where cells would be more than `MOST_CELLS`, samples are drawn instead.
    """
    cells = subsample(gathered(samples), MOST_CELLS, np.random.default_rng(random_state))
    scale = (
        min(1.0, n_photos * SAMPLE_SIZE / samples.total_weight) * samples.total_weight / cells.total_weight
    )
    return Samples(cells.X, scale * cells.sample_weight)


def gathered(samples: Samples, cell: float = CELL) -> Samples:
    """Return the histogram; samples that are all equal, or too wide for a grid, keep their own rows."""
    width = cell * np.sqrt(samples.variance.mean())
    low = samples.X.min(axis=0).astype(np.float64)
    extent = (samples.X.max(axis=0) - low) / width + 1 if width > 0 else np.array([np.inf])
    if np.log2(extent).sum() > 62:
        return samples
    places = ((samples.X - low) / width).astype(np.int64)
    keys = np.ravel_multi_index(tuple(places.T), tuple(places.max(axis=0) + 1))
    _, cells = np.unique(keys, return_inverse=True)
    weight = np.bincount(cells, samples.sample_weight)
    sums = [np.bincount(cells, samples.sample_weight * column) for column in (samples.X - low).T]
    return Samples(np.stack(sums, axis=1) / weight[:, None] + low, weight)


def splits(parameters: Parameters) -> list[Parameters]:
    """Return the mixtures that have one component of `parameters` split along its longest axis."""
    values, vectors = np.linalg.eigh(parameters.spread_covariances())
    out = []
    for k in range(parameters.n_components):
        offset = np.sqrt(values[k, -1]) * vectors[k, :, -1]
        means = np.vstack([parameters.means, parameters.means[k] + offset])
        means[k] -= offset
        weights = np.append(parameters.weights, parameters.weights[k] / 2)
        weights[k] /= 2
        covariances = parameters.type.taken(
            parameters.covariances, np.append(np.arange(parameters.n_components), k)
        )
        out.append(Parameters(weights, means, covariances, parameters.covariance_type))
    return out
