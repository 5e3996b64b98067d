"""The sizes at which a photo's hierarchy is found."""

from __future__ import annotations

from math import sqrt

import numpy as np

from segment.photo.colors import to_features
from segment.photo.photo import Photo

# Two sizes agreed on err less than either, and a third adds nothing (docs/decisions/region-sizes.md). Stated
# for photos of 0.15 megapixels; larger ones are brought to as many pixels.
FINE, COARSE = 1.35, 0.85
_FINE_PIXELS = 281_000

_ONE = np.float32(1)
_WHITE = np.array([100, 0, 0], dtype=np.float32)


def working_shapes(shape: tuple[int, int]) -> list[tuple[int, int]]:
    """Return the shapes of the fine and of the coarse view of a photo of this shape."""
    fine = min(FINE, sqrt(_FINE_PIXELS / (shape[0] * shape[1])))
    scales = (fine, fine * COARSE / FINE)
    return [(max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale))) for scale in scales]


def resized(photo: Photo, shape: tuple[int, int]) -> Photo:
    """Return a photo at another size, as float32 colors in [0, 1]."""
    if shape == photo.shape:
        return photo
    colors = shown_colors(photo)
    top = np.float32(np.iinfo(colors.dtype).max if colors.dtype.kind == "u" else 1)
    opacity = _opacity(photo)
    seen = None if opacity is None else _resampled(opacity, shape)[..., 0]
    return Photo(_resampled(colors, shape, top), opacity=seen)


def shown_colors(photo: Photo) -> np.ndarray:
    """Return a photo's own colors; of bands that are no colors, those that they are shown by."""
    return photo.pixels if photo.is_color else photo.display


def _resampled(bands: np.ndarray, shape: tuple[int, int], top: np.float32 = _ONE) -> np.ndarray:
    """Average whole squares of pixels first: the filter alone would take seconds over a large photo."""
    from PIL import Image

    factor = max(1, min(full // size for full, size in zip(bands.shape, shape, strict=False)))
    averaged = _block_means(bands, factor) / top
    size = shape[::-1]
    fields = [
        np.asarray(Image.fromarray(band).resize(size, Image.Resampling.LANCZOS))
        for band in np.moveaxis(averaged, 2, 0)
    ]
    return np.clip(np.stack(fields, axis=-1), 0, 1)


def _block_means(bands: np.ndarray, factor: int) -> np.ndarray:
    """Average squares of `factor` pixels a side; what is left at the right and below is averaged too."""
    # Whole rows at a time: `reduceat` along the first axis takes ten times as long.
    rows = bands[::factor].astype(np.float32)
    for i in range(1, factor):
        part = bands[i::factor]
        rows[: len(part)] += part
    rows /= _counts(bands.shape[0], factor)[:, None, None]
    starts = np.arange(0, bands.shape[1], factor)
    return np.add.reduceat(rows, starts, axis=1) / _counts(bands.shape[1], factor)[:, None]


def _counts(size: int, factor: int) -> np.ndarray:
    """Return how many of `size` pixels each run of `factor` has, the last perhaps fewer."""
    return np.diff(np.append(np.arange(0, size, factor), size)).astype(np.float32)


def to_lab(photo: Photo, *, n_jobs: int | None = None) -> np.ndarray:
    """Return a photo as (M, N, 3) float32 CIE Lab; bands that are no colors as they are shown."""
    lab = to_features(shown_colors(photo).reshape(-1, 3), "lab", n_jobs=n_jobs).astype(np.float32)
    lab = lab.reshape(*photo.shape, 3)
    opacity = _opacity(photo)
    return lab if opacity is None else lab * opacity + _WHITE * (1 - opacity)


def _opacity(photo: Photo) -> np.ndarray | None:
    """Return a photo's opacity, (M, N, 1) float32; None if all of it is seen."""
    return None if photo.opacity is None else photo.opacity.astype(np.float32)[..., None]


def nearest_pixels(shape: tuple[int, ...], working: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Return the row and the column of the working pixel in which each pixel's center lies."""
    down, right = (
        ((np.arange(full) + 0.5) * (size / full)).astype(np.int64)
        for full, size in zip(shape, working, strict=True)
    )
    return down, right
