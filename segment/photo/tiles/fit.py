"""Segment a photo of any size: count, fit, label; tiles are read twice, colors are fitted in memory."""

from __future__ import annotations

import os
import tempfile
import threading
import warnings
from typing import Any

import numpy as np

from segment.data.samples import Samples
from segment.data.subsample import subsample
from segment.errors import ImageError, ModelError, SegmentWarning
from segment.memory import available_memory
from segment.mixture.expectation import log_likelihood
from segment.mixture.families.gaussian.parameters import Parameters
from segment.parallel import resolve_n_jobs, single_threaded_blas
from segment.photo.arguments import checked_seed
from segment.photo.colors import BANDS, color_space_of
from segment.photo.fit import AUTO, RELATIVE_REG, check_kind, fill_unused, fit_colors
from segment.photo.model import PhotoModel
from segment.photo.read import MAX_PIXELS
from segment.photo.smooth import smoothing_of
from segment.photo.tiles.cluster import Cluster
from segment.photo.tiles.count import Counted, count
from segment.photo.tiles.label import Labeler
from segment.photo.tiles.photo import Selection, TiledPhoto
from segment.photo.tiles.rare import rare_starts
from segment.photo.tiles.segmentation import TiledSegmentation
from segment.photo.tiles.store import LabelStore
from segment.photo.tiles.walk import Notify, quietly
from segment.stopwatch import Stopwatch

# Where the system does not tell how much memory is free.
_SUPPOSED_MEMORY = 4 << 30

# A photo of more pixels is not smoothed unless asked for, and is looked at for rare colors.
LARGE = MAX_PIXELS

# Of pixels that stand for themselves, so many choose the number of components.
_CHOOSING = 1 << 20


@single_threaded_blas()
def segment_tiles(
    source: str | os.PathLike[str],
    *,
    selection: Selection | None = None,
    model: PhotoModel | None = None,
    fitting: dict[str, Any] | None = None,
    smooth: str | None = None,
    memory: int | None = None,
    folder: str | os.PathLike[str] | None = None,
    random_state: int = 0,
    n_jobs: int | None = None,
    client: Any = None,
    notify: Notify = quietly,
) -> TiledSegmentation:
    """Cluster the colors of a photo of any size.

    Parameters
    ----------
    source : path
        What `open_grid` opens: TIFF, zarr, .npy, JPEG, PNG ...
    selection : Selection, optional
        Level, bands, mask, nodata, what to do with tiles that cannot be read.
    model : PhotoModel, optional
        Applied instead of fitting one.
    fitting : dict, optional
        `n_components`, `covariance_type`, `color_space`, `n_init` and `relative_reg` of `segment_photo`.
    smooth : {"none", "light", "strong"}, or a radius like "3px", optional
        By default light up to 200 megapixels, above none.
    memory : int, optional
        Bytes that may be taken, about; by default half of what is free.
    folder : path, optional
        Where the labels lie meanwhile, a byte or two a pixel.
    random_state : int
    n_jobs : int, optional
        Threads; the result does not depend on it.
    client : dask.distributed.Client or str, optional
        Where the photo is read, counted and labeled: a client, "tcp://host:port", or "local:2" for two
        processes of this machine. The workers must see the photo under the same path.
    notify : callable
        Called with a step's name, how much of it is done, and of how much.

    Returns
    -------
    TiledSegmentation
        To be closed; its labels are those of `segment_photo` for the same photo.

    Raises
    ------
    ImageError
        If the photo or one of its tiles cannot be read, or a file changes meanwhile.
    DataError
        If an option is not allowed, or there are fewer distinct colors than components.
    OutputError
        If there is no space for the labels.
    """
    random_state, n_jobs = checked_seed(random_state), resolve_n_jobs(n_jobs)
    memory = memory or (available_memory() or _SUPPOSED_MEMORY) // 2
    cluster = _cluster(client)
    photo = TiledPhoto(source, selection, memory)
    try:
        if smooth is None:
            smooth = _default_smoothing(photo)
        smoothing = smoothing_of(smooth)
        n_threads = _threads(photo, memory, n_jobs, smoothing is not None)
        # Hashing takes no part in the result, and a core that waits for the disk.
        hashing = threading.Thread(target=lambda: photo.sha256, daemon=True)
        hashing.start()
        watch = Stopwatch()
        fitting = dict(fitting or {})
        space = _space(photo, model, fitting.pop("color_space", "lab"))
        with watch.step("count"):
            counted = count(photo, space, n_threads, memory, notify, cluster)
        with watch.step("fit"):
            notify("fit", 0, 1)
            rare = photo.n_pixels > LARGE
            fields, model = _fitted(counted, model, space, fitting, rare, random_state, n_jobs)
        with watch.step("label"):
            labeler = Labeler(photo, counted, model, smoothing, n_threads, cluster)
            store, sums, counts = _labeled(labeler, photo, model, folder or tempfile.gettempdir(), notify)
        hashing.join()
    except BaseException:
        photo.close()
        raise
    palette = np.rint(sums / np.maximum(counts, 1)[:, None]).astype(np.uint8)
    shares = counts / max(int(counts.sum()), 1)
    if photo.is_color and counted.values is not None:
        fill_unused(palette, shares, counted.values, counted.samples, model.parameters)
    return TiledSegmentation(
        photo,
        np.empty((0, 0), dtype=np.int32),
        palette,
        shares,
        model=model,
        n_distinct_colors=counted.n_distinct or counted.samples.n_samples,
        smooth=smooth,
        seconds=watch.seconds,
        store=store,
        counts=counts,
        n_unlabeled=photo.n_pixels - int(counts.sum()),
        how_fitted=counted.how,
        memory=memory,
        n_threads=n_threads,
        on_cluster=cluster is not None,
        **fields,
    )


