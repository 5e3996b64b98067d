"""Words in the reader's language: English is the key and the text, a catalog a language gives the others.

What is computed knows no language: tables, checks, findings and lessons hold English. It is looked up where
it is shown, by `shown`; a text with places in it is made by `say`, which keeps the places beside the English.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from importlib.resources import files
from typing import Any

# Name on the command line -> name for HTML. All but English have a catalog beside this file.
LANGUAGES = {"en": "en", "zh": "zh-CN"}

_language: ContextVar[str] = ContextVar("language", default="en")


class Text(str):
    """English that remembers what it was made of.

    Attributes
    ----------
    template : str
        The text with its places, as the catalogs know it.
    places : dict
        What stands in them.
    """

    template: str
    places: dict[str, Any]


def say(template: str, **places: Any) -> Text:
    """Return a text with places filled in, such as ``say("{n} of {total} points", n=3, total=5)``."""
    text = Text(template.format(**places))
    text.template, text.places = template, places
    return text


def shown(text: str) -> str:
    """Return a text in the language in force; in English if its catalog does not have it.

    Texts that stand in the places of another one are looked up as well.
    """
    if language() == "en":
        return str(text)
    found = catalog(language())
    if not isinstance(text, Text):
        return found.get(text, text)
    places = {name: shown(value) if isinstance(value, str) else value for name, value in text.places.items()}
    return found.get(text.template, text.template).format(**places)


def language() -> str:
    """Return the language in force."""
    return _language.get()


@contextmanager
def speaking(name: str) -> Iterator[None]:
    """Let `shown` speak a language of `LANGUAGES` within the block."""
    token = _language.set(name)
    try:
        yield
    finally:
        _language.reset(token)


@cache
def catalog(name: str) -> dict[str, str]:
    """Return the texts of a language by their English."""
    return {english: text for part in _read(name)["texts"].values() for english, text in part.items()}


def glossary(name: str) -> dict[str, str]:
    """Return the terms of a language by their English: one term for one thing, in all texts."""
    return _read(name)["terms"]


@cache
def _read(name: str) -> dict[str, Any]:
    return json.loads((files("segment.words") / f"{name}.json").read_text(encoding="utf-8"))
