"""Starts that see rare colors: drawn from all colors by their distance, not by their number.

A start of `starting_points` comes from some thousand pixels: of a color on one pixel in ten thousand it sees
none or one. In a large photo such a color may be what is looked for (docs/decisions/rare-colors.md).
"""

from __future__ import annotations

import numpy as np

from segment.data.samples import Samples
from segment.em.result import EMResult
from segment.mixture.families.gaussian.family import Gaussian
from segment.mixture.families.gaussian.parameters import Parameters
from segment.mixture.model import run
from segment.mixture.race import Heat, leaders, race
from segment.mixture.seeding import SUBSAMPLE, kmeans_plusplus, parameters_from_means
from segment.photo.selection import gathered

N_STARTS = 32
_STEPS, _FINALISTS, _TOL = 12, 4, 1e-5

# Weights are raised to these powers in turn while centers are drawn: a rarer color needs a lower one.
_POWERS = (1.0, 0.5, 0.25, 0.0)

# Width of a cell in standard deviations, and by how much it grows until all cells can be looked at.
_CELL, _WIDER = 0.2, 1.25


def rare_starts(
    samples: Samples,
    n_components: int,
    *,
    covariance_type: str = "full",
    relative_reg: float,
    random_state: int = 0,
    n_jobs: int | None = None,
) -> list[Parameters]:
    """Return the best start from centers that k-means++ draws among cells of all colors.

    Parameters
    ----------
    samples : Samples
        Distinct colors with their weights.
    n_components : int
    covariance_type, relative_reg, random_state, n_jobs
        As in `segment_photo`.

    Returns
    -------
    list of Parameters
        One, or none where there are fewer cells than components.
    """
    width = _CELL
    cells = gathered(samples, width)
    while cells.n_samples > SUBSAMPLE:
        width *= _WIDER
        cells = gathered(samples, width)
        if width > 2:
            return []
    if cells.n_samples < n_components:
        return []
    # The spread within a cell is given back as blur.
    family = Gaussian.of(cells, covariance_type, relative_reg=relative_reg + width**2 / 12)
    starts = []
    for number, rng in enumerate(np.random.default_rng(random_state).spawn(N_STARTS)):
        tempered = Samples(cells.X, cells.sample_weight ** _POWERS[number % len(_POWERS)])
        centers = kmeans_plusplus(tempered, n_components, rng)
        starts.append(parameters_from_means(cells, centers, family=family))

    def begin(start: Parameters) -> EMResult[Parameters]:
        return run(cells, family, start, tol=_TOL, max_iter=_STEPS, n_jobs=1)

    def finish(begun: EMResult[Parameters]) -> EMResult[Parameters]:
        return run(cells, family, begun.parameters, tol=_TOL, n_jobs=1)

    finals = race(starts, [Heat(begin, _FINALISTS, n_jobs=n_jobs), Heat(finish, 1, n_jobs=n_jobs)])[-1]
    return [finals[leaders(finals, 1)[0]].parameters]