def _cluster(client: Any) -> Cluster | None:
    if client is None:
        return None
    from segment.data.dask import engine_of

    engine = engine_of(client)
    return None if engine is None else Cluster(engine)


def _default_smoothing(photo: TiledPhoto) -> str:
    if photo.n_pixels <= LARGE:
        return "light"
    warnings.warn(
        f"not smoothed, as are all photos of more than {LARGE // 10**6} megapixels unless asked for "
        "(--smooth light, or --smooth 3px)",
        SegmentWarning,
        stacklevel=3,
    )
    return "none"


def _space(photo: TiledPhoto, model: PhotoModel | None, asked: str) -> str:
    if model is not None:
        check_kind(model, photo.source, photo.n_bands, photo.is_color)
        if model.classes is not None:
            raise ModelError(
                f"{photo.source}: is read by tiles, which no model of classes by hints is applied to; give a "
                "smaller photo, or a level of it as a file"
            )
        return model.color_space
    return color_space_of(asked).name if photo.is_color else BANDS


def _threads(photo: TiledPhoto, memory: int, n_jobs: int, is_smoothed: bool) -> int:
    """Return how many strips may be in memory at once."""
    start, stop = photo.strips[0]
    # Tiles as decoded and pixels; labels as int32 and as stored; regions, where specks are merged.
    needed = 2 * photo.strip_bytes + (12 if is_smoothed else 6) * (stop - start) * photo.shape[1]
    if 2 * needed > memory:
        raise ImageError(
            f"{photo.source}: declares tiles or strips so high that {photo.shape[1]} x {stop - start} pixels "
            f"are read at once: {2 * needed / 1e9:.2f} GB of memory, {memory / 1e9:.2f} GB are allowed; "
            "allow more with --memory, or write the photo with lower ones"
        )
    # A thread counts 8-bit colors in a table of its own.
    table = 2**26 if photo.dtype == np.uint8 and photo.n_bands == 3 else 0
    return max(1, min(n_jobs, memory // (2 * needed + table)))


def _fitted(
    counted: Counted,
    model: PhotoModel | None,
    space: str,
    fitting: dict[str, Any],
    rare: bool,
    random_state: int,
    n_jobs: int,
) -> tuple[dict[str, Any], PhotoModel]:
    """Fit a mixture, or apply one; return what is known of it, and the model."""
    samples = counted.samples
    if model is not None:
        return {"log_likelihood": log_likelihood(samples, model.parameters, n_jobs=n_jobs)}, model
    options = {"n_components": AUTO, "relative_reg": RELATIVE_REG, **fitting}
    choosing = samples
    if not isinstance(samples, Samples) and options["n_components"] == AUTO:
        choosing = subsample(samples, _CHOOSING, np.random.default_rng(random_state))
    shared: dict[str, Any] = {"random_state": random_state, "n_jobs": n_jobs}
    kept: dict[str, Any] = {
        name: options[name] for name in ("covariance_type", "relative_reg") if name in options
    }

    def more(n: int) -> list[Parameters]:
        return rare_starts(samples, n, **kept, **shared) if rare and isinstance(samples, Samples) else []

    result, selection = fit_colors(samples, space, **options, choosing=choosing, more_starts=more, **shared)
    fields = {"result": result, "selection": selection, "log_likelihood": result.log_likelihood}
    return fields, PhotoModel(result.parameters, space)


def _labeled(
    labeler: Labeler, photo: TiledPhoto, model: PhotoModel, folder: str | os.PathLike[str], notify: Notify
) -> tuple[LabelStore, np.ndarray, np.ndarray]:
    """Label all pixels; return where the labels lie, sums of colors, and pixels of each label."""
    store = LabelStore(photo.shape, model.parameters.n_components, folder)
    try:
        return store, *labeler.run(store, notify)
    except BaseException:
        store.close()
        raise
