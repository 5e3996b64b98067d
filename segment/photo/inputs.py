"""Which photos are meant: files, folders, globs, standard input, bundled photos."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from segment.errors import ImageError
from segment.photo.read import BUNDLED, STDIN, SUFFIXES


@dataclass(frozen=True)
class Input:
    """A photo to be read, and the name that its outputs get.

    Attributes
    ----------
    source : str
        As `read_photo` takes it.
    name : str
        Unlike that of every other input, also where upper and lower case are the same.
    """

    source: str
    name: str


def find_inputs(texts: Iterable[str], *, recursive: bool = False) -> tuple[list[Input], list[ImageError]]:
    """Return the photos that some texts mean, and what is wrong with the texts that mean none.

    Parameters
    ----------
    texts : iterable of str
        Files, folders (their photos, sorted by name), globs, "-", or names like "skimage:cat".
    recursive : bool
        Look into folders within folders.
    """
    sources: list[str] = []
    errors: list[ImageError] = []
    for text in texts:
        try:
            sources += [source for source in _sources(text, recursive) if source not in sources]
        except ImageError as error:
            errors.append(error)
    return _named(sources), errors


def _sources(text: str, recursive: bool) -> list[str]:
    if text == STDIN or text.startswith(BUNDLED):
        return [text]
    if os.path.isdir(text):
        found = _photos(Path(text), recursive)
        if not found:
            deeper = "" if recursive else "; --recursive looks into the folders within"
            raise ImageError(f"{text}: no photo in this folder ({', '.join(sorted(SUFFIXES))}){deeper}")
        return found
    if not os.path.exists(text) and glob.has_magic(text):
        found = sorted(path for path in glob.glob(text, recursive=True) if os.path.isfile(path))
        if not found:
            raise ImageError(f"{text}: no file matches")
        return found
    return [text]


def _photos(folder: Path, recursive: bool) -> list[str]:
    paths = folder.rglob("*") if recursive else folder.iterdir()
    return sorted(
        str(path)
        for path in paths
        if path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()
    )


def _named(sources: list[str]) -> list[Input]:
    """Name each input after its file; a name that is taken gets a number."""
    taken: set[str] = set()
    inputs = []
    for source in sources:
        stem = "stdin" if source == STDIN else Path(source.removeprefix(BUNDLED)).stem or "photo"
        name, number = stem, 1
        while name.casefold() in taken:
            number += 1
            name = f"{stem}-{number}"
        taken.add(name.casefold())
        inputs.append(Input(source, name))
    return inputs
