"""A fitted mixture of colors as a file: it can label other photos."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass

import numpy as np

from segment.errors import ModelError
from segment.mixture.families.gaussian.parameters import Parameters
from segment.photo.colors import BANDS, COLOR_SPACES

# Version 2 has models of classes; all others are read by versions that know 1 only.
SCHEMA, _WITHOUT_CLASSES = 2, 1
N_COLOR_FEATURES = 3
_CURE = "give one that segment photo --save model wrote"


@dataclass(frozen=True, eq=False)
class PhotoModel:
    """Parameters of a mixture and the color space that they live in.

    Attributes
    ----------
    parameters : Parameters
    color_space : str
    palette : (n_labels, 3) uint8 ndarray, optional
        The sRGB color that each label has in every photo; without it, its mean color in each of them.
    classes : (n_components,) int64 ndarray, optional
        The label of each component, in rising order, where hints gave classes; without it, each is a label.
    names : tuple of str, optional
        Of the classes.
    """

    parameters: Parameters
    color_space: str
    palette: np.ndarray | None = None
    classes: np.ndarray | None = None
    names: tuple[str, ...] | None = None

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model to an .npz file."""
        more = {} if self.palette is None else {"palette": self.palette}
        if self.classes is not None:
            more |= {"classes": self.classes, "names": np.array(self.names)}
        schema = np.array(SCHEMA if self.classes is not None else _WITHOUT_CLASSES)
        self.parameters.save(path, color_space=np.array(self.color_space), photo_schema=schema, **more)

    @property
    def digest(self) -> str:
        """SHA-256 of the mixture and its palette: what tells models apart."""
        content = {name: getattr(self.parameters, name) for name in self.parameters.fields}
        content |= {"color_space": self.color_space, "palette": "" if self.palette is None else self.palette}
        content |= {} if self.classes is None else {"classes": self.classes, "names": self.names}
        found = hashlib.sha256()
        for name, value in content.items():
            found.update(f"{name} {np.shape(value)}".encode() + np.ascontiguousarray(value).tobytes())
        return found.hexdigest()

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> PhotoModel:
        """Read what `save` wrote.

        Raises
        ------
        ModelError
            If the file is missing, damaged, or no model of photos.
        """
        parameters, extra = Parameters.load(path)
        schema, color_space = extra.get("photo_schema"), str(extra.get("color_space", ""))
        if schema is None or color_space not in (*COLOR_SPACES, BANDS):
            raise ModelError(f"{path}: a model, but not of photos; {_CURE}")
        if schema.dtype.kind not in "iu" or schema.ndim or schema < 1:
            raise ModelError(f"{path}: a damaged model (photo_schema is {schema}); {_CURE}")
        if color_space != BANDS and parameters.n_features != N_COLOR_FEATURES:
            raise ModelError(
                f"{path}: a damaged model ({parameters.n_features} features; colors in {color_space} have "
                f"{N_COLOR_FEATURES}); {_CURE}"
            )
        if int(schema) > SCHEMA:
            raise ModelError(
                f"{path}: written by a newer version (schema {schema}); update segment to read it"
            )
        classes, names = _checked_classes(path, extra, parameters.n_components)
        n_labels = parameters.n_components if names is None else len(names)
        palette = _checked_palette(path, extra.get("palette"), n_labels)
        return cls(parameters, color_space, palette, classes, names)


def _checked_classes(
    path: str | os.PathLike[str], extra: dict[str, np.ndarray], n_components: int
) -> tuple[np.ndarray | None, tuple[str, ...] | None]:
    if "classes" not in extra and "names" not in extra:
        return None, None
    classes, names = extra.get("classes"), extra.get("names")
    fits = (
        classes is not None
        and names is not None
        and classes.dtype.kind in "iu"
        and classes.shape == (n_components,)
        and names.dtype.kind == "U"
        and names.ndim == 1
        and "palette" in extra
        and str(extra.get("color_space")) == "lab"
        and np.array_equal(np.unique(classes), np.arange(len(names)))
        and bool((np.diff(classes) >= 0).all())
    )
    if not fits or classes is None or names is None:
        raise ModelError(f"{path}: a damaged model (its classes do not fit its components); {_CURE}")
    return classes.astype(np.int64), tuple(map(str, names))


def _checked_palette(
    path: str | os.PathLike[str], palette: np.ndarray | None, n_labels: int
) -> np.ndarray | None:
    shape = (n_labels, 3)
    if palette is not None and (palette.dtype != np.uint8 or palette.shape != shape):
        raise ModelError(
            f"{path}: a damaged model (its palette is {palette.dtype} {palette.shape}; uint8 {shape} is "
            f"needed); {_CURE}"
        )
    return palette
