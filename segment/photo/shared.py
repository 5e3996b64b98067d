"""One mixture for many photos: their distinct colors are one sample set, and labels and colors are shared."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from segment.data.samples import Samples
from segment.em.result import EMResult
from segment.errors import DataError, ImageError
from segment.memory import available_memory
from segment.mixture.expectation import assign
from segment.mixture.families.gaussian.parameters import Parameters
from segment.parallel import resolve_n_jobs, single_threaded_blas
from segment.photo.arguments import as_photo, checked_seed
from segment.photo.colors import color_space_of, to_features
from segment.photo.fit import fill_unused, fit_model
from segment.photo.model import PhotoModel
from segment.photo.photo import Photo, to_uint8
from segment.photo.selection import Selection
from segment.photo.tiles.tables import Table, table_for

# Merging and fitting take several times the memory of a table of 16-bit colors.
_ROOM = 6


@dataclass(frozen=True, eq=False)
class SharedFit:
    """A mixture of the colors of many photos.

    Attributes
    ----------
    model : PhotoModel
        With the palette: `apply_model` gives its labels and colors to any photo.
    shares : (n_components,) float64 ndarray
        Share of the area of all photos that each label covers, before smoothing.
    n_photos : int
    n_pixels : float
        Pixels of all photos, each by its weight.
    n_distinct_colors : int
    log_likelihood : float
        Sum over the pixels of all photos, in nats.
    result : EMResult or None
        None where nothing was fitted.
    selection : Selection or None
        ICL for each number of components tried, where that was chosen.
    """

    model: PhotoModel
    shares: np.ndarray
    n_photos: int
    n_pixels: float
    n_distinct_colors: int
    log_likelihood: float
    result: EMResult[Parameters] | None
    selection: Selection | None

    @property
    def palette(self) -> np.ndarray:
        """Color of each label, (n_components, 3) uint8: the mean over all photos, or the one given."""
        assert self.model.palette is not None
        return self.model.palette


class ColorPool:
    """The distinct colors of photos with their weights, counted photo by photo; photos are not kept.

    8-bit colors take a table of 2^24 counts, however many photos there are, 16-bit ones 16 bytes a color.
    """

    def __init__(self) -> None:
        self.n_photos = 0
        self._tables: dict[np.dtype, Table] = {}

    def add(self, photo: Photo) -> None:
        """Count the colors of a photo.

        Raises
        ------
        ImageError
            If it has bands or floats, or there is no memory left for its colors; nothing of it is counted.
        """
        pixels = photo.pixels
        if not photo.is_color:
            raise ImageError(
                f"{photo.source}: {pixels.shape[2]} bands, not colors; photos share colors only: leave it out"
            )
        make = table_for(3, pixels.dtype)
        if make is None:
            raise ImageError(
                f"{photo.source}: colors are {pixels.dtype}; photos that share colors have 8 or 16 bits: "
                "convert it to one of them"
            )
        available, used = available_memory(), sum(table.nbytes for table in self._tables.values())
        needed = 0 if pixels.dtype == np.uint8 else _ROOM * (used + 16 * photo.n_pixels)
        if available is not None and needed > available:
            raise ImageError(
                f"{photo.source}: its 16-bit colors may take {needed / 1e9:.1f} GB of memory, "
                f"{available / 1e9:.1f} GB are available; convert the photos to 8 bits"
            )
        if pixels.dtype not in self._tables:
            self._tables[pixels.dtype] = make()
        weight = None if photo.weight is None else photo.weight.ravel()
        self._tables[pixels.dtype].add(pixels.reshape(-1, 3), weight)
        self.n_photos += 1

    def listed(self, color_space: str, n_jobs: int | None = None) -> tuple[np.ndarray, Samples]:
        """Return the distinct colors, (n, 3) uint8, and what they are as samples."""
        found = [table.listed() for table in self._tables.values()]
        features = [to_features(values, color_space, n_jobs=n_jobs) for values, _ in found]
        weights = np.concatenate([weights for _, weights in found])
        shown = np.concatenate([to_uint8(values) for values, _ in found])
        return shown, Samples.of(np.concatenate(features), weights)


@single_threaded_blas()
def fit_pool(
    pool: ColorPool,
    *,
    color_space: str = "lab",
    random_state: int = 0,
    n_jobs: int | None = None,
    **fitting: Any,
) -> SharedFit:
    """Fit one mixture to the colors of all photos of a pool.

    Parameters
    ----------
    pool : ColorPool
    color_space, random_state, n_jobs
        As in `segment_photo`.
    **fitting
        `n_components`, `covariance_type`, `palette`, `palette_fit`, `reference`, `n_init` and `relative_reg`
        of `segment_photo`. For "auto", every photo counts as so many samples as one alone does.

    Returns
    -------
    SharedFit

    Raises
    ------
    DataError
        If the pool holds no photo, an option is not allowed, or there are fewer distinct colors than
        components.
    """
    random_state, n_jobs = checked_seed(random_state), resolve_n_jobs(n_jobs)
    color_space = color_space_of(color_space).name
    if pool.n_photos == 0:
        raise DataError("there is no photo to share colors with; give at least one")
    shown, samples = pool.listed(color_space, n_jobs)
    fitted = fit_model(
        samples, color_space, n_photos=pool.n_photos, random_state=random_state, n_jobs=n_jobs, **fitting
    )
    palette, shares = _mean_colors(shown, samples, fitted.model, n_jobs)
    model = fitted.model if fitted.model.palette is not None else replace(fitted.model, palette=palette)
    total = float(samples.total_weight)
    return SharedFit(model, shares, pool.n_photos, total, samples.n_samples, **fitted.fields())


def _mean_colors(
    shown: np.ndarray, samples: Samples, model: PhotoModel, n_jobs: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean color and the share of what each component explains best."""
    K = model.parameters.n_components
    labels, weight = assign(samples.X, model.parameters, n_jobs=n_jobs), samples.sample_weight
    counts = np.bincount(labels, weight, K)
    sums = np.stack([np.bincount(labels, weight * channel, K) for channel in shown.T], axis=1)
    palette = np.rint(sums / np.maximum(counts, 1e-300)[:, None]).astype(np.uint8)
    shares = counts / counts.sum()
    fill_unused(palette, shares, shown, samples, model.parameters)
    return palette, shares


def fit_shared(photos: Iterable[Any], **options: Any) -> SharedFit:
    """Fit one mixture to the colors of many photos, one of them in memory at a time.

    Parameters
    ----------
    photos : iterable of Photo, array or path
        8-bit or 16-bit colors; every one is read once.
    **options
        As in `fit_pool`.

    Returns
    -------
    SharedFit
        ``apply_model(photo, found.model)`` labels each of them.

    Raises
    ------
    ImageError
        If one cannot be read, or has floats or bands.
    DataError
        As in `fit_pool`.
    """
    pool = ColorPool()
    for photo in photos:
        pool.add(as_photo(photo))
    return fit_pool(pool, **options)
