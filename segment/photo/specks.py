"""Small regions of a label map become part of their most similar neighbors."""

from __future__ import annotations

import numpy as np

from segment.photo.colors import to_features


def merge_specks(label_map: np.ndarray, colors: np.ndarray, share: float) -> np.ndarray:
    """Merge connected regions below a share of the area into the neighbor of the most similar mean color.

    Parameters
    ----------
    label_map : (M, N) int32 ndarray
        Labels below 0 belong to no region.
    colors : (M, N, 3) uint8 ndarray
    share : float
        Of the area that has a label.

    Returns
    -------
    (M, N) int32 ndarray
        What was merged has the label of its largest part.
    """
    from segment.kernels.image.colors import sum_by_label
    from segment.kernels.image.specks import label_regions

    regions = np.empty(label_map.size, dtype=np.int32)
    n_regions = label_regions(label_map, regions)
    totals, counts = np.zeros((n_regions, 3), dtype=np.int64), np.zeros(n_regions, dtype=np.int64)
    sum_by_label(colors.reshape(-1, 3), regions, totals, counts)
    least = share * float(counts.sum())
    if not (counts < least).any():
        return label_map
    means = to_features(totals / counts[:, None] / 255.0, "lab")
    sizes = counts.astype(np.float64)
    parents = join_small(regions.reshape(label_map.shape), sizes, means * sizes[:, None], least)
    labels = np.empty(n_regions, dtype=np.int32)
    labels[regions[regions >= 0]] = label_map.ravel()[regions >= 0]
    # Written from the smallest part to the largest, whose label stays.
    by_size = np.argsort(counts, kind="stable")
    joined = np.full(n_regions + 1, -1, dtype=np.int32)
    joined[parents[by_size]] = labels[by_size]
    joined[:-1] = joined[parents]
    return joined[regions].reshape(label_map.shape)


def join_small(regions: np.ndarray, sizes: np.ndarray, sums: np.ndarray, least: float) -> np.ndarray:
    """Join small regions to the neighbors of the most similar mean color.

    Parameters
    ----------
    regions : (M, N) int32 ndarray
        Connected regions numbered from 0; -1 where there is none.
    sizes : (R,) float64 ndarray
    sums : (R, D) float64 ndarray
        Of the colors of each region's pixels.
    least : float
        Size from which a region stays.

    Returns
    -------
    (R,) int32 ndarray
        The region that each becomes part of.
    """
    from segment.kernels.image.specks import borders_of_small, merge_small

    small = sizes < least
    parents = np.empty(len(sizes), dtype=np.int32)
    n_pairs = borders_of_small(regions, small, np.empty((0, 2), dtype=np.int32))
    pairs = np.empty((n_pairs, 2), dtype=np.int32)
    borders_of_small(regions, small, pairs)
    merge_small(pairs, sizes.copy(), sums.copy(), least, parents)
    return parents
