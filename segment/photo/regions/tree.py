"""The hierarchy of regions: one tree, every level of detail."""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np

from segment.archive import Field, read_archive, write_archive
from segment.errors import DataError, ModelError

_FIELDS = {"leaves": Field("iu", 2), "merges": Field("iu", 2), "levels": Field("f", 1)}
_CURE = "write one with RegionTree.save or --save tree"


def check_cut(n_regions: int | None, scale: float | None) -> None:
    """Raise `DataError` if not exactly one of the two is given, or it is out of range."""
    if (n_regions is None) == (scale is None):
        raise DataError("give either n_regions or scale to cut a tree")
    if scale is not None and not 0 < scale <= 1:
        raise DataError(f"scale is {scale}; it must lie in (0, 1]")
    if n_regions is not None and n_regions < 1:
        raise DataError(f"n_regions is {n_regions}; at least 1 is needed")


@dataclass(frozen=True, eq=False)
class RegionTree:
    """Nested segmentations of a photo, from its leaves to one region.

    Attributes
    ----------
    leaves : (M, N) int32 ndarray
        Label map of the finest cut.
    merges : (n_leaves - 1, 2) int32 ndarray
        Leaves that stand for the two regions merged, in order; the second joins the first.
    levels : (n_leaves - 1,) float64 ndarray
        Scale from which each merge is done, never decreasing, in (0, 1). A level is the probability that
        people draw a boundary there, so that one scale means the same in different photos.
    """

    leaves: np.ndarray
    merges: np.ndarray
    levels: np.ndarray

    @property
    def n_leaves(self) -> int:
        """Number of regions of the finest cut."""
        return len(self.merges) + 1

    def cut(self, *, n_regions: int | None = None, scale: float | None = None) -> np.ndarray:
        """Return one segmentation, (M, N) int32, labels 0, 1, 2, ... from the largest region.

        Parameters
        ----------
        n_regions : int, optional
            Number of regions; there are never more than leaves.
        scale : float in (0, 1], optional
            All merges up to this level are done: small is fine, 1 is one region.

        Raises
        ------
        DataError
            If not exactly one of the two is given, or it is out of range.
        """
        check_cut(n_regions, scale)
        if scale is not None:
            n_merges = int(np.searchsorted(self.levels, scale, side="right"))
        else:
            assert n_regions is not None
            n_merges = max(0, self.n_leaves - n_regions)
        target = np.arange(self.n_leaves)
        for kept, joined in self.merges[n_merges - 1 :: -1] if n_merges else ():
            # From the last merge to the first: what a region joins has its final label already.
            target[joined] = target[kept]
        return self._by_size(target)

    def n_regions_for(self, n_inside: int, inside: np.ndarray) -> int:
        """Return the largest number of regions of which no more than `n_inside` have pixels within a part.

        Parameters
        ----------
        n_inside : int
        inside : (M, N) bool ndarray
        """
        has = np.bincount(self.leaves[inside], minlength=self.n_leaves) > 0
        left = int(np.count_nonzero(has))
        if left <= n_inside:
            return self.n_leaves
        for done, (kept, joined) in enumerate(self.merges, 1):
            left -= int(has[kept] and has[joined])
            has[kept] |= has[joined]
            if left <= n_inside:
                return self.n_leaves - done
        return 1

    def _by_size(self, target: np.ndarray) -> np.ndarray:
        own = np.bincount(self.leaves.ravel(), minlength=self.n_leaves)
        areas = np.bincount(target, own, self.n_leaves)
        order = np.argsort(-areas, kind="stable")
        names = np.empty(self.n_leaves, dtype=np.int32)
        names[order] = np.arange(self.n_leaves)
        return names[target][self.leaves]

    def coarsest(self, n_regions: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the cut into `n_regions` (at most), and the merges left to do between its labels.

        Returns
        -------
        label_map : (M, N) int32 ndarray
        merges : (n - 1, 2) int32 ndarray
            For n labels; the second joins the first.
        """
        label_map = self.cut(n_regions=n_regions)
        _, first = np.unique(self.leaves, return_index=True)
        names = label_map.flat[first]
        left = self.merges[len(self.merges) - int(label_map.max()) :]
        return label_map, names[left].reshape(-1, 2).astype(np.int32)

    def contour_map(self) -> np.ndarray:
        """Return the ultrametric contours, (M, N) float32: the scale up to which a boundary is there.

        A pixel is on a boundary if its right or lower neighbor is in another leaf; elsewhere it is 0.
        """
        contours = np.zeros(self.leaves.shape, dtype=np.float32)
        along_rows = (self.leaves[:, :-1], self.leaves[:, 1:], contours[:, :-1])
        along_columns = (self.leaves[:-1], self.leaves[1:], contours[:-1])
        for here, there, part in (along_rows, along_columns):
            differ = here != there
            pairs = np.stack([here[differ], there[differ]], axis=1)
            part[differ] = np.maximum(part[differ], self._levels_between(pairs))
        return contours

    def _levels_between(self, pairs: np.ndarray) -> np.ndarray:
        """Return the level at which each pair of different leaves (P, 2) joins."""
        distinct, which = np.unique(pairs, axis=0, return_inverse=True)
        region, joined_at = distinct.copy(), np.ones(len(distinct), dtype=np.float32)
        apart = np.ones(len(distinct), dtype=bool)
        for (kept, joined), level in zip(self.merges, self.levels, strict=True):
            region[region == joined] = kept
            now = apart & (region[:, 0] == region[:, 1])
            joined_at[now] = level
            apart &= ~now
        return joined_at[which.ravel()]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the tree as a compressed npz file; equal trees are equal bytes."""
        write_archive(path, {name: getattr(self, name) for name in _FIELDS}, compressed=True)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> RegionTree:
        """Read a tree that `save` wrote.

        Raises
        ------
        ModelError
            If the file is missing, damaged or holds something else.
        """
        found = read_archive(path, "region tree", _CURE, _FIELDS)
        leaves, merges, levels = (found[name] for name in _FIELDS)
        if reason := _flaw(leaves, merges, levels):
            raise ModelError(f"{os.fspath(path)}: not a region tree ({reason}); {_CURE}")
        return cls(leaves.astype(np.int32), merges.astype(np.int32), levels.astype(np.float64))


def _flaw(leaves: np.ndarray, merges: np.ndarray, levels: np.ndarray) -> str | None:
    """Return why these are not the arrays of one tree; None if they are."""
    n_leaves = len(levels) + 1
    if merges.shape != (n_leaves - 1, 2):
        return f"merges have shape {merges.shape}; {(n_leaves - 1, 2)} is needed for {n_leaves - 1} levels"
    if leaves.size == 0:
        return "leaves hold no pixel"
    if leaves.min() < 0 or leaves.max() != n_leaves - 1 or len(np.unique(leaves)) != n_leaves:
        return f"leaves are not labelled 0 to {n_leaves - 1}, each at least once"
    if n_leaves > 1 and (levels.min() < 0 or levels.max() > 1 or np.any(np.diff(levels) < 0)):
        return "levels are not rising within [0, 1]"
    gone = np.zeros(n_leaves, dtype=bool)
    for kept, joined in merges.tolist():
        # Each merge takes one region away, so that n - 1 of them leave one.
        if (
            not (0 <= kept < n_leaves and 0 <= joined < n_leaves)
            or kept == joined
            or gone[kept]
            or gone[joined]
        ):
            return f"the merge of {joined} into {kept} is not one of two regions that are there"
        gone[joined] = True
    return None
