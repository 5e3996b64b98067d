"""Which part of a photo counts: --mask, --region, --ignore."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from segment.cli.common import options_of
from segment.errors import SegmentError

if TYPE_CHECKING:
    from segment.photo.photo import Photo
    from segment.photo.where import Where


class Box(click.ParamType):
    """A rectangle in pixels: x,y,width,height."""

    name = "X,Y,W,H"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int, int, int]:
        """Return the four numbers."""
        if isinstance(value, tuple):
            return value
        try:
            x, y, width, height = map(int, value.split(","))
        except ValueError:
            self.fail(f"{value!r}; allowed are four numbers of pixels, x,y,width,height", param, ctx)
        if min(x, y) < 0 or min(width, height) < 1:
            self.fail(f"{value!r}; x and y must be at least 0, width and height at least 1", param, ctx)
        return x, y, width, height


where_options = options_of(
    click.option(
        "--mask",
        type=click.Path(exists=True, dir_okay=True),
        metavar="FILE",
        help="What counts: a picture of the photo's size (0 does not, other values are weights; of one with "
        "transparency, its alpha), or polygons in pixels (GeoJSON, labelme, SVG). What is outside gets no "
        "label and stays as it was.",
    ),
    click.option(
        "--region", type=Box(), help="Only this rectangle counts, in pixels from the upper left corner."
    ),
    click.option(
        "--ignore",
        "ignored",
        multiple=True,
        metavar="COLOR[~T]",
        help="Pixels of this color do not count, nor those within a distance T from it (Delta E): white~5, "
        "#00ff00. May be repeated.",
    ),
)


def where_of(options: dict[str, Any]) -> Where:
    """Return which part counts.

    Raises
    ------
    click.BadParameter
        If a color is none.
    """
    from segment.photo.where import IgnoredColor, Where

    try:
        ignored = tuple(IgnoredColor.parse(text) for text in options["ignored"])
    except SegmentError as error:
        raise click.BadParameter(str(error), param_hint="--ignore") from error
    return Where(options["mask"], options["region"], ignored)


def reader_of(options: dict[str, Any], where: Where) -> Callable[[str], Photo]:
    """Return what reads a photo, and the part of it that counts."""

    def read(source: str) -> Photo:
        from segment.photo.read import read_photo
        from segment.photo.where import chosen

        photo = read_photo(source, allow_large=options["allow_large"])
        return chosen(photo, where, n_jobs=options["jobs"])

    return read


def where_asked(where: Where) -> dict[str, Any]:
    """Return what outputs depend on, for the sidecar: the mask by its content."""
    from segment.photo.batch import content_hash

    if where.is_everywhere:
        return {}
    mask = {} if where.mask is None else {"mask_sha256": content_hash(where.mask)}
    return {"where": {**mask, **where.facts()}}
