"""Four views of each digit, and whose neighbor it is in each: the graphs that a consensus is found on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from segment.consensus.kmeans import cells_of
from segment.consensus.members import FAR
from segment.consensus.neighbors import find_neighbors
from segment.consensus.whitening import Whitening, whiten_by_neighbors
from segment.digits.features import FeatureModel, fit_features

# Strokes as a whole or their finer places, set upright or as they stand: each errs elsewhere.
VIEWS = ("slanted scattering", "scattering", "fine slanted scattering", "fine scattering")
# Rows of a group are searched first, which saves time from this many rows on.
GROUPED_ROWS, N_GROUPS, GROUP_STEPS = 20_000, 50, 10


@dataclass(frozen=True)
class View:
    """Features whitened by the differences between neighbors.

    Attributes
    ----------
    features : FeatureModel
    whitening : Whitening
    """

    features: FeatureModel
    whitening: Whitening

    def transform(self, images: np.ndarray, n_jobs: int | None = None) -> np.ndarray:
        """Return the whitened features of (n, 28, 28) uint8 images, (n, d) float32."""
        return self.whitening.apply(self.features.transform(images, n_jobs))


def fit_view(
    images: np.ndarray,
    kind: str,
    n_features: int,
    *,
    known: tuple[FeatureModel, np.ndarray] | None = None,
    n_jobs: int | None = None,
    progress: Callable[[float], None] = lambda share: None,
) -> tuple[View, np.ndarray]:
    """Fit a view to images; return it and their whitened features.

    Parameters
    ----------
    images : (n, 28, 28) uint8 ndarray
    kind : str
        A key of `features.RAW_FEATURES`.
    n_features : int
    known : FeatureModel and its features, optional
        What `fit_features` returns for the same images.
    """
    model, features = known or fit_features(images, kind, n_features, n_jobs=n_jobs, progress=progress)
    whitening = whiten_by_neighbors(features, n_jobs)
    return View(model, whitening), whitening.apply(features)


def view_neighbors(white: np.ndarray, n_jobs: int | None = None) -> np.ndarray:
    """Return the neighbors of every row in a view, (n, at most `FAR`) int32, nearest first."""
    groups = None
    if len(white) > GROUPED_ROWS:
        rng = np.random.default_rng(0)
        groups = cells_of(white, N_GROUPS, rng, max_rows=GROUPED_ROWS, max_iter=GROUP_STEPS)
    return find_neighbors(white, min(FAR, len(white) - 1), groups=groups, n_jobs=n_jobs)
