"""What the commands share: options, exit codes, errors as one line on stderr, progress."""

from __future__ import annotations

import functools
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import click
from click.shell_completion import CompletionItem

from segment.errors import SegmentError, heed_only_own_warnings
from segment.output import json_text
from segment.parallel import single_threaded_blas

EXIT_FAILED = 1
EXIT_SOME_FAILED = 3
EXIT_INTERRUPTED = 130

Function = TypeVar("Function", bound=Callable[..., Any])
Item = TypeVar("Item")
P = ParamSpec("P")
R = TypeVar("R")


class LiveLine:
    """What the last line of a terminal shows for now: it gives way to whatever is said."""

    def __init__(self) -> None:
        self._text = ""

    def show(self, text: str) -> None:
        """Show a text in the place of the one before; nothing where stderr is no terminal."""
        if sys.stderr.isatty() and (text or self._text):
            click.echo(f"\r{text:<{len(self._text)}}" + ("" if text else "\r"), err=True, nl=False)
            self._text = text


live_line = LiveLine()


@contextmanager
def _clear_line() -> Iterator[None]:
    """Clear the last line of the terminal, be it a progress bar, for what is printed meanwhile."""
    live_line.show("")
    bars = sys.modules.get("tqdm")
    with bars.tqdm.external_write_mode(file=sys.stderr) if bars else nullcontext():
        yield


def printable(text: object) -> str:
    """Return a text with what would move the cursor or color the terminal escaped, as in names."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(text))


def say(text: object = "") -> None:
    """Print one line to stderr: stdout carries only what was asked for."""
    with _clear_line():
        click.echo(printable(text), err=True)


def print_line(text: object) -> None:
    """Print one line of what was asked for on stdout."""
    with _clear_line():
        click.echo(printable(text))


def print_json(value: Any, indent: int | None = None) -> None:
    """Print a value on stdout as JSON, in ASCII: no locale can spoil it."""
    with _clear_line():
        click.echo(json_text(value, indent, ensure_ascii=True))


def say_error(text: object) -> None:
    """Print one error line on stderr."""
    say(f"segment: error: {text}")


# Whether the command that runs was asked to print errors only.
_is_quiet = ContextVar("_is_quiet", default=False)


def say_warning(text: object) -> None:
    """Print one warning line on stderr, except with -q."""
    if not _is_quiet.get():
        say(f"segment: warning: {text}")


@contextmanager
def _plain_warnings(quiet: bool) -> Iterator[None]:
    """Print what this package warns of as one line each; leave out what libraries warn of or log."""
    import logging

    root = logging.getLogger()
    root.addHandler(silent := logging.NullHandler())
    before = _is_quiet.set(quiet)
    try:
        with warnings.catch_warnings():
            heed_only_own_warnings()
            warnings.showwarning = lambda message, *_, **__: say_warning(message)
            yield
    finally:
        _is_quiet.reset(before)
        root.removeHandler(silent)


def say_interrupted() -> None:
    """Print what became of an interrupted run, below the terminal's own ^C."""
    if sys.stderr.isatty():
        say()
    say("segment: interrupted; what was finished is kept, nothing is half-written")


def reports_errors(function: Callable[P, R]) -> Callable[P, R]:
    """Turn a `SegmentError` into one line and exit code 1, an interrupt into exit code 130.

    Warnings are one line each, and none where `quiet` is set. BLAS keeps to one thread inside, also where the
    command is called from a Python program.
    """

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            with single_threaded_blas(), _plain_warnings(bool(kwargs.get("quiet"))):
                return function(*args, **kwargs)
        except SegmentError as error:
            say_error(error)
            sys.exit(EXIT_FAILED)
        except MemoryError:
            say_error("out of memory; try a smaller input, fewer components or --limit")
            sys.exit(EXIT_FAILED)
        except KeyboardInterrupt:
            say_interrupted()
            sys.exit(EXIT_INTERRUPTED)

    return wrapper


def _check_jobs(context: click.Context, parameter: click.Parameter, value: int) -> int:
    if value == 0:
        raise click.BadParameter("0; allowed are 1, 2, 3, ..., -1 (every core), -2 (all but one), ...")
    return value


class CountOrAuto(click.ParamType):
    """A number of components, or "auto"."""

    name = "K|auto"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | str:
        """Return the number, or "auto"."""
        if str(value).lower() == "auto":
            return "auto"
        return click.IntRange(min=1).convert(value, param, ctx)


def complete_files(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Let the shell complete files and folders, for what may be a name or a pattern as well."""
    return [CompletionItem(incomplete, type="file")]


def is_given(ctx: click.Context, name: str) -> bool:
    """Return whether an option was given on the command line."""
    return ctx.get_parameter_source(name) == click.core.ParameterSource.COMMANDLINE


def spelled_option(ctx: click.Context, name: str) -> str:
    """Return the long spelling of an option."""
    return next(param.opts[-1] for param in ctx.command.params if param.name == name)


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


def options_of(*decorators: Callable[[Any], Any]) -> Callable[[Function], Function]:
    """Return what adds a group of options, in their order."""

    def decorate(function: Function) -> Function:
        for each in reversed(decorators):
            function = each(function)
        return function

    return decorate


def shared_options(*names: str) -> Callable[[Function], Function]:
    """Add the options that mean the same in every command: seed, jobs, force, json, quiet, verbose."""
    return options_of(*(_SHARED[name] for name in names))


def components_option(help: str) -> Callable[[Function], Function]:
    """Add `-k`, the number of colors."""
    return click.option(
        "-k",
        "--components",
        "n_components",
        type=CountOrAuto(),
        metavar="K|auto",
        default="auto",
        show_default=True,
        help=help,
    )


def language_option(function: Function) -> Function:
    """Add `--lang`, the language of what is written, and say so where its figures stay English."""
    from segment.words import LANGUAGES

    def checked(context: click.Context, parameter: click.Parameter, value: str) -> str:
        if value != "en":
            _check_font(value)
        return value

    return click.option(
        "--lang",
        "language",
        type=click.Choice(tuple(LANGUAGES)),
        default="en",
        show_default=True,
        callback=checked,
        help="Language of pages, tables and figures: en or zh (Chinese); JSON and messages stay English.",
    )(function)


def _check_font(language: str) -> None:
    from segment.style import font_for

    if font_for(language) is None:
        say_warning(
            f"no font here has the signs of the language {language!r}: the words in figures stay English; "
            "install Noto Sans CJK (Debian and Ubuntu: fonts-noto-cjk) and run again"
        )


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


def dask_option(what: str) -> Callable[[Function], Function]:
    """Add `--dask ADDRESS`, the cluster on which something runs."""
    return click.option(
        "--dask",
        metavar="ADDRESS",
        help=f"{what} on a Dask cluster: tcp://head:8786, or local:2 for two processes of this machine.",
    )


def cluster_of(address: str | None) -> Any:
    """Return a context manager that connects to a Dask cluster, or starts one; None gives no client."""
    if address is None:
        return nullcontext()
    from segment.data.dask import connected

    return connected(address)


def progress(
    items: Iterable[Item], description: str, *, quiet: bool = False, total: int | None = None
) -> Any:
    """Wrap `items` in a progress bar on stderr, where stderr is a terminal and `quiet` is not set."""
    if quiet or not sys.stderr.isatty():
        return items
    from tqdm import tqdm

    return tqdm(items, desc=description, total=total, leave=False)
