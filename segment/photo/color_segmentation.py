"""A photo segmented by a Gaussian mixture of its colors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from segment.em.result import EMResult
from segment.mixture.expectation import responsibilities, score_samples
from segment.mixture.families.gaussian.parameters import Parameters
from segment.parallel import block_ranges
from segment.photo.colors import to_features
from segment.photo.distinct import distinct_colors
from segment.photo.model import PhotoModel
from segment.photo.segmentation import Segmentation
from segment.photo.selection import Selection

_BLOCK = 1 << 20


@dataclass(frozen=True, eq=False)
class PhotoSegmentation(Segmentation):
    """A photo segmented by a Gaussian mixture of its colors.

    Attributes
    ----------
    photo : Photo
    label_map : (M, N) int32 ndarray
        Labels from 0 (the darkest component) on; -1 where the photo is fully transparent or does not count.
    palette : (n_components, 3) uint8 ndarray
        Mean sRGB color of each label.
    shares : (n_components,) float64 ndarray
        Share of the area that each label covers.
    model : PhotoModel
        Parameters and color space.
    n_distinct_colors : int
    log_likelihood : float
        Sum over the pixels of the log densities of their colors, in nats.
    smooth : str
    result : EMResult or None
        None where a fitted model was applied.
    selection : Selection or None
        ICL for each number of components tried, where that was chosen.
    """

    method: ClassVar[str] = "colors"

    model: PhotoModel
    n_distinct_colors: int
    log_likelihood: float
    smooth: str
    result: EMResult[Parameters] | None = None
    selection: Selection | None = None

    @property
    def parameters(self) -> Parameters:
        """Weights, means and covariances in the color space of the model."""
        return self.model.parameters

    @property
    def lower_bounds(self) -> np.ndarray:
        """Objective per pixel after each iteration, (n_iter,); empty where a fitted model was applied."""
        return np.empty(0) if self.result is None else self.result.lower_bounds

    @property
    def warnings(self) -> list[str]:
        """What went less than well, in words."""
        if self.result is None:
            return []
        unfinished = [] if self.result.converged else ["EM has not converged; the fit is close to an optimum"]
        return [*map(str, self.result.repairs), *unfinished]

    def responsibilities(self, n_jobs: int | None = None) -> np.ndarray:
        """Return the posterior probability of each component at each pixel, (M, N, K) float32.

        They are those of the color alone, before smoothing.
        """
        pixels = self.photo.pixels.reshape(-1, self.photo.pixels.shape[2])
        out = np.empty((len(pixels), self.parameters.n_components), dtype=np.float32)
        for start, stop in block_ranges(len(pixels), _BLOCK):
            rows = to_features(pixels[start:stop], self.model.color_space, n_jobs=n_jobs)
            out[start:stop] = responsibilities(rows, self.parameters, n_jobs=n_jobs)
        return out.reshape(*self.photo.shape, -1)

    @property
    def is_fitted_here(self) -> bool:
        """Whether the mixture was fitted to this photo, and is no model of others."""
        return self.result is not None

    def log_densities(self, n_jobs: int | None = None) -> np.ndarray:
        """Return the log density of each pixel's color under the mixture, (M, N) float32, NaN outside."""
        distinct = distinct_colors(self.photo)
        rows = to_features(distinct.values, self.model.color_space, n_jobs=n_jobs)
        scores = score_samples(rows, self.parameters, n_jobs=n_jobs).astype(np.float32)
        return distinct.spread(scores, np.nan, n_jobs)

    @property
    def curve(self) -> dict[int, float] | None:
        """ICL by number of components, where it chose them."""
        return None if self.selection is None else self.selection.icl

    def found(self) -> str:
        """Say how many components were found."""
        if self.model.palette is not None:
            return f"{self.n_labels} color{'s' if self.n_labels > 1 else ''} of the palette"
        n = int(np.count_nonzero(self.parameters.weights))
        chosen = " (by ICL)" if self.selection else ""
        if self.selection and n == 1:
            chosen = " (by ICL; -k asks for more)"
        return f"{n} component{'s' if n > 1 else ''}{chosen}"

    def how(self) -> str:
        """Say what EM did."""
        steps = "a model applied" if self.result is None else f"{self.result.n_iter} iterations"
        chosen = "" if self.selection is None else f"; {self.selection}"
        reached = f"log-likelihood {self.log_likelihood:.6g}"
        return f"{self.n_distinct_colors} distinct colors, {steps}, {reached}{chosen}"

    def facts(self) -> dict[str, Any]:
        """Return what the sidecar says of mixtures of colors alone."""
        parameters, result = self.parameters, self.result
        return {
            "method": self.method,
            "n_distinct_colors": self.n_distinct_colors,
            "n_components": parameters.n_components,
            "selection": self.curve,
            "selection_errors": None if self.selection is None else self.selection.errors,
            "covariance_type": parameters.covariance_type,
            "color_space": self.model.color_space,
            "smooth": self.smooth,
            "weights": parameters.weights,
            "means": parameters.means,
            "covariances": parameters.covariances,
            "log_likelihood": self.log_likelihood,
            "lower_bound": None if result is None else result.lower_bound,
            "n_iter": None if result is None else result.n_iter,
            "converged": None if result is None else result.converged,
        }
