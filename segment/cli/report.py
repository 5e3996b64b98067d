"""`segment report`: everything on one page, and every figure and table as a file."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from segment.cli.common import (
    EXIT_FAILED,
    EXIT_SOME_FAILED,
    complete_files,
    language_option,
    output_option,
    print_json,
    reports_errors,
    say,
    say_error,
    say_warning,
    shared_options,
)
from segment.parallel import resolve_n_jobs

if TYPE_CHECKING:
    from segment.report.blocks import Section


@click.command()
@click.option(
    "--only",
    metavar="NAME,NAME",
    default="",
    help="Sections to make: em, the experiments of `segment lab list`, photos, digits.",
)
@click.option(
    "--photos",
    multiple=True,
    metavar="PHOTO",
    shell_complete=complete_files,
    help="Photo, folder or name like skimage:cat; give it again for more.  [default: four bundled photos]",
)
@click.option(
    "--data",
    default="digits",
    show_default=True,
    metavar="NAME|PATH",
    shell_complete=complete_files,
    help="Digits, as `segment digits` takes them.",
)
@language_option
@output_option("outputs/report")
@shared_options("seed", "jobs", "json", "quiet")
@reports_errors
def report(
    only: str,
    photos: tuple[str, ...],
    data: str,
    language: str,
    output: Path,
    seed: int,
    jobs: int,
    as_json: bool,
    quiet: bool,
) -> None:
    """Write a report on EM: index.html (one file, no network needed), figures/, tables/, report.json.

    Every file is written anew. Exit code 3: a section or a photo failed, or an experiment came out
    otherwise than expected; the page says which.
    """
    from segment.report.build import section_names, write_report
    from segment.report.settings import Settings

    names = [name.strip() for name in only.split(",") if name.strip()]
    n_sections = len(section_names(names))
    settings = Settings(output, data=data, random_state=seed, n_jobs=jobs, language=language)
    if photos:
        settings = replace(settings, photos=photos)
    finished = 0

    def done(section: Section, seconds: float) -> None:
        nonlocal finished
        finished += 1
        for problem in filter(None, (section.error, *section.problems)):
            say_error(f"{section.title}: {problem}")
        if quiet:
            return
        for warning in section.warnings:
            say_warning(f"{section.title}: {warning}")
        if not section.error:
            verdict = "" if section.record.get("passed", True) else "  NOT AS EXPECTED"
            say(f"[{finished}/{n_sections}] {section.title:<22} {seconds:5.1f} s{verdict}")

    if not quiet:
        say(f"Writing {n_sections} sections ...")
    written = write_report(settings, only=names, n_processes=resolve_n_jobs(jobs), done=done)
    if not quiet:
        say(f"{written.page} ({written.page.stat().st_size / 1e6:.1f} MB)")
    if as_json:
        print_json(
            {
                section.name: {"error": section.error, "problems": section.problems} | section.record
                for section in written.sections
            }
            | {"page": written.page},
            indent=2,
        )
    if sum(section.error is not None for section in written.sections) == n_sections:
        sys.exit(EXIT_FAILED)
    if written.failures or written.surprises:
        sys.exit(EXIT_SOME_FAILED)
