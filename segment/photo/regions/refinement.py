"""Leaves found at a working size, brought to the photo's own size."""

from __future__ import annotations

import numpy as np

from segment.kernels.regions.arcs import refine_pixels
from segment.mixture import responsibilities
from segment.parallel import block_ranges, map_blocks
from segment.photo.photo import Photo
from segment.photo.regions.channels import Channels
from segment.photo.regions.sizes import nearest_pixels, shown_colors, to_lab

_ROWS = 64


def leaves_at_full_size(
    photo: Photo, channels: Channels, leaves: np.ndarray, *, n_jobs: int | None = None
) -> np.ndarray:
    """Return the leaves at full size, connected; boundaries of large photos follow its color posteriors.

    Parameters
    ----------
    photo : Photo
    channels : Channels
        At the working size.
    leaves : (m, n) int32 ndarray
    n_jobs : int, optional

    References
    ----------
    .. [1] Kopf, Cohen, Lischinski & Uyttendaele (2007), "Joint bilateral upsampling", ACM TOG 26(3); here
           with posteriors in the place of colors.
    """
    down, right = nearest_pixels(photo.shape, leaves.shape)
    full = np.take(leaves[:, right], down, axis=0)
    if photo.n_pixels > leaves.size:
        _refine(photo, channels, leaves, full, n_jobs)
    _restore_lost(leaves, full)
    _join_fragments(full)
    return full


def _refine(
    photo: Photo, channels: Channels, leaves: np.ndarray, full: np.ndarray, n_jobs: int | None
) -> None:
    """Let pixels near a boundary choose among the leaves around them (INOUT full)."""
    from scipy.ndimage import maximum_filter, minimum_filter

    mixed = maximum_filter(leaves, 3) != minimum_filter(leaves, 3)
    mixture = channels.color_mixture
    working_shares = np.sqrt(channels.color[..., : mixture.n_components])
    down, right = nearest_pixels(photo.shape, leaves.shape)
    step = np.array([size / full for full, size in zip(photo.shape, leaves.shape, strict=True)])

    def refine(block: tuple[int, int]) -> None:
        rows = slice(*block)
        y, x = np.nonzero(mixed[np.ix_(down[rows], right)])
        if len(y) == 0:
            return
        seen = None if photo.opacity is None else photo.opacity[rows][y, x][None]
        part = Photo(shown_colors(photo)[rows][y, x][None], opacity=seen)
        shares = np.sqrt(responsibilities(to_lab(part, n_jobs=1)[0], mixture, n_jobs=1))
        chosen = np.empty(len(y), dtype=np.int32)
        refine_pixels(y + block[0], x, shares, step, working_shares, leaves, chosen)
        full[rows][y, x] = chosen

    map_blocks(refine, block_ranges(photo.shape[0], _ROWS), n_jobs)


def _restore_lost(leaves: np.ndarray, full: np.ndarray) -> None:
    """Give a leaf that lost all its pixels some back (INOUT full): it would be missing from every cut."""
    ratio = np.array(full.shape) / leaves.shape
    present = np.bincount(full.ravel(), minlength=int(leaves.max()) + 1) > 0
    for lost in np.flatnonzero(~present):
        rows, columns = ((np.argwhere(leaves == lost) + 0.5) * ratio).astype(np.int64).T
        full[rows, columns] = lost


def _join_fragments(leaves: np.ndarray) -> None:
    """Give every piece that was cut off its leaf to the leaf that surrounds most of it (INOUT)."""
    from scipy.ndimage import binary_dilation, find_objects

    from segment.kernels.image.specks import label_regions

    pieces = np.empty(leaves.shape, dtype=np.int32)
    label_regions(leaves.astype(np.int32, copy=False), pieces.reshape(-1))
    # What `find_objects` numbers begins with 1.
    pieces += 1
    areas = np.bincount(pieces.ravel())
    owner = np.empty(len(areas), dtype=np.int64)
    owner[pieces.ravel()] = leaves.ravel()
    largest = np.zeros(int(leaves.max()) + 1, dtype=np.int64)
    # The last of those written stays.
    by_area = np.argsort(areas[1:], kind="stable") + 1
    largest[owner[by_area]] = by_area
    boxes = find_objects(pieces)
    for piece in np.setdiff1d(by_area, largest):
        around = tuple(slice(max(0, part.start - 1), part.stop + 1) for part in boxes[piece - 1])
        inside = pieces[around] == piece
        rim = leaves[around][binary_dilation(inside) & ~inside]
        leaves[around][inside] = np.bincount(rim).argmax()
