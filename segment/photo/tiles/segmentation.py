"""A photo of any size, segmented: the labels lie in a file."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from segment.photo.color_segmentation import PhotoSegmentation
from segment.photo.outputs import TILED
from segment.photo.tiles.photo import TiledPhoto
from segment.photo.tiles.store import LabelStore


@dataclass(frozen=True, eq=False)
class TiledSegmentation(PhotoSegmentation):
    """A photo of any size, segmented by a Gaussian mixture of its colors; use it in a `with` statement.

    Attributes
    ----------
    photo : TiledPhoto
    label_map : ndarray
        Empty: the labels lie in `store`.
    store : LabelStore
        Gone when the segmentation is closed.
    counts : (K,) int64 ndarray
        Pixels of each label.
    n_unlabeled : int
    how_fitted : {"table", "memory", "stream"}
        On distinct colors, on pixels in memory, or on pixels that every pass has read anew.
    memory : int
        Bytes that were allowed.
    n_threads : int
    on_cluster : bool
        Whether Dask workers read it.
    """

    method: ClassVar[str] = TILED

    photo: TiledPhoto  # type: ignore[assignment]
    store: LabelStore = field(kw_only=True)
    counts: np.ndarray = field(kw_only=True)
    n_unlabeled: int = field(kw_only=True)
    how_fitted: str = field(kw_only=True)
    memory: int = field(kw_only=True)
    n_threads: int = field(kw_only=True)
    on_cluster: bool = field(default=False, kw_only=True)

    def _views(self, step: int) -> list[tuple[str, np.ndarray]]:
        """Return every n-th pixel in the colors of its labels; the photo itself is not read again."""
        return [("segmented", self._colors()[self._labels(step)])]

    def _labels(self, step: int) -> np.ndarray:
        """Return every n-th label in both directions."""
        rows = range(0, self.store.shape[0], step)
        return np.stack([self.store.labels(row, row + 1)[0, ::step] for row in rows])

    def how(self) -> str:
        """Say what EM did."""
        if self.how_fitted == "table":
            return super().how()
        steps = "a model applied" if self.result is None else f"{self.result.n_iter} iterations"
        return f"pixels as they are ({self.how_fitted}), {steps}, log-likelihood {self.log_likelihood:.6g}"

    def facts(self) -> dict[str, Any]:
        """Return what the sidecar says of this method's segmentations alone."""
        layout = self.photo.layout
        return super().facts() | {
            "method": "colors",
            "tiles": {
                "fitted_on": self.how_fitted,
                "tile": list(layout.tile),
                "n_strips": len(self.photo.strips),
                "n_bad_tiles": len(self.photo.bad),
                "n_unlabeled": self.n_unlabeled,
                "no_label": self.store.none,
                "pixel_size": layout.place.pixel_size,
                "pixel_unit": layout.place.unit,
                "memory": self.memory,
                "threads": self.n_threads,
                "on_cluster": self.on_cluster,
            },
            "counts": self.counts,
        }

    def __enter__(self) -> TiledSegmentation:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Remove the labels, and let go of the photo's files."""
        self.store.close()
        self.photo.close()
