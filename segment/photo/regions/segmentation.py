"""A photo segmented into regions: one cut of its hierarchy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from segment.errors import DataError
from segment.parallel import single_threaded_blas
from segment.photo.arguments import as_photo
from segment.photo.regions.edits import Edits, apply_edits
from segment.photo.regions.hierarchy import find_region_tree
from segment.photo.regions.sizes import working_shapes
from segment.photo.regions.tree import RegionTree, check_cut
from segment.photo.segmentation import Segmentation, palette_of
from segment.stopwatch import Stopwatch

# What people mean by levels of detail, as scales. "medium" is the scale that agrees best with people on the
# train split of BSDS500.
DETAILS = {"low": 0.65, "medium": 0.57, "high": 0.35}


@dataclass(frozen=True, eq=False)
class RegionSegmentation(Segmentation):
    """A cut through the hierarchy of a photo's regions.

    Attributes
    ----------
    photo, label_map, palette, shares, seconds
        As for `Segmentation`; label 0 is the largest region.
    tree : RegionTree
        The whole hierarchy.
    scale : float or None
        Where it was cut; None if a number of regions was asked for.
    edits : Edits or None
        What was done by hand after the cut.
    """

    method: ClassVar[str] = "regions"

    tree: RegionTree
    scale: float | None = None
    edits: Edits | None = None

    def found(self) -> str:
        """Say how many regions were found."""
        return f"{self.n_labels} region{'s' if self.n_labels > 1 else ''}"

    def how(self) -> str:
        """Say what they were cut from."""
        how = "" if self.scale is None else f", cut at scale {self.scale:g}"
        if self.edits is not None:
            how = f", cut into {self.edits.n_regions} and edited {len(self.edits.steps)} times"
        return f"a hierarchy of {self.tree.n_leaves} leaves{how}"

    def facts(self) -> dict[str, Any]:
        """Return what the sidecar says of regions alone."""
        return {
            "method": self.method,
            "n_regions": self.n_labels,
            "n_leaves": self.tree.n_leaves,
            "scale": self.scale,
            **({} if self.edits is None else {"n_edits": len(self.edits.steps)}),
            "found_at": working_shapes(self.photo.shape),
        }


@single_threaded_blas()
def segment_regions(
    image: Any,
    *,
    n_regions: int | None = None,
    scale: float | None = None,
    edits: Edits | None = None,
    random_state: int = 0,
    n_jobs: int | None = None,
) -> RegionSegmentation:
    """Segment a photo into connected regions, as people would draw them.

    Parameters
    ----------
    image : Photo or array
        As for `segment_photo`.
    n_regions : int, optional
        Number of regions where the photo counts.
    scale : float in (0, 1], optional
        Where the hierarchy is cut instead, as for `RegionTree.cut`; without either, at medium detail.
    edits : Edits, optional
        Merges and splits that were saved from the page of levels; they bring their own cut.
    random_state : int
        As for `find_region_tree`.
    n_jobs : int, optional
        Threads (default: all cores); the result does not depend on it.

    Returns
    -------
    RegionSegmentation
        Label 0 is the largest region; the tree has every other cut.

    Raises
    ------
    ImageError
        If `image` is no photo.
    DataError
        If more than one of `n_regions`, `scale` and `edits` is given, one is out of range, or the edits were
        made on another photo.
    """
    if edits is not None and (n_regions is not None or scale is not None):
        raise DataError("edits bring their own cut: leave n_regions and scale out")
    if n_regions is None and scale is None and edits is None:
        scale = DETAILS["medium"]
    if edits is None:
        # The hierarchy takes long: nobody should wait for it to be told of a slip.
        check_cut(n_regions, scale)
    photo = as_photo(image)
    watch = Stopwatch()
    with watch.step("regions"):
        tree = find_region_tree(photo, random_state=random_state, n_jobs=n_jobs)
    with watch.step("label"):
        if edits is None and n_regions is not None and photo.counts is not None:
            n_regions = tree.n_regions_for(n_regions, photo.counts)
        label_map = tree.cut(n_regions=n_regions, scale=scale) if edits is None else apply_edits(tree, edits)
        if photo.counts is not None:
            label_map = _without(label_map, ~photo.counts)
        palette, shares = palette_of(photo.display, label_map, int(label_map.max()) + 1, n_jobs=n_jobs)
    return RegionSegmentation(photo, label_map, palette, shares, tree, scale, edits, seconds=watch.seconds)


def _without(label_map: np.ndarray, outside: np.ndarray) -> np.ndarray:
    """Label pixels outside -1, and number the regions that are left from the largest."""
    label_map = np.where(outside, np.int32(-1), label_map)
    areas = np.bincount(label_map[label_map >= 0])
    order = np.argsort(-areas, kind="stable")
    names = np.full(len(areas) + 1, -1, dtype=np.int32)
    names[order[: np.count_nonzero(areas)]] = np.arange(np.count_nonzero(areas))
    return names[label_map]
