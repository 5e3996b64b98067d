"""The settings of outputs as options of `segment photo`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import fields
from typing import Any, TypeVar

import click

from segment.cli.common import is_given, spelled_option
from segment.photo.outputs import OUTPUTS
from segment.photo.outputs.settings import PAPERS, OutputSettings

Function = TypeVar("Function", bound=Callable[..., Any])

_NAMES = tuple(field.name for field in fields(OutputSettings))

_DECORATORS = (
    click.option(
        "--tolerance",
        type=click.FloatRange(0),
        metavar="PIXELS",
        default=OutputSettings.tolerance,
        show_default=True,
        help="How far smoothed lines may leave the borders between pixels; 0 keeps these.",
    ),
    click.option(
        "--min-area",
        type=click.IntRange(min=1),
        metavar="PIXELS",
        help="Smaller areas become part of the neighbor with the longest common border.  [default: the "
        "output's own]",
    ),
    click.option(
        "--paper",
        type=click.Choice(PAPERS, case_sensitive=False),
        default=OutputSettings.paper,
        show_default=True,
        help="Size of pages.",
    ),
)


def output_settings(function: Function) -> Function:
    """Add the options that are settings of outputs."""
    for decorate in reversed(_DECORATORS):
        function = decorate(function)
    return function


def settings_from(options: dict[str, Any]) -> OutputSettings:
    """Gather the settings of outputs."""
    return OutputSettings(**{name: options[name] for name in _NAMES})


def check_settings(ctx: click.Context, kinds: Iterable[str]) -> None:
    """Refuse settings that are given although none of the asked kinds of output heeds them.

    Raises
    ------
    click.UsageError
    """
    heeded = {name for kind in kinds if kind in OUTPUTS for name in OUTPUTS[kind].uses}
    for name in _NAMES:
        if is_given(ctx, name) and name not in heeded:
            having = [kind for kind, output in OUTPUTS.items() if name in output.uses]
            cure = f"it is for --save {', '.join(having)}" if having else "leave it out"
            raise click.UsageError(f"{spelled_option(ctx, name)} changes no output that is asked for; {cure}")
