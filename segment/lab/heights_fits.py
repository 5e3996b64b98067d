"""The heights of men and women, and all that is fitted to them."""

from __future__ import annotations

import numpy as np

from segment.data.samples import Samples
from segment.em.uncertainty import (
    StandardErrors,
    bootstrap,
    observed_information,
    supplemented_em,
)
from segment.lab.basin import PairFits, fit_pairs
from segment.mixture.families.gaussian.parameters import Parameters
from segment.mixture.uncertainty import GaussianData
from segment.words import say

TRUTH = Parameters(
    np.array([0.6, 0.4]), np.array([[176.0], [164.0]]), np.array([64.0, 36.0]).reshape(2, 1, 1)
)
COUNTS = (600, 400)
GROUPS = ("men", "women")
STARTS = ("A", "B", "C")

# Keeps a component from shrinking onto one height, whose likelihood has no bound: variances gain 0.01 %.
RELATIVE_REG = 1e-6

# The basin map: every pair of starting means from a row of this many between these two, in cm.
GRID = (48, 100.0, 220.0)
N_DATA_SETS = 200
N_REPLICATES = 200


def draw_heights(rng: np.random.Generator) -> np.ndarray:
    """Draw 600 heights of men, then 400 of women, in cm."""
    deviations = np.sqrt(TRUTH.covariances.ravel())
    return np.concatenate(
        [
            rng.normal(mean, deviation, count)
            for mean, deviation, count in zip(TRUTH.means.ravel(), deviations, COUNTS, strict=True)
        ]
    )


def starting_means(heights: np.ndarray) -> dict[str, tuple[float, float]]:
    """Return the means that each start begins with, men's component first."""
    center = float(heights.mean())
    return {"A": (center + 10.0, center - 10.0), "B": (200.0, 100.0), "C": (100.0, 200.0)}


def start_at(heights: np.ndarray, means: tuple[float, float]) -> Parameters:
    """Return the start of given means: equal weights, the variance of all heights."""
    return Parameters(np.array([0.5, 0.5]), np.reshape(means, (2, 1)), np.full((2, 1, 1), heights.var()))


def basin_map(heights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the starting means and, for every pair of them, the log-likelihood that plain EM ends with.

    Swapping the two means of a start only swaps the names of the components, since all else starts equal:
    each unordered pair is fitted once.
    """
    means = np.linspace(GRID[1], GRID[2], GRID[0])
    first, second = np.triu_indices(len(means))
    fits = fit_pairs(heights, np.stack([means[first], means[second]], axis=1), relative_reg=RELATIVE_REG)
    final = np.empty((len(means), len(means)))
    final[first, second] = final[second, first] = fits.log_likelihoods
    return means, final


def repeat(rng: np.random.Generator) -> dict[str, PairFits]:
    """Draw 200 data sets and fit each from the three starts."""
    fits: dict[str, list[PairFits]] = {name: [] for name in STARTS}
    for child in rng.spawn(N_DATA_SETS):
        heights = draw_heights(child)
        means = starting_means(heights)
        found = fit_pairs(
            heights, np.array([means[name] for name in STARTS]), relative_reg=RELATIVE_REG, n_jobs=1
        )
        for i, name in enumerate(STARTS):
            fits[name].append(PairFits(*(values[i] for values in vars(found).values())))
    return {
        name: PairFits(
            *(np.array(column) for column in zip(*(vars(fit).values() for fit in each), strict=True))
        )
        for name, each in fits.items()
    }


def standard_errors(samples: Samples, estimate: Parameters, random_state: int) -> dict[str, StandardErrors]:
    """Return the standard errors of the six parameters by three methods, deviations instead of variances."""
    data = GaussianData(samples, 2)
    found = {
        "observed information": observed_information(data, estimate),
        "supplemented EM": supplemented_em(data, estimate),
        "bootstrap": bootstrap(data, estimate, n_replicates=N_REPLICATES, random_state=random_state),
    }
    return {name: _of_deviations(each) for name, each in found.items()}


def _of_deviations(found: StandardErrors) -> StandardErrors:
    """Turn variances into standard deviations by the delta method."""
    estimates, slopes = found.estimates.copy(), np.ones(6)
    estimates[4:] = np.sqrt(found.estimates[4:])
    slopes[4:] = 0.5 / estimates[4:]
    names = tuple(
        say("{what}, {who}", what=what, who=who) for what in ("weight", "mean", "sd") for who in GROUPS
    )
    return StandardErrors(names, estimates, found.covariance * np.outer(slopes, slopes))
