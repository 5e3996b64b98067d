"""`segment_hints`: from a photo and hints to a label map of classes, and to a model for other photos."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from segment.data.samples import Samples
from segment.errors import ImageError
from segment.parallel import block_ranges, map_blocks, resolve_n_jobs, single_threaded_blas
from segment.photo.arguments import as_photo, checked_seed
from segment.photo.color_segmentation import PhotoSegmentation
from segment.photo.colors import to_features
from segment.photo.distinct import distinct_colors
from segment.photo.hints.classes import class_log_densities, class_priors, fit_classes
from segment.photo.hints.scribbles import Hints
from segment.photo.hints.superpixels import Superpixels
from segment.photo.model import PhotoModel
from segment.photo.photo import Photo
from segment.photo.smooth import LIGHT, Grid
from segment.stopwatch import Stopwatch

SPACE = "lab"
SMOOTH = "superpixels"

# Superpixels are cut on a grid of at most this many pixels.
WORKING_PIXELS = 300_000

# Rounds in which superpixels take part in the fit with their probabilities, and what all of them together
# weigh against the hints of a class (docs/decisions/hints.md).
_ROUNDS = 1
_SHARE = 0.1

_ROWS = 64


@dataclass(frozen=True, eq=False)
class HintedSegmentation(PhotoSegmentation):
    """A photo segmented into classes that hints have named.

    Attributes
    ----------
    hints : Hints or None
        None where a model of classes was applied.
    """

    hints: Hints | None = None

    @property
    def is_fitted_here(self) -> bool:
        """Whether the hints were those of this photo."""
        return self.hints is not None

    def found(self) -> str:
        """Say how many classes there are."""
        return f"{self.n_labels} classes"

    def how(self) -> str:
        """Say what they were found from."""
        n = self.parameters.n_components
        if self.hints is None:
            return f"a model of {self.n_labels} classes applied, {n} components"
        return f"{int(self.hints.counts.sum())} pixels with hints, {n} components"

    def responsibilities(self, n_jobs: int | None = None) -> np.ndarray:
        """Return the posterior probability of each class by each pixel's color alone, (M, N, C) float32."""
        components = super().responsibilities(n_jobs)
        starts = np.flatnonzero(np.diff(_classes_of(self.model), prepend=-1))
        return np.add.reduceat(components, starts, axis=2)

    def facts(self) -> dict[str, Any]:
        """Return what the sidecar says of classes alone."""
        counts = [None] * self.n_labels if self.hints is None else self.hints.counts.tolist()
        names = self.model.names or ()
        classes = [{"name": name, "hints": n} for name, n in zip(names, counts, strict=True)]
        return super().facts() | {"classes": classes, "component_classes": self.model.classes}


def _classes_of(model: PhotoModel) -> np.ndarray:
    assert model.classes is not None
    return model.classes


@single_threaded_blas()
def segment_hints(
    image: Any,
    hints: Hints,
    *,
    source: str = "hints",
    random_state: int = 0,
    n_jobs: int | None = None,
    step: Callable[[str], None] = lambda name: None,
) -> HintedSegmentation:
    """Segment a photo into classes of which some pixels are known.

    Parameters
    ----------
    image : Photo or array
        As for `segment_photo`; colors, not bands.
    hints : Hints
        Of `read_hints`.
    source : str
        What the hints are called in errors.
    random_state : int
    n_jobs : int, optional
        Threads; the result does not depend on it.
    step : callable
        Called with the name of each step as it begins.

    Returns
    -------
    HintedSegmentation
        Label k is class k of the hints; its palette is that of the hints.

    Raises
    ------
    ImageError
        If `image` is no photo or holds bands, or the hints are of another size or lie where it does not
        count.

    Notes
    -----
    Each class is a mixture of the colors that its hints have. Superpixels are classed by a random walk that
    crosses easily between pieces of one color, and ends at hints, or by what the colors of a piece say. They
    then take part in the fit with their probabilities, while hints keep their class: semi-supervised EM.

    References
    ----------
    .. [1] Grady (2005), "Multilabel random walker image segmentation using prior models", CVPR.
    .. [2] Nigam, McCallum, Thrun & Mitchell (2000), "Text classification from labeled and unlabeled documents
           using EM", Machine Learning 39, 103-134: unlabeled samples that weigh less.
    """
    random_state, n_jobs = checked_seed(random_state), resolve_n_jobs(n_jobs)
    photo = _checked(as_photo(image))
    hints = hints.within(photo, source)
    watch = Stopwatch(step)
    with watch.step("count"):
        work = _Work(photo, n_jobs)
        scribbled = work.of_superpixels(hints)
    with watch.step("fit"):
        colors = [_colors(photo, hints.classes == c) for c in range(len(hints.names))]
        parameters, classes = fit_classes([Samples(X, np.ones(len(X))) for X in colors], random_state)
        for _ in range(_ROUNDS):
            found = work.pieces.walk(class_priors(work.pieces.means, parameters, classes), scribbled)
            parameters, classes = fit_classes(work.with_pieces(colors, found, scribbled), random_state)
    model = PhotoModel(parameters, SPACE, hints.palette, classes, hints.names)
    return work.labeled(model, scribbled, hints, watch, n_jobs)


