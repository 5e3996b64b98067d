"""`segment_regions`: from a photo to the hierarchy of its regions."""

from __future__ import annotations

from math import ceil, sqrt
from typing import Any

import numpy as np

from segment.kernels.arcs import refine_pixels
from segment.kernels.regions import Graph, merge_until
from segment.mixture import responsibilities
from segment.parallel import block_ranges, map_blocks
from segment.photo.colors import to_features
from segment.photo.photo import Photo
from segment.photo.regions.channels import Channels, measure_channels
from segment.photo.regions.cost import MergeCost, shipped_cost
from segment.photo.regions.graph import add_prior, build_graph, find_leaves, leaf_log_odds
from segment.photo.regions.tree import RegionTree

# Larger photos are reduced by a whole factor to at most this many pixels: the cost was learned on photos of
# 0.15 megapixels, and more detail than this no hierarchy needs.
WORKING_PIXELS = 400_000

_WHITE = np.array([100, 0, 0], dtype=np.float32)
_ROWS = 64


def segment_regions(image: Any, *, random_state: int = 0, n_jobs: int | None = None) -> RegionTree:
    """Segment a photo into a hierarchy of regions, as people would draw them.

    Parameters
    ----------
    image : Photo, or (M, N), (M, N, 3), (M, N, 4) or (M, N, D) array
        As for `segment_photo`; what is transparent fades into white.
    random_state : int
        Seed of the sampled pixels and of the mixtures' starts. The same seed gives the same tree.
    n_jobs : int, optional
        Threads (default: all cores). The tree does not depend on it.

    Returns
    -------
    RegionTree

    Raises
    ------
    ImageError
        If `image` is no photo.

    Notes
    -----
    The hierarchy of a photo of more than `WORKING_PIXELS` is found at a reduced size; the boundaries of its
    leaves are then refined at full size.

    References
    ----------
    .. [1] Arbelaez, Maire, Fowlkes & Malik (2011), "Contour detection and hierarchical image
           segmentation", IEEE TPAMI 33(5), 898-916.
    .. [2] Ren & Shakhnarovich (2013), "Image segmentation by cascaded region agglomeration", CVPR:
           merging by a learned cost.
    .. [3] Kopf, Cohen, Lischinski & Uyttendaele (2007), "Joint bilateral upsampling", ACM TOG 26(3): the
           refinement, here with posteriors in the place of colors.
    """
    photo = image if isinstance(image, Photo) else Photo.of(image)
    factor = ceil(sqrt(photo.n_pixels / WORKING_PIXELS))
    lab = to_lab(photo if factor == 1 else _reduced(photo, factor), n_jobs=n_jobs)
    channels = measure_channels(lab, random_state=random_state, n_jobs=n_jobs)
    leaves = find_leaves(channels)
    graph = build_graph(channels, leaves)
    if factor > 1:
        leaves = _refined(photo, factor, channels, leaves, n_jobs)
    return merge_leaves(leaves, graph, shipped_cost())


def merge_leaves(leaves: np.ndarray, graph: Graph, cost: MergeCost) -> RegionTree:
    """Merge the leaves of a graph (which is used up) down to one region."""
    n = len(graph.regions)
    merges, costs = np.empty((n - 1, 2), dtype=np.int64), np.empty(n - 1)
    if n > 1:
        add_prior(graph, to_probability(leaf_log_odds(graph, cost.leaf)))
        merge_until(graph, cost.merge, n, 1, merges, costs)
    levels = to_probability(np.maximum.accumulate(costs))
    return RegionTree(leaves, merges.astype(np.int32), levels)


def to_probability(log_odds: np.ndarray) -> np.ndarray:
    """Return the probabilities of log odds, kept off 0 and 1 by 1e-9."""
    return np.clip(0.5 * (1 + np.tanh(0.5 * log_odds)), 1e-9, 1 - 1e-9)


def to_lab(photo: Photo, *, n_jobs: int | None = None) -> np.ndarray:
    """Return a photo as (M, N, 3) float32 CIE Lab; bands that are no colors as they are shown."""
    colors = photo.pixels if photo.is_color else photo.display
    lab = to_features(colors.reshape(-1, 3), "lab", n_jobs=n_jobs).astype(np.float32)
    lab = lab.reshape(*photo.shape, 3)
    if photo.alpha is not None:
        alpha = photo.alpha[..., None]
        lab = lab * alpha + _WHITE * (1 - alpha)
    return lab


