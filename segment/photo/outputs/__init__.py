"""The kinds of output: a module each, and the one table that names them.

A kind's module has `ENDINGS`, the ends of its files' names (an asterisk stands for a number), and `write`,
which takes a segmentation, the outputs' common path and the settings, and returns the paths written. Modules
are imported when their kind is asked for.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from segment.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

    from segment.photo.outputs.settings import OutputSettings

METHODS = ("colors", "regions")

# Colors of a photo that is read by tiles: outputs that need no pixel map in memory.
TILED = "tiles"

SIDECAR = "json"
DEFAULT = ("segmented", "overlay", "palette", SIDECAR)
TILED_DEFAULT = ("labels", "areas", "overview", "palette", SIDECAR)


@dataclass(frozen=True)
class Output:
    """A kind of output.

    Attributes
    ----------
    module : str
    methods : tuple of str
        Those whose segmentations have it.
    tiled : str or None
        Module for photos that are read by tiles, which have it too then.
    uses : tuple of str
        Fields of `OutputSettings` that it heeds.
    defaults : dict
        Its own values of those that are None.
    """

    module: str
    methods: tuple[str, ...] = METHODS
    tiled: str | None = None
    uses: tuple[str, ...] = ()
    defaults: dict[str, Any] = field(default_factory=dict)

    @property
    def endings(self) -> tuple[str, ...]:
        """Ends of the names of its files; an asterisk stands for a number."""
        return importlib.import_module(self.module).ENDINGS

    def writer(self, method: str) -> Callable[[Any, Path, OutputSettings], list[Path]]:
        """Return what writes it: a segmentation of that method, the outputs' common path, the settings."""
        return importlib.import_module(self.tiled if method == TILED and self.tiled else self.module).write

    def settle(self, settings: OutputSettings) -> OutputSettings:
        """Return settings with its own defaults."""
        own = {name: value for name, value in self.defaults.items() if getattr(settings, name) is None}
        return replace(settings, **own) if own else settings


_EXACT: dict[str, Any] = {"uses": ("min_area",), "defaults": {"min_area": 1}}

# The sidecar is no entry: it is written last, since it lists all others.
OUTPUTS = {
    "segmented": Output("segment.photo.outputs.segmented"),
    "labels": Output("segment.photo.outputs.labels", tiled="segment.photo.outputs.labels_tiff"),
    "overlay": Output("segment.photo.outputs.overlay"),
    "masks": Output("segment.photo.outputs.masks"),
    "soft": Output("segment.photo.outputs.soft", ("colors",)),
    "palette": Output("segment.photo.outputs.palette", tiled="segment.photo.outputs.palette"),
    "sheet": Output("segment.photo.outputs.sheet"),
    "model": Output("segment.photo.outputs.model", ("colors",), tiled="segment.photo.outputs.model"),
    "measurements": Output("segment.photo.outputs.measurements", uses=("pixel_size", "parquet")),
    "anomaly": Output(
        "segment.photo.outputs.anomaly",
        ("colors",),
        uses=("false_alarms", "min_area"),
        defaults={"min_area": 9},
    ),
    "svg": Output("segment.photo.outputs.svg", uses=("tolerance", "min_area"), defaults={"min_area": 4}),
    "geojson": Output("segment.photo.outputs.geojson", tiled="segment.photo.outputs.geojson", **_EXACT),
    "coco": Output("segment.photo.outputs.coco", **_EXACT),
    "labelme": Output("segment.photo.outputs.labelme", **_EXACT),
    "paint": Output("segment.photo.outputs.paint", uses=("tolerance", "min_area", "paper")),
    "contours": Output("segment.photo.outputs.contours", ("regions",)),
    "tree": Output("segment.photo.outputs.tree", ("regions",)),
    "levels": Output("segment.photo.outputs.levels", ("regions",)),
    **{
        name: Output(f"segment.photo.outputs.{module}", (), tiled=f"segment.photo.outputs.{module}")
        for name, module in (("zarr", "labels_zarr"), ("areas", "areas"), ("overview", "overview"))
    },
}


def kinds_of(method: str) -> tuple[str, ...]:
    """Return the kinds of output that a method ("colors", "regions" or "tiles") has."""
    has = {
        name: output.tiled if method == TILED else method in output.methods
        for name, output in OUTPUTS.items()
    }
    return (*(name for name in OUTPUTS if has[name]), SIDECAR)


def parse_kinds(text: str, method: str = "colors") -> tuple[str, ...]:
    """Return the kinds of output named in a list like "segmented,json", or all of the method's for "all".

    Raises
    ------
    DataError
        If one is not known, or none is named.
    """
    known = kinds_of(method)
    names = [name.strip().lower() for name in text.split(",") if name.strip()]
    wrong = [name for name in names if name not in (*known, "all")]
    if wrong or not names:
        of = "photos that are read by tiles" if method == TILED else method
        got = f"{wrong[0]!r} is no output of {of}" if wrong else "no output is named"
        raise DataError(f"{got}; allowed are all, or some of {','.join(known)}")
    return tuple(kind for kind in known if kind in names or "all" in names)


def settings_used(kinds: Iterable[str], settings: OutputSettings) -> dict[str, dict[str, Any]]:
    """Return, by kind of output, the settings that it heeds; without the kinds that heed none."""
    found = {}
    for kind in kinds:
        if kind != SIDECAR and (output := OUTPUTS[kind]).uses:
            settled = output.settle(settings)
            found[kind] = {name: getattr(settled, name) for name in output.uses}
    return found


def endings_of(kind: str) -> tuple[str, ...]:
    """Return the ends of the names of a kind's files."""
    return (".json",) if kind == SIDECAR else OUTPUTS[kind].endings
