"""What the sidecar of a segmentation says."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segment.output import versions

if TYPE_CHECKING:
    # Not imported before a photo is read: fitting code loads while photos are decoded.
    from segment.photo.fit import PhotoSegmentation


def summarize(
    segmentation: PhotoSegmentation,
    *,
    seed: int,
    seconds: dict[str, float],
    outputs: Iterable[Path] = (),
    warnings: Iterable[str] = (),
) -> dict[str, Any]:
    """Return all that is known of a segmentation, in plain types but for arrays.

    Parameters
    ----------
    segmentation : PhotoSegmentation
    seed : int
    seconds : dict of str to float
        What was timed outside of the segmentation: reading, writing, the whole.
    outputs : iterable of Path
    warnings : iterable of str
        On top of those of the segmentation.
    """
    photo, parameters, result = segmentation.photo, segmentation.parameters, segmentation.result
    height, width = photo.shape
    order = ("read", "count", "fit", "label", "smooth", "write", "total")
    timed = segmentation.seconds | seconds
    return {
        "input": photo.source,
        "sha256": photo.sha256,
        "width": width,
        "height": height,
        "n_pixels": photo.n_pixels,
        "n_distinct_colors": segmentation.n_distinct_colors,
        "reader": photo.reader,
        "n_components": parameters.n_components,
        "selection": segmentation.selection,
        "covariance_type": parameters.covariance_type,
        "color_space": segmentation.model.color_space,
        "smooth": segmentation.smooth,
        "seed": seed,
        "weights": parameters.weights,
        "means": parameters.means,
        "covariances": parameters.covariances,
        "palette": segmentation.palette,
        "shares": segmentation.shares,
        "log_likelihood": segmentation.log_likelihood,
        "lower_bound": None if result is None else result.lower_bound,
        "n_iter": None if result is None else result.n_iter,
        "converged": None if result is None else result.converged,
        "warnings": [*segmentation.warnings, *warnings],
        "seconds": {name: round(timed[name], 4) for name in order if name in timed},
        "outputs": [str(path) for path in outputs],
        "versions": versions(),
    }
