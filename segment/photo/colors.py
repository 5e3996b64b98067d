"""Color spaces: from sRGB values to the features that are clustered.

White is D65 for the 2 degree observer throughout, as in scikit-image, whose results the tests compare
with; importing skimage.color would take longer than converting the distinct colors of most photos.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from segment.errors import DataError
from segment.parallel import block_ranges, map_blocks

_XYZ_FROM_RGB = np.array(
    [[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]]
)
_WHITE = np.array([0.95047, 1.0, 1.08883])
_LAB_CONES = _XYZ_FROM_RGB / _WHITE[:, None]
_LAB_OPPONENTS = np.array([[0.0, 116.0, 0.0], [500.0, -500.0, 0.0], [0.0, 200.0, -200.0]])
_LUMINANCE = (0.212671, 0.715160, 0.072169)

# Ottosson (2020), "A perceptual color space for image processing": cone responses, Oklab from their roots.
_LMS_FROM_RGB = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_OKLAB_FROM_LMS = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)

_BLOCK = 65536


@dataclass(frozen=True)
class ColorSpace:
    """A color space.

    Attributes
    ----------
    name : str
    convert : callable
        From linear light (n, 3) float64 in [0, 1] to features (n, 3).
    lightness : tuple of 3 float
        Weights of the features whose sum orders colors from dark to light.
    """

    name: str
    convert: Callable[[np.ndarray], np.ndarray]
    lightness: tuple[float, float, float]


def _to_linear(encoded: np.ndarray) -> np.ndarray:
    """Undo the transfer function of sRGB; values in [0, 1]."""
    return np.where(encoded > 0.04045, ((encoded + 0.055) / 1.055) ** 2.4, encoded / 12.92)


def _to_encoded(linear: np.ndarray) -> np.ndarray:
    return 255.0 * np.where(linear > 0.0031308, 1.055 * linear ** (1 / 2.4) - 0.055, 12.92 * linear)


def _to_lab(linear: np.ndarray) -> np.ndarray:
    return _opponent_colors(linear, _LAB_CONES, (0.008856, 7.787, 16.0 / 116.0), _LAB_OPPONENTS, -16.0)


def _opponent_colors(
    linear: np.ndarray,
    cones: np.ndarray,
    compression: tuple[float, float, float],
    opponents: np.ndarray,
    offset: float,
) -> np.ndarray:
    from segment.kernels.image.colors import opponent_colors

    out = np.empty_like(linear)
    opponent_colors(linear, cones, *compression, opponents, offset, out)
    return out


def _to_luv(linear: np.ndarray) -> np.ndarray:
    x, y, z = (linear @ _XYZ_FROM_RGB.T).T
    white_sum = _WHITE @ (1.0, 15.0, 3.0)
    lightness = np.where(y > 0.008856, 116.0 * np.cbrt(y) - 16.0, 903.3 * y)
    total = np.maximum(x + 15.0 * y + 3.0 * z, 1e-12)
    u = 13.0 * lightness * (4.0 * x / total - 4.0 * _WHITE[0] / white_sum)
    v = 13.0 * lightness * (9.0 * y / total - 9.0 * _WHITE[1] / white_sum)
    return np.stack([lightness, u, v], axis=1)


def _to_oklab(linear: np.ndarray) -> np.ndarray:
    return _opponent_colors(linear, _LMS_FROM_RGB, (0.0, 0.0, 0.0), _OKLAB_FROM_LMS, 0.0)


COLOR_SPACES = {
    space.name: space
    for space in (
        ColorSpace("lab", _to_lab, (1.0, 0.0, 0.0)),
        ColorSpace("luv", _to_luv, (1.0, 0.0, 0.0)),
        ColorSpace("oklab", _to_oklab, (1.0, 0.0, 0.0)),
        ColorSpace("rgb", _to_encoded, _LUMINANCE),
        ColorSpace("linear", lambda linear: linear, _LUMINANCE),
    )
}

BANDS = "bands"
"""Stands for a color space where pixels are bands, not colors: they are clustered as they are."""


@lru_cache(maxsize=2)
def _linear_table(top: int) -> np.ndarray:
    """Return the linear light of all the values 0 .. top."""
    return _to_linear(np.arange(top + 1) / top)


def _linear_light(values: np.ndarray) -> np.ndarray:
    if values.dtype.kind == "u":
        return _linear_table(np.iinfo(values.dtype).max)[values]
    return _to_linear(values.astype(np.float64))


def color_space_of(name: str) -> ColorSpace:
    """Return the color space called `name`.

    Raises
    ------
    DataError
        If there is none of that name.
    """
    if name not in COLOR_SPACES:
        raise DataError(f"color_space is {name!r}; allowed are {', '.join(COLOR_SPACES)}")
    return COLOR_SPACES[name]


def to_features(values: np.ndarray, color_space: str, *, n_jobs: int | None = None) -> np.ndarray:
    """Convert colors to the features that are clustered.

    Parameters
    ----------
    values : (n, 3) uint8, uint16 or float ndarray
        sRGB (floats in [0, 1]); any number of bands where `color_space` is "bands".
    color_space : {"lab", "luv", "oklab", "rgb", "linear", "bands"}
        "rgb" is sRGB from 0 to 255, "linear" is linear light from 0 to 1.
    n_jobs : int, optional
        Threads.

    Returns
    -------
    (n, D) float32 ndarray
        float64 where `values` are.
    """
    dtype = np.float64 if values.dtype == np.float64 else np.float32
    if color_space == BANDS:
        return np.ascontiguousarray(values, dtype=dtype)
    space = color_space_of(color_space)
    out = np.empty(values.shape, dtype=dtype)

    def convert(rows: tuple[int, int]) -> None:
        out[slice(*rows)] = space.convert(_linear_light(values[slice(*rows)]))

    map_blocks(convert, block_ranges(len(values), _BLOCK), n_jobs)
    return out


def nearest_colors(features: np.ndarray, color_space: str) -> np.ndarray:
    """Return the 8-bit sRGB color that lies nearest to each row of features, (K, 3) uint8.

    Found by comparing, from a coarse grid of all colors to single steps: that needs no inverse of a color
    space, and stays within sRGB.
    """
    grid = _cube(np.arange(0, 256, 15))
    moves = [_cube(np.arange(-reach, reach + 1, step)) for reach, step in ((16, 4), (3, 1))]

    def nearest(tried: np.ndarray, wanted: np.ndarray) -> np.ndarray:
        found = to_features(tried.astype(np.uint8), color_space, n_jobs=1)
        return tried[np.square(found - wanted).sum(axis=1).argmin()]

    out = np.empty((len(features), 3), dtype=np.uint8)
    for k, wanted in enumerate(np.asarray(features, dtype=np.float64)):
        best = nearest(grid, wanted)
        for move in moves:
            while True:
                better = nearest(np.clip(best + move, 0, 255), wanted)
                if np.array_equal(better, best):
                    break
                best = better
        out[k] = best
    return out


def _cube(values: np.ndarray) -> np.ndarray:
    return np.stack(np.meshgrid(values, values, values, indexing="ij"), axis=-1).reshape(-1, 3)


def lightness_order(means: np.ndarray, color_space: str) -> np.ndarray:
    """Return the order of the rows of `means` (K, D) from dark to light."""
    weights = np.full(means.shape[1], 1.0) if color_space == BANDS else color_space_of(color_space).lightness
    return np.argsort(means @ np.asarray(weights), kind="stable")


def hex_code(color: Any) -> str:
    """Return a color as CSS writes it."""
    return "#{:02x}{:02x}{:02x}".format(*(int(value) for value in color))
