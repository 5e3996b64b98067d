"""The sections of the report, by name, in the order of the page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

from segment.lab import EXPERIMENTS
from segment.lab.lesson import REFERENCES
from segment.lab.outcome import Column, Table
from segment.lab.write import write_tables
from segment.output import versions
from segment.report.blocks import LessonBlock, References, Section, TableBlock
from segment.report.settings import Settings
from segment.words import say


@dataclass(frozen=True)
class Theory:
    """The page on what EM is; its text and formulas are in the template."""

    kind: ClassVar[str] = "theory"


Maker = Callable[[Settings], Section]


def theory_section(settings: Settings) -> Section:
    """Say what EM is, in a page."""
    return Section("em", "What EM is", (Theory(),))


def speed_section(seconds: dict[str, float], total: float, n_processes: int, settings: Settings) -> Section:
    """Say how long each section took, and with which versions."""
    caption = "Seconds that each section took on this machine, figures in three formats included."
    if n_processes > 1:
        caption = say(
            "Seconds that each section took on this machine, figures in three formats included; {n} sections "
            "were made at a time.",
            n=n_processes,
        )
    times = Table(
        "seconds",
        caption,
        (Column("section"), Column("seconds", ".1f")),
        (*seconds.items(), ("from start to page", total)),
    )
    found = versions()
    software = Table(
        "versions",
        "Versions and seed: the same ones give the same numbers and the same figures.",
        (Column("what"), Column("version")),
        (*found.items(), ("seed", str(settings.random_state))),
    )
    write_tables([software], settings.folder / "tables")
    record = {"seconds": seconds | {"from start to page": total}, "versions": found}
    return Section(
        "speed", "How fast it ran, and with what", (TableBlock(times), TableBlock(software)), record
    )


def references_section(sections: Sequence[Section]) -> Section | None:
    """List what the sections refer to; None if that is nothing."""
    keys = {key for section in sections for block in section.blocks for key in _references(block)}
    if not keys:
        return None
    entries = tuple((key, REFERENCES[key]) for key in REFERENCES if key in keys)
    return Section("references", "References", (References(entries),))


def _references(block: Any) -> tuple[str, ...]:
    return block.lesson.references if isinstance(block, LessonBlock) else ()


def _lab(name: str, settings: Settings) -> Section:
    from segment.report.experiments import lab_section

    return lab_section(EXPERIMENTS[name], settings)


def _photos(settings: Settings) -> Section:
    from segment.report.photos import photos_section

    return photos_section(settings)


def _digits(settings: Settings) -> Section:
    from segment.report.digits import digits_section

    return digits_section(settings)


# Name -> (title, maker), in the order of the page.
SECTIONS: dict[str, tuple[str, Maker]] = {
    "em": ("What EM is", theory_section),
    **{name: (found.title, partial(_lab, name)) for name, found in EXPERIMENTS.items()},
    "photos": ("Photos", _photos),
    "digits": ("Digits", _digits),
}
