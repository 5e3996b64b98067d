"""The settings of outputs as options of `segment photo`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import fields
from typing import Any

import click

from segment.cli.common import is_given, options_of, spelled_option
from segment.errors import DataError
from segment.photo.outputs import OUTPUTS
from segment.photo.outputs.settings import PAPERS, OutputSettings

_NAMES = tuple(field.name for field in fields(OutputSettings))


class Length(click.ParamType):
    """A length with its unit, like 0.5um."""

    name = "LENGTH"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[float, str]:
        """Return the number and the unit."""
        if isinstance(value, tuple):
            return value
        found = re.fullmatch(r"([0-9.]+(?:e-?[0-9]+)?) ?([^\W\d_]+)", value)
        try:
            length = float(found[1]) if found else 0.0
        except ValueError:
            length = 0.0
        if found is None or not 0 < length < float("inf"):
            self.fail(f"{value!r}; allowed is a length above 0 with its unit, like 0.5um or 2mm", param, ctx)
        return length, found[2]


output_settings = options_of(
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
        help="Smaller areas join the neighbor of the most similar color before outlines are traced.  "
        "[default: 4 in svg, 1 in geojson, coco and labelme, 6 square millimeters of the page in paint]",
    ),
    click.option(
        "--paper",
        type=click.Choice(PAPERS, case_sensitive=False),
        default=OutputSettings.paper,
        show_default=True,
        help="Size of the page to paint: a4 (210 x 297 mm) or letter (8.5 x 11 inches).",
    ),
    click.option(
        "--pixel-size",
        type=Length(),
        help="Side of a pixel with its unit, like 0.5um: measurements have areas in it.",
    ),
    click.option(
        "--false-alarms",
        type=click.FloatRange(0, 1, min_open=True, max_open=True),
        metavar="SHARE",
        default=OutputSettings.false_alarms,
        show_default=True,
        help="Share of pixels that anomalies are: of the photo, the least explained ones; with --model, of "
        "what the model itself would draw.",
    ),
    click.option("--parquet", is_flag=True, help="Write the measurements of the batch as Parquet too."),
)


def settings_from(options: dict[str, Any]) -> OutputSettings:
    """Gather the settings of outputs; one that is out of range is a usage error."""
    try:
        return OutputSettings(**{name: options[name] for name in _NAMES})
    except DataError as error:
        raise click.UsageError(str(error)) from error


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
