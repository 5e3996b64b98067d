"""Fit a mixture to the colors of a photo and label its pixels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from segment.data.samples import Samples
from segment.em.result import EMResult
from segment.errors import ModelError
from segment.mixture.expectation import assign, log_likelihood
from segment.mixture.families.gaussian.family import Gaussian
from segment.mixture.families.gaussian.parameters import Parameters
from segment.mixture.model import climb, run
from segment.mixture.race import Heat, leaders, race
from segment.mixture.seeding import starting_points
from segment.parallel import resolve_n_jobs, single_threaded_blas
from segment.photo.arguments import as_photo, check_memory, checked_count, checked_seed, weighted
from segment.photo.color_segmentation import PhotoSegmentation
from segment.photo.colors import BANDS, color_space_of, lightness_order, to_features
from segment.photo.distinct import DistinctColors, distinct_colors
from segment.photo.model import PhotoModel
from segment.photo.palette_fit import as_palette, fit_palette, like_reference
from segment.photo.photo import Photo, to_uint8
from segment.photo.segmentation import palette_of
from segment.photo.selection import Selection, select_n_components
from segment.photo.smooth import smooth_labels, smoothing_of
from segment.stopwatch import Stopwatch

# Relative to the mean feature variance. In Lab a photo's deviation is about 20, so this is a deviation of
# about 1: a just noticeable difference. With 1e-6 components collapse onto runs of equal colors.
RELATIVE_REG = 3e-3

AUTO = "auto"

# EM steps that every start gets before the best of them is continued.
FIRST_STEPS = 8


@single_threaded_blas()
def segment_photo(
    image: Any,
    *,
    n_components: int | str = AUTO,
    covariance_type: str = "full",
    color_space: str = "lab",
    smooth: str = "light",
    sample_weight: Any = None,
    palette: Any = None,
    palette_fit: str = "none",
    reference: PhotoModel | None = None,
    n_init: int | None = None,
    relative_reg: float = RELATIVE_REG,
    random_state: int = 0,
    n_jobs: int | None = None,
    step: Callable[[str], None] = lambda name: None,
) -> PhotoSegmentation:
    """Cluster the colors of a photo and return its label map.

    Parameters
    ----------
    image : Photo, (M, N), (M, N, 3), (M, N, 4) or (M, N, D) array, or what `read_photo` reads
        Gray, sRGB, sRGB with alpha (a weight), or any other number of bands, which are clustered as they are;
        uint8, uint16, or float (colors in [0, 1]).
    n_components : int or "auto"
        Number of color clusters; "auto" takes the fewest of 1 .. 12 that gain nearly
        what the one of the smallest ICL does.
    covariance_type : {"full", "diag", "tied", "spherical"}
    color_space : {"lab", "luv", "oklab", "rgb", "linear"}
    smooth : {"none", "light", "strong"}, or a radius like "3px"
        How much neighboring pixels decide a pixel's label (see `segment.photo.smooth`).
    sample_weight : (M, N) array, optional
        Weights of the pixels, on top of alpha; pixels of weight 0 get label -1.
    palette : (K, 3) array of int, optional
        The means, as sRGB colors from 0 to 255, instead of fitted ones: label k gets color k. `n_components`,
        `n_init` and `reference` say nothing then.
    palette_fit : {"none", "weights", "covariances"}
        What is fitted besides (see `fit_palette`); with "none" a color goes to the nearest of the palette.
    reference : PhotoModel, optional
        A model whose numbers components keep (see `like_reference`).
    n_init : int, optional
        Short runs of EM that the start is chosen from.
    relative_reg : float
        Regularization, as a multiple of the mean feature variance (see `fit_em`).
    random_state : int
    n_jobs : int, optional
        Threads (default: all cores); the result does not depend on it.
    step : callable
        Called with the name of each step as it begins.

    Returns
    -------
    PhotoSegmentation
        Components are ordered from dark to light, or as those of the palette or the reference.

    Raises
    ------
    ImageError
        If `image` is no photo, or has no pixel of positive weight.
    ModelError
        If the reference is of another color space.
    DataError
        If an option is not allowed, there are fewer distinct colors than components, or too little memory.

    References
    ----------
    .. [1] Dempster, Laird & Rubin (1977), "Maximum likelihood from incomplete data via the EM algorithm",
           JRSS B 39(1), 1-38.
    .. [2] Biernacki, Celeux & Govaert (2000), "Assessing a mixture model for clustering with the integrated
           completed likelihood", IEEE PAMI 22(7), 719-725.
    """
    random_state, n_jobs = checked_seed(random_state), resolve_n_jobs(n_jobs)
    photo = weighted(as_photo(image), sample_weight)
    smoothing_of(smooth)
    color_space = color_space_of(color_space).name if photo.is_color else BANDS
    watch = Stopwatch(step)
    with watch.step("count"):
        distinct = distinct_colors(photo)
        samples = Samples.of(to_features(distinct.values, color_space, n_jobs=n_jobs), distinct.weights)
    with watch.step("fit"):
        fitted = fit_model(
            samples,
            color_space,
            palette=palette,
            palette_fit=palette_fit,
            n_components=n_components,
            covariance_type=covariance_type,
            reference=reference,
            n_init=n_init,
            relative_reg=relative_reg,
            random_state=random_state,
            n_jobs=n_jobs,
            check=lambda n: check_memory(n, photo.n_pixels, smooth),
        )
    return _label(photo, fitted.model, distinct, samples, smooth, fitted.fields(), watch, n_jobs)


class Fitted(NamedTuple):
    """A mixture and how it came about; `result` is None where nothing was fitted."""

    model: PhotoModel
    result: EMResult[Parameters] | None
    selection: Selection | None
    log_likelihood: float

    def fields(self) -> dict[str, Any]:
        """Return what a `PhotoSegmentation` says of it besides the model."""
        return {"result": self.result, "selection": self.selection, "log_likelihood": self.log_likelihood}


def fit_model(
    samples: Samples,
    color_space: str,
    *,
    palette: Any = None,
    palette_fit: str = "none",
    covariance_type: str = "full",
    relative_reg: float = RELATIVE_REG,
    n_jobs: int | None = None,
    check: Callable[[int], None] = lambda n_components: None,
    **fitting: Any,
) -> Fitted:
    """Make a mixture of colors: fitted freely, or about the colors of a palette.

    Parameters are those of `segment_photo` and `fit_colors`.
    """
    shared: dict[str, Any] = {
        "covariance_type": covariance_type,
        "relative_reg": relative_reg,
        "n_jobs": n_jobs,
    }
    if palette is None:
        result, selection = fit_colors(samples, color_space, check=check, **shared, **fitting)
        return Fitted(PhotoModel(result.parameters, color_space), result, selection, result.log_likelihood)
    check(len(as_palette(palette)))
    model, found = fit_palette(samples, color_space, palette, fit=palette_fit, **shared)
    reached = (
        log_likelihood(samples, model.parameters, n_jobs=n_jobs) if found is None else found.log_likelihood
    )
    return Fitted(model, found, None, reached)


def fit_colors(
    samples: Any,
    color_space: str,
    *,
    n_components: int | str = AUTO,
    covariance_type: str = "full",
    n_init: int | None = None,
    relative_reg: float = RELATIVE_REG,
    reference: PhotoModel | None = None,
    choosing: Samples | None = None,
    n_photos: int = 1,
    random_state: int = 0,
    n_jobs: int | None = None,
    check: Callable[[int], None] = lambda n_components: None,
    more_starts: Callable[[int], list[Parameters]] = lambda n_components: [],
) -> tuple[EMResult[Parameters], Selection | None]:
    """Fit a mixture to colors, its components ordered from dark to light.

    Parameters
    ----------
    samples : Samples, or a Source that can draw a subsample
    color_space : str
        That of the samples.
    n_components, covariance_type, n_init, relative_reg, random_state, n_jobs
        As in `segment_photo`.
    reference : PhotoModel, optional
        As in `segment_photo`.
    choosing : Samples, optional
        What the number of components is chosen on, instead of all samples.
    n_photos : int
        Number of photos that the samples are of, for that choice.
    check : callable
        Called with the number of components before it is fitted.
    more_starts : callable
        Returns further starts for that number.

    Returns
    -------
    result : EMResult
    selection : Selection or None
        ICL by number of components, where that was chosen.
    """
    selection = None
    family = Gaussian.of(samples, covariance_type, relative_reg=relative_reg)
    if n_components == AUTO:
        selection = select_n_components(
            samples if choosing is None else choosing,
            covariance_type=covariance_type,
            relative_reg=relative_reg,
            n_photos=n_photos,
            random_state=random_state,
            n_jobs=n_jobs,
        )
        n_components = selection.n_components
    n_components = checked_count(n_components, samples.n_samples)
    check(n_components)
    starts = starting_points(
        samples, n_components, family=family, n_init=n_init, random_state=random_state, n_jobs=n_jobs
    )
    result = _fit(samples, family, [*starts, *more_starts(n_components)], n_jobs)
    ordered = _ordered(result, color_space)
    return (ordered if reference is None else like_reference(ordered, color_space, reference)), selection


def _fit(
    samples: Any, family: Gaussian, starts: list[Parameters], n_jobs: int | None
) -> EMResult[Parameters]:
    """Fit from the most promising start: where there are several, some steps on all colors decide.

    Against fitting from each of them that takes half the time, and finds the same optimum nearly always.
    """
    if len(starts) == 1:
        return climb(samples, family, starts[0], n_jobs=n_jobs)

    def begin(start: Parameters) -> EMResult[Parameters]:
        return run(samples, family, start, max_iter=FIRST_STEPS, n_jobs=n_jobs)

    tried = race(starts, [Heat(begin, 1, n_jobs=1)])[0]
    first = tried[leaders(tried, 1)[0]]
    return climb(samples, family, first.parameters, n_jobs=n_jobs).continuing(first)


def _ordered(result: EMResult[Parameters], color_space: str) -> EMResult[Parameters]:
    """Order components from dark to light, also where the repairs name them."""
    order = lightness_order(result.parameters.means, color_space)
    repairs = tuple(repair.renumbered(order) for repair in result.repairs)
    return replace(result, parameters=result.parameters.reordered(order), repairs=repairs)


@single_threaded_blas()
def apply_model(
    image: Any,
    model: PhotoModel,
    *,
    smooth: str = "light",
    n_jobs: int | None = None,
    step: Callable[[str], None] = lambda name: None,
) -> PhotoSegmentation:
    """Label the pixels of a photo by a mixture that was fitted to another.

    Parameters are those of `segment_photo`.

    Raises
    ------
    ImageError
        If `image` is no photo.
    ModelError
        If the model is of pixels with another number of bands.
    """
    photo = as_photo(image)
    smoothing_of(smooth)
    check_kind(model, photo.source, photo.pixels.shape[2], photo.is_color)
    if model.classes is not None:
        from segment.photo.hints.segmentation import apply_classes

        return apply_classes(photo, model, n_jobs=n_jobs, step=step)
    watch = Stopwatch(step)
    with watch.step("count"):
        distinct = distinct_colors(photo)
        samples = Samples.of(to_features(distinct.values, model.color_space, n_jobs=n_jobs), distinct.weights)
    with watch.step("fit"):
        fields = {"log_likelihood": log_likelihood(samples, model.parameters, n_jobs=n_jobs)}
    return _label(photo, model, distinct, samples, smooth, fields, watch, n_jobs)


def _label(
    photo: Photo,
    model: PhotoModel,
    distinct: DistinctColors,
    samples: Samples,
    smooth: str,
    fields: dict[str, Any],
    watch: Stopwatch,
    n_jobs: int | None,
) -> PhotoSegmentation:
    parameters = model.parameters
    smoothing = smoothing_of(smooth) if parameters.n_components > 1 else None
    with watch.step("label"):
        if smoothing is None:
            label_map = distinct.spread(assign(samples.X, parameters, n_jobs=n_jobs), -1, n_jobs)
        else:
            label_map = np.zeros(photo.shape, dtype=np.int32)
            if photo.counts is not None:
                label_map[~photo.counts] = -1
    with watch.step("smooth"):
        if smoothing is not None:
            label_map = smooth_labels(photo, model, label_map, smoothing, n_jobs=n_jobs)
    with watch.step("label"):
        palette, shares = palette_of(photo.display, label_map, parameters.n_components, n_jobs=n_jobs)
        if model.palette is not None:
            palette = model.palette
        elif photo.is_color:
            fill_unused(palette, shares, distinct.values, samples, parameters)
    return PhotoSegmentation(
        photo,
        label_map,
        palette,
        shares,
        model=model,
        n_distinct_colors=samples.n_samples,
        smooth=smooth,
        seconds=watch.seconds,
        **fields,
    )


def fill_unused(
    palette: np.ndarray, shares: np.ndarray, values: np.ndarray, samples: Samples, parameters: Parameters
) -> None:
    """Give a label of no pixel the color that lies nearest its mean."""
    for k in np.flatnonzero(shares == 0):
        nearest = np.square(samples.X - parameters.means[k]).sum(axis=1).argmin()
        palette[k] = to_uint8(values[nearest])


def check_kind(model: PhotoModel, source: str, n_bands: int, is_color: bool) -> None:
    """Refuse a model of pixels of another kind with a `ModelError`."""
    n_features = model.parameters.n_features
    if n_bands != n_features or is_color != (model.color_space != BANDS):
        raise ModelError(
            f"the model is of {n_features} {_kind(model.color_space != BANDS)}, {source} has {n_bands} "
            f"{_kind(is_color)}; give a model that was fitted to photos of the same kind"
        )


def _kind(is_color: bool) -> str:
    return "color channels" if is_color else "bands"
