"""The sections of the report, each made by one function from what the rooms below return."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from segment.lab import EXPERIMENTS, Experiment
from segment.lab.outcome import Column, Outcome, Picture, Table
from segment.lab.write import FORMATS, PRINT_DPI, write_experiment, write_tables
from segment.output import versions
from segment.report.blocks import (
    Checks,
    Figure,
    Findings,
    Prose,
    Replay,
    Section,
    TableBlock,
    embedded_figure,
)

_REPLAYS: dict[str, tuple[str, str]] = {
    "mouse": (
        "replay_mouse",
        "k-means beside EM on the mouse, both from the same three centers. Move the slider or press play: "
        "points take the colors of the components responsible for them, ellipses are at two standard "
        "deviations.",
    ),
    "four-gaussians": (
        "replay_four_gaussians",
        "EM on the four Gaussians, iteration by iteration: responsibilities by color, ellipses at two "
        "standard deviations, and the log-likelihood, which never falls.",
    ),
}


@dataclass(frozen=True)
class Theory:
    """The page on what EM is; its text and formulas are in the template."""

    kind: ClassVar[str] = "theory"


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
    """

    folder: Path
    photos: tuple[str, ...] = ("skimage:astronaut", "skimage:coffee", "skimage:cat", "skimage:rocket")
    data: str = "digits"
    random_state: int = 0
    n_jobs: int | None = None


Maker = Callable[[Settings], Section]


def theory_section(settings: Settings) -> Section:
    """Say what EM is, in a page."""
    return Section("em", "What EM is", (Theory(),))


def lab_section(experiment: Experiment, settings: Settings) -> Section:
    """Run an experiment, write its files, and show all of it."""
    outcome = experiment.run(settings.random_state)
    write_experiment(experiment, outcome, settings.folder, FORMATS)
    blocks: list[Any] = [Prose((experiment.question,)), Findings(outcome.findings)]
    blocks += _replay(experiment, outcome)
    blocks += figures(experiment.pictures(outcome), settings.folder)
    blocks += [TableBlock(table) for table in outcome.tables]
    blocks.append(Checks(experiment.title, outcome.checks))
    record = {"passed": outcome.passed, "checks": [check._asdict() for check in outcome.checks]}
    return Section(experiment.name, experiment.title, tuple(blocks), record)


def _replay(experiment: Experiment, outcome: Outcome) -> list[Replay]:
    from segment.report import replays

    if experiment.name not in _REPLAYS:
        return []
    function, caption = _REPLAYS[experiment.name]
    return [Replay(f"{experiment.name}-replay", caption, getattr(replays, function)(outcome))]


def figures(pictures: Sequence[Picture], folder: Path) -> list[Figure]:
    """Embed figures that have been written to ``figures/``."""
    return [
        Figure(
            picture.name,
            picture.caption,
            embedded_figure(folder / "figures" / f"{picture.name}.png", picture.alt, PRINT_DPI),
        )
        for picture in pictures
    ]


def speed_section(seconds: dict[str, float], total: float, n_processes: int, settings: Settings) -> Section:
    """Say how long each section took, and with which versions."""
    caption = "Seconds that each section took on this machine, figures in three formats included"
    caption += f"; {n_processes} sections were made at a time." if n_processes > 1 else "."
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


def _lab(name: str) -> Maker:
    return partial(lab_section, EXPERIMENTS[name])


def _photos(settings: Settings) -> Section:
    from segment.report.photos import photos_section

    return photos_section(settings)


def _digits(settings: Settings) -> Section:
    from segment.report.digits import digits_section

    return digits_section(settings)


# Name -> (title, maker), in the order of the page.
SECTIONS: dict[str, tuple[str, Maker]] = {
    "em": ("What EM is", theory_section),
    **{name: (found.title, _lab(name)) for name, found in EXPERIMENTS.items()},
    "photos": ("Photos", _photos),
    "digits": ("Digits", _digits),
}
