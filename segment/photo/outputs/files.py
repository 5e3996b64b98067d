"""Outputs on disk: write them, find those of an earlier run, remove what has become stale."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable
from pathlib import Path

from segment.photo.outputs import OUTPUTS, SIDECAR, endings_of
from segment.photo.outputs.naming import at
from segment.photo.outputs.settings import OutputSettings
from segment.photo.outputs.sidecar import Sidecar
from segment.photo.segmentation import Segmentation

DEFAULT_SETTINGS = OutputSettings()


def existing_outputs(stem: Path, kinds: Iterable[str]) -> list[Path]:
    """Return the files that stand where outputs of these kinds would be written."""
    found = []
    for ending in (ending for kind in kinds for ending in endings_of(kind)):
        if "*" not in ending:
            # os.path.exists takes a name that is too long for one of no file.
            found += [path for path in [at(stem, ending)] if os.path.exists(path)]
        elif stem.parent.is_dir():
            pattern = numbered(stem.name, ending)
            found += sorted(path for path in stem.parent.iterdir() if pattern.fullmatch(path.name))
    return found


def numbered(name: str, ending: str) -> re.Pattern[str]:
    """Return what matches an output's name, a number in the place of its ending's asterisk."""
    return re.compile(re.escape(name) + r"\d+".join(map(re.escape, ending.split("*"))))


def write_outputs(
    segmentation: Segmentation,
    stem: Path,
    kinds: Iterable[str],
    settings: OutputSettings = DEFAULT_SETTINGS,
) -> list[Path]:
    """Write outputs of the given kinds, all but the sidecar.

    Parameters
    ----------
    segmentation : Segmentation
    stem : Path
        Their common path, without what tells them apart: outputs/photo/cat.
    kinds : iterable of str
    settings : OutputSettings, optional

    Returns
    -------
    list of Path

    Raises
    ------
    OutputError
        If one cannot be written. What had not been there before is not there then.
    """
    kinds = [kind for kind in kinds if kind != SIDECAR]
    before = set(existing_outputs(stem, kinds))
    try:
        paths = []
        for output in (OUTPUTS[kind] for kind in kinds):
            paths += output.writer(segmentation.method)(segmentation, stem, output.settle(settings))
        return paths
    except BaseException:
        # An interrupted run shall be continued: outputs without a sidecar would stand in its way.
        for path in set(existing_outputs(stem, kinds)) - before:
            remove(path)
        raise


def remove(path: Path) -> None:
    """Remove an output, which may be a folder."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def has_outputs(sidecar: Sidecar, stem: Path, kinds: Iterable[str]) -> bool:
    """Return whether a run has written all these kinds of output, and they are still there."""
    if not all(path.exists() for path in sidecar.outputs):
        return False
    names = [path.name for path in sidecar.outputs]
    patterns = [[numbered(stem.name, ending) for ending in endings_of(kind)] for kind in kinds]
    return all(any(p.fullmatch(name) for p in either for name in names) for either in patterns)
