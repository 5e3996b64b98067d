"""A fitted mixture of colors as a file: it can label other photos."""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np

from segment.errors import ModelError
from segment.mixture.families.gaussian.parameters import Parameters
from segment.photo.colors import BANDS, COLOR_SPACES

SCHEMA = 1
N_COLOR_FEATURES = 3
_CURE = "give one that segment photo --save model wrote"


@dataclass(frozen=True, eq=False)
class PhotoModel:
    """Parameters of a mixture and the color space that they live in.

    Attributes
    ----------
    parameters : Parameters
    color_space : str
    """

    parameters: Parameters
    color_space: str

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model to an .npz file."""
        self.parameters.save(path, color_space=np.array(self.color_space), photo_schema=np.array(SCHEMA))

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
        return cls(parameters, color_space)
