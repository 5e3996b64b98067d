"""Palettes that are given or shared by many photos: their options, and the pass that counts all colors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from segment.cli.common import is_given, options_of, progress, say, spelled_option
from segment.cli.photo_run import Plan, announce_compilation, attempted, told_colors
from segment.errors import ImageError

if TYPE_CHECKING:
    from segment.photo.batch import Job
    from segment.photo.photo import Photo
    from segment.photo.segmentation import Segmentation
    from segment.photo.shared import ColorPool, SharedFit
    from segment.stopwatch import Stopwatch

PALETTE_FITS = ("none", "weights", "covariances")
PALETTE_OPTIONS = ("shared", "palette", "palette_fit", "reference")

palette_options = options_of(
    click.option(
        "--shared",
        is_flag=True,
        help="One mixture for all inputs: the same labels and colors in every photo. Photos are read twice, "
        "one in memory at a time; shared_palette.* and shared_model.npz are written beside the outputs.",
    ),
    click.option(
        "--palette",
        metavar="FILE|#hex,#hex,...",
        help="Into these colors: a GIMP (.gpl), Adobe (.ase), CSS or JSON palette, a model (.npz), or codes "
        "in quotes. Label k is color k.",
    ),
    click.option(
        "--palette-fit",
        type=click.Choice(PALETTE_FITS, case_sensitive=False),
        default="none",
        show_default=True,
        help="What is fitted about a given palette: none (colors go to the nearest one), weights, or "
        "covariances too.",
    ),
    click.option(
        "--reference",
        type=click.Path(path_type=Path),
        metavar="MODEL",
        help="Number components as those of this model (--save model) that lie nearest, one to one, so that "
        "labels keep their numbers between runs and numbers of components.",
    ),
)


def check_palette_options(ctx: click.Context, options: dict[str, Any], by_tiles: frozenset[str]) -> None:
    """Refuse what does not go together with a usage error."""
    given = [name for name in PALETTE_OPTIONS if is_given(ctx, name)]
    if given and by_tiles:
        raise click.UsageError(
            f"{spelled_option(ctx, given[0])} does not go with photos that are read by tiles, as "
            f"{min(by_tiles)} is"
        )
    if given and options["model_path"]:
        raise click.UsageError(f"--model brings its own colors: leave {spelled_option(ctx, given[0])} out")
    if is_given(ctx, "palette_fit") and not options["palette"]:
        raise click.UsageError("--palette-fit says what is fitted about a palette: give one with --palette")
    if not options["palette"]:
        return
    for name in ("n_components", "n_init", "reference"):
        if is_given(ctx, name):
            raise click.UsageError(f"--palette names the colors: leave {spelled_option(ctx, name)} out")
    if is_given(ctx, "covariance_type") and options["palette_fit"] != "covariances":
        raise click.UsageError("--covariance is for fitted covariances: add --palette-fit covariances")


def palette_fitting(options: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read what is given; return it as arguments of the fit, and as what sidecars say was asked for."""
    if options["palette"]:
        from segment.photo.colors import hex_code
        from segment.photo.palettes import read_palette

        palette = read_palette(options["palette"])
        asked = {"palette": [hex_code(color) for color in palette], "palette_fit": options["palette_fit"]}
        return {"palette": palette, "palette_fit": options["palette_fit"]}, asked
    if options["reference"]:
        from segment.photo.model import PhotoModel

        reference = PhotoModel.load(options["reference"])
        return {"reference": reference}, {"reference": reference.digest}
    return {}, {}


def share_colors(
    jobs: list[Job],
    plan: Plan,
    read: Callable[[str], Photo],
    options: dict[str, Any],
    fitting: dict[str, Any],
) -> tuple[list[Job], Plan]:
    """Fit one mixture to the colors of all photos, and write it.

    Parameters
    ----------
    jobs : list of Job
    plan : Plan
    read : callable
        Reads a photo.
    options : dict
        Those of the command.
    fitting : dict
        Arguments of `fit_pool`.

    Returns
    -------
    jobs : list of Job
        Those whose photos could be read; of the others an error was told.
    plan : Plan
        For labeling them.
    """
    from segment.photo.outputs.shared import check_shared, shared_stem, write_shared
    from segment.photo.shared import fit_pool

    stem = shared_stem(plan.output, jobs, plan.kinds)
    if not (plan.force or plan.skip_existing):
        check_shared(stem, None)
    announce_compilation(plan.quiet)
    pool, counted = _counted(jobs, plan, read)
    if not counted:
        return [], plan
    plan.step("fit")
    try:
        given, _ = palette_fitting(options)
        shared = fit_pool(pool, **fitting, **given, random_state=options["seed"], n_jobs=options["jobs"])
    finally:
        plan.step("")
    asked = {**plan.options, "shared": shared.model.digest}
    if not plan.force:
        check_shared(stem, asked)
    left_out = [job.source for job in jobs if job not in counted]
    paths = write_shared(shared, stem, asked, [job.source for job in counted], left_out)
    if not plan.quiet:
        _tell(shared, paths, plan)
    return counted, replace(plan, options=asked, segment=_labeler(shared, plan, read, options))


def _counted(jobs: list[Job], plan: Plan, read: Callable[[str], Photo]) -> tuple[ColorPool, list[Job]]:
    """Count the colors of every photo that can be read."""
    from segment.photo.read import STDIN
    from segment.photo.shared import ColorPool

    pool = ColorPool()

    def count(source: str) -> None:
        if source == STDIN:
            raise ImageError(
                "-: standard input cannot be read twice, as photos that share colors are; give a file"
            )
        pool.add(read(source))

    bar = progress(jobs, "counting colors", quiet=plan.quiet or len(jobs) < 2)
    return pool, [job for job in bar if attempted(job.source, partial(count, job.source))]


def _labeler(
    shared: SharedFit, plan: Plan, read: Callable[[str], Photo], options: dict[str, Any]
) -> Callable[[str, Stopwatch], Segmentation]:
    """Return what reads a photo and labels it by the shared mixture."""
    from segment.photo.fit import apply_model

    def segment(source: str, watch: Stopwatch) -> Segmentation:
        with watch.step("read"):
            photo = read(source)
        return apply_model(
            photo, shared.model, smooth=options["smooth"], n_jobs=options["jobs"], step=plan.step
        )

    return segment


def _tell(shared: SharedFit, paths: list[Path], plan: Plan) -> None:
    colors = told_colors(shared.palette, shared.shares)
    say(
        f"{shared.n_photos} photo{'s' if shared.n_photos > 1 else ''}, {shared.n_distinct_colors} distinct "
        f"colors, {shared.model.parameters.n_components} shared by all: {colors}; "
        f"{', '.join(path.name for path in paths[:1] + paths[-2:])} and others in {plan.output}"
    )
    for text in () if shared.result is None else shared.result.repairs:
        say(f"  {text}")
