"""How well a label map agrees with what people drew: region and boundary scores, and the BSDS500 data.

Everything about regions follows from one contingency table (how many pixels each region shares with each
human segment), so a whole hierarchy is scored from the table of its finest cut by adding up rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from segment.datasets import dataset_folder
from segment.errors import DataError, DatasetError
from segment.kernels.regions.matching import match_near

# Boundaries count as the same within this share of the image diagonal (4.3 pixels for 481 x 321).
BOUNDARY_TOLERANCE = 0.0075


@dataclass(frozen=True)
class AnnotatedImage:
    """A photo and the label maps that people drew on it.

    Attributes
    ----------
    name : str
    image : (M, N, 3) uint8 ndarray, sRGB
    annotations : tuple of (M, N) int32 ndarrays
        One a person, labels 0, 1, 2, ...
    """

    name: str
    image: np.ndarray
    annotations: tuple[np.ndarray, ...]


class RegionScores(NamedTuple):
    """What one label map scores against all annotators of its image.

    `covered` and `area` are kept apart because the covering of a data set is the ratio of their sums, so
    that every annotated pixel counts alike.
    """

    covered: float
    area: float
    rand_index: float
    variation: float

    @property
    def covering(self) -> float:
        """Segmentation covering in [0, 1]: the best overlap of each human segment, weighted by its area."""
        return self.covered / self.area


class ScaleScores(NamedTuple):
    """A score with one scale for the whole data set (ODS) and with each image's own best scale (OIS)."""

    ods: float
    ois: float
    scale: int
    """Index of the scale that is best for the data set."""


@dataclass(frozen=True, eq=False)
class ContingencyTable:
    """Pixels shared by the regions of a label map and the segments of every annotator.

    Attributes
    ----------
    counts : (n_regions, n_segments) float64 ndarray
        Segments of all annotators side by side.
    starts : (n_annotators,) int64 ndarray
        First column of each annotator.
    """

    counts: np.ndarray
    starts: np.ndarray

    @classmethod
    def of(cls, label_map: np.ndarray, annotations: Sequence[np.ndarray]) -> ContingencyTable:
        """Count the pixels of a label map, (M, N) int from 0, against annotations of the same shape.

        Raises
        ------
        DataError
            If the shapes differ, or there is no annotation.
        """
        if not annotations:
            raise DataError("there is no annotation to compare with; at least one is needed")
        if wrong := [a.shape for a in annotations if a.shape != label_map.shape]:
            raise DataError(
                f"an annotation has shape {wrong[0]}, the label map {label_map.shape}; they must agree"
            )
        labels = label_map.ravel().astype(np.int64)
        n_regions = int(labels.max()) + 1
        tables = []
        for annotation in annotations:
            n_segments = int(annotation.max()) + 1
            pairs = labels * n_segments + annotation.ravel()
            counts = np.bincount(pairs, minlength=n_regions * n_segments)
            tables.append(counts.reshape(n_regions, n_segments).astype(np.float64))
        starts = np.cumsum([0] + [table.shape[1] for table in tables[:-1]])
        return cls(np.hstack(tables), starts)

    def merged(self, regions: np.ndarray) -> ContingencyTable:
        """Return the table after row i has become part of region ``regions[i]`` (int from 0, none empty)."""
        order = np.argsort(regions, kind="stable")
        first = np.flatnonzero(np.diff(regions[order], prepend=-1))
        return ContingencyTable(np.add.reduceat(self.counts[order], first, axis=0), self.starts)

    def scores(self) -> RegionScores:
        """Return covering, probabilistic Rand index and variation of information (bits).

        The last two are means over the annotators.

        References
        ----------
        .. [1] Arbelaez, Maire, Fowlkes & Malik (2011), "Contour detection and hierarchical image
               segmentation", IEEE TPAMI 33(5), 898-916, section 2.3.
        """
        shared, starts = self.counts, self.starts
        segments = shared.sum(axis=0)
        regions = shared[:, : starts[1] if len(starts) > 1 else None].sum(axis=1)
        n = regions.sum()
        overlap = shared / np.maximum(regions[:, None] + segments - shared, 1)
        covered = float(overlap.max(axis=0) @ segments)
        together = np.add.reduceat(np.square(shared).sum(axis=0), starts)
        in_segments = np.add.reduceat(np.square(segments), starts)
        disagreeing = (np.square(regions).sum() + in_segments) / 2 - together
        rand_index = 1 - disagreeing / max(n * (n - 1) / 2, 1)
        entropy = _plogp(segments / n)
        variation = _plogp(regions / n).sum() + np.add.reduceat(
            entropy - 2 * _plogp(shared / n).sum(axis=0), starts
        )
        return RegionScores(
            covered, n * len(starts), float(rand_index.mean()), max(0.0, float(variation.mean()))
        )


