"""Classes by hints: the option, and what does not go with it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from segment.cli.common import is_given, spelled_option
from segment.cli.photo_tiles import OPTIONS as TILE_OPTIONS

if TYPE_CHECKING:
    from segment.photo.segmentation import Segmentation

# Hints bring classes, and superpixels smooth: nothing of these is left to choose.
_FOREIGN = (
    "n_components",
    "covariance_type",
    "color_space",
    "n_init",
    "smooth",
    "model_path",
    "shared",
    "palette",
    "palette_fit",
    "reference",
    *TILE_OPTIONS,
)

hints_option = click.option(
    "--hints",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Into classes of which some pixels are known: scribbles on a picture of the photo's size, one color "
    "a class, black or transparent elsewhere; or strokes and polygons with labels (GeoJSON, labelme, SVG). "
    "--save model writes a model that finds the same classes in other photos.",
)


def by_hints(
    ctx: click.Context, options: dict[str, Any], step: Callable[[str], None]
) -> tuple[Callable[[Any], Segmentation], dict[str, Any]]:
    """Segment by hints.

    Raises
    ------
    click.UsageError
        If an option is given that hints leave nothing to choose for.
    """
    if wrong := [name for name in _FOREIGN if is_given(ctx, name)]:
        raise click.UsageError(f"{spelled_option(ctx, wrong[0])} does not go with --hints: leave it out")
    from segment.photo.batch import content_hash

    path = options["hints"]

    def segment(photo: Any) -> Segmentation:
        from segment.photo.hints.scribbles import read_hints
        from segment.photo.hints.segmentation import segment_hints

        hints = read_hints(path, photo.shape)
        return segment_hints(
            photo, hints, source=str(path), random_state=options["seed"], n_jobs=options["jobs"], step=step
        )

    return segment, {"hints_sha256": content_hash(path)}
