"""What edges and regions are seen by: posteriors of a color and a texture mixture, and their gradients.

A mixture turns each pixel into a short histogram over its components; smoothed, that is the local mix of
colors (or textures), and its gradient is large where the mix changes, not where single pixels do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from segment.kernels.image import gradients
from segment.kernels.regions.merging import COLOR_BINS, TEXTURE_BINS
from segment.mixture import Gaussian, Parameters, Samples, responsibilities, starting_points
from segment.mixture.model import run
from segment.parallel import map_blocks

# Absolute variances added to the components: about the noise of a blurred Lab value, and of a derivative.
_COLOR_NOISE = 9.0
_TEXTURE_NOISE = 0.5
_SAMPLED_PIXELS = 5000
_EM_STEPS = 40

# Added to a smoothed posterior before the gradient is divided by it: an absent component has no edges.
_ABSENT = 1e-3
# A gradient of 20 Lab units within one sigma counts as 1.
_LAB_STEP = 20.0


@dataclass(frozen=True, eq=False)
class Channel:
    """The gradients of one set of fields at one scale.

    Attributes
    ----------
    tensor : (m, n, 3) float32 ndarray
        Structure tensor (xx, xy, yy); its root along a direction is the gradient in that direction.
    level : (m, n, K) float32 ndarray
        The smoothed fields.
    shift : int
        The grid is 2**shift times coarser than the image.
    sigma : float
        Scale in pixels of the image.
    is_posterior : bool
    """

    tensor: np.ndarray
    level: np.ndarray
    shift: int
    sigma: float
    is_posterior: bool

    def magnitude(self) -> np.ndarray:
        """Return the gradient along the steepest direction, (m, n) float32."""
        xx, xy, yy = np.moveaxis(self.tensor, 2, 0)
        top = 0.5 * (xx + yy + np.sqrt(np.square(xx - yy) + 4 * np.square(xy)))
        root = np.sqrt(np.maximum(top, 0))
        return root if self.is_posterior else np.sqrt(root)


@dataclass(frozen=True, eq=False)
class Channels:
    """All that the hierarchy is built from.

    Attributes
    ----------
    lab : (M, N, 3) float32 ndarray
    color : (M, N, COLOR_BINS) float32 ndarray
        Posteriors of the color mixture, zero for components that a small image has no pixels for.
    texture : (ceil(M / 2), ceil(N / 2), TEXTURE_BINS) float32 ndarray
        Posteriors of the texture mixture, on every second row and column.
    gradients : dict of Channel
        By name: "color2" is the color posteriors at sigma 2, "light3" L, "tint6" a and b.
    color_mixture : Parameters
        Of Lab colors, at most `COLOR_BINS` components.
    """

    lab: np.ndarray
    color: np.ndarray
    texture: np.ndarray
    gradients: dict[str, Channel]
    color_mixture: Parameters


def measure_channels(lab: np.ndarray, *, random_state: int = 0, n_jobs: int | None = None) -> Channels:
    """Fit the two mixtures to an image and measure all gradients.

    Parameters
    ----------
    lab : (M, N, 3) float32 ndarray, CIE Lab
    random_state : int
    n_jobs : int, optional
    """
    parts: Any = map_blocks(
        lambda measure: measure(lab, random_state), (_measure_color, _measure_texture, _measure_lab), n_jobs
    )
    (color, by_color, mixture), (texture, by_texture), by_lab = parts
    return Channels(lab, color, texture, {**by_color, **by_texture, **by_lab}, mixture)


def _measure_color(lab: np.ndarray, random_state: int) -> tuple[np.ndarray, dict[str, Channel], Parameters]:
    from scipy.ndimage import gaussian_filter

    smooth = gaussian_filter(lab, (1, 1, 0))
    mixture = _fitted(smooth, COLOR_BINS, _COLOR_NOISE, random_state)
    posteriors = _posteriors(smooth, mixture, COLOR_BINS)
    half = _halved(posteriors)
    quarter = _halved(half)
    gradients = {
        "color2": smoothed_tensor(posteriors, 2, 0),
        "color4": smoothed_tensor(half, 2, 1),
        "color8": smoothed_tensor(quarter, 2, 2),
        "color16": smoothed_tensor(quarter, 4, 2),
    }
    return posteriors, gradients, mixture


def _measure_texture(lab: np.ndarray, random_state: int) -> tuple[np.ndarray, dict[str, Channel]]:
    from scipy.ndimage import gaussian_filter

    light = lab[..., 0]
    responses = [
        gaussian_filter(light, sigma, order=order)[::2, ::2] * np.float32(sigma ** sum(order))
        for sigma in (1, 2)
        for order in ((0, 1), (1, 0), (0, 2), (2, 0), (1, 1))
    ]
    # Every second row and column serves as well, four times cheaper (docs/decisions/region-channels.md).
    features = np.stack(responses, axis=-1)
    mixture = _fitted(features, TEXTURE_BINS, _TEXTURE_NOISE, random_state)
    posteriors = _posteriors(features, mixture, TEXTURE_BINS)
    half = _halved(posteriors)
    return posteriors, {
        "texture4": smoothed_tensor(posteriors, 2, 1),
        "texture8": smoothed_tensor(half, 2, 2),
        "texture16": smoothed_tensor(half, 4, 2),
    }


def _measure_lab(lab: np.ndarray, _: int) -> dict[str, Channel]:
    light, tint = np.ascontiguousarray(lab[..., :1]), np.ascontiguousarray(lab[..., 1:])
    half_light, half_tint = _halved(light), _halved(tint)
    return {
        "light1": smoothed_tensor(light, 1.5, 0, is_posterior=False),
        "light3": smoothed_tensor(light, 3, 0, is_posterior=False),
        "light6": smoothed_tensor(half_light, 3, 1, is_posterior=False),
        "tint3": smoothed_tensor(tint, 3, 0, is_posterior=False),
        "tint6": smoothed_tensor(half_tint, 3, 1, is_posterior=False),
    }


def _fitted(features: np.ndarray, n_components: int, noise: float, random_state: int) -> Parameters:
    """Fit a mixture to sampled pixels, of fewer components where there are fewer pixels."""
    X = features.reshape(-1, features.shape[-1])
    rng = np.random.default_rng(random_state)
    rows = np.sort(rng.permutation(len(X))[:_SAMPLED_PIXELS])
    samples = Samples.of(X[rows].astype(np.float64))
    family = Gaussian.of(samples, reg_covar=noise)
    n_components = min(n_components, len(rows))
    start = starting_points(samples, n_components, family=family, method="kmeans", random_state=rng)[0]
    # The bare run, without warnings: a histogram needs no converged mixture, and in a flat image components
    # are bound to coincide.
    return run(samples, family, start, tol=1e-3, max_iter=_EM_STEPS, n_jobs=1).parameters


def _posteriors(features: np.ndarray, mixture: Parameters, n_components: int) -> np.ndarray:
    """Return all posteriors, zero for components that the mixture does not have."""
    X = features.reshape(-1, features.shape[-1])
    posteriors = np.zeros((len(X), n_components), dtype=np.float32)
    posteriors[:, : mixture.n_components] = responsibilities(X, mixture)
    return posteriors.reshape(*features.shape[:2], n_components)


def _halved(fields: np.ndarray) -> np.ndarray:
    """Average 2 x 2 pixels; an odd last row or column is averaged with itself."""
    M, N, _ = fields.shape
    even = np.pad(fields, ((0, M % 2), (0, N % 2), (0, 0)), mode="edge")
    return 0.25 * (even[::2, ::2] + even[1::2, ::2] + even[::2, 1::2] + even[1::2, 1::2])


def smoothed_tensor(fields: np.ndarray, sigma: float, shift: int, *, is_posterior: bool = True) -> Channel:
    """Smooth fields by a Gaussian and measure their structure tensor.

    Parameters
    ----------
    fields : (m, n, K) float32 ndarray
    sigma : float
        In pixels of the fields' own grid, which is 2**shift times coarser than the image.
    shift : int
    is_posterior : bool
        Divide each gradient by its field's level (the Fisher metric of histograms), not by a constant.
    """
    M, N, K = fields.shape
    radius = int(np.ceil(3 * sigma))
    x = np.arange(-radius, radius + 1)
    smooth = np.exp(-np.square(x) / (2 * sigma**2))
    smooth /= smooth.sum()
    slope = (x / sigma * smooth).astype(np.float32)
    smooth = smooth.astype(np.float32)
    padded = np.pad(fields, ((radius, radius), (radius, radius), (0, 0)), mode="symmetric")
    blurred = np.empty((M + 2 * radius, N * K), dtype=np.float32)
    sloped = np.empty_like(blurred)
    gradients.filter_rows(padded.reshape(len(padded), -1), smooth, slope, K, blurred, sloped)
    tensor, level = np.empty((M, N, 3), dtype=np.float32), np.empty((M, N, K), dtype=np.float32)
    relative, floor = (1.0, _ABSENT) if is_posterior else (0.0, _LAB_STEP**2)
    gradients.tensor_columns(
        blurred, sloped, smooth, slope, np.float32(relative), np.float32(floor), tensor, level
    )
    return Channel(tensor, level, shift, sigma * 2**shift, is_posterior)
