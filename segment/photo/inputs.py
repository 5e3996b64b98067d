"""Which photos are meant: files, folders, globs, standard input, bundled photos."""

from __future__ import annotations

import glob
import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from segment.errors import ImageError
from segment.photo.outputs.sidecar import read_sidecar
from segment.photo.read import BUNDLED, STDIN, SUFFIXES
from segment.photo.tiles.zarr import recognizes as is_zarr


@dataclass(frozen=True)
class Input:
    """A photo to be read, and the name that its outputs get.

    Attributes
    ----------
    source : str
        As `read_photo` takes it.
    name : str
        With the folders below the one that all inputs share: "album/cat". Unlike that of every other input,
        also where upper and lower case are the same.
    """

    source: str
    name: str

    @property
    def flat_name(self) -> str:
        """The name as one that has no folders."""
        return self.name.replace("/", "-")


class Inputs(NamedTuple):
    """The photos that some texts mean, what is wrong with those that mean none, and what else lies there.

    `skipped` are the files of folders that are no photos by their suffix.
    """

    photos: list[Input]
    errors: list[ImageError]
    skipped: list[str]


def find_inputs(texts: Iterable[str], *, recursive: bool = False, may_be_empty: bool = False) -> Inputs:
    """Return the photos that some texts mean.

    Parameters
    ----------
    texts : iterable of str
        Files, zarr folders, other folders (their photos, sorted by name), globs, "-", or names like
        "skimage:cat". What an earlier run wrote into a folder, by its sidecars, is not taken for a photo.
    recursive : bool
        Look into folders within folders.
    may_be_empty : bool
        Whether a folder without a photo is no error.
    """
    sources: dict[str, str] = {}
    skipped: list[str] = []
    roots: list[str] = []
    errors: list[ImageError] = []
    for text in texts:
        try:
            found, left = _sources(text, recursive, may_be_empty)
        except ImageError as error:
            errors.append(error)
            continue
        skipped += left
        if (found or may_be_empty) and not _is_special(text):
            roots.append(_root(text))
        for source in found:
            sources.setdefault(source if _is_special(source) else _absolute(source), source)
    named = _named(list(sources.values()), os.path.commonpath(roots) if roots else "")
    return Inputs(named, errors, skipped)


def _is_special(source: str) -> bool:
    return source == STDIN or source.startswith(BUNDLED)


def _absolute(path: str) -> str:
    return os.path.normpath(os.path.join(os.getcwd(), path))


def _root(text: str) -> str:
    """Return the folder below which a text means photos."""
    path = _absolute(text)
    if os.path.isdir(path) and not is_zarr(Path(path)):
        return path
    while glob.has_magic(path) and not os.path.exists(path):
        path = os.path.dirname(path)
        if not glob.has_magic(path):
            return path
    return os.path.dirname(path)


def _sources(text: str, recursive: bool, may_be_empty: bool) -> tuple[list[str], list[str]]:
    """Return the photos that a text means, and the files beside them that are none."""
    if _is_special(text) or is_zarr(Path(text)):
        return [text], []
    if os.path.isdir(text):
        paths = Path(text).rglob("*") if recursive else Path(text).iterdir()
        files = _photos(path for path in paths if path.is_file())
        found = [path for path in files if Path(path).suffix.lower() in SUFFIXES]
        if not found and not may_be_empty:
            deeper = "" if recursive else "; --recursive looks into the folders within"
            raise ImageError(f"{text}: no photo in this folder ({', '.join(sorted(SUFFIXES))}){deeper}")
        return found, [path for path in files if Path(path).suffix.lower() not in SUFFIXES]
    if not os.path.exists(text) and glob.has_magic(text):
        found = _photos(Path(path) for path in glob.glob(text, recursive=True) if os.path.isfile(path))
        if not found:
            raise ImageError(f"{text}: no file matches")
        return found, []
    return [text], []


def _photos(paths: Iterable[Path]) -> list[str]:
    """Return the paths, sorted, without hidden files and without what an earlier run wrote."""
    seen = [path for path in paths if not path.name.startswith(".")]
    written: set[Path] = set()
    for folder in {path.parent for path in seen}:
        for path in folder.glob("*.json"):
            sidecar = read_sidecar(path)
            written.update(sidecar.outputs if sidecar else ())
    return sorted(str(path) for path in seen if path not in written)


def _named(sources: list[str], root: str) -> list[Input]:
    """Name each input after its file, from the root on; what that does not tell apart, by suffix too."""
    stems = [_stem(source, root) for source in sources]
    count = Counter(stem.casefold() for stem in stems)
    taken: set[str] = set()
    inputs = []
    for source, stem in zip(sources, stems, strict=True):
        suffix = Path(source).suffix[1:].lower()
        base = f"{stem}-{suffix}" if count[stem.casefold()] > 1 and suffix else stem
        name, number = base, 1
        while name.casefold() in taken:
            number += 1
            name = f"{base}-{number}"
        taken.add(name.casefold())
        inputs.append(Input(source, name))
    return inputs


def _stem(source: str, root: str) -> str:
    if source == STDIN:
        return "stdin"
    if source.startswith(BUNDLED):
        return Path(source.removeprefix(BUNDLED)).stem or "photo"
    below = Path(os.path.relpath(_absolute(source), root))
    return below.with_name(below.stem or "photo").as_posix()
