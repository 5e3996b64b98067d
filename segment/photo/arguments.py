"""What the faces of the photo room take, checked."""

from __future__ import annotations

import os
from dataclasses import replace
from numbers import Integral
from typing import Any

import numpy as np

from segment.errors import DataError, ImageError
from segment.memory import available_memory
from segment.photo.photo import Photo
from segment.photo.read import read_photo
from segment.photo.smooth import smoothing_memory


def as_photo(image: Any) -> Photo:
    """Return a photo, from one, an array, or what `read_photo` reads."""
    if isinstance(image, (str, os.PathLike)):
        return read_photo(image)
    return image if isinstance(image, Photo) else Photo.of(image)


def weighted(photo: Photo, sample_weight: Any) -> Photo:
    """Put `sample_weight` on top of the weight that a photo has."""
    if sample_weight is None:
        return photo
    weight = np.asarray(sample_weight, dtype=np.float64)
    if weight.shape != photo.shape:
        raise ImageError(f"sample_weight has shape {weight.shape}; {photo.shape}, one a pixel, is needed")
    if not np.isfinite(weight).all() or weight.min() < 0:
        raise ImageError("sample_weight holds values that are negative or not finite")
    weight = weight if photo.weight is None else weight * photo.weight
    if not weight.any():
        raise ImageError("every pixel has weight 0; there is nothing to segment")
    return replace(photo, weight=weight)


def checked_count(n_components: Any, n_colors: int) -> int:
    """Return a number of components that a photo of so many colors can have."""
    if not isinstance(n_components, (int, np.integer)) or n_components < 1:
        raise DataError(f"n_components is {n_components!r}; allowed are 'auto' and 1, 2, 3, ...")
    if n_components > n_colors:
        raise DataError(
            f"n_components is {n_components}, but the photo has only {n_colors} distinct color"
            f"{'s' if n_colors > 1 else ''}; ask for at most {n_colors}"
        )
    return int(n_components)


def check_memory(n_components: int, n_pixels: int, smooth: str) -> None:
    """Refuse more components than there is memory to smooth, before any time is spent on them."""
    available = available_memory()
    needed = smoothing_memory(n_pixels, n_components)
    if smooth == "none" or available is None or needed <= available:
        return
    most = max(1, n_components * available // needed)
    raise DataError(
        f"n_components is {n_components}: smoothing would take about {needed / 1e9:.1f} GB of memory, "
        f"{available / 1e9:.1f} GB are available; ask for at most {most}, or do without (--smooth none)"
    )


def checked_seed(random_state: Any) -> int:
    """Return a seed: photos take no generators, so that a sidecar can say how to get the same again."""
    is_integer = isinstance(random_state, Integral) and not isinstance(random_state, bool)
    if not is_integer or not 0 <= random_state < 2**32:
        raise DataError(f"random_state is {random_state!r}; allowed are the seeds 0, 1, ..., 2**32 - 1")
    return int(random_state)
