"""Mixtures that can be written to a file, settings and all, and read again."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.utils.validation import check_is_fitted

from segment.errors import ModelError
from segment.mixture.estimators.fitted import FittedMixture

SCHEMA = 1

# Fitted attributes that a file keeps beside the parameters, and how they come back from JSON.
_SAVED: dict[str, Callable[[Any], Any]] = {
    "converged_": bool,
    "n_iter_": int,
    "lower_bound_": float,
    "lower_bounds_": lambda values: np.array(values, dtype=np.float64),
    "repairs_": lambda texts: tuple(map(str, texts)),
    "n_features_in_": int,
    "feature_names_in_": lambda names: np.array(names, dtype=object),
}


class SavedMixture(FittedMixture):
    """A fitted mixture with `save` and `load`."""

    _parameters_type: ClassVar[Any]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted mixture to an .npz file that holds no pickle.

        Parameters
        ----------
        path : path-like
            Replaced at once if it exists. A `random_state` that is no number is not kept.

        Raises
        ------
        OutputError
            If it cannot be written.
        """
        check_is_fitted(self)
        fitted = {name: getattr(self, name) for name in _SAVED if hasattr(self, name)}
        self._parameters().save(
            path,
            schema=np.array(SCHEMA),
            estimator=np.array(type(self).__name__),
            dtype=np.array(self._dtype.name),
            settings=np.array(json.dumps(self.get_params(), default=_plain)),
            fitted=np.array(json.dumps(fitted, default=_plain)),
        )

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read what `save` wrote.

        Parameters
        ----------
        path : path-like

        Returns
        -------
        estimator
            Fitted.

        Raises
        ------
        ModelError
            If the file is missing, damaged, of a newer schema, or not saved by this class.
        """
        parameters, found = cls._parameters_type.load(path)
        if found.keys() < {"schema", "settings", "fitted"}:
            raise ModelError(f"{path}: a mixture, but not one that {cls.__name__}.save has written")
        try:
            if int(found["schema"]) > SCHEMA:
                raise ModelError(
                    f"{path}: written by a newer version (schema {int(found['schema'])}, this one reads up "
                    f"to {SCHEMA}); update segment"
                )
            mixture = cls(**json.loads(str(found["settings"])))
            mixture._validate_params()
            dtype = np.dtype(str(found.get("dtype", "float64")))
            if dtype not in (np.float32, np.float64):
                raise ValueError(f"dtype is {dtype}")
            mixture._set(parameters, dtype)
            for name, value in json.loads(str(found["fitted"])).items():
                setattr(mixture, name, _SAVED[name](value))
            fits = mixture.n_features_in_ == parameters.n_features
            if not fits or mixture.n_components != parameters.n_components:
                raise ValueError("its settings are not those of its parameters")
        except ModelError:
            raise
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            raise ModelError(
                f"{path}: not a model that {cls.__name__}.save has written ({error}); "
                "give one that it has written"
            ) from error
        return mixture


def _plain(value: Any) -> Any:
    """Turn what JSON does not know into what it knows: arrays into lists, a RandomState into None."""
    return value.tolist() if hasattr(value, "tolist") else None
