"""A fitted clustering of digits that labels images it has not seen, and its file."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass

import numpy as np

from segment.archive import Field, read_archive
from segment.digits.digit_set import MAX_LABEL
from segment.digits.features import RAW_FEATURES, FeatureModel
from segment.digits.normalize import FRAME, to_frame
from segment.digits.scores import UNMATCHED
from segment.errors import ModelError
from segment.mixture.expectation import responsibilities
from segment.mixture.families.gaussian.parameters import Parameters
from segment.parallel import single_threaded_blas

_CURE = "give a model that `segment digits --save-model` wrote"
_FIELDS = {
    "groups": Field("iu", 1),
    "mapping": Field("iu", 1),
    "features_kind": Field("U", 0),
    "features_typical_spread": Field("f", 1),
    "features_mean": Field("f", 1),
    "features_components": Field("f", 2),
    "features_explained": Field("f", 0),
}


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
    missing = sorted(set(_FIELDS) - set(extra))
    if missing:
        raise ModelError(f"{path}: a mixture, but not of digits (it lacks {', '.join(missing)}); {_CURE}")
    read_archive(path, "model of digits", _CURE, _FIELDS)
    features = FeatureModel(
        str(extra["features_kind"]),
        extra["features_typical_spread"],
        extra["features_mean"],
        extra["features_components"],
        float(extra["features_explained"]),
    )
    model = DigitModel(features, parameters, extra["groups"], extra["mapping"])
    if reason := _contradiction(model):
        raise ModelError(f"{path}: not a model of digits that this program wrote ({reason}); {_CURE}")
    return model


def _contradiction(model: DigitModel) -> str | None:
    """Return in what the fields of a model do not fit together, or None."""
    features, groups, mapping = model.features, model.groups, model.mapping
    if features.kind not in RAW_FEATURES:
        return f"features are {features.kind!r}; allowed are {', '.join(RAW_FEATURES)}"
    n_raw = RAW_FEATURES[features.kind](np.zeros((1, FRAME, FRAME), np.uint8), np.ones(2)).shape[1]
    wanted = {
        "features_typical_spread": (features.typical_spread, (2,)),
        "features_mean": (features.mean, (n_raw,)),
        "features_components": (features.components, (model.parameters.means.shape[1], n_raw)),
        "groups": (groups, (model.parameters.n_components,)),
    }
    for name, (array, shape) in wanted.items():
        if array.shape != shape:
            return f"{name} has shape {array.shape}, expected {shape}"
    if features.typical_spread.min() <= 0:
        return "features_typical_spread must be positive"
    if len(mapping) == 0 or groups.min() < 0 or groups.max() >= len(mapping):
        return f"groups must be from 0 to {len(mapping) - 1}, the clusters of mapping"
    matched = mapping[mapping != UNMATCHED]
    if mapping.min() < UNMATCHED or mapping.max() > MAX_LABEL or len(np.unique(matched)) < len(matched):
        return f"mapping must give each cluster a class of its own, 0 to {MAX_LABEL}, or {UNMATCHED}"
    return None
