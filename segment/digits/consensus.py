"""The consensus of digits: graphs of their views, the number of clusters, candidates and the judge."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from segment.consensus.cluster import Consensus, cluster_graphs
from segment.consensus.members import Neighborhood
from segment.consensus.stability import StabilityCurve, choose_n_clusters
from segment.digits.cache import cached_view
from segment.digits.features import FeatureModel
from segment.digits.settings import AUTO, DigitSettings
from segment.digits.views import VIEWS, View

Step = Callable[[str, float], None]
MIXTURE = "mixture"


@dataclass(frozen=True)
class DigitGraphs:
    """The views of digits, and the graphs of neighbors summed over them.

    Attributes
    ----------
    views : tuple of View
    features : list of (n, d) float32 ndarray
        The whitened features of each view.
    graphs : Neighborhood
    """

    views: tuple[View, ...]
    features: list[np.ndarray]
    graphs: Neighborhood


def find_graphs(
    images: np.ndarray,
    settings: DigitSettings,
    known: tuple[FeatureModel, np.ndarray] | None,
    n_jobs: int | None,
    step: Step,
) -> DigitGraphs:
    """Describe digits in each view, and find their neighbors.

    Parameters
    ----------
    images : (n, 28, 28) uint8 ndarray
        All different: copies would be one another's only neighbors.
    settings : DigitSettings
        Scattering is seen in four views; other features are their own only one.
    known : FeatureModel and its features, optional
        Of these images and settings.
    """
    kinds = VIEWS if settings.features == "scattering" else (settings.features,)
    views, features, neighbors = [], [], []
    step("views", 0.0)

    def progress(i: int, share: float) -> None:
        step("views", (i + 0.5 * share) / len(kinds))

    for i, kind in enumerate(kinds):
        view, white, near = cached_view(
            images,
            kind,
            settings.axes,
            known=known if kind == settings.features else None,
            n_jobs=n_jobs,
            progress=partial(progress, i),
        )
        views.append(view)
        features.append(white)
        neighbors.append(near)
    step("views", 1.0)
    return DigitGraphs(tuple(views), features, Neighborhood.of(neighbors))


def settle_clusters(
    found: DigitGraphs, settings: DigitSettings, n_jobs: int | None, step: Step
) -> tuple[DigitSettings, StabilityCurve | None]:
    """Choose the number of clusters, if that was asked for; return settings that have it, and the curve."""
    if settings.n_clusters != AUTO:
        return settings, None
    step("number", 0.0)
    curve = choose_n_clusters(
        found.graphs, random_state=settings.random_state, n_jobs=n_jobs, progress=partial(step, "number")
    )
    return replace(settings, n_clusters=curve.chosen), curve


def agree_on_digits(
    found: DigitGraphs, settings: DigitSettings, mixture: np.ndarray, n_jobs: int | None, step: Step
) -> Consensus:
    """Cluster digits by consensus, the mixture's clusters with their graph one candidate among several."""
    return cluster_graphs(
        found.graphs,
        settings.clusters,
        others={MIXTURE: mixture},
        random_state=settings.random_state,
        n_jobs=n_jobs,
        step=step,
    )
