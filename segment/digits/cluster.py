"""Cluster digits: features, mixture, merging, graph; labels only score what came out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from segment.digits.cache import cached_features
from segment.digits.committee import fit_merged
from segment.digits.digit_set import DigitSet
from segment.digits.fit import MixtureFit, fit_digits, mixture_of_labels
from segment.digits.graph import Refinement, refine
from segment.digits.model import DigitModel, faintest
from segment.digits.normalize import to_frame
from segment.digits.scores import UNMATCHED, Scores, score
from segment.errors import DataError
from segment.mixture.expectation import responsibilities
from segment.mixture.merging import Merging
from segment.parallel import single_threaded_blas

# Principal components by default: what each kind of features was best with on MNIST.
N_FEATURES = {"scattering": 200, "deskew": 30, "pixels": 50}
SPLITS = ("all", "train", "train-test")
REFINEMENTS = ("graph", "none")


@dataclass(frozen=True)
class DigitSettings:
    """What to do; the defaults are the best pipeline.

    Attributes
    ----------
    features : "scattering", "deskew" or "pixels"
    n_features : int, optional
        Principal components (default 200 for scattering, 30 for deskew, 50 for pixels).
    covariance_type : "full", "diag", "tied" or "spherical"
    n_clusters : int
    n_components : int, optional
        Components of the mixture, merged to `n_clusters` by the method `merge`.
    merge : "overlap", "demp" or "entropy"
    refine : "graph" or "none"
    n_init : int, optional
        Starts to choose from (default 32; 6 for more than 20 clusters; 8 where components are merged).
    random_state : int
    """

    features: str = "scattering"
    n_features: int | None = None
    covariance_type: str = "full"
    n_clusters: int = 10
    n_components: int | None = None
    merge: str = "overlap"
    refine: str = "graph"
    n_init: int | None = None
    random_state: int = 0

    def __post_init__(self) -> None:
        if self.features not in N_FEATURES:
            raise DataError(f"features are {self.features!r}; allowed are {', '.join(N_FEATURES)}")
        if self.refine not in REFINEMENTS:
            raise DataError(f"refine is {self.refine!r}; allowed are {', '.join(REFINEMENTS)}")
        if self.n_clusters < 1:
            raise DataError(f"{self.n_clusters} clusters; allowed are 1, 2, 3, ...")
        if self.components < self.n_clusters:
            raise DataError(
                f"{self.components} components cannot be merged to {self.n_clusters} clusters; "
                f"ask for at least {self.n_clusters} components"
            )

    @property
    def axes(self) -> int:
        """Principal components."""
        return N_FEATURES[self.features] if self.n_features is None else self.n_features

    @property
    def components(self) -> int:
        """Components of the mixture."""
        return self.n_clusters if self.n_components is None else self.n_components


@dataclass(frozen=True)
class DigitClustering:
    """The outcome of `cluster_digits`.

    Attributes
    ----------
    digits : DigitSet
        The images that were fitted.
    features : (n, n_features) float32 ndarray
    mixture : MixtureFit
    merging : Merging, or None
        How components were merged, if there were more than clusters.
    mixture_labels : (n,) int64 ndarray
        Clusters according to the (merged) mixture.
    refinement : Refinement, or None
    labels : (n,) int64 ndarray
        Final clusters.
    posterior : (n, n_clusters) float64 ndarray
        Posterior probabilities of the clusters, by the mixture that `model` predicts with.
    model : DigitModel
    test_digits, test_labels, test_certainty : DigitSet, (n_test,) int64 and float64 ndarray, or None
        The images that were kept apart, and their clusters and posteriors according to `model`.
    """

    digits: DigitSet
    features: np.ndarray
    mixture: MixtureFit
    merging: Merging | None
    mixture_labels: np.ndarray
    refinement: Refinement | None
    labels: np.ndarray
    posterior: np.ndarray
    model: DigitModel
    test_digits: DigitSet | None = None
    test_labels: np.ndarray | None = None
    test_certainty: np.ndarray | None = None

    @property
    def certainty(self) -> np.ndarray:
        """How sure each label is, (n,): the share of neighbors that have it, or its posterior."""
        if self.refinement is not None:
            # Posteriors in 200 dimensions are 1.00 nearly everywhere and say nothing.
            return self.refinement.support
        return self.posterior[np.arange(len(self.labels)), self.labels]

    @property
    def n_clusters(self) -> int:
        """Number of clusters."""
        return len(self.model.mapping)

    def scores(self) -> Scores | None:
        """Score the final clusters on the images fitted; None without labels."""
        return _score(self.digits, self.labels, self.n_clusters)

    def mixture_scores(self) -> Scores | None:
        """Score the clusters of the mixture, before the graph."""
        return _score(self.digits, self.mixture_labels, self.n_clusters)

    def component_scores(self) -> Scores | None:
        """Score the components before merging; None if there were no more than clusters."""
        if self.merging is None:
            return None
        components = self.mixture.responsibilities
        return _score(self.digits, components.argmax(axis=1), components.shape[1])

    def test_scores(self) -> Scores | None:
        """Score the images kept apart, with the matching found on those fitted."""
        if self.test_digits is None or self.test_labels is None:
            return None
        return _score(self.test_digits, self.test_labels, self.n_clusters, self.model.mapping)


@single_threaded_blas()
def cluster_digits(
    digits: DigitSet,
    settings: DigitSettings | None = None,
    *,
    split: str = "all",
    n_jobs: int | None = None,
    step: Callable[[str, float], None] = lambda name, share: None,
) -> DigitClustering:
    """Cluster handwritten digits without labels.

    Parameters
    ----------
    digits : DigitSet
    settings : DigitSettings, optional
    split : "all", "train" or "train-test"
        What to fit on; "train-test" also labels the test part with the fitted model.
    n_jobs : int, optional
        Threads (default: all cores); the result does not depend on it.
    step : callable
        Called with the name of each stage as it begins, and again with the share of it that is done.

    Returns
    -------
    DigitClustering
        Labels enter it only through `model.mapping` and its scores.

    Raises
    ------
    DataError
        If the settings do not fit the digits.
    """
    settings = settings or DigitSettings()
    fitted, test = split_digits(digits, split)
    distinct = _distinct(fitted.images)
    _check_distinct(len(fitted.images), len(distinct[0]), settings.components)
    step("features", 0.0)
    features, X = cached_features(
        to_frame(fitted.images),
        settings.features,
        settings.axes,
        n_jobs=n_jobs,
        progress=partial(step, "features"),
    )
    step("mixture", 0.0)
    mixture, merging, posterior = _fit_and_merge(X, settings, n_jobs)
    mixture_labels = labels = posterior.argmax(axis=1)
    parameters = mixture.result.parameters
    groups = np.arange(settings.n_clusters) if merging is None else merging.groups
    refinement = None
    if settings.refine == "graph":
        step("graph", 0.0)
        refinement = _refine_distinct(X, labels, distinct, settings, n_jobs)
        labels, groups = refinement.labels.astype(np.int64), np.arange(settings.n_clusters)
        parameters = mixture_of_labels(X, labels, settings.n_clusters, settings.covariance_type)
        posterior = responsibilities(X, parameters, n_jobs=n_jobs)
    step("labels", 0.0)
    scores = _score(fitted, labels, settings.n_clusters)
    mapping = np.full(settings.n_clusters, UNMATCHED) if scores is None else scores.mapping
    n_classes = 0 if fitted.labels is None else int(fitted.labels.max()) + 1
    faint = faintest(X, parameters, n_jobs)
    model = DigitModel(features, parameters, groups, mapping, n_classes, faint)
    seen_later = () if test is None else (test, *model.predict(test.images, n_jobs))
    return DigitClustering(
        fitted, X, mixture, merging, mixture_labels, refinement, labels, posterior, model, *seen_later
    )


def _check_distinct(n_digits: int, n_distinct: int, n_components: int) -> None:
    """Refuse more components than there are distinct images: the rest would be chance."""
    if n_distinct < n_components:
        distinct = "" if n_distinct == n_digits else f", {n_distinct} of them distinct"
        raise DataError(
            f"{n_components} components for {n_digits} digits{distinct}; allowed are 1 to {n_distinct}"
        )


def _distinct(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows of the distinct images, first come first, and which of these each image is."""
    numbers: dict[bytes, int] = {}
    which = np.array([numbers.setdefault(image.tobytes(), len(numbers)) for image in images])
    return np.unique(which, return_index=True)[1], which


