"""A segmentation of a photo, however it was found: label map, palette, shares."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from segment.parallel import block_ranges, map_blocks
from segment.photo.notebook import InNotebooks
from segment.photo.photo import Photo

_BLOCK = 1 << 19


@dataclass(frozen=True, eq=False)
class Segmentation(InNotebooks):
    """What every output is drawn from; a method of segmentation has a class of its own.

    Attributes
    ----------
    method : str
        Which kinds of output there are depends on it (`segment.photo.outputs`).
    photo : Photo
    label_map : (M, N) int32 ndarray
        Label of each pixel; -1 where the photo is fully transparent or does not count.
    palette : (K, 3) uint8 ndarray
        Mean sRGB color of each label.
    shares : (K,) float64 ndarray
        Share of the area that each label covers; they sum to 1.
    seconds : dict of str to float
        What each step took.
    """

    method: ClassVar[str] = "colors"

    photo: Photo
    label_map: np.ndarray
    palette: np.ndarray
    shares: np.ndarray
    seconds: dict[str, float] = field(default_factory=dict, kw_only=True)

    @property
    def n_labels(self) -> int:
        """Number of labels, those of no pixel included."""
        return len(self.palette)

    def close(self) -> None:
        """Let go of what it keeps open: nothing, but for photos that are read by tiles."""

    @property
    def warnings(self) -> list[str]:
        """What went less than well, in words."""
        return []

    @property
    def curve(self) -> dict[int, float] | None:
        """The criterion by number of labels, where that was chosen by one."""
        return None

    def log_densities(self, n_jobs: int | None = None) -> np.ndarray | None:
        """Return the log density of each color under the mixture, (M, N) float32; None without one."""
        return None

    def found(self) -> str:
        """Say in a few words what was found."""
        return f"{self.n_labels} label{'s' if self.n_labels > 1 else ''}"

    def how(self) -> str:
        """Say in a line how it was found."""
        return self.found()

    def facts(self) -> dict[str, Any]:
        """Return what the sidecar says of this method's segmentations alone."""
        return {}

    def indices(self, none: int) -> np.ndarray:
        """Return the label map as bytes, `none` where there is no label."""
        indices = self.label_map.astype(np.uint8)
        if self.photo.counts is not None:
            indices[self.label_map < 0] = none
        return indices


def palette_of(
    colors: np.ndarray, label_map: np.ndarray, n_labels: int, *, n_jobs: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return mean color and area share of each label.

    Parameters
    ----------
    colors : (M, N, 3) uint8 ndarray
    label_map : (M, N) int32 ndarray
    n_labels : int

    Returns
    -------
    palette : (n_labels, 3) uint8 ndarray
        Black for a label of no pixel.
    shares : (n_labels,) float64 ndarray
    """
    from segment.kernels.image.colors import sum_by_label

    rows, labels = colors.reshape(-1, 3), label_map.ravel()

    def sum_block(block: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
        sums, counts = np.zeros((n_labels, 3), dtype=np.int64), np.zeros(n_labels, dtype=np.int64)
        sum_by_label(rows[slice(*block)], labels[slice(*block)], sums, counts)
        return sums, counts

    parts = map_blocks(sum_block, block_ranges(len(rows), _BLOCK), n_jobs)
    sums = np.sum([part[0] for part in parts], axis=0)
    counts = np.sum([part[1] for part in parts], axis=0)
    palette = np.rint(sums / np.maximum(counts, 1)[:, None]).astype(np.uint8)
    return palette, counts / max(int(counts.sum()), 1)
