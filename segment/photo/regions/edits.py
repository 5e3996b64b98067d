"""Regions merged and split by hand, as the page of levels records it, done again on the photo."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from segment.errors import DataError
from segment.photo.regions.tree import RegionTree

# The page offers the hierarchy down to so many regions.
MOST_REGIONS = 100

FORMAT = "segment region edits"
_CURE = "save one from the page that --save levels writes"
_MOST_BYTES = 10_000_000

Point = tuple[int, int]


@dataclass(frozen=True)
class Edits:
    """What was done by hand to one cut of a photo's hierarchy.

    Attributes
    ----------
    source : str
        The file that it was read from, for messages.
    tree : str
        Fingerprint of the hierarchy (see `fingerprint`).
    n_regions : int
        The cut that the edits start from.
    steps : tuple of tuple of (int, int)
        One after another: two points (x, y) of the full-size photo are a merge of the regions that they lie
        in; one point is a split of its region.
    """

    source: str
    tree: str
    n_regions: int
    steps: tuple[tuple[Point, ...], ...]

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Edits:
        """Read what the page saved.

        Raises
        ------
        DataError
            If the file cannot be read or holds something else.
        """
        try:
            if os.path.getsize(path) > _MOST_BYTES:
                raise ValueError("it is too large")
            found = json.loads(Path(path).read_text(encoding="utf-8"))
            if not isinstance(found, dict) or found.get("format") != FORMAT:
                raise ValueError(f'it does not say "format": "{FORMAT}"')
            return cls(os.fspath(path), *_checked(found))
        except OSError as error:
            raise DataError(f"{os.fspath(path)}: {error.strerror or error}; {_CURE}") from error
        except (ValueError, RecursionError) as error:
            raise DataError(f"{os.fspath(path)}: no edits of regions ({error}); {_CURE}") from error


def _checked(found: dict[str, Any]) -> tuple[str, int, tuple[tuple[Point, ...], ...]]:
    tree, n_regions, edits = found.get("tree"), found.get("n_regions"), found.get("edits")
    if not isinstance(tree, str):
        raise ValueError("tree is no text")
    if type(n_regions) is not int or not 1 <= n_regions <= MOST_REGIONS:
        raise ValueError(f"n_regions is {n_regions}; 1 to {MOST_REGIONS} are allowed")
    if not isinstance(edits, list):
        raise ValueError("edits are no list")
    return tree, n_regions, tuple(_step(number, edit) for number, edit in enumerate(edits, 1))


def _step(number: int, edit: Any) -> tuple[Point, ...]:
    kinds = {"merge": 2, "split": 1}
    kind = next(iter(edit), None) if isinstance(edit, dict) and len(edit) == 1 else None
    if kind not in kinds:
        raise ValueError(f"edit {number} is neither a merge nor a split")
    points = edit[kind]
    is_right = isinstance(points, list) and len(points) == kinds[kind]
    if not is_right or not all(
        isinstance(point, list) and len(point) == 2 and all(type(x) is int for x in point) for point in points
    ):
        raise ValueError(f"edit {number}: a {kind} needs {kinds[kind]} of [x, y] in whole pixels")
    return tuple((point[0], point[1]) for point in points)


def fingerprint(label_map: np.ndarray, merges: np.ndarray) -> str:
    """Return what tells one hierarchy from another: 16 digits of a hash of its coarsest regions."""
    digest = hashlib.sha256(np.array(label_map.shape, "<i4").tobytes())
    digest.update(label_map.astype("<i4").tobytes())
    digest.update(merges.astype("<i4").tobytes())
    return digest.hexdigest()[:16]


def apply_edits(tree: RegionTree, edits: Edits) -> np.ndarray:
    """Return the label map (M, N) int32 after all edits, labels 0, 1, 2, ... from the largest region.

    A region that was merged by hand is split by taking out the part that the point lies in; any other is
    split into the two that the hierarchy merged last.

    Raises
    ------
    DataError
        If the edits were made on another hierarchy, or one cannot be done.
    """
    label_map, merges = tree.coarsest(MOST_REGIONS)
    if fingerprint(label_map, merges) != edits.tree:
        raise DataError(
            f"{edits.source}: made on another photo, or with another --seed or version: the regions are not "
            "those that were edited"
        )
    parts = _Parts(merges, min(edits.n_regions, len(merges) + 1))
    for number, points in enumerate(edits.steps, 1):
        try:
            parts.edit([_leaf_at(label_map, point) for point in points])
        except ValueError as error:
            raise DataError(f"{edits.source}: edit {number}: {error}") from error
    target = parts.target()
    areas = np.bincount(target[label_map].ravel(), minlength=len(target))
    names = np.empty(len(target), dtype=np.int32)
    names[np.argsort(-areas, kind="stable")] = np.arange(len(target))
    return names[target][label_map]


def _leaf_at(label_map: np.ndarray, point: Point) -> int:
    (x, y), (height, width) = point, label_map.shape
    if not (0 <= x < width and 0 <= y < height):
        raise ValueError(f"the point ({x}, {y}) lies outside of the photo of {width} x {height} pixels")
    return int(label_map[y, x])


class _Parts:
    """Regions as lists of nodes of the hierarchy; its leaves are numbered first, then its merges in order."""

    def __init__(self, merges: np.ndarray, n_regions: int) -> None:
        self.n_leaves = len(merges) + 1
        self.children: list[tuple[int, int]] = []
        node = list(range(self.n_leaves))
        self.regions = [[leaf] for leaf in range(self.n_leaves)]
        for i, (kept, joined) in enumerate(merges.tolist()):
            if i == self.n_leaves - n_regions:
                self.regions = self._present(node, merges[:i])
            self.children.append((node[kept], node[joined]))
            node[kept] = self.n_leaves + i
        if n_regions == 1:
            self.regions = [[self.n_leaves + len(merges) - 1 if len(merges) else 0]]

    @staticmethod
    def _present(node: list[int], done: np.ndarray) -> list[list[int]]:
        gone = set(done[:, 1].tolist())
        return [[found] for leaf, found in enumerate(node) if leaf not in gone]

    def leaves(self, node: int) -> list[int]:
        """Return the leaves below a node."""
        waiting, found = [node], []
        while waiting:
            node = waiting.pop()
            if node < self.n_leaves:
                found.append(node)
            else:
                waiting.extend(self.children[node - self.n_leaves])
        return found

    def _place(self, leaf: int) -> tuple[int, int]:
        """Return the region, and the node in it, that a leaf lies in."""
        return next(
            (r, i)
            for r, nodes in enumerate(self.regions)
            for i, node in enumerate(nodes)
            if leaf in self.leaves(node)
        )

    def edit(self, leaves: list[int]) -> None:
        """Merge the regions of two leaves, or split the region of one."""
        places = [self._place(leaf) for leaf in leaves]
        (r, i), nodes = places[0], self.regions[places[0][0]]
        if len(places) == 2:
            other = places[1][0]
            if other == r:
                raise ValueError("both points lie in one region: nothing to merge")
            nodes.extend(self.regions[other])
            del self.regions[other]
        elif len(nodes) > 1:
            self.regions.append([nodes.pop(i)])
        elif nodes[0] < self.n_leaves:
            raise ValueError("the region is one of the smallest: it cannot be split")
        else:
            first, second = self.children[nodes[0] - self.n_leaves]
            self.regions[r] = [first]
            self.regions.append([second])

    def target(self) -> np.ndarray:
        """Return for each leaf the smallest leaf of its region."""
        target = np.empty(self.n_leaves, dtype=np.int64)
        for nodes in self.regions:
            leaves = [leaf for node in nodes for leaf in self.leaves(node)]
            target[leaves] = min(leaves)
        return target
