"""The learned cost of a merge: the log odds that people put a boundary between two regions."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any

import numpy as np

from segment.errors import ModelError
from segment.kernels.regions.merging import Quadratic

GRADIENT_NAMES = (
    "color2",
    "color4",
    "color8",
    "color16",
    "texture4",
    "texture8",
    "texture16",
    "light1",
    "light3",
    "light6",
    "tint3",
    "tint6",
)
STEP_NAMES = GRADIENT_NAMES[:7]
INSIDE_NAMES = ("color2", "texture8", "light1")


def _both(*names: str) -> list[str]:
    return [f"{name}_{side}" for name in names for side in ("small", "large")]


# In the order in which the kernel `_features` writes them.
FEATURES: tuple[str, ...] = (
    *(f"steepest_{name}" for name in GRADIENT_NAMES),
    *(f"normal_{name}" for name in GRADIENT_NAMES),
    *(f"step_{name}" for name in STEP_NAMES),
    "junction",
    "leaf_color",
    "leaf_texture",
    "leaf_lab",
    "leaf_mean",
    "prior",
    "prior_spread",
    "color",
    "texture",
    "lab",
    "mean",
    "light",
    "modes4",
    "modes16",
    "area_small",
    "area_large",
    "length",
    *_both("shared"),
    *_both("compact"),
    "compact_union",
    "compact_gain",
    *_both("box"),
    "box_union",
    *_both("border"),
    *_both("elongation"),
    *_both("row"),
    "row_difference",
    *_both("off_center"),
    *(f"{axis}_small" for axis in "Lab"),
    *(f"{axis}_large" for axis in "Lab"),
    *_both("spread"),
    *(f"inside_{name}_{side}" for name in INSIDE_NAMES for side in ("small", "large")),
    *_both("leaves"),
    *_both("prior_excess"),
    *_both("edge_excess"),
    "n_regions",
)


@dataclass(frozen=True, eq=False)
class MergeCost:
    """Two quadratic forms: one for the boundaries between leaves, one for the boundaries while merging.

    Attributes
    ----------
    leaf, merge : Quadratic
        Over `FEATURES`; they return log odds of a boundary.
    """

    leaf: Quadratic
    merge: Quadratic

    def to_plain(self) -> dict[str, Any]:
        """Return what `from_plain` takes, as lists of numbers rounded to five digits."""
        return {
            "features": list(FEATURES),
            **{name: _to_plain(getattr(self, name)) for name in ("leaf", "merge")},
        }

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> MergeCost:
        """Undo `to_plain`.

        Raises
        ------
        ModelError
            If the model was trained for other features.
        """
        if tuple(plain.get("features", ())) != FEATURES:
            raise ModelError(
                "the model of the merge cost knows other features than this version measures; "
                "run scripts/train_regions"
            )
        return cls(*(_from_plain(plain[name]) for name in ("leaf", "merge")))


def _to_plain(quadratic: Quadratic) -> dict[str, Any]:
    fields = {**quadratic._asdict(), "products": quadratic.products[_lower(len(quadratic.mean))]}
    return {name: _rounded(value) for name, value in fields.items()}


def _rounded(value: Any) -> Any:
    return np.array([float(f"{x:.5g}") for x in np.ravel(value)]).reshape(np.shape(value)).tolist()


def _from_plain(fields: dict[str, Any]) -> Quadratic:
    mean, scale, linear = (np.array(fields[name], dtype=np.float64) for name in ("mean", "scale", "linear"))
    products = np.zeros((len(mean), len(mean)))
    products[_lower(len(mean))] = fields["products"]
    return Quadratic(mean, scale, linear, products, float(fields["bias"]))


def _lower(n: int) -> tuple[np.ndarray, ...]:
    return np.tril_indices(n)


@lru_cache(maxsize=1)
def shipped_cost() -> MergeCost:
    """Return the cost that `scripts/train_regions` learned from the train split of BSDS500."""
    text = files("segment.photo.regions").joinpath("merge_cost.json").read_text(encoding="utf-8")
    return MergeCost.from_plain(json.loads(text))
