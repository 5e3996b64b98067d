"""Cluster digits: features, mixture, merging, graph; labels only score what came out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from segment.consensus.cluster import Consensus
from segment.consensus.stability import StabilityCurve
from segment.data.samples import Samples
from segment.digits.blocks import BlockModel, fit_blocks
from segment.digits.cache import cached_features
from segment.digits.committee import fit_merged
from segment.digits.consensus import DigitGraphs, Step, agree_on_digits, find_graphs, settle_clusters
from segment.digits.digit_set import DigitSet
from segment.digits.fit import MixtureFit, fit_digits, mixture_of_labels
from segment.digits.graph import Refinement, refine
from segment.digits.model import FAINT, DigitModel
from segment.digits.normalize import to_frame
from segment.digits.scores import UNMATCHED, Scores, score
from segment.digits.settings import AUTO, SPLITS, DigitSettings
from segment.errors import DataError
from segment.mixture.expectation import map_rows, score_samples, shares_and_scores_of
from segment.mixture.merging import Merging
from segment.parallel import single_threaded_blas


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
        The cut of the graph from the mixture on, if it was asked for, or is a candidate.
    labels : (n,) int64 ndarray
        Final clusters.
    posterior : (n, n_clusters) float64 ndarray
        Posterior probabilities of the clusters, by the mixture that `model` predicts with.
    log_densities : (n,) float64 ndarray
        Of that mixture.
    model : DigitModel
    consensus : Consensus, or None
        What the labels were taken by.
    curve : StabilityCurve, or None
        How the number of clusters was chosen, if it was.
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
    log_densities: np.ndarray
    model: DigitModel
    consensus: Consensus | None = None
    curve: StabilityCurve | None = None
    test_digits: DigitSet | None = None
    test_labels: np.ndarray | None = None
    test_certainty: np.ndarray | None = None

    @property
    def certainty(self) -> np.ndarray:
        """How sure each label is, (n,): see `certainty_is`."""
        if self.consensus is not None:
            return self.consensus.confidence
        if self.refinement is not None:
            # Posteriors in 200 dimensions are 1.00 nearly everywhere and say nothing.
            return self.refinement.support
        return self.posterior[np.arange(len(self.labels)), self.labels]

    @property
    def certainty_is(self) -> str:
        """What the certainty is, in words."""
        if self.consensus is not None:
            return "share of members that agree"
        return "posterior" if self.refinement is None else "share of neighbors that agree"

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
    rows, which = _distinct(fitted.images)
    if settings.n_clusters != AUTO:
        _check_distinct(len(which), len(rows), settings.components)
    step("features", 0.0)
    frames = to_frame(fitted.images)
    features, X = cached_features(
        frames, settings.features, settings.axes, n_jobs=n_jobs, progress=partial(step, "features")
    )
    views = curve = None
    if settings.refine == "consensus":
        known = (features, X) if len(rows) == len(X) else None
        views = find_graphs(frames[rows], settings, known, n_jobs, step)
        settings, curve = settle_clusters(views, settings, n_jobs, step)
    step("mixture", 0.0)
    mixture, merging, posterior = _fit_and_merge(X, settings, n_jobs)
    mixture_labels = posterior.argmax(axis=1)
    refined = _refine(X, mixture_labels, (rows, which), views, settings, n_jobs, step)
    step("labels", 0.0)
    groups = np.arange(settings.clusters)
    if settings.refine != "none":
        parameters = mixture_of_labels(X, refined.labels, settings.clusters, settings.covariance_type)
        found = map_rows(Samples.of(X), parameters, shares_and_scores_of, n_jobs=n_jobs)
        posterior, log_densities = np.split(np.concatenate(list(found)), [settings.clusters], axis=1)
        log_densities = log_densities.ravel()
    else:
        parameters = mixture.result.parameters
        log_densities = score_samples(X, parameters, n_jobs=n_jobs)
        groups = groups if merging is None else merging.groups
    scores = _score(fitted, refined.labels, settings.clusters)
    mapping = np.full(settings.clusters, UNMATCHED) if scores is None else scores.mapping
    n_classes = 0 if fitted.labels is None else int(fitted.labels.max()) + 1
    faint = float(np.quantile(log_densities, FAINT))
    model = DigitModel(features, parameters, groups, mapping, n_classes, faint, refined.blocks)
    return DigitClustering(
        fitted,
        X,
        mixture,
        merging,
        mixture_labels,
        refined.refinement,
        refined.labels,
        posterior,
        log_densities,
        model,
        refined.consensus,
        curve,
        *(() if test is None else (test, *model.predict(test.images, n_jobs))),
    )


@dataclass(frozen=True)
class _Refined:
    """What became of the mixture's clusters, and how."""

    labels: np.ndarray
    refinement: Refinement | None = None
    consensus: Consensus | None = None
    blocks: BlockModel | None = None


def _refine(
    X: np.ndarray,
    labels: np.ndarray,
    distinct: tuple[np.ndarray, np.ndarray],
    views: DigitGraphs | None,
    settings: DigitSettings,
    n_jobs: int | None,
    step: Step,
) -> _Refined:
    """Refine the mixture's clusters as asked; every distinct image once: alike ones would be neighbors."""
    if settings.refine == "none":
        return _Refined(labels)
    rows, which = distinct
    step("graph", 0.0)
    cut = refine(X[rows], labels[rows], settings.clusters, random_state=settings.random_state, n_jobs=n_jobs)
    refinement = replace(cut, labels=cut.labels[which], support=cut.support[which])
    if views is None:
        return _Refined(refinement.labels.astype(np.int64), refinement)
    found = agree_on_digits(views, settings, cut.labels.astype(np.int64), n_jobs, step)
    step("blocks", 0.0)
    blocks = fit_blocks(views.views, views.features, found.labels, n_jobs)
    consensus = replace(found, labels=found.labels[which], confidence=found.confidence[which])
    return _Refined(consensus.labels, refinement, consensus, blocks)


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
    if settings.components == settings.clusters:
        mixture = fit_digits(X, settings.components, **options)
        return mixture, None, mixture.responsibilities
    mixture, merging = fit_merged(X, settings.components, settings.clusters, settings.merge, **options)
    return mixture, merging, merging.merge(mixture.responsibilities)


def _score(
    digits: DigitSet, labels: np.ndarray, n_clusters: int, mapping: np.ndarray | None = None
) -> Scores | None:
    return None if digits.labels is None else score(digits.labels, labels, n_clusters, mapping)
