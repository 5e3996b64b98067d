"""What a mixture explains least: pixels of low density, and the areas that they form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from segment.errors import DataError
from segment.mixture.expectation import score_samples
from segment.mixture.families.gaussian.parameters import Parameters
from segment.photo.color_segmentation import PhotoSegmentation

# Draws of a model's own colors that its threshold is a quantile of.
_DRAWS = 400_000


@dataclass(frozen=True, eq=False)
class Anomalies:
    """The pixels that a mixture explains least.

    Attributes
    ----------
    log_densities : (M, N) float32 ndarray
        Of each pixel's color, in nats; NaN where the photo does not count.
    threshold : float
        Pixels below it are flagged.
    area_map : (M, N) int32 ndarray
        Number of the area that a flagged pixel belongs to, from 0 on, the most unexplained first; else -1.
    n_flagged : int
        Flagged pixels, those of areas too small to be listed included.
    areas : list of dict
        left, top, width, height, pixels and mean_log_density of each area.
    """

    log_densities: np.ndarray
    threshold: float
    area_map: np.ndarray
    n_flagged: int
    areas: list[dict[str, Any]]


def find_anomalies(
    segmentation: PhotoSegmentation, *, false_alarms: float = 0.001, min_area: int = 9
) -> Anomalies:
    """Find the pixels that the mixture of a segmentation explains least.

    Parameters
    ----------
    segmentation : PhotoSegmentation
    false_alarms : float in (0, 1)
        Share of flagged pixels. Of the photo, if the mixture was fitted to it: so many are flagged, whether
        something is wrong or not. Of the colors that the mixture itself would draw, if it is a model of other
        photos: a photo that it describes has about so many.
    min_area : int
        Pixels from which an area is listed; flagged pixels that touch, by corners too, are one.

    Returns
    -------
    Anomalies

    Raises
    ------
    DataError
        If `false_alarms` is out of range.
    """
    from skimage.measure import label

    if not 0 < false_alarms < 1:
        raise DataError(f"false_alarms is {false_alarms}; it must lie between 0 and 1")
    densities = segmentation.log_densities()
    known = densities[np.isfinite(densities)]
    own = segmentation.is_fitted_here
    judged = known if own else _drawn_densities(segmentation.parameters)
    threshold = float(np.quantile(judged, false_alarms))
    flagged = densities < threshold
    pieces = label(flagged, connectivity=2).ravel() - 1
    n = int(pieces.max()) + 1
    inside = pieces >= 0
    sizes = np.bincount(pieces[inside], minlength=n)
    sums = np.bincount(pieces[inside], densities.ravel()[inside], n)
    # Nats that are missing to the threshold, all pixels together.
    missing = threshold * sizes - sums
    order = np.argsort(-missing, kind="stable")
    order = order[sizes[order] >= min_area]
    names = np.full(n + 1, -1, dtype=np.int32)
    names[order] = np.arange(len(order))
    area_map = names[pieces].reshape(flagged.shape)
    return Anomalies(
        densities, threshold, area_map, int(flagged.sum()), _listed(area_map, sizes[order], sums[order])
    )


def _drawn_densities(parameters: Parameters) -> np.ndarray:
    """Return log densities of colors drawn from the mixture itself; the same ones every time."""
    rng = np.random.RandomState(0)
    labels = rng.choice(parameters.n_components, _DRAWS, p=parameters.weights)
    return score_samples(parameters.drawn(np.sort(labels), rng), parameters)


def _listed(area_map: np.ndarray, sizes: np.ndarray, sums: np.ndarray) -> list[dict[str, Any]]:
    from scipy.ndimage import find_objects

    areas = []
    for box, size, total in zip(find_objects(area_map + 1), sizes.tolist(), sums.tolist(), strict=True):
        rows, columns = box
        areas.append(
            {
                "left": columns.start,
                "top": rows.start,
                "width": columns.stop - columns.start,
                "height": rows.stop - rows.start,
                "pixels": size,
                "mean_log_density": total / size,
            }
        )
    return areas