@single_threaded_blas()
def apply_classes(
    photo: Photo,
    model: PhotoModel,
    *,
    n_jobs: int | None = None,
    step: Callable[[str], None] = lambda name: None,
) -> HintedSegmentation:
    """Segment a photo without hints by the classes of another one."""
    watch = Stopwatch(step)
    photo = _checked(photo)
    with watch.step("count"):
        work = _Work(photo, n_jobs)
    scribbled = np.zeros((len(work.pieces.sizes), len(model.names or ())))
    return work.labeled(model, scribbled, None, watch, n_jobs)


def _checked(photo: Photo) -> Photo:
    if not photo.is_color:
        raise ImageError(f"{photo.source}: holds bands, not colors; classes are found by colors")
    return photo


def _colors(photo: Photo, where: np.ndarray) -> np.ndarray:
    return to_features(photo.display[where], SPACE, n_jobs=1).astype(np.float64)


class _Work:
    """A photo's superpixels, on a grid of its pixels if it is large."""

    def __init__(self, photo: Photo, n_jobs: int | None) -> None:
        self.photo, self.grid = photo, Grid.of(photo.shape, WORKING_PIXELS)
        shown = photo.display[self.grid.rows, self.grid.columns]
        lab = to_features(shown.reshape(-1, 3), SPACE, n_jobs=n_jobs).reshape(shown.shape)
        self.pieces = Superpixels.of(lab)

    def of_superpixels(self, hints: Hints) -> np.ndarray:
        """Return how many hints of each class lie in each superpixel, (S, C), those between points too."""
        rows, columns = np.nonzero(hints.classes >= 0)
        points = [
            np.minimum(np.maximum(at - self.grid.offset + self.grid.step // 2, 0) // self.grid.step, size - 1)
            for at, size in zip((rows, columns), self.pieces.labels.shape, strict=True)
        ]
        pieces, n = self.pieces.labels[points[0], points[1]], len(hints.names)
        keys = pieces.astype(np.int64) * n + hints.classes[rows, columns]
        return np.bincount(keys, minlength=len(self.pieces.sizes) * n).reshape(-1, n).astype(np.float64)

    def with_pieces(
        self, colors: list[np.ndarray], found: np.ndarray, scribbled: np.ndarray
    ) -> list[Samples]:
        """Return the colors of hints, and those of superpixels without hints by their probabilities."""
        weights = found * (self.pieces.sizes * (scribbled.sum(axis=1) == 0))[:, None]
        groups = []
        for X, weight in zip(colors, weights.T, strict=True):
            weight = weight * (_SHARE * len(X) / max(float(weight.sum()), 1e-12))
            kept = weight > 1e-9 * len(X)
            both = np.concatenate([X, self.pieces.means[kept]])
            groups.append(Samples(both, np.concatenate([np.ones(len(X)), weight[kept]])))
        return groups

    def labeled(
        self,
        model: PhotoModel,
        scribbled: np.ndarray,
        hints: Hints | None,
        watch: Stopwatch,
        n_jobs: int | None,
    ) -> HintedSegmentation:
        """Label the photo by a model, and by hints where there are any."""
        photo, parameters, classes = self.photo, model.parameters, _classes_of(model)
        with watch.step("smooth"):
            found = self.pieces.walk(class_priors(self.pieces.means, parameters, classes), scribbled)
            labels = self._spread(found, n_jobs)
        with watch.step("label"):
            if hints is not None:
                labels = np.where(hints.classes >= 0, hints.classes, labels)
            if photo.counts is not None:
                labels = np.where(photo.counts, labels, np.int32(-1))
            areas = np.bincount(labels[labels >= 0], minlength=found.shape[1])
            distinct = distinct_colors(photo)
            rows = to_features(distinct.values, SPACE, n_jobs=n_jobs)
            scores = class_log_densities(rows, parameters, classes, n_jobs)
            score = float(distinct.weights @ np.logaddexp.reduce(scores, axis=1))
        assert model.palette is not None
        return HintedSegmentation(
            photo,
            labels.astype(np.int32),
            model.palette,
            areas / max(int(areas.sum()), 1),
            model=model,
            n_distinct_colors=len(distinct.values),
            log_likelihood=score,
            smooth=SMOOTH,
            hints=hints,
            seconds=watch.seconds,
        )

    def _spread(self, found: np.ndarray, n_jobs: int | None) -> np.ndarray:
        """Return the likeliest class of each pixel, (M, N) int32; between the grid's points, edges decide."""
        if self.grid.step == 1:
            return found.argmax(axis=1).astype(np.int32)[self.pieces.labels]
        display = self.photo.display
        guide = display[self.grid.rows, self.grid.columns]
        filter = self.grid.filter_maps(guide, found[self.pieces.labels], 1, LIGHT.eps, n_jobs=n_jobs)
        out = np.zeros(self.photo.shape, dtype=np.int32)

        def fill(block: tuple[int, int]) -> None:
            part = slice(*block)
            filter.label(display[part], block[0], out[part])

        map_blocks(fill, block_ranges(len(out), _ROWS), n_jobs)
        return out
