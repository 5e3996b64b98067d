"""`segment_regions`: from a photo to the hierarchy of its regions."""

from __future__ import annotations

from typing import Any

import numpy as np

from segment.errors import ImageError
from segment.kernels.regions import Graph, merge_until
from segment.photo.regions.channels import measure_channels
from segment.photo.regions.cost import MergeCost, shipped_cost
from segment.photo.regions.graph import add_prior, build_graph, find_leaves, leaf_log_odds
from segment.photo.regions.tree import RegionTree


def segment_regions(image: Any, *, random_state: int = 0, n_jobs: int | None = None) -> RegionTree:
    """Segment a photo into a hierarchy of regions, as people would draw them.

    Parameters
    ----------
    image : (M, N), (M, N, 1), (M, N, 3) or (M, N, 4) uint8 or uint16 ndarray, sRGB
        Gray, color, or color with alpha; what is transparent is taken as white.
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
        If the array is no such image.

    References
    ----------
    .. [1] Arbelaez, Maire, Fowlkes & Malik (2011), "Contour detection and hierarchical image
           segmentation", IEEE TPAMI 33(5), 898-916.
    .. [2] Ren & Shakhnarovich (2013), "Image segmentation by cascaded region agglomeration", CVPR:
           merging by a learned cost.
    """
    lab = to_lab(image)
    channels = measure_channels(lab, random_state=random_state, n_jobs=n_jobs)
    leaves = find_leaves(channels)
    return merge_leaves(leaves, build_graph(channels, leaves), shipped_cost())


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


def to_lab(image: Any) -> np.ndarray:
    """Return an image as (M, N, 3) float32 CIE Lab.

    Raises
    ------
    ImageError
        If it is not a gray, color or color and alpha image of 8 or 16 bits.
    """
    from skimage.color import rgb2lab

    image = np.asarray(image)
    if image.dtype not in (np.uint8, np.uint16):
        raise ImageError(f"the image has dtype {image.dtype}; uint8 or uint16 is needed")
    if image.ndim == 2:
        image = image[..., None]
    if image.ndim != 3 or image.shape[2] not in (1, 3, 4) or 0 in image.shape:
        raise ImageError(
            f"the image has shape {image.shape}; (M, N), (M, N, 3) or (M, N, 4) with M, N >= 1 is needed"
        )
    values = image.astype(np.float32) / np.float32(np.iinfo(image.dtype).max)
    if values.shape[2] == 4:
        alpha = values[..., 3:]
        values = values[..., :3] * alpha + (1 - alpha)
    if values.shape[2] == 1:
        values = np.repeat(values, 3, axis=2)
    return rgb2lab(values).astype(np.float32)
