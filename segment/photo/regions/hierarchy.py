"""`find_region_tree`: from a photo to the hierarchy of its regions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from segment.kernels.regions.linkage import average_linkage, fill_heights
from segment.kernels.regions.merging import Graph, merge_until
from segment.parallel import map_blocks, resolve_n_jobs, single_threaded_blas
from segment.photo.arguments import as_photo, checked_seed
from segment.photo.regions.channels import Channels, measure_channels
from segment.photo.regions.cost import MergeCost, shipped_cost
from segment.photo.regions.graph import add_prior, build_graph, find_leaves, leaf_log_odds
from segment.photo.regions.refinement import leaves_at_full_size
from segment.photo.regions.sizes import nearest_pixels, resized, to_lab, working_shapes
from segment.photo.regions.tree import RegionTree


class Hierarchy(NamedTuple):
    """What was found at one size.

    leaves (m, n) int32; ends (E, 2) int64, the leaves that touch; merges (n - 1, 2) int64 and levels (n - 1,)
    as in `RegionTree`.
    """

    leaves: np.ndarray
    ends: np.ndarray
    merges: np.ndarray
    levels: np.ndarray


@single_threaded_blas()
def find_region_tree(image: Any, *, random_state: int = 0, n_jobs: int | None = None) -> RegionTree:
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
    Two hierarchies are found, at a fine and at a coarse working size (`sizes`), and agreed on. The
    leaves are those of the fine one; the boundaries of large photos are refined at full size.

    References
    ----------
    .. [1] Arbelaez, Maire, Fowlkes & Malik (2011), "Contour detection and hierarchical image
           segmentation", IEEE TPAMI 33(5), 898-916.
    .. [2] Ren & Shakhnarovich (2013), "Image segmentation by cascaded region agglomeration", CVPR:
           merging by a learned cost.
    """
    random_state, n_jobs = checked_seed(random_state), resolve_n_jobs(n_jobs)
    photo = as_photo(image)
    cost = shipped_cost()

    def find(shape: tuple[int, int]) -> tuple[Channels, Hierarchy]:
        lab = to_lab(resized(photo, shape), n_jobs=n_jobs)
        channels = measure_channels(lab, random_state=random_state, n_jobs=n_jobs)
        return channels, find_hierarchy(channels, cost)

    seen, found = zip(*map_blocks(find, working_shapes(photo.shape), n_jobs), strict=True)
    leaves = leaves_at_full_size(photo, seen[0], found[0].leaves, n_jobs=n_jobs)
    merges, levels = agreed(found)
    return RegionTree(leaves, merges.astype(np.int32), levels)


def find_hierarchy(channels: Channels, cost: MergeCost) -> Hierarchy:
    """Find leaves and merge them by a cost down to one region."""
    leaves = find_leaves(channels)
    graph = build_graph(channels, leaves)
    ends = graph.ends.copy()
    return Hierarchy(leaves, ends, *merge_leaves(graph, cost))


def merge_leaves(graph: Graph, cost: MergeCost) -> tuple[np.ndarray, np.ndarray]:
    """Merge the leaves of a graph (which is used up); return merges and levels, as in `RegionTree`."""
    n = len(graph.regions)
    merges, costs = np.empty((n - 1, 2), dtype=np.int64), np.empty(n - 1)
    if n > 1:
        add_prior(graph, to_probability(leaf_log_odds(graph, cost.leaf)))
        merge_until(graph, cost.merge, n, 1, merges, costs)
    return merges, to_probability(np.maximum.accumulate(costs))


def to_probability(log_odds: np.ndarray) -> np.ndarray:
    """Return the probabilities of log odds, kept off 0 and 1 by 1e-9."""
    return np.clip(0.5 * (1 + np.tanh(0.5 * log_odds)), 1e-9, 1 - 1e-9)


def agreed(hierarchies: Sequence[Hierarchy]) -> tuple[np.ndarray, np.ndarray]:
    """Return merges and levels of the first hierarchy's leaves on which all hierarchies agree best.

    The distance of two pixels is the level at which they are joined, averaged over the hierarchies; touching
    regions are merged by the mean distance of their pixels.

    References
    ----------
    .. [1] Fred & Jain (2005), "Combining multiple clusterings using evidence accumulation", IEEE TPAMI 27(6),
           835-850: average linkage of co-associations; here of levels, and between touching regions only.
    """
    first = hierarchies[0]
    n = len(first.levels) + 1
    distances = np.zeros((n, n))
    for other in hierarchies:
        heights = np.zeros((len(other.levels) + 1,) * 2)
        fill_heights(other.merges, other.levels, heights)
        if other is not first:
            overlap = _overlap(first.leaves, other.leaves)
            heights = overlap @ (overlap @ heights).T
        heights /= len(hierarchies)
        distances += heights
    touching = np.zeros((n, n), dtype=bool)
    touching[first.ends[:, 0], first.ends[:, 1]] = touching[first.ends[:, 1], first.ends[:, 0]] = True
    areas = np.bincount(first.leaves.ravel(), minlength=n).astype(np.float64)
    merges, levels = np.empty((n - 1, 2), dtype=np.int64), np.empty(n - 1)
    average_linkage(distances, touching, areas, merges, levels)
    # Regions that do not touch may be closer than those that do: what is merged later is no lower.
    return merges, np.maximum.accumulate(levels)


def _overlap(leaves: np.ndarray, others: np.ndarray) -> Any:
    """Return the share of each leaf's pixels that lies in each other leaf, sparse; sizes may differ."""
    from scipy.sparse import coo_matrix

    nearest = others[np.ix_(*nearest_pixels(leaves.shape, others.shape))]
    pairs = (leaves.ravel(), nearest.ravel())
    counts = coo_matrix((np.ones(leaves.size), pairs), (int(leaves.max()) + 1, int(others.max()) + 1)).tocsr()
    return counts.multiply(1 / counts.sum(axis=1)).tocsr()
