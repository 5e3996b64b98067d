"""Small regions of a label map become part of their most similar neighbors."""

from __future__ import annotations

import numpy as np

from segment.parallel import block_ranges, map_blocks
from segment.photo.colors import to_features

_BLOCK = 1 << 18

# Borders of small regions that one pass over most photos lists; where there are more, a second one does.
_PAIRS = 1 << 18


def merge_specks(
    label_map: np.ndarray,
    colors: np.ndarray,
    least: float,
    *,
    in_pixels: bool = False,
    n_jobs: int | None = None,
) -> np.ndarray:
    """Merge small connected regions into the neighbor of the most similar mean color.

    Parameters
    ----------
    label_map : (M, N) int32 ndarray
        Labels below 0 belong to no region.
    colors : (M, N, 3) uint8 ndarray
    least : float
        Size from which a region stays: a share of the area that has a label.
    in_pixels : bool
        The size is one in pixels.
    n_jobs : int, optional
        Threads.

    Returns
    -------
    (M, N) int32 ndarray
        What was merged has the label of its largest part.
    """
    from segment.kernels.image.specks import label_regions, measure_regions

    regions = np.empty(label_map.size, dtype=np.int32)
    n_regions = label_regions(label_map, regions)
    totals, counts = np.zeros((n_regions, 3), dtype=np.int64), np.zeros(n_regions, dtype=np.int64)
    labels = np.empty(n_regions, dtype=np.int32)
    measure_regions(regions, colors.reshape(-1, 3), label_map.ravel(), totals, counts, labels)
    least = least if in_pixels else least * float(counts.sum())
    if not (counts < least).any():
        return label_map
    pairs = borders(regions.reshape(label_map.shape), counts < least)
    joined = joined_labels(pairs, counts, mean_features(totals, counts), labels, least)
    # Where there is no region, -1 takes the last entry.
    table = np.append(joined, np.int32(-1))

    def relabel(block: tuple[int, int]) -> None:
        # In place: fresh memory costs more than looking up.
        regions[slice(*block)] = table[regions[slice(*block)]]

    map_blocks(relabel, block_ranges(len(regions), _BLOCK), n_jobs)
    return regions.reshape(label_map.shape)


def mean_features(totals: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return the mean color of each region in Lab, from sums of sRGB (R, 3) and numbers of pixels (R,)."""
    return to_features(totals / counts[:, None] / 255.0, "lab")


def joined_labels(
    pairs: np.ndarray, counts: np.ndarray, means: np.ndarray, labels: np.ndarray, least: float
) -> np.ndarray:
    """Return the label that each region has after the small ones were merged.

    Parameters
    ----------
    pairs : (p, 2) int32 ndarray
        Neighboring regions of which at least one is small.
    counts : (R,) int64 ndarray
    means : (R, D) float64 ndarray
    labels : (R,) int32 ndarray
    least : float
        Size from which a region stays.

    Returns
    -------
    (R,) int32 ndarray
    """
    sizes = counts.astype(np.float64)
    parents = _merged(pairs, sizes, means * sizes[:, None], least)
    # Written from the smallest part to the largest, whose label stays.
    by_size = np.argsort(counts, kind="stable")
    joined = np.full(len(counts), -1, dtype=np.int32)
    joined[parents[by_size]] = labels[by_size]
    return joined[parents]


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
    return _merged(borders(regions, sizes < least), sizes, sums, least)


def borders(regions: np.ndarray, small: np.ndarray) -> np.ndarray:
    """Return the pairs of neighboring regions of which at least one is small, (p, 2) int32."""
    from segment.kernels.image.specks import borders_of_small

    pairs = np.empty((_PAIRS, 2), dtype=np.int32)
    n_pairs = borders_of_small(regions, small, pairs)
    if n_pairs > len(pairs):
        pairs = np.empty((n_pairs, 2), dtype=np.int32)
        borders_of_small(regions, small, pairs)
    return pairs[:n_pairs]


def _merged(pairs: np.ndarray, sizes: np.ndarray, sums: np.ndarray, least: float) -> np.ndarray:
    from segment.kernels.image.specks import merge_small

    parents = np.empty(len(sizes), dtype=np.int32)
    merge_small(pairs, sizes.copy(), sums.copy(), least, parents)
    return parents
