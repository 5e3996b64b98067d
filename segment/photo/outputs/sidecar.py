"""The sidecar: what a run says of itself, and what a later run learns from it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segment.output import versions
from segment.photo.outputs.naming import at
from segment.photo.segmentation import Segmentation

_STEPS = ("read", "count", "fit", "regions", "label", "smooth", "write", "total")

# No sidecar is larger; other JSON files may be.
_MOST_BYTES = 20_000_000


def sidecar_path(stem: Path) -> Path:
    """Return where the sidecar of outputs of this common path lies."""
    return at(stem, ".json")


def summarize(
    segmentation: Segmentation,
    *,
    options: dict[str, Any],
    settings: dict[str, dict[str, Any]],
    seconds: dict[str, float],
    outputs: Iterable[Path] = (),
    warnings: Iterable[str] = (),
) -> dict[str, Any]:
    """Return all that is known of a segmentation, in plain types but for arrays.

    Parameters
    ----------
    segmentation : Segmentation
    options : dict
        All that the segmentation depends on: the same photo and the same options give the same one.
    settings : dict of str to dict
        What the outputs depend on besides, by kind.
    seconds : dict of str to float
        What was timed outside of the segmentation: reading, writing, the whole.
    outputs : iterable of Path
    warnings : iterable of str
        On top of those of the segmentation.
    """
    photo = segmentation.photo
    height, width = photo.shape
    timed = segmentation.seconds | seconds
    return {
        "input": photo.source,
        "sha256": photo.sha256,
        "width": width,
        "height": height,
        "n_pixels": photo.n_pixels,
        "reader": photo.reader,
        "options": options,
        "settings": settings,
        **segmentation.facts(),
        "palette": segmentation.palette,
        "shares": segmentation.shares,
        "warnings": [*segmentation.warnings, *warnings],
        "seconds": {name: round(timed[name], 4) for name in _STEPS if name in timed},
        "outputs": [str(path) for path in outputs],
        "versions": versions(),
    }


@dataclass(frozen=True)
class Sidecar:
    """What an earlier run says of itself.

    Attributes
    ----------
    source : str
    sha256 : str or None
    options : dict
    settings : dict of str to dict
        By kind of output.
    outputs : tuple of Path
        In the folder in which the sidecar lies now; itself included.
    """

    source: str
    sha256: str | None
    options: dict[str, Any]
    settings: dict[str, dict[str, Any]]
    outputs: tuple[Path, ...]


def read_sidecar(path: Path) -> Sidecar | None:
    """Return what a sidecar says; None if there is none, or it is some other JSON file."""
    try:
        if path.stat().st_size > _MOST_BYTES:
            return None
        facts = json.loads(path.read_text(encoding="utf-8"))
        names = [Path(name).name for name in facts["outputs"]]
        if "segment" not in facts["versions"] or not all(name.startswith(path.stem) for name in names):
            return None
        outputs = tuple(path.with_name(name) for name in names)
        options, settings = (dict(facts.get(name, {})) for name in ("options", "settings"))
        return Sidecar(facts["input"], facts["sha256"], options, settings, outputs)
    except (OSError, ValueError, KeyError, TypeError):
        return None
