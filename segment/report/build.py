"""Build the report: make its sections, render the page, write the files."""

from __future__ import annotations

import re
import signal
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from importlib.resources import files
from multiprocessing import active_children, get_context
from pathlib import Path
from typing import Any

from segment._version import __version__
from segment.errors import DataError, heed_only_own_warnings
from segment.output import versions, write_json, write_text
from segment.parallel import single_threaded_blas
from segment.report.blocks import Section, reason
from segment.report.sections import SECTIONS, references_section, speed_section
from segment.report.settings import Settings
from segment.report.stills import last_frame
from segment.words import LANGUAGES, language, say, shown, speaking

TITLE = "Mixtures and EM: a report"
LEAD = (
    "What the EM algorithm does, shown on classic experiments, on photos and on handwritten digits. Every "
    "number and every figure on this page was computed by the program that wrote it."
)
# What the page's script says; it fills in the places.
SCRIPT_WORDS = {
    "play": "Play",
    "pause": "Pause",
    "enlarge": "Enlarge: {what}",
    "close": "Close",
    "points": "{title}: points colored by component",
    "curve": "{curve} by iteration",
    "reading": "{curve}: {value}",
    "panel": "{title}: {curve} {value}",
    "between": "; ",
    "iteration": "iteration {i} of {n}",
    "compare": "{photo} % photo, {segmented} % segmented",
}

# What takes longest begins first where sections are made side by side.
LONGEST_FIRST = ("photos", "digits", "heights")


@dataclass(frozen=True)
class Report:
    """What was written.

    Attributes
    ----------
    page : Path
    sections : tuple of Section
    """

    page: Path
    sections: tuple[Section, ...]

    @property
    def failures(self) -> list[Section]:
        """The sections that failed, wholly or in part."""
        return [section for section in self.sections if section.error or section.problems]

    @property
    def surprises(self) -> list[Section]:
        """The sections in which a check did not come out as expected."""
        return [section for section in self.sections if section.record.get("passed") is False]


def section_names(only: Sequence[str]) -> list[str]:
    """Return the chosen sections in the order of the page; all of them if none is chosen.

    Raises
    ------
    DataError
        If there is none of a name.
    """
    if unknown := [name for name in only if name not in SECTIONS]:
        raise DataError(f"there is no section {', '.join(unknown)}; allowed are {', '.join(SECTIONS)}")
    return [name for name in SECTIONS if not only or name in only]


@single_threaded_blas()
def make_section(name: str, settings: Settings) -> tuple[Section, float]:
    """Make a section; return it and the seconds it took. One that fails says why in its place."""
    title, make = SECTIONS[name]
    begun = time.perf_counter()
    with speaking(settings.language), warnings.catch_warnings(record=True) as caught:
        heed_only_own_warnings()
        try:
            section = make(settings)
        except Exception as error:  # whatever it is, the other sections shall come out
            section = Section(name, title, error=reason(error))
    texts = tuple(dict.fromkeys(str(warning.message) for warning in caught))
    return replace(section, warnings=texts), round(time.perf_counter() - begun, 2)


def _make_all(names: Sequence[str], settings: Settings, n_processes: int) -> Iterator[tuple[Section, float]]:
    """Yield every section as it is ready."""
    if min(n_processes, len(names)) < 2:
        for name in names:
            yield make_section(name, settings)
        return
    order = sorted(names, key=lambda name: (LONGEST_FIRST + tuple(SECTIONS)).index(name))
    # Spawned, not forked: a fork of a process with threads may hang.
    pool = ProcessPoolExecutor(n_processes, mp_context=get_context("spawn"), initializer=_end_when_told)
    try:
        for future in as_completed([pool.submit(make_section, name, settings) for name in order]):
            yield future.result()
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        _end_workers()
        raise
    pool.shutdown()


def _end_when_told() -> None:
    """Let a worker remove what it has half written when it is told to end."""

    def end(number: int, _: object) -> None:
        # The pool's loop goes on after an exception; the second signal ends it.
        signal.signal(number, signal.SIG_DFL)
        raise SystemExit

    signal.signal(signal.SIGTERM, end)


def _end_workers() -> None:
    """Tell the worker processes to end: the sections that they are making are wanted no more."""
    workers = active_children()
    for _ in range(2):
        for worker in workers:
            worker.terminate()
        for worker in workers:
            worker.join(2)


