"""The learned cost of a merge: the log odds that people put a boundary between two regions."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any

import numpy as np

from segment.errors import ModelError
from segment.kernels.regions import Network

GRADIENT_NAMES = (
    "color2", "color4", "color8", "color16", "texture4", "texture8", "texture16",
    "light1", "light3", "light6", "tint3", "tint6",
)  # fmt: skip
STEP_NAMES = GRADIENT_NAMES[:7]
INSIDE_NAMES = ("color2", "texture8", "light1")


def _both(*names: str) -> list[str]:
    return [f"{name}_{side}" for name in names for side in ("small", "large")]


# In the order in which the kernel `_features` writes them.
FEATURES: tuple[str, ...] = (
    *(f"steepest_{name}" for name in GRADIENT_NAMES),
    *(f"normal_{name}" for name in GRADIENT_NAMES),
    *(f"step_{name}" for name in STEP_NAMES),
    "junction", "leaf_color", "leaf_texture", "leaf_lab", "leaf_mean", "prior", "prior_spread",
    "color", "texture", "lab", "mean", "light", "modes4", "modes16",
    "area_small", "area_large", "length", *_both("shared"), *_both("compact"), "compact_union",
    "compact_gain", *_both("box"), "box_union", *_both("border"), *_both("elongation"),
    *_both("row"), "row_difference", *_both("off_center"),
    *(f"{axis}_small" for axis in "Lab"), *(f"{axis}_large" for axis in "Lab"), *_both("spread"),
    *(f"inside_{name}_{side}" for name in INSIDE_NAMES for side in ("small", "large")),
    *_both("leaves"), *_both("prior_excess"), *_both("edge_excess"), "n_regions",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class MergeCost:
    """Two networks: one for the boundaries between leaves, one for the boundaries while merging.

    Attributes
    ----------
    leaf, merge : Network
        Over `FEATURES`; they return log odds of a boundary.
    """

    leaf: Network
    merge: Network

    def to_plain(self) -> dict[str, Any]:
        """Return what `from_plain` takes, as lists of numbers rounded to five digits."""
        return {
            "features": list(FEATURES),
            **{name: _rounded(getattr(self, name)._asdict()) for name in ("leaf", "merge")},
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
        return cls(*(_network(plain[name]) for name in ("leaf", "merge")))


def _rounded(fields: dict[str, Any]) -> dict[str, Any]:
    return {
        name: np.array([float(f"{x:.5g}") for x in np.ravel(value)]).reshape(np.shape(value)).tolist()
        for name, value in fields.items()
    }


def _network(fields: dict[str, Any]) -> Network:
    mean, scale, linear, hidden, hidden_bias, output = (
        np.array(fields[name], dtype=np.float64) for name in Network._fields[:-1]
    )
    return Network(
        mean, scale, linear, hidden.reshape(-1, len(mean)), hidden_bias, output, float(fields["bias"])
    )


@lru_cache(maxsize=1)
def shipped_cost() -> MergeCost:
    """Return the cost that `scripts/train_regions` learned from the train split of BSDS500."""
    text = files("segment.photo.regions").joinpath("merge_cost.json").read_text(encoding="utf-8")
    return MergeCost.from_plain(json.loads(text))
