"""Smooth a label map: a guided filter over the responsibilities, then no specks.

The color of a pixel alone leaves a label map grainy. Each component's map of responsibilities is filtered
with the photo as guide, so that edges of the photo stay edges of the map, and the largest wins.

References
----------
.. [1] He, Sun & Tang (2013), "Guided image filtering", IEEE PAMI 35(6), 1397-1409.
.. [2] He & Sun (2015), "Fast guided filter", arXiv:1505.00996.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

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
    in_pixels : bool
        Radius and speck are in pixels of the photo at hand, whatever its size.
    """

    radius: float
    eps: float
    speck: float
    in_pixels: bool = False

    def least(self, n_labeled: float) -> float:
        """Return the size in pixels from which a region stays."""
        return self.speck if self.in_pixels else self.speck * n_labeled


LIGHT = Smoothing(radius=8, eps=0.08**2, speck=0.001)

SMOOTHINGS: dict[str, Smoothing | None] = {
    "none": None,
    "light": LIGHT,
    "strong": Smoothing(radius=16, eps=0.16**2, speck=0.005),
}


# A radius in pixels, and the largest of them: halos of twice as much are read around every cell.
_PIXELS = re.compile(r"(\d+) ?px", re.IGNORECASE)
MOST_PIXELS = 64

# Specks, in squared radii, as "light" has them.
_SPECK = 2.4

# A radius in pixels is filtered cell by cell: what is found depends on no other cut.
CELL_ROWS, CELL_COLUMNS = 256, 512


def smoothing_of(name: str) -> Smoothing | None:
    """Return the smoothing called `name`, or of a radius like "3px"; None for "none".

    Raises
    ------
    DataError
        If there is none of that name.
    """
    if (found := _PIXELS.fullmatch(name)) and 1 <= int(found[1]) <= MOST_PIXELS:
        radius = int(found[1])
        return Smoothing(radius, LIGHT.eps, _SPECK * radius**2, in_pixels=True)
    if name not in SMOOTHINGS:
        raise DataError(
            f"smooth is {name!r}; allowed are {', '.join(SMOOTHINGS)}, and a radius in pixels from 1px to "
            f"{MOST_PIXELS}px"
        )
    return SMOOTHINGS[name]


def smoothing_memory(n_pixels: int, n_components: int) -> int:
    """Return about how many bytes smoothing takes: a map of each component and the filter's coefficients."""
    return min(n_pixels, WORKING_PIXELS) * n_components * (8 + 4 * 4)


def smooth_labels(
    photo: Photo, model: PhotoModel, label_map: np.ndarray, smoothing: Smoothing, *, n_jobs: int | None = None
) -> np.ndarray:
    """Label the pixels of a photo, and smooth the labels.

    Parameters
    ----------
    photo : Photo
    model : PhotoModel
    label_map : (M, N) int32 ndarray
        Below 0 where a pixel gets no label; overwritten.
    smoothing : Smoothing
    n_jobs : int, optional

    Returns
    -------
    (M, N) int32 ndarray
    """
    filter = filter_in_pixels if smoothing.in_pixels else filter_labels
    filtered = filter(photo, model, label_map, smoothing, n_jobs=n_jobs)
    return merge_specks(
        filtered, photo.display, smoothing.speck, in_pixels=smoothing.in_pixels, n_jobs=n_jobs
    )


def filter_labels(
    photo: Photo, model: PhotoModel, label_map: np.ndarray, smoothing: Smoothing, *, n_jobs: int | None = None
) -> np.ndarray:
    """Write the labels of the largest filtered responsibility to a label map, and return it."""
    grid = Grid.of(photo.shape)
    filter = grid.filter(
        photo.pixels[grid.rows, grid.columns],
        photo.display[grid.rows, grid.columns],
        label_map[grid.rows, grid.columns] >= 0,
        model,
        smoothing,
        n_jobs=n_jobs,
    )

    def fill(block: tuple[int, int]) -> None:
        part = slice(*block)
        filter.label(photo.display[part], block[0], label_map[part])

    map_blocks(fill, block_ranges(len(label_map), _ROWS), n_jobs)
    return label_map