def _plogp(share: np.ndarray) -> np.ndarray:
    return share * np.log2(np.where(share > 0, share, 1.0))


def region_scores(label_map: np.ndarray, annotations: Sequence[np.ndarray]) -> RegionScores:
    """Score a label map against all annotators of its image.

    Parameters
    ----------
    label_map : (M, N) int ndarray, labels from 0
    annotations : sequence of (M, N) int ndarrays, labels from 0

    Returns
    -------
    RegionScores

    Raises
    ------
    DataError
        If the shapes differ, or there is no annotation.
    """
    return ContingencyTable.of(label_map, annotations).scores()


def hierarchy_scores(
    table: ContingencyTable, merges: np.ndarray, levels: np.ndarray, scales: np.ndarray
) -> list[RegionScores]:
    """Score the cuts of a hierarchy at many scales, given the table of its leaves.

    Parameters
    ----------
    table : ContingencyTable
        Of the leaves.
    merges : (n_merges, 2) int ndarray
        Leaves that stand for the two regions merged, in order; the second joins the first.
    levels : (n_merges,) float ndarray, not decreasing
    scales : (n_scales,) float ndarray, increasing
        The cut at a scale has all merges with level <= scale done.
    """
    parent = np.arange(len(table.counts))
    done = 0
    scores: list[RegionScores] = []
    for stop in np.searchsorted(levels, scales, side="right"):
        if stop > done or not scores:
            for first, second in merges[done:stop]:
                parent[second] = first
            done = stop
            roots, regions = np.unique(_roots(parent), return_inverse=True)
            table, parent = table.merged(regions), np.arange(len(roots))
            merges = np.searchsorted(roots, merges)
            last = table.scores()
        scores.append(last)
    return scores


def _roots(parent: np.ndarray) -> np.ndarray:
    while not np.array_equal(parent, parent[parent]):
        parent = parent[parent]
    return parent


def summarize_regions(scores: Any) -> dict[str, ScaleScores]:
    """Return covering, Rand index and variation of information at ODS and OIS.

    Parameters
    ----------
    scores : (n_images, n_scales, 4) array-like of `RegionScores`

    References
    ----------
    .. [1] Arbelaez et al. (2011), as for `ContingencyTable.scores`.
    """
    covered, area, rand_index, variation = np.moveaxis(np.asarray(scores, dtype=np.float64), 2, 0)
    by_scale = covered.sum(axis=0) / area.sum(axis=0)
    best = covered.max(axis=1).sum() / area[:, 0].sum()
    found = {"covering": ScaleScores(float(by_scale.max()), float(best), int(by_scale.argmax()))}
    mean = rand_index.mean(axis=0)
    found["rand_index"] = ScaleScores(
        float(mean.max()), float(rand_index.max(axis=1).mean()), int(mean.argmax())
    )
    mean = variation.mean(axis=0)
    found["variation"] = ScaleScores(
        float(mean.min()), float(variation.min(axis=1).mean()), int(mean.argmin())
    )
    return found


def boundary_map(label_map: np.ndarray) -> np.ndarray:
    """Mark the pixels, (M, N) bool, whose right, lower or lower right neighbor has another label."""
    padded = np.pad(label_map, ((0, 1), (0, 1)), mode="edge")
    here = padded[:-1, :-1]
    return (here != padded[:-1, 1:]) | (here != padded[1:, :-1]) | (here != padded[1:, 1:])


def thinned_boundary(label_map: np.ndarray) -> np.ndarray:
    """Return the boundary, (M, N) bool, thinned to one pixel: for an annotation, the benchmark's own."""
    from skimage.morphology import thin

    return thin(boundary_map(label_map))


class BoundaryCounts(NamedTuple):
    """Boundary pixels of a label map (`drawn`) and of all annotators (`wanted`), and those matched."""

    drawn_matched: int
    drawn: int
    wanted_matched: int
    wanted: int


