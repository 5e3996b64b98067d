"""A fitted clustering of digits that labels images it has not seen, and its file."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass

import numpy as np

from segment.digits.features import FeatureModel
from segment.digits.normalize import to_frame
from segment.errors import ModelError
from segment.mixture.expectation import responsibilities
from segment.mixture.families.gaussian.parameters import Parameters
from segment.parallel import single_threaded_blas


@dataclass(frozen=True)
class DigitModel:
    """Features, mixture, and which cluster (and class, where labels were known) a component belongs to.

    Attributes
    ----------
    features : FeatureModel
    parameters : Parameters
    groups : (n_components,) int64 ndarray
        Cluster of each component.
    mapping : (n_clusters,) int64 ndarray
        Class of each cluster as matched on the images that were fitted; -1 where unknown.
    """

    features: FeatureModel
    parameters: Parameters
    groups: np.ndarray
    mapping: np.ndarray

    @single_threaded_blas()
    def predict(self, images: np.ndarray, n_jobs: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Return the cluster of each image and its posterior probability.

        Parameters
        ----------
        images : (n, height, width) uint8 ndarray, ink bright on a dark ground

        Returns
        -------
        clusters : (n,) int64 ndarray
        probabilities : (n,) float64 ndarray
        """
        X = self.features.transform(to_frame(images), n_jobs)
        posterior = responsibilities(X, self.parameters, n_jobs=n_jobs)
        merged = posterior @ np.eye(len(self.mapping))[self.groups]
        return merged.argmax(axis=1), merged.max(axis=1)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model to an .npz file."""
        stored = {f"features_{name}": np.asarray(value) for name, value in asdict(self.features).items()}
        self.parameters.save(path, groups=self.groups, mapping=self.mapping, **stored)


def load_model(path: str | os.PathLike[str]) -> DigitModel:
    """Read a model that `DigitModel.save` wrote.

    Raises
    ------
    ModelError
        If the file is missing, damaged, or the model of something else.
    """
    parameters, extra = Parameters.load(path)
    try:
        groups, mapping = extra["groups"], extra["mapping"]
        features = FeatureModel(
            str(extra["features_kind"]),
            extra["features_typical_spread"],
            extra["features_mean"],
            extra["features_components"],
            float(extra["features_explained"]),
        )
    except KeyError as error:
        raise ModelError(
            f"{path}: a mixture, but not of digits (it lacks {error}); give a model that "
            "`segment digits --save-model` wrote"
        ) from error
    return DigitModel(features, parameters, groups, mapping)