@dataclass(frozen=True)
class Grid:
    """The points of a photo at which a filter's coefficients are found.

    Attributes
    ----------
    shape : (int, int)
        Of the photo.
    step, offset : int
        Every `step`-th row and column from `offset` on.
    """

    shape: tuple[int, int]
    step: int
    offset: int

    @classmethod
    def of(cls, shape: tuple[int, int], most: int | None = None) -> Grid:
        """Return the grid for a photo of some shape: of about `most` (`WORKING_PIXELS`) points at most."""
        step = int(np.ceil(np.sqrt(shape[0] * shape[1] / (most or WORKING_PIXELS))))
        return cls(shape, step, min(step // 2, min(shape) - 1))

    @property
    def rows(self) -> slice:
        """Rows of the points."""
        return slice(self.offset, None, self.step)

    columns = rows

    def filter(
        self,
        pixels: np.ndarray,
        display: np.ndarray,
        counts: np.ndarray,
        model: PhotoModel,
        smoothing: Smoothing,
        *,
        n_jobs: int | None = None,
    ) -> GridFilter:
        """Find the coefficients at the points.

        Parameters
        ----------
        pixels : (m, n, D) ndarray
        display : (m, n, 3) uint8 ndarray
        counts : (m, n) bool ndarray
            Which of them have a label.
        model : PhotoModel
        smoothing : Smoothing
        n_jobs : int, optional
        """
        features = to_features(pixels.reshape(-1, pixels.shape[2]), model.color_space, n_jobs=n_jobs)
        maps = responsibilities(features, model.parameters, n_jobs=n_jobs)
        maps[~counts.ravel()] = 0.0
        radius = smoothing.radius * np.sqrt(self.shape[0] * self.shape[1] / STATED_PIXELS) / self.step
        maps = maps.reshape(*pixels.shape[:2], -1)
        return self.filter_maps(display, maps, max(1, round(radius)), smoothing.eps, n_jobs=n_jobs)

    def filter_maps(
        self, display: np.ndarray, maps: np.ndarray, radius: int, eps: float, *, n_jobs: int | None = None
    ) -> GridFilter:
        """Find the coefficients for maps (m, n, K) at the points; as `guided_coefficients`."""
        coefficients = guided_coefficients(display, maps, radius, eps, n_jobs=n_jobs)
        rows = grid_places(self.shape[0], self.step, self.offset, len(maps))
        return GridFilter(coefficients, rows, self.step, self.offset)


class GridFilter(NamedTuple):
    """Coefficients of the filter, where each row lies between their points, and the columns of these."""

    coefficients: np.ndarray
    rows: tuple[np.ndarray, np.ndarray]
    step: int
    offset: int

    def label(self, display: np.ndarray, start: int, labels: np.ndarray) -> None:
        """Write the labels of some rows, (h, N) int32, from row `start` on; those below 0 stay."""
        from segment.kernels.image.guided import label_rows

        rows, shares = (values[start : start + len(labels)] for values in self.rows)
        label_rows(display, self.coefficients, rows, shares, self.step, self.offset, labels)


def filter_in_pixels(
    photo: Photo, model: PhotoModel, label_map: np.ndarray, smoothing: Smoothing, *, n_jobs: int | None = None
) -> np.ndarray:
    """Return the labels of the largest responsibility, filtered with a radius in pixels."""
    out = np.empty_like(label_map)

    def fill(rows: tuple[int, int]) -> None:
        window, inner = with_halo(rows, len(out), smoothing)
        filter_band(
            photo.pixels[window],
            photo.display[window],
            label_map[window],
            model,
            smoothing,
            inner,
            out[slice(*rows)],
        )

    map_blocks(fill, block_ranges(len(out), CELL_ROWS), n_jobs)
    return out


def with_halo(cut: tuple[int, int], size: int, smoothing: Smoothing) -> tuple[slice, slice]:
    """Return the rows (or columns) that a cell's filter needs, and the cell's own place within them.

    Means are taken twice: of what is filtered, and of the coefficients.
    """
    halo = 2 * int(smoothing.radius)
    start, stop = max(0, cut[0] - halo), min(size, cut[1] + halo)
    return slice(start, stop), slice(cut[0] - start, cut[1] - start)


def filter_band(
    pixels: np.ndarray,
    display: np.ndarray,
    labels: np.ndarray,
    model: PhotoModel,
    smoothing: Smoothing,
    rows: slice,
    out: np.ndarray,
) -> None:
    """Filter `CELL_ROWS` rows of a photo, cell by cell.

    Parameters
    ----------
    pixels, display, labels : (h, N, D), (h, N, 3) uint8, (h, N) int32 ndarray
        The rows, with their halo.
    model : PhotoModel
    smoothing : Smoothing
    rows : slice
        Of these, the rows themselves.
    out : (rows, N) int32 ndarray
        Filled; labels below 0 stay.
    """
    from segment.kernels.image.guided import label_rows

    width = out.shape[1]
    for cut in block_ranges(width, CELL_COLUMNS):
        window, inner = with_halo(cut, width, smoothing)
        part = pixels[:, window]
        features = to_features(part.reshape(-1, part.shape[2]), model.color_space, n_jobs=1)
        maps = responsibilities(features, model.parameters, n_jobs=1)
        maps[labels[:, window].ravel() < 0] = 0.0
        shown = np.ascontiguousarray(display[:, window])
        coefficients = guided_coefficients(
            shown, maps.reshape(*part.shape[:2], -1), int(smoothing.radius), smoothing.eps, n_jobs=1
        )
        found = np.ascontiguousarray(labels[rows, slice(*cut)])
        places = np.arange(rows.start, rows.stop)
        guide = np.ascontiguousarray(shown[rows, inner])
        shares = np.zeros(len(places), dtype=np.float32)
        label_rows(guide, coefficients, places, shares, 1, -inner.start, found)
        out[:, slice(*cut)] = found


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
    (m, K, 4, n) float32 ndarray
        Row y of the filtered map k is ``sum(out[y, k, :3] * guide[y].T) + out[y, k, 3]``.
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
    out = np.empty((len(guide), maps.shape[2], 4, guide.shape[1]), dtype=np.float32)
    for first in range(0, maps.shape[2], LANES):
        given = np.empty((len(flat), 4, LANES), dtype=np.float32)
        multiply_maps(colors.reshape(-1, 3), flat, first, given)
        solved = mean_of(given).reshape(*guide.shape[:2], 4, LANES)

        def solve(rows: tuple[int, int], solved: np.ndarray = solved) -> None:
            part = slice(*rows)
            solve_coefficients(
                statistics[part].reshape(-1, 9), np.float32(eps * 255**2), solved[part].reshape(-1, 4, LANES)
            )

        map_blocks(solve, blocks, n_jobs)
        found = mean_of(solved).reshape(solved.shape).transpose(0, 3, 2, 1)
        out[:, first : first + LANES] = found[:, : out.shape[1] - first]
    return out