def write_report(
    settings: Settings,
    *,
    only: Sequence[str] = (),
    n_processes: int = 1,
    done: Callable[[Section, float], None] = lambda section, seconds: None,
) -> Report:
    """Make every section and write ``index.html``, ``figures/``, ``tables/`` and ``report.json``.

    Parameters
    ----------
    settings : Settings
    only : sequence of str
        Names of the sections wanted; all if empty.
    n_processes : int
        Sections made at a time. With more than one, the calling script must be importable without running
        (``if __name__ == "__main__"``), as for any use of `multiprocessing`.
    done : callable
        Called as ``done(section, seconds)`` when a section is ready.

    Returns
    -------
    Report
        A section that failed says why; the others are there all the same.

    Raises
    ------
    DataError
        If there is no section of a name.
    OutputError
        If the page cannot be written.
    """
    names = section_names(only)
    begun = time.perf_counter()
    made: dict[str, Section] = {}
    seconds: dict[str, float] = {}
    for section, taken in _make_all(names, settings, n_processes):
        made[section.name], seconds[section.name] = section, taken
        done(section, taken)
    sections = [made[name] for name in names]
    references = references_section(sections)
    taken_by_title = {section.title: seconds[section.name] for section in sections}
    page = settings.folder / "index.html"
    with speaking(settings.language):
        sections.append(speed_section(taken_by_title, time.perf_counter() - begun, n_processes, settings))
        if references:
            sections.append(references)
        write_text(page, render_page(sections, settings.random_state))
    write_json(settings.folder / "report.json", _record(sections, settings))
    return Report(page, tuple(sections))


def _record(sections: Sequence[Section], settings: Settings) -> dict[str, Any]:
    return {
        "title": TITLE,
        "random_state": settings.random_state,
        "photos": settings.photos,
        "data": settings.data,
        "sections": {
            section.name: {"title": section.title, "error": section.error, "problems": section.problems}
            | section.record
            for section in sections
        },
        "versions": versions(),
    }


def numbers(sections: Sequence[Section]) -> tuple[dict[str, int], dict[str, int]]:
    """Number figures and tables, each in the order of the page; return both by name."""
    blocks = [block for section in sections for block in section.blocks]
    figures = [block.name for block in blocks if hasattr(block, "caption")]
    tables = [block.table.name for block in blocks if hasattr(block, "table")]
    return (
        {name: number for number, name in enumerate(figures, start=1)},
        {name: number for number, name in enumerate(tables, start=1)},
    )


_SUPERSCRIPTS = str.maketrans("+-0123456789", "⁺⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def typeset(text: str) -> str:
    """Return a text as it is shown, with true minus signs, and powers of ten for numbers like 1e-09."""
    # A Chinese sign is no letter here: numbers stand beside them without a space.
    text = re.sub(r"(?<![\w.])-(?=\d)", "\N{MINUS SIGN}", shown(text), flags=re.ASCII)
    pattern = r"(?<![\w.#])(\d[\d.]*)e([+\-\N{MINUS SIGN}]\d+)\b"
    return re.sub(pattern, _as_power, text, flags=re.ASCII)


def _as_power(found: re.Match[str]) -> str:
    exponent = int(found[2].replace("\N{MINUS SIGN}", "-"))
    if exponent == 0:
        return found[1]
    return f"{found[1]} \N{MULTIPLICATION SIGN} 10{str(exponent).translate(_SUPERSCRIPTS)}"


def render_page(sections: Sequence[Section], random_state: int) -> str:
    """Return the page as one HTML file that needs nothing else."""
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=PackageLoader("segment.report", "page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )

    def source(name: str) -> Markup:
        return Markup((files("segment.report") / "page" / name).read_text(encoding="utf-8"))

    figures, tables = numbers(sections)
    environment.filters |= {"typeset": typeset, "shown": shown, "last_frame": last_frame}
    environment.globals["say"] = say
    environment.filters["anchor"] = lambda key: "ref-" + re.sub(r"\W+", "-", key.lower()).strip("-")
    return environment.get_template("page.html").render(
        title=TITLE,
        lead=LEAD,
        sections=sections,
        figures=figures,
        tables=tables,
        css=source("page.css"),
        js=source("page.js"),
        version=__version__,
        seed=random_state,
        language=LANGUAGES[language()],
        theory_page="theory.html" if language() == "en" else f"theory.{language()}.html",
        words={name: shown(text) for name, text in SCRIPT_WORDS.items()},
    )
