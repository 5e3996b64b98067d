"""Smooth a label map: a guided filter over the responsibilities, then no specks.

The color of a pixel alone leaves a label map grainy. Each component's map of responsibilities is filtered
with the photo as guide, so that edges of the photo stay edges of the map, and the largest wins.

References
----------
.. [1] He, Sun & Tang (2013), "Guided image filtering", IEEE PAMI 35(6), 1397-1409.
.. [2] He & Sun (2015), "Fast guided filter", arXiv:1505.00996.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from segment.errors import DataError
from segment.mixture.expectation import responsibilities
from segment.parallel import block_ranges, map_blocks
from segment.photo.colors import to_features
from segment.photo.model import PhotoModel
from segment.photo.photo import Photo
from segment.photo.specks import merge_specks

# Radii are stated for this number of pixels (a photo of BSDS500) and grow with a photo's side, so that a
# photo and its enlargement are smoothed alike.
STATED_PIXELS = 481 * 321

# Coefficients are found on a grid of at most this many pixels.
WORKING_PIXELS = 150_000

_ROWS = 64


@dataclass(frozen=True)
class Smoothing:
    """How strongly to smooth.

    Attributes
    ----------
    radius : float
        Of the filter's window, in pixels of a photo of `STATED_PIXELS`.
    eps : float
        Variance of the guide (colors in [0, 1]) below which a window is flat.
    speck : float
        Connected regions below this share of the area become part of their most similar neighbor.
    """

    radius: float
    eps: float
    speck: float


SMOOTHINGS: dict[str, Smoothing | None] = {
    "none": None,
    "light": Smoothing(radius=8, eps=0.08**2, speck=0.001),
    "strong": Smoothing(radius=16, eps=0.16**2, speck=0.005),
}


def smoothing_of(name: str) -> Smoothing | None:
    """Return the smoothing called `name`; None for "none".

    Raises
    ------
    DataError
        If there is none of that name.
    """
    if name not in SMOOTHINGS:
        raise DataError(f"smooth is {name!r}; allowed are {', '.join(SMOOTHINGS)}")
    return SMOOTHINGS[name]


def smoothing_memory(n_pixels: int, n_components: int) -> int:
    """Return about how many bytes smoothing takes: a map of each component and the filter's coefficients."""
    return min(n_pixels, WORKING_PIXELS) * n_components * (8 + 4 * 4)


def smooth_labels(
    photo: Photo, model: PhotoModel, label_map: np.ndarray, smooth: str, *, n_jobs: int | None = None
) -> np.ndarray:
    """Return the smoothed label map.

    Parameters
    ----------
    photo : Photo
    model : PhotoModel
    label_map : (M, N) int32 ndarray
        Labels by color alone; those below 0 stay.
    smooth : {"none", "light", "strong"}
    n_jobs : int, optional

    Returns
    -------
    (M, N) int32 ndarray
    """
    smoothing = smoothing_of(smooth)
    if smoothing is None or model.parameters.n_components == 1:
        return label_map
    filtered = filter_labels(photo, model, label_map, smoothing, n_jobs=n_jobs)
    return merge_specks(filtered, photo.display, smoothing.speck)


def filter_labels(
    photo: Photo, model: PhotoModel, label_map: np.ndarray, smoothing: Smoothing, *, n_jobs: int | None = None
) -> np.ndarray:
    """Return the labels of the largest filtered responsibility."""
    from segment.kernels.image.guided import label_rows

    step = int(np.ceil(np.sqrt(photo.n_pixels / WORKING_PIXELS)))
    offset = step // 2
    grid = slice(min(offset, min(photo.shape) - 1), None, step)
    pixels = photo.pixels[grid, grid]
    features = to_features(pixels.reshape(-1, pixels.shape[2]), model.color_space, n_jobs=n_jobs)
    maps = responsibilities(features, model.parameters, n_jobs=n_jobs)
    maps[label_map[grid, grid].ravel() < 0] = 0.0
    radius = smoothing.radius * np.sqrt(photo.n_pixels / STATED_PIXELS) / step
    display = photo.display
    coefficients = guided_coefficients(
        display[grid, grid],
        maps.reshape(*pixels.shape[:2], -1),
        max(1, round(radius)),
        smoothing.eps,
        n_jobs=n_jobs,
    )
    out = label_map.copy()
    places = [
        grid_places(size, step, grid.start, points)
        for size, points in zip(out.shape, pixels.shape[:2], strict=True)
    ]

    def fill(block: tuple[int, int]) -> None:
        part = slice(*block)
        rows, row_shares = (values[part] for values in places[0])
        label_rows(display[part], coefficients, maps.shape[1], rows, row_shares, *places[1], out[part])

    map_blocks(fill, block_ranges(len(out), _ROWS), n_jobs)
    return out


def grid_places(size: int, step: int, offset: int, n_points: int) -> tuple[np.ndarray, np.ndarray]:
    """Return for each of `size` pixels the point of a grid before it, and its share of the way to the next.

    The grid has `n_points` points, every `step` pixels from `offset` on; beyond its ends nothing changes.

    Returns
    -------
    points : (size,) int64 ndarray
    shares : (size,) float32 ndarray
    """
    places = np.clip((np.arange(size) - offset) / step, 0, n_points - 1)
    points = np.minimum(places.astype(np.int64), max(n_points - 2, 0))
    return points, (places - points).astype(np.float32)


def guided_coefficients(
    guide: np.ndarray, maps: np.ndarray, radius: int, eps: float, *, n_jobs: int | None = None
) -> np.ndarray:
    """Return the coefficients of the guided filter.

    Parameters
    ----------
    guide : (m, n, 3) uint8 ndarray
    maps : (m, n, K) float64 ndarray
        What is filtered.
    radius : int
        Half the side of the window.
    eps : float
        Variance of the guide, its colors taken from 0 to 1.
    n_jobs : int, optional

    Returns
    -------
    (C, m, n, 4, LANES) float32 ndarray
        Filtered map ``c * LANES + k`` is ``sum(out[c, ..., :3, k] * guide) + out[c, ..., 3, k]``. Maps beyond
        the last are 0.
    """
    from segment.kernels.image.guided import LANES, box_mean, multiply_maps, solve_coefficients

    blocks = block_ranges(len(guide), _ROWS)
    colors = guide.astype(np.float32)
    products = [colors[:, :, a] * colors[:, :, b] for a in range(3) for b in range(a, 3)]

    def mean_of(values: np.ndarray) -> np.ndarray:
        values = values.reshape(*guide.shape[:2], -1)
        out = np.empty_like(values)
        map_blocks(lambda rows: box_mean(values, radius, rows[0], out[slice(*rows)]), blocks, n_jobs)
        return out

    flat = maps.reshape(-1, maps.shape[2])
    statistics = mean_of(np.concatenate([colors, np.stack(products, axis=2)], axis=2))
    out = np.empty((-(-maps.shape[2] // LANES), *guide.shape[:2], 4, LANES), dtype=np.float32)
    for c in range(len(out)):
        given = np.empty((len(flat), 4, LANES), dtype=np.float32)
        multiply_maps(colors.reshape(-1, 3), flat, c * LANES, given)
        solved = mean_of(given).reshape(out.shape[1:])

        def solve(rows: tuple[int, int], solved: np.ndarray = solved) -> None:
            part = slice(*rows)
            solve_coefficients(
                statistics[part].reshape(-1, 9), np.float32(eps * 255**2), solved[part].reshape(-1, 4, LANES)
            )

        map_blocks(solve, blocks, n_jobs)
        out[c] = mean_of(solved).reshape(out.shape[1:])
    return out
