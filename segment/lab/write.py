"""Write an experiment: figures, tables, and a JSON file that names seed and versions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from segment.lab import Experiment
from segment.lab.outcome import Outcome, Picture, Table
from segment.output import versions, write_json, write_text
from segment.style import drawing, save_formats

FORMATS = ("png", "pdf", "svg")
PRINT_DPI = 200


def write_experiment(
    experiment: Experiment, outcome: Outcome, folder: Path, formats: Sequence[str] = ("png",)
) -> list[Path]:
    """Write ``NAME.json``, ``figures/`` and ``tables/`` to `folder`; return the paths."""
    summary = {
        "experiment": experiment.name,
        "title": experiment.title,
        **outcome.summary(),
        "versions": versions(),
    }
    path = folder / f"{experiment.name}.json"
    write_json(path, summary)
    return [
        path,
        *write_tables(outcome.tables, folder / "tables"),
        *write_pictures(experiment.pictures(outcome), folder / "figures", formats),
    ]


def write_tables(tables: Iterable[Table], folder: Path) -> list[Path]:
    """Write each table as CSV and as LaTeX; return the paths."""
    paths = []
    for table in tables:
        for suffix, text in (("csv", table.csv()), ("tex", table.latex())):
            paths.append(folder / f"{table.name}.{suffix}")
            write_text(paths[-1], text)
    return paths


def write_pictures(pictures: Iterable[Picture], folder: Path, formats: Sequence[str]) -> list[Path]:
    """Draw each figure and write it in every format; return the paths."""
    paths = []
    with drawing():
        for picture in pictures:
            paths += save_formats(picture.draw(), folder / picture.name, formats, PRINT_DPI)
    return paths