def boundary_counts(label_map: np.ndarray, annotations: Sequence[np.ndarray]) -> BoundaryCounts:
    """Match the thinned boundaries of a label map one-to-one with those of every annotator.

    A drawn pixel is right if it is matched for any annotator. The matching is of the largest size (the
    benchmark's own code takes one of small total distance, and may match a few pixels less).

    References
    ----------
    .. [1] Martin, Fowlkes & Malik (2004), "Learning to detect natural image boundaries using local
           brightness, color, and texture cues", IEEE TPAMI 26(5), 530-549.
    """
    drawn = np.argwhere(thinned_boundary(label_map))
    distance = BOUNDARY_TOLERANCE * float(np.hypot(*label_map.shape))
    right = np.zeros(len(drawn), dtype=bool)
    wanted = wanted_matched = 0
    for annotation in annotations:
        boundary = np.argwhere(thinned_boundary(annotation))
        matched = _match(drawn, boundary, distance)
        right |= matched >= 0
        wanted += len(boundary)
        wanted_matched += int((matched >= 0).sum())
    return BoundaryCounts(int(right.sum()), len(drawn), wanted_matched, wanted)


def _match(drawn: np.ndarray, wanted: np.ndarray, distance: float) -> np.ndarray:
    """Return the partner of each drawn pixel, -1 where it has none."""
    from scipy.spatial import KDTree

    match, taken = np.empty(len(drawn), dtype=np.int64), np.empty(len(wanted), dtype=np.int64)
    near = KDTree(drawn).sparse_distance_matrix(KDTree(wanted), distance, output_type="ndarray")
    near = near[np.lexsort((near["j"], near["i"]))]
    starts = np.searchsorted(near["i"], np.arange(len(drawn) + 1))
    order = np.argsort(near["v"], kind="stable")
    match_near(starts, near["j"].astype(np.int64), order, near["i"].astype(np.int64), match, taken)
    return match


def summarize_boundaries(counts: Any) -> ScaleScores:
    """Return the boundary F-measure at ODS and OIS from (n_images, n_scales, 4) `BoundaryCounts`."""
    counts = np.asarray(counts, dtype=np.float64)
    by_scale = _f_measure(counts.sum(axis=0))
    own = _f_measure(counts).argmax(axis=1)
    best = counts[np.arange(len(counts)), own].sum(axis=0)
    return ScaleScores(float(by_scale.max()), float(_f_measure(best)), int(by_scale.argmax()))


def _f_measure(counts: np.ndarray) -> np.ndarray:
    drawn_matched, drawn, wanted_matched, wanted = np.moveaxis(counts, -1, 0)
    precision = drawn_matched / np.maximum(drawn, 1)
    recall = wanted_matched / np.maximum(wanted, 1)
    return 2 * precision * recall / np.maximum(precision + recall, 1e-12)


def bsds500_names(split: str) -> list[str]:
    """Return the names of the images of BSDS500 in a split ("train" or "val"), in order.

    Raises
    ------
    DatasetError
        If the folder of that split is not there.
    """
    folder = dataset_folder("bsds500") / "images" / split
    names = sorted(path.stem for path in folder.glob("*.jpg"))
    if not names:
        raise DatasetError(
            f"{folder} holds no images; try `segment datasets fetch bsds500`, or let SEGMENT_DATASETS name "
            "the folder that holds bsds500"
        )
    return names


def load_bsds500_image(split: str, name: str) -> AnnotatedImage:
    """Read a photo of BSDS500 and its annotations.

    Raises
    ------
    DatasetError
        If a file is missing or cannot be read.
    """
    from PIL import Image
    from scipy.io import loadmat

    root = dataset_folder("bsds500")
    photo, truth = (
        root / "images" / split / f"{name}.jpg",
        root / "groundTruth" / split / f"{name}.mat",
    )
    try:
        with Image.open(photo) as opened:
            image = np.asarray(opened.convert("RGB"))
        cells = loadmat(truth)["groundTruth"][0]
        maps = tuple(_compact(cell["Segmentation"][0, 0]) for cell in cells)
    except (OSError, ValueError, KeyError, IndexError) as error:
        raise DatasetError(
            f"BSDS500 image {name} of split {split!r} cannot be read: {error}; "
            "try `segment datasets verify bsds500`"
        ) from error
    return AnnotatedImage(name, image, maps)


def load_bsds500(split: str, names: Sequence[str] | None = None) -> Iterator[AnnotatedImage]:
    """Yield the annotated images of a split of BSDS500, all or those named."""
    for name in bsds500_names(split) if names is None else names:
        yield load_bsds500_image(split, name)


def _compact(label_map: np.ndarray) -> np.ndarray:
    _, labels = np.unique(label_map, return_inverse=True)
    return labels.reshape(label_map.shape).astype(np.int32)
