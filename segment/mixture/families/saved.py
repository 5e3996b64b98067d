"""Parameters that can be written to a file and read again, every number checked."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np

from segment.archive import Field, read_archive, write_archive
from segment.errors import DataError, ModelError

_CURE = "give one that --save model or an estimator's save has written"


class SavedParameters:
    """Mixin of parameters that are a dataclass of the named fields."""

    fields: ClassVar[Mapping[str, Field]]

    def save(self, path: str | os.PathLike[str], **extra: Any) -> None:
        """Write the parameters, and arrays or texts that go with them, to an .npz file."""
        write_archive(path, {name: getattr(self, name) for name in self.fields} | extra)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> tuple[Self, dict[str, np.ndarray]]:
        """Read what `save` wrote: the parameters, and what went with them.

        Raises
        ------
        ModelError
            If the file is missing, damaged or no model, or its numbers are not those of a mixture.
        """
        found = read_archive(path, "model", _CURE, cls.fields)
        own = {name: found.pop(name) for name in cls.fields}
        try:
            checked_weights(own["weights"])
            parameters = cls(
                **{name: value.item() if value.ndim == 0 else value for name, value in own.items()}
            )
            parameters.check()
        except DataError as error:
            raise ModelError(f"{path}: not a model that this program wrote ({error}); {_CURE}") from error
        return parameters, found

    def check(self) -> None:
        """Raise `DataError` if the numbers are not those of a mixture."""


def checked_weights(weights: np.ndarray) -> None:
    """Raise `DataError` unless weights are not negative and sum to 1."""
    if len(weights) == 0 or weights.min() < 0 or abs(weights.sum() - 1.0) > 1e-6:
        raise DataError("the weights must not be negative and must sum to 1")
