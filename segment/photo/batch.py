"""A batch of photos: what will be written where is settled before anything is written."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segment.errors import OutputError
from segment.photo.inputs import Input
from segment.photo.outputs import endings_of
from segment.photo.outputs.files import existing_outputs, remove
from segment.photo.outputs.naming import at
from segment.photo.outputs.sidecar import Sidecar, sidecar_path
from segment.photo.read import BUNDLED, STDIN, bundled_path


@dataclass(frozen=True)
class Job:
    """A photo to be segmented.

    Attributes
    ----------
    source : str
    stem : Path
        Common path of its outputs, without what tells them apart.
    """

    source: str
    stem: Path

    def is_done(self, earlier: Sidecar, options: dict[str, Any], settings: dict[str, dict[str, Any]]) -> bool:
        """Return whether an earlier run was of the same content, options, and settings of these outputs."""
        if earlier.options != options or self.source == STDIN:
            return False
        if any(earlier.settings.get(kind, asked) != asked for kind, asked in settings.items()):
            return False
        is_bundled = self.source.startswith(BUNDLED)
        return content_hash(bundled_path(self.source) if is_bundled else self.source) == earlier.sha256


def content_hash(path: str | os.PathLike[str]) -> str | None:
    """Return the SHA-256 of a file, or of a folder's names, sizes and times; None if it cannot be read."""
    try:
        if os.path.isdir(path):
            return _folder_hash(Path(path))
        with open(path, "rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except (OSError, ValueError):
        return None


def _folder_hash(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        status = path.stat()
        digest.update(f"{path.relative_to(folder)} {status.st_size} {status.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def plan_jobs(
    inputs: Sequence[Input], folder: Path, kinds: Iterable[str], also_read: Iterable[Path] = ()
) -> tuple[list[Job], list[OutputError]]:
    """Return what can be done without loss, and what is wrong with the other inputs.

    Parameters
    ----------
    inputs : sequence of Input
    folder : Path
        That of the outputs.
    kinds : iterable of str
        Kinds of output.
    also_read : iterable of Path
        Files that are read, but are no photos.

    Returns
    -------
    jobs : list of Job
    errors : list of OutputError
        For inputs whose outputs would replace an input, or an output of an input before.
    """
    kinds = tuple(kinds)
    read = files_of([*(item.source for item in inputs), *map(str, also_read)])
    claimed: dict[str, str] = {}
    jobs, errors = [], []
    for item in inputs:
        stem = folder / item.name
        inputs_hit = [path for path in existing_outputs(stem, kinds) if is_among(path, read)]
        names = [at(stem, ending) for kind in kinds for ending in endings_of(kind)]
        outputs_hit = [path for path in names if str(path).casefold() in claimed]
        if inputs_hit:
            errors.append(
                OutputError(
                    f"{item.source}: its output {inputs_hit[0].name} would replace an input of that name; "
                    "choose another folder with -o"
                )
            )
        elif outputs_hit:
            other = claimed[str(outputs_hit[0]).casefold()]
            errors.append(
                OutputError(
                    f"{item.source}: its output {outputs_hit[0].name} would replace that of {other}; run it "
                    "alone, with another folder (-o), or choose other outputs (--save)"
                )
            )
        else:
            claimed.update((str(path).casefold(), item.source) for path in names)
            jobs.append(Job(item.source, stem))
    return jobs, errors


def files_of(sources: Iterable[str]) -> set[tuple[int, int]]:
    """Return what tells files apart, whatever they are called, of those sources that are files."""
    found = set()
    for source in sources:
        try:
            status = os.stat(source)
        except (OSError, ValueError):
            continue
        found.add((status.st_dev, status.st_ino))
    return found


def is_among(path: Path, files: set[tuple[int, int]]) -> bool:
    """Return whether a path is one of some files."""
    return not files.isdisjoint(files_of([str(path)]))


def tidy(
    job: Job,
    kinds: Iterable[str],
    written: Iterable[Path],
    earlier: Sidecar | None,
    options: dict[str, Any],
    sha256: str | None,
    inputs: set[tuple[int, int]],
) -> list[Path]:
    """Remove what an earlier run of the photo wrote and this one did not.

    Parameters
    ----------
    job : Job
    kinds : iterable of str
        Kinds of output just written.
    written : iterable of Path
        Files just written.
    earlier : Sidecar or None
        What the earlier run says of itself.
    options : dict
        Those of this run.
    sha256 : str or None
        Of the photo.
    inputs : set
        Files that are read (see `files_of`): they stay.

    Returns
    -------
    list of Path
        What is left of the earlier run, since the photo and the options were the same.
    """
    new = {*written, sidecar_path(job.stem)}
    stale = {path for path in existing_outputs(job.stem, kinds) if path not in new}
    others: set[Path] = set()
    if earlier is not None and (earlier.source == job.source or earlier.sha256 == sha256):
        others = {path for path in earlier.outputs if path.exists()} - stale - set(written)
    is_same_run = earlier is not None and (earlier.sha256, earlier.options) == (sha256, options)
    for path in stale if is_same_run else stale | others:
        if not is_among(path, inputs):
            remove(path)
    return sorted(others - new) if is_same_run else []
