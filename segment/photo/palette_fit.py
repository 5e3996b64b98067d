"""Mixtures whose means are the colors of a palette, and components that keep the numbers of a reference's."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from segment.data.samples import Samples
from segment.em.result import EMResult
from segment.errors import DataError, ModelError
from segment.mixture.families.gaussian.covariance import covariance_type_of
from segment.mixture.families.gaussian.parameters import Parameters
from segment.mixture.fixed_means import fit_fixed_means
from segment.mixture.matching import match
from segment.photo.colors import BANDS, to_features
from segment.photo.model import PhotoModel

# What is fitted besides the means, which are given.
PALETTE_FITS = ("none", "weights", "covariances")

_BLOCK = 1 << 16


def as_palette(palette: Any) -> np.ndarray:
    """Return a palette as (K, 3) uint8, or raise a `DataError`."""
    colors = np.asarray(palette)
    if colors.ndim != 2 or colors.shape[1] != 3 or len(colors) == 0 or colors.dtype.kind not in "iu":
        raise DataError(f"palette is {colors.dtype} {colors.shape}; (K, 3) integers from 0 to 255 are needed")
    if colors.min() < 0 or colors.max() > 255:
        raise DataError(f"palette reaches from {colors.min()} to {colors.max()}; sRGB is 0 to 255")
    if len(np.unique(colors, axis=0)) < len(colors):
        raise DataError("palette holds a color twice; a label needs a color of its own")
    return colors.astype(np.uint8)


def fit_palette(
    samples: Samples,
    color_space: str,
    palette: Any,
    *,
    fit: str = "none",
    covariance_type: str = "full",
    relative_reg: float = 1e-6,
    n_jobs: int | None = None,
) -> tuple[PhotoModel, EMResult[Parameters] | None]:
    """Make a mixture whose means are given colors.

    Parameters
    ----------
    samples : Samples
        Colors in `color_space`.
    color_space : str
    palette : (K, 3) array
        sRGB, 0 .. 255; label k is color k.
    fit : {"none", "weights", "covariances"}
        What is fitted: nothing (every color goes to the nearest of the palette: weights are equal, and all
        variances the mean squared distance to it), the weights, or weights and covariances.
    covariance_type : {"full", "diag", "tied", "spherical"}
        Of covariances that are fitted.
    relative_reg : float
    n_jobs : int, optional

    Returns
    -------
    model : PhotoModel
        With the palette.
    result : EMResult or None
        None where nothing is fitted.

    Raises
    ------
    DataError
        If the palette or `fit` is not allowed, or the samples are no colors.
    """
    if fit not in PALETTE_FITS:
        raise DataError(f"palette_fit is {fit!r}; allowed are {', '.join(PALETTE_FITS)}")
    if color_space == BANDS:
        raise DataError("the photo has bands, not colors: a palette has no meaning for it; leave it out")
    colors = as_palette(palette)
    means = to_features(colors, color_space).astype(np.float64)
    kind = covariance_type_of(covariance_type if fit == "covariances" else "spherical")
    K, D = means.shape
    # A photo of palette colors alone has no distance; then any variance gives the same labels.
    variance = _distance(samples, means) / D or 1.0
    shape = (K, D, D) if kind.form == "full" else (K, D)
    scatters = np.broadcast_to(variance * (np.eye(D) if kind.form == "full" else np.ones(D)), shape)
    start = Parameters(np.full(K, 1 / K), means, kind.pool(scatters, np.ones(K)), kind.name)
    if fit == "none":
        return PhotoModel(start, color_space, colors), None
    result = fit_fixed_means(
        samples, start, fit_covariances=fit == "covariances", relative_reg=relative_reg, n_jobs=n_jobs
    )
    return PhotoModel(result.parameters, color_space, colors), result


def _distance(samples: Samples, means: np.ndarray) -> float:
    """Return the mean squared distance of samples from the nearest mean."""
    total = 0.0
    for start in range(0, samples.n_samples, _BLOCK):
        rows = slice(start, start + _BLOCK)
        squares = np.square(samples.X[rows, None, :] - means).sum(axis=2)
        total += float(samples.sample_weight[rows] @ squares.min(axis=1))
    return total / samples.total_weight


def like_reference(
    result: EMResult[Parameters], color_space: str, reference: PhotoModel
) -> EMResult[Parameters]:
    """Number components as those of a reference that they match, one to one, by the distance of their means.

    Parameters
    ----------
    result : EMResult
        Its components in the order that those keep which match none: they come last.
    color_space : str
    reference : PhotoModel
        A component of it that matches none stays, empty (weight 0), so that no number changes its meaning.

    Raises
    ------
    ModelError
        If the reference is of another color space.
    """
    if reference.color_space != color_space:
        raise ModelError(
            f"the reference is in the color space {reference.color_space}, the fit in {color_space}; "
            f"fit in the same one (--color-space {reference.color_space})"
        )
    parameters, wanted = result.parameters, reference.parameters.means
    distances = np.sqrt(np.square(parameters.means[:, None] - wanted).sum(axis=2))
    own, theirs = match(-distances)
    left = np.setdiff1d(np.arange(parameters.n_components), own)
    # An empty component has the covariance of the one that lies nearest; it explains nothing.
    order = np.concatenate([distances.argmin(axis=0), left])
    order[theirs] = own
    empty = np.setdiff1d(np.arange(len(wanted)), theirs)
    numbered = parameters.reordered(order)
    weights, means = numbered.weights.copy(), numbered.means.copy()
    weights[empty], means[empty] = 0.0, wanted[empty]
    places = np.empty(parameters.n_components, dtype=int)
    places[own], places[left] = theirs, len(wanted) + np.arange(len(left))
    repairs = tuple(
        replace(repair, components=tuple(sorted(int(places[k]) for k in repair.components)))
        for repair in result.repairs
    )
    return replace(result, parameters=replace(numbered, weights=weights, means=means), repairs=repairs)