def _refine_distinct(
    X: np.ndarray,
    labels: np.ndarray,
    distinct: tuple[np.ndarray, np.ndarray],
    settings: DigitSettings,
    n_jobs: int | None,
) -> Refinement:
    """Refine each distinct image once: alike ones would be one another's only neighbors."""
    rows, which = distinct
    found = refine(
        X[rows], labels[rows], settings.n_clusters, random_state=settings.random_state, n_jobs=n_jobs
    )
    return replace(found, labels=found.labels[which], support=found.support[which])


def split_digits(digits: DigitSet, split: str) -> tuple[DigitSet, DigitSet | None]:
    """Return the part to fit on and, for "train-test", the part kept apart.

    Raises
    ------
    DataError
        If `split` is not allowed, or the digits have no such part.
    """
    if split not in SPLITS:
        raise DataError(f"split is {split!r}; allowed are {', '.join(SPLITS)}")
    n, n_train = len(digits.images), digits.n_train
    if split == "all":
        return digits, None
    if split == "train-test" and n_train == n:
        raise DataError(f"{digits.source}: has no test part (no file named t10k or test); try --split all")
    train = digits.rows(np.arange(n_train))
    return train, digits.rows(np.arange(n_train, n)) if split == "train-test" else None


def _fit_and_merge(
    X: np.ndarray, settings: DigitSettings, n_jobs: int | None
) -> tuple[MixtureFit, Merging | None, np.ndarray]:
    """Fit the mixture; return it, how its components were merged, and the clusters' posteriors."""
    options: dict[str, Any] = {
        "covariance_type": settings.covariance_type,
        "n_init": settings.n_init,
        "random_state": settings.random_state,
        "n_jobs": n_jobs,
    }
    if settings.components == settings.n_clusters:
        mixture = fit_digits(X, settings.components, **options)
        return mixture, None, mixture.responsibilities
    mixture, merging = fit_merged(X, settings.components, settings.n_clusters, settings.merge, **options)
    return mixture, merging, merging.merge(mixture.responsibilities)


def _score(
    digits: DigitSet, labels: np.ndarray, n_clusters: int, mapping: np.ndarray | None = None
) -> Scores | None:
    return None if digits.labels is None else score(digits.labels, labels, n_clusters, mapping)
