"""`segment lab`: run the experiments, and say what was expected and what came out."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from segment.cli.common import (
    EXIT_FAILED,
    EXIT_SOME_FAILED,
    language_option,
    output_option,
    print_json,
    print_line,
    reports_errors,
    say,
    say_error,
    shared_options,
)
from segment.errors import SegmentError
from segment.lab import EXPERIMENTS, Experiment, experiments
from segment.words import shown, speaking


def parse_formats(context: click.Context, parameter: click.Parameter, value: str) -> tuple[str, ...]:
    """Turn "png,pdf" into a tuple; a usage error names what is allowed."""
    from segment.lab.write import FORMATS

    formats = tuple(dict.fromkeys(part.strip().lower() for part in value.split(",") if part.strip()))
    if unknown := [name for name in formats if name not in FORMATS]:
        raise click.BadParameter(f"{', '.join(unknown)}; allowed are {', '.join(FORMATS)}")
    if not formats:
        raise click.BadParameter(f"no format; allowed are {', '.join(FORMATS)}")
    return formats


@click.command()
@click.argument(
    "names",
    nargs=-1,
    required=True,
    type=click.Choice(("list", "all", *EXPERIMENTS)),
    metavar="list|all|NAME...",
)
@click.option(
    "--format",
    "formats",
    default="png",
    show_default=True,
    callback=parse_formats,
    help="Formats of the figures: png, pdf, svg, separated by commas.",
)
@language_option
@output_option("outputs/lab")
@shared_options("seed", "json", "quiet")
@reports_errors
def lab(
    names: tuple[str, ...],
    formats: tuple[str, ...],
    language: str,
    output: Path,
    seed: int,
    as_json: bool,
    quiet: bool,
) -> None:
    """Reproduce classic experiments on EM: figures, tables, and checks against the literature.

    `segment lab list` names them. Every file is written anew. Exit code 3: an experiment failed, or came out
    otherwise than expected; with a seed of your own that may be chance.
    """
    with speaking(language):
        if "list" in names:
            _list(as_json)
        else:
            _run_all(
                experiments(list(EXPERIMENTS) if "all" in names else names),
                output,
                formats,
                seed,
                as_json,
                quiet,
            )


def _run_all(
    chosen: Sequence[Experiment],
    output: Path,
    formats: tuple[str, ...],
    seed: int,
    as_json: bool,
    quiet: bool,
) -> None:
    summaries, failures, surprises = {}, 0, 0
    for experiment in chosen:
        try:
            summary = _run(experiment, output, formats, seed, quiet)
        except SegmentError as error:
            say_error(f"{experiment.name}: {error}")
            failures += 1
            continue
        summaries[experiment.name] = summary
        surprises += not summary["passed"]
    if as_json:
        print_json(summaries, indent=2)
    if failures == len(chosen):
        sys.exit(EXIT_FAILED)
    if failures or surprises:
        sys.exit(EXIT_SOME_FAILED)


def _list(as_json: bool) -> None:
    if as_json:
        print_json(
            [{"name": e.name, "title": e.title, "question": e.question} for e in EXPERIMENTS.values()],
            indent=2,
        )
        return
    for found in EXPERIMENTS.values():
        print_line(f"{found.name:<18} {shown(found.question)}")


def _run(
    experiment: Experiment, output: Path, formats: tuple[str, ...], seed: int, quiet: bool
) -> dict[str, Any]:
    from segment.lab.write import write_experiment

    begun = time.perf_counter()
    if not quiet:
        say(f"{shown(experiment.title)}: {shown(experiment.question)}")
    outcome = experiment.run(seed)
    paths = write_experiment(experiment, outcome, output, formats)
    if not quiet:
        for check in outcome.checks:
            verdict = "ok" if check.passed else "NOT AS EXPECTED"
            claim, expected, got = map(shown, check[:3])
            say(f"  {claim}: expected {expected}, got {got}  {verdict}")
        for finding in outcome.findings:
            say(f"  {shown(finding)}")
        taken = time.perf_counter() - begun
        say(f"  {len(paths)} files in {output} ({taken:.1f} s)")
        say()
    return {
        "passed": outcome.passed,
        "checks": [check._asdict() for check in outcome.checks],
        "findings": outcome.findings,
        "files": paths,
    }
