"""Label new digits by the blocks that the clusters of a consensus fall into.

A cluster may have several forms, which no single Gaussian describes: each is parted into small blocks, in the
views that the graphs were made of, turned so that blocks are round.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from segment.archive import Field, read_archive
from segment.consensus.kmeans import centers_of, fit_centers, nearest_centers
from segment.consensus.whitening import inverse_root
from segment.digits.features import RAW_FEATURES, FeatureModel, count_raw
from segment.digits.views import View
from segment.parallel import block_ranges, map_blocks

# Found on MNIST with the accuracy in view (docs/decisions/digit-consensus.md).
N_BLOCKS, SAMPLES_EACH, N_PARTITIONS = 100, 10, 4
ROWS, ITERATIONS = 4_000, 10
N_AXES, RIDGE = 200, 0.1
# Of the squared distance; 2 would be a Gaussian's, which is too sure of itself in so many axes.
TEMPERATURE = 20.0
BLOCK_ROWS = 1_000


@dataclass(frozen=True)
class BlockModel:
    """Blocks of clusters, and the map to the features that they are told apart in.

    Attributes
    ----------
    views : tuple of FeatureModel
        Their features have the same axes: they are added up, and `offset` is taken off.
    offset : (n_axes,) float32 ndarray
    centers : (n_blocks, n_axes) float32 ndarray
    owners : (n_blocks,) int64 ndarray
        Cluster of each block.
    """

    views: tuple[FeatureModel, ...]
    offset: np.ndarray
    centers: np.ndarray
    owners: np.ndarray

    def posterior(self, images: np.ndarray, n_clusters: int, n_jobs: int | None = None) -> np.ndarray:
        """Return how near images are to the blocks of each cluster, (n, n_clusters) float64; rows add to 1.

        Parameters
        ----------
        images : (n, 28, 28) uint8 ndarray
        n_clusters : int
        """
        features = np.sum([view.transform(images, n_jobs) for view in self.views], axis=0)
        return shares_of_blocks(features - self.offset, self.centers, self.owners, n_clusters)

    def fields(self) -> dict[str, np.ndarray]:
        """Return the named arrays of a file, which `load_blocks` reads."""
        arrays = {f"blocks_{name}": getattr(self, name) for name in ("offset", "centers", "owners")}
        for i, view in enumerate(self.views):
            arrays |= {f"view{i}_{name}": np.asarray(getattr(view, name)) for name in _VIEW_FIELDS}
        return arrays | {"n_views": np.array(len(self.views))}

    def contradiction(self, n_clusters: int) -> str | None:
        """Return in what the arrays do not fit together, or None."""
        n_axes = len(self.offset)
        if self.centers.shape != (len(self.owners), n_axes) or not len(self.owners):
            return f"blocks_centers has shape {self.centers.shape}, expected ({len(self.owners)}, {n_axes})"
        if self.owners.min() < 0 or self.owners.max() >= n_clusters:
            return f"blocks_owners must be from 0 to {n_clusters - 1}, the clusters of mapping"
        for i, view in enumerate(self.views):
            if view.kind not in RAW_FEATURES:
                return f"view{i}_kind is {view.kind!r}; allowed are {', '.join(RAW_FEATURES)}"
            n_raw = count_raw(view.kind)
            shapes = view.mean.shape, view.components.shape, view.typical_spread.shape
            if shapes != ((n_raw,), (n_axes, n_raw), (2,)) or view.typical_spread.min() <= 0:
                return f"the arrays of view{i} do not fit {view.kind}"
        return None


_VIEW_FIELDS = {
    "kind": Field("U", 0),
    "typical_spread": Field("f", 1),
    "mean": Field("f", 1),
    "components": Field("f", 2),
    "explained": Field("f", 0),
}
_FIELDS = {"offset": Field("f", 1), "centers": Field("f", 2), "owners": Field("iu", 1)}


def load_blocks(path: Any, arrays: Mapping[str, np.ndarray], cure: str) -> BlockModel | None:
    """Read the blocks of a model's file; None if it has none.

    Raises
    ------
    ModelError
        If a field is missing or damaged.
    """
    if "n_views" not in arrays:
        return None
    views = range(int(read_archive(path, "model of digits", cure, {"n_views": Field("iu", 0)})["n_views"]))
    fields = {f"blocks_{name}": field for name, field in _FIELDS.items()}
    fields |= {f"view{i}_{name}": field for i in views for name, field in _VIEW_FIELDS.items()}
    found = read_archive(path, "model of digits", cure, fields)
    models = [
        FeatureModel(
            str(found[f"view{i}_kind"]),
            found[f"view{i}_typical_spread"],
            found[f"view{i}_mean"],
            found[f"view{i}_components"],
            float(found[f"view{i}_explained"]),
        )
        for i in views
    ]
    return BlockModel(tuple(models), *(found[f"blocks_{name}"] for name in _FIELDS))


def shares_of_blocks(
    features: np.ndarray, centers: np.ndarray, owners: np.ndarray, n_clusters: int
) -> np.ndarray:
    """Return the share of each cluster in the nearness of blocks, (n, n_clusters) float64.

    Parameters
    ----------
    features : (n, d) float32 ndarray
    centers : (n_blocks, d) float32 ndarray
    owners : (n_blocks,) int64 ndarray
    """
    is_own = np.eye(n_clusters)[owners]
    norms = np.einsum("ij,ij->i", centers, centers, dtype=np.float64)
    shares = []
    for block in block_ranges(len(features), BLOCK_ROWS):
        distances = norms - 2.0 * (features[slice(*block)] @ centers.T)
        nearness = np.exp((distances.min(axis=1, keepdims=True) - distances) / TEMPERATURE) @ is_own
        shares.append(nearness / nearness.sum(axis=1, keepdims=True))
    return np.concatenate(shares)


def fit_blocks(
    views: tuple[View, ...],
    features: list[np.ndarray],
    labels: np.ndarray,
    n_jobs: int | None = None,
) -> BlockModel:
    """Part each cluster into blocks several times, where blocks are narrow and far apart.

    Parameters
    ----------
    views : tuple of View
    features : list of (n, d) float32 ndarray
        The whitened features of every view.
    labels : (n,) int64 ndarray

    Returns
    -------
    BlockModel
        At each time at most `N_BLOCKS` blocks a cluster, of `SAMPLES_EACH` samples or more on average.
    """
    joint = np.concatenate(features, axis=1)
    centers, _, blocks = _part(joint, labels, 0, n_jobs)
    mean = joint.mean(axis=0, dtype=np.float64)
    within = _covariance(joint - centers[blocks])
    total = _covariance(joint - mean.astype(np.float32))
    ridge = RIDGE * np.trace(within) / len(within) or 1.0
    turn = inverse_root(within + ridge * np.eye(len(within)), total)[:, :N_AXES]
    turned = joint @ turn
    parts = [_part(turned, labels, seed, n_jobs) for seed in range(N_PARTITIONS)]
    ends = np.cumsum([rows.shape[1] for rows in features])[:-1]
    maps = [view.whitening.transform @ part for view, part in zip(views, np.split(turn, ends), strict=True)]
    return BlockModel(
        tuple(_composed(view, whole) for view, whole in zip(views, maps, strict=True)),
        np.sum([view.whitening.mean @ whole for view, whole in zip(views, maps, strict=True)], axis=0),
        np.concatenate([centers for centers, _, _ in parts]),
        np.concatenate([owners for _, owners, _ in parts]),
    )


def _part(
    rows: np.ndarray, labels: np.ndarray, seed: int, n_jobs: int | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the centers of blocks, the cluster of each, and the block of each row."""
    clusters = np.unique(labels)

    def part(cluster: int) -> tuple[np.ndarray, np.ndarray]:
        own = rows[labels == cluster]
        n_blocks = max(1, min(N_BLOCKS, len(own) // SAMPLES_EACH))
        rng = np.random.default_rng([seed, cluster])
        some = own[rng.permutation(len(own))[:ROWS]]
        centers = fit_centers(some, n_blocks, rng, ITERATIONS)
        nearest = nearest_centers(own, centers)
        return centers_of(own, nearest, centers), nearest

    parts = map_blocks(part, clusters.tolist(), n_jobs)
    blocks = np.empty(len(rows), np.int64)
    first = 0
    for cluster, (centers, nearest) in zip(clusters, parts, strict=True):
        blocks[labels == cluster] = first + nearest
        first += len(centers)
    owners = np.repeat(clusters, [len(centers) for centers, _ in parts])
    return np.concatenate([centers for centers, _ in parts]), owners, blocks


def _covariance(centered: np.ndarray) -> np.ndarray:
    return (centered.T @ centered).astype(np.float64) / len(centered)


def _composed(view: View, whole: np.ndarray) -> FeatureModel:
    """Put a map of the features of a view behind its PCA."""
    return replace(view.features, components=np.ascontiguousarray(whole.T @ view.features.components))