def _reduced(photo: Photo, factor: int) -> Photo:
    """Average squares of `factor` pixels a side; what is left at the right and below is averaged too."""
    colors = photo.pixels if photo.is_color else photo.display
    top = np.float32(np.iinfo(colors.dtype).max if colors.dtype.kind == "u" else 1)
    reduced = _block_means(colors, factor) / top
    alpha = None if photo.alpha is None else _block_means(photo.alpha[..., None], factor)[..., 0]
    return Photo(np.minimum(reduced, 1), alpha)


def _block_means(field: np.ndarray, factor: int) -> np.ndarray:
    for axis in (0, 1):
        starts = np.arange(0, field.shape[axis], factor)
        counts = np.diff(np.append(starts, field.shape[axis])).astype(np.float32)
        sums = np.add.reduceat(field, starts, axis=axis, dtype=np.float32)
        field = sums / np.expand_dims(counts, (1 - axis, 2))
    return field


def _refined(
    photo: Photo, factor: int, channels: Channels, leaves: np.ndarray, n_jobs: int | None
) -> np.ndarray:
    """Return the leaves at full size, with boundaries that follow the color posteriors of the photo."""
    from scipy.ndimage import maximum_filter, minimum_filter

    mixed = maximum_filter(leaves, 3) != minimum_filter(leaves, 3)
    mixture = channels.color_mixture
    working_shares = np.sqrt(channels.color[..., : mixture.n_components])
    down, right = (
        np.minimum(np.arange(full) // factor, size - 1)
        for full, size in zip(photo.shape, leaves.shape, strict=True)
    )
    refined = np.empty(photo.shape, dtype=np.int32)

    def refine(block: tuple[int, int]) -> None:
        rows = slice(*block)
        alpha = None if photo.alpha is None else photo.alpha[rows]
        part = Photo((photo.pixels if photo.is_color else photo.display)[rows], alpha)
        here = np.ix_(down[rows], right)
        refined[rows] = leaves[here]
        y, x = np.nonzero(mixed[here])
        if len(y) == 0:
            return
        shares = np.sqrt(responsibilities(to_lab(part, n_jobs=1)[y, x], mixture, n_jobs=1))
        chosen = np.empty(len(y), dtype=np.int32)
        refine_pixels(y + block[0], x, shares, factor, working_shares, leaves, chosen)
        refined[rows][y, x] = chosen

    map_blocks(refine, block_ranges(photo.shape[0], _ROWS), n_jobs)
    # A leaf that lost all its pixels would be missing from every cut: it keeps its working pixels.
    for gone in np.setdiff1d(np.arange(leaves.max() + 1), np.unique(refined)):
        enlarged = np.argwhere(leaves == gone) * factor
        refined[enlarged[:, 0], enlarged[:, 1]] = gone
    _join_fragments(refined)
    return refined


def _join_fragments(leaves: np.ndarray) -> None:
    """Give every piece that the refinement cut off its leaf to the leaf that surrounds most of it (INOUT)."""
    from scipy.ndimage import binary_dilation, find_objects
    from skimage.measure import label

    pieces = label(leaves, background=-1, connectivity=1)
    areas = np.bincount(pieces.ravel())
    boxes = find_objects(pieces)
    owner = np.array([leaves[box][pieces[box] == i][0] for i, box in enumerate(boxes, start=1)])
    largest = np.zeros(int(owner.max()) + 1, dtype=np.int64)
    for piece in np.argsort(areas[1:], kind="stable"):
        largest[owner[piece]] = piece
    for piece in np.setdiff1d(np.arange(len(boxes)), largest):
        around = tuple(slice(max(0, part.start - 1), part.stop + 1) for part in boxes[piece])
        inside = pieces[around] == piece + 1
        rim = leaves[around][binary_dilation(inside) & ~inside]
        leaves[around][inside] = np.bincount(rim).argmax()
