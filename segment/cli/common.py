"""What the commands share: options, exit codes, errors as one line on stderr, progress."""

from __future__ import annotations

import functools
import os
import sys
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import click

from segment.errors import SegmentError
from segment.parallel import single_threaded_blas

EXIT_FAILED = 1
EXIT_SOME_FAILED = 3
EXIT_INTERRUPTED = 130

Function = TypeVar("Function", bound=Callable[..., Any])
Item = TypeVar("Item")
P = ParamSpec("P")
R = TypeVar("R")


def say(text: str = "") -> None:
    """Print to stderr: stdout carries only what was asked for by --json."""
    click.echo(text, err=True)


def say_error(text: object) -> None:
    """Print one error line on stderr."""
    say(f"segment: error: {text}")


def say_warning(text: object) -> None:
    """Print one warning line on stderr."""
    say(f"segment: warning: {text}")


def reports_errors(function: Callable[P, R]) -> Callable[P, R]:
    """Turn a `SegmentError` into one line and exit code 1, an interrupt into exit code 130.

    BLAS keeps to one thread inside, also where the command is called from a Python program.
    """

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            with single_threaded_blas():
                return function(*args, **kwargs)
        except SegmentError as error:
            say_error(error)
            sys.exit(EXIT_FAILED)
        except MemoryError:
            say_error("out of memory; try a smaller input, fewer components or --limit")
            sys.exit(EXIT_FAILED)
        except KeyboardInterrupt:
            say("\nsegment: interrupted; what was finished is kept, nothing is half-written")
            sys.exit(EXIT_INTERRUPTED)
        except BrokenPipeError:
            # The reader of stdout has gone (`| head`): not an error, and nothing more can be said.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(0)

    return wrapper


def _check_jobs(context: click.Context, parameter: click.Parameter, value: int) -> int:
    if value == 0:
        raise click.BadParameter("0; allowed are 1, 2, 3, ..., -1 (every core), -2 (all but one), ...")
    return value


_SHARED: dict[str, Callable[[Any], Any]] = {
    "seed": click.option(
        "--seed",
        type=click.IntRange(0, 2**32 - 1),
        default=0,
        show_default=True,
        help="Seed of every random choice.",
    ),
    "jobs": click.option(
        "--jobs",
        type=int,
        default=-1,
        show_default=True,
        callback=_check_jobs,
        help="Threads; -1 takes every core, -2 all but one. The result does not depend on it.",
    ),
    "force": click.option("--force", is_flag=True, help="Overwrite existing outputs."),
    "json": click.option("--json", "as_json", is_flag=True, help="Print the results as JSON on stdout."),
    "quiet": click.option("-q", "--quiet", is_flag=True, help="Print errors only."),
    "verbose": click.option("-v", "--verbose", is_flag=True, help="Print what is done, step by step."),
}


def shared_options(*names: str) -> Callable[[Function], Function]:
    """Add the options that mean the same in every command: seed, jobs, force, json, quiet, verbose."""

    def decorate(function: Function) -> Function:
        for name in reversed(names):
            function = _SHARED[name](function)
        return function

    return decorate


def output_option(default: str) -> Callable[[Function], Function]:
    """Add `-o DIR`, the folder that outputs are written to."""
    return click.option(
        "-o",
        "--output",
        "output",
        type=click.Path(path_type=Path, file_okay=True),
        default=Path(default),
        show_default=True,
        help="Folder for the outputs.",
    )


def progress(
    items: Iterable[Item], description: str, *, quiet: bool = False, total: int | None = None
) -> Any:
    """Wrap `items` in a progress bar on stderr, where stderr is a terminal and `quiet` is not set."""
    from tqdm import tqdm

    return tqdm(items, desc=description, total=total, disable=quiet or not sys.stderr.isatty(), leave=False)


def show_warnings_plainly() -> None:
    """Print Python warnings as one plain line on stderr, without file and line."""
    warnings.simplefilter("default")
    warnings.showwarning = lambda message, *_, **__: say_warning(message)
