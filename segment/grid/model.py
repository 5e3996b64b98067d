"""A Potts field over any family as a model of the EM loop, its E-step by mean field."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from segment.data.samples import Samples
from segment.em.model import Expectation, Model
from segment.kernels.em import potts
from segment.mixture.expectation import log_densities
from segment.mixture.families.family import Family
from segment.mixture.given import GivenShares
from segment.parallel import block_ranges, map_blocks

# Rows of pixels that a thread takes at a time.
_BAND = 32
# Sweeps of an E-step: beliefs need not settle before densities move too.
SWEEPS = 2
# A field of one label has no finite strength.
STRONGEST = 5.0


@dataclass(frozen=True, eq=False)
class FieldParameters:
    """Densities of the components, strength of the field, and what is believed of every pixel.

    Attributes
    ----------
    emissions : parameters of a mixture
        Their weights mean nothing and are equal.
    strength : float
        By how much a like neighbor raises a log probability ("beta").
    field : (M, N, K) float64 ndarray
        Beliefs: approximate posterior probabilities; they sum to 1 at every pixel.
    """

    emissions: Any
    strength: float
    field: np.ndarray

    @property
    def labels(self) -> np.ndarray:
        """Label map of the most probable components, (M, N) int32."""
        return self.field.argmax(axis=2).astype(np.int32)


class FieldStatistics(NamedTuple):
    """What an E-step leaves: statistics of the family, and the new beliefs."""

    emissions: Any
    field: np.ndarray


class FieldModel(Model[FieldParameters]):
    """Mean-field E-step and M-step of a Potts field over the pixels of an image.

    The beliefs are part of the parameters, so that the objective, the mean-field bound on the log-likelihood
    plus the logarithm of the field's normalizing constant, can never fall while the strength is given.

    Parameters
    ----------
    samples : Samples
        The pixels, row by row.
    size : (int, int)
        Rows and columns of the image.
    family : Family
    estimates_strength : bool
        By pseudo-likelihood of the beliefs, after every E-step.
    diagonal : bool
        Whether pixels that touch by a corner are neighbors: 8 of them, not 4.
    n_jobs : int, optional
        Threads; no result depends on it.

    References
    ----------
    .. [1] Besag (1986), "On the statistical analysis of dirty pictures", JRSS B 48(3), 259-302.
    .. [2] Celeux, Forbes & Peyrard (2003), "EM procedures using mean field-like approximations for Markov
           model-based image segmentation", Pattern Recognition 36, 131-144.
    """

    def __init__(
        self,
        samples: Samples,
        size: tuple[int, int],
        family: Family[Any, Any],
        *,
        estimates_strength: bool = False,
        diagonal: bool = False,
        n_jobs: int | None = None,
    ) -> None:
        self.samples, self.size, self.family = samples, size, family
        self.estimates_strength, self.diagonal, self.n_jobs = estimates_strength, diagonal, n_jobs
        self.total_weight = float(samples.n_samples)
        self.rounding = family.rounding(samples.n_features, samples.dtype)
        self.bands = block_ranges(size[0], _BAND)

    def densities(self, emissions: Any) -> np.ndarray:
        """Return the log density of every pixel in every component, (M, N, K)."""
        K = emissions.n_components
        found = log_densities(self.samples.X, emissions, n_jobs=self.n_jobs) + np.log(K)
        return found.reshape(*self.size, K)

    def expect(self, parameters: FieldParameters) -> Expectation:
        """Return the bound after some sweeps over the beliefs, and the statistics."""
        densities, field = self.densities(parameters.emissions), parameters.field.copy()
        for _ in range(SWEEPS):
            self._sweep(densities, field, parameters.strength)
        own, pairs = self._energies(densities, field)
        shares = field.reshape(self.samples.n_samples, -1)
        given = GivenShares(self.family, parameters.emissions, self.samples.dtype)
        statistics = given.accumulate(self.samples.X, shares, self.n_jobs)
        return Expectation(own + parameters.strength * pairs, FieldStatistics(statistics, field))

    def maximize(self, statistics: FieldStatistics, parameters: FieldParameters) -> FieldParameters:
        """Return the family's M-step and, if asked for, the field's strength."""
        found = self.family.maximize(statistics.emissions, parameters.emissions)
        K = found.n_components
        strength = parameters.strength
        if self.estimates_strength:
            strength = self._strength(statistics.field, strength)
        return FieldParameters(replace(found, weights=np.full(K, 1 / K)), strength, statistics.field)

    def _sweep(self, densities: np.ndarray, field: np.ndarray, strength: float) -> None:
        for odd_row in (0, 1):
            for odd_column in (0, 1):

                def update(band: tuple[int, int], odd: tuple[int, int] = (odd_row, odd_column)) -> None:
                    potts.update_class(densities, field, strength, self.diagonal, *band, *odd)

                map_blocks(update, self.bands, self.n_jobs)

    def _energies(self, densities: np.ndarray, field: np.ndarray) -> tuple[float, float]:
        found = map_blocks(
            lambda band: potts.energies(densities, field, self.diagonal, *band), self.bands, self.n_jobs
        )
        own, pairs = np.sum(found, axis=0)
        return float(own), float(pairs)

    def _strength(self, field: np.ndarray, strength: float) -> float:
        """Return the strength of highest pseudo-likelihood, by Newton steps: it is concave."""
        for _ in range(50):
            found = map_blocks(partial(self._slopes, field, strength), self.bands, self.n_jobs)
            slope, curvature = np.sum(found, axis=0)
            if not curvature < 0:
                break
            # Far from the optimum a whole Newton step may leap: never further than 1.
            step = float(np.clip(-slope / curvature, -1.0, 1.0))
            strength = float(np.clip(strength + step, 0.0, STRONGEST))
            if abs(step) < 1e-8:
                break
        return strength

    def _slopes(self, field: np.ndarray, strength: float, band: tuple[int, int]) -> tuple[float, float]:
        return potts.pseudo_slopes(field, strength, self.diagonal, *band)
