"""What a report is made from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Settings:
    """What a report is made from.

    Attributes
    ----------
    folder : Path
    photos : tuple of str
        As `segment photo` takes them.
    data : str
        Digits, as `segment digits` takes them.
    random_state : int
    n_jobs : int, optional
    language : str
        Of the page, its tables and figures: a name in `segment.words.LANGUAGES`.
    """

    folder: Path
    photos: tuple[str, ...] = ("skimage:astronaut", "skimage:coffee", "skimage:cat", "skimage:rocket")
    data: str = "digits"
    random_state: int = 0
    n_jobs: int | None = None
    language: str = "en"
