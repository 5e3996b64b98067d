"""A fitted clustering of digits that labels images it has not seen, and its file."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass

import numpy as np

from segment.archive import Field, read_archive
from segment.digits.blocks import BlockModel, load_blocks
from segment.digits.digit_set import MAX_LABEL
from segment.digits.features import RAW_FEATURES, FeatureModel, count_raw
from segment.digits.normalize import to_frame
from segment.digits.scores import UNMATCHED
from segment.errors import ModelError
from segment.mixture.expectation import responsibilities, score_samples
from segment.mixture.families.gaussian.parameters import Parameters
from segment.parallel import single_threaded_blas

# Of the digits fitted, one in a thousand is less likely than what is taken for a digit.
FAINT = 0.001
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
# Where no bound is known, nothing is too unlikely.
NO_BOUND = -float(np.finfo(np.float64).max)
# Fields that models of earlier versions lack.
_LATER_FIELDS = {"n_classes": Field("iu", 0), "faint": Field("f", 0)}


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
    n_classes : int
        Classes that the labels told apart; 0 without labels.
    faint : float
        Log density that one in a thousand of the digits fitted falls short of: what lies lower is none.
    blocks : BlockModel, or None
        What clusters are told by, if not by the mixture: a consensus finds clusters of several forms.
    """

    features: FeatureModel
    parameters: Parameters
    groups: np.ndarray
    mapping: np.ndarray
    n_classes: int = MAX_LABEL + 1
    faint: float = NO_BOUND
    blocks: BlockModel | None = None

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
        return self.recognize(images, n_jobs)[:2]

    @single_threaded_blas()
    def recognize(
        self, images: np.ndarray, n_jobs: int | None = None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return what `predict` does, and for each image whether it is like the digits fitted, (n,) bool."""
        frames = to_frame(images)
        X = self.features.transform(frames, n_jobs)
        if self.blocks is None:
            posterior = responsibilities(X, self.parameters, n_jobs=n_jobs)
            merged = posterior @ np.eye(len(self.mapping))[self.groups]
        else:
            merged = self.blocks.posterior(frames, len(self.mapping), n_jobs)
        is_like = score_samples(X, self.parameters, n_jobs=n_jobs) >= self.faint
        return merged.argmax(axis=1), merged.max(axis=1), is_like

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model to an .npz file."""
        stored = {f"features_{name}": np.asarray(value) for name, value in asdict(self.features).items()}
        stored |= {} if self.blocks is None else self.blocks.fields()
        self.parameters.save(
            path,
            groups=self.groups,
            mapping=self.mapping,
            n_classes=np.array(self.n_classes),
            faint=np.array(self.faint),
            **stored,
        )


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
    later = {name: field for name, field in _LATER_FIELDS.items() if name in extra}
    read_archive(path, "model of digits", _CURE, _FIELDS | later)
    features = FeatureModel(
        str(extra["features_kind"]),
        extra["features_typical_spread"],
        extra["features_mean"],
        extra["features_components"],
        float(extra["features_explained"]),
    )
    model = DigitModel(
        features,
        parameters,
        extra["groups"],
        extra["mapping"],
        int(extra.get("n_classes", MAX_LABEL + 1)),
        float(extra.get("faint", NO_BOUND)),
        load_blocks(path, extra, _CURE),
    )
    if reason := _contradiction(model):
        raise ModelError(f"{path}: not a model of digits that this program wrote ({reason}); {_CURE}")
    return model


def _contradiction(model: DigitModel) -> str | None:
    """Return in what the fields of a model do not fit together, or None."""
    features, groups, mapping = model.features, model.groups, model.mapping
    if features.kind not in RAW_FEATURES:
        return f"features are {features.kind!r}; allowed are {', '.join(RAW_FEATURES)}"
    n_raw = count_raw(features.kind)
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
    if not 0 <= model.n_classes <= MAX_LABEL + 1:
        return f"n_classes is {model.n_classes}; allowed are 0 to {MAX_LABEL + 1}"
    if model.blocks is not None and (reason := model.blocks.contradiction(len(mapping))):
        return reason
    matched = mapping[mapping != UNMATCHED]
    in_range = mapping.min() >= UNMATCHED and mapping.max() < model.n_classes
    if not in_range or len(np.unique(matched)) < len(matched):
        return f"mapping must give each cluster one of the {model.n_classes} classes, once, or {UNMATCHED}"
    return None
