"""`segment palette`: the colors of a photo on the terminal."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import click

from segment.cli.common import complete_files, components_option, print_json, reports_errors, shared_options

if TYPE_CHECKING:
    from segment.photo.color_segmentation import PhotoSegmentation


@click.command()
@click.argument("photo", metavar="PHOTO", shell_complete=complete_files)
@components_option("Colors; auto lets ICL choose from 1 .. 12.")
@click.option("--css", is_flag=True, help="Print custom properties for a style sheet.")
@shared_options("seed", "jobs", "json")
@reports_errors
def palette(photo: str, n_components: int | str, css: bool, seed: int, jobs: int, as_json: bool) -> None:
    """Print the colors of a photo: code, share of the area and, on a terminal, a swatch.

    PHOTO is what `segment photo` takes: a file, - for standard input, skimage:NAME. One color a line, from
    dark to light. Nothing is written; `segment photo --save palette` writes files for other programs.
    """
    if css and as_json:
        raise click.UsageError("--css and --json are two forms of the same: give one of them")
    from segment.photo.fit import segment_photo
    from segment.photo.read import read_photo

    found = segment_photo(read_photo(photo), n_components=n_components, random_state=seed, n_jobs=jobs)
    if as_json:
        print_json(_colors(found))
    elif css:
        from segment.photo.outputs.palette import css_text

        click.echo(css_text(found), nl=False)
    else:
        for color in _colors(found):
            click.echo(_line(color))


def _colors(found: PhotoSegmentation) -> list[dict[str, Any]]:
    from segment.photo.outputs.palette import colors_of

    return colors_of(found)


def _line(color: dict[str, Any]) -> str:
    """Return a line about a color; escape sequences only where a terminal shows them."""
    text = f"{color['hex']} {color['share']:7.2%}"
    if not sys.stdout.isatty() or "NO_COLOR" in os.environ:
        return text
    red, green, blue = color["rgb"]
    return f"{text}  \x1b[48;2;{red};{green};{blue}m{' ' * 12}\x1b[0m"
