"""`segment photo`: segment color photos."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from segment.cli.common import (
    EXIT_FAILED,
    EXIT_SOME_FAILED,
    cluster_of,
    complete_files,
    components_option,
    is_given,
    live_line,
    output_option,
    progress,
    reports_errors,
    say_error,
    shared_options,
    spelled_option,
)
from segment.cli.photo_folders import check_watching, tell_skipped, watch_folders, watch_option
from segment.cli.photo_hints import by_hints, hints_option
from segment.cli.photo_outputs import check_settings, output_settings, settings_from
from segment.cli.photo_palette import (
    PALETTE_OPTIONS,
    check_palette_options,
    palette_fitting,
    palette_options,
    share_colors,
)
from segment.cli.photo_run import Plan, announce_compilation, attempted, files_read, prepare_tables, run_job
from segment.cli.photo_target import Target, target_of
from segment.cli.photo_tiles import SmoothChoice, Tiled, tile_options, tiled_plan, whole_kinds
from segment.cli.photo_where import reader_of, where_asked, where_of, where_options
from segment.errors import SegmentError
from segment.output import to_plain
from segment.photo.outputs import DEFAULT, METHODS, OUTPUTS, SIDECAR, TILED, kinds_of

if TYPE_CHECKING:
    from segment.photo.batch import Job
    from segment.photo.inputs import Inputs
    from segment.photo.segmentation import Segmentation
    from segment.photo.where import Where
    from segment.stopwatch import Stopwatch

# Typed again beside the code that defines them, which would take long to import: a test compares them.
COVARIANCES = ("full", "diag", "tied", "spherical")
SPACES = ("lab", "luv", "oklab", "rgb", "linear")
SMOOTHINGS = ("none", "light", "strong")
DETAILS = ("low", "medium", "high")
FITTING = ("n_components", "covariance_type", "color_space", "n_init")
COLOR_OPTIONS = (*FITTING, *PALETTE_OPTIONS, "smooth", "model_path", "hints")
REGION_OPTIONS = ("n_regions", "scale", "detail", "edits")


def _output_help() -> str:
    """Say which outputs there are, from their table."""
    groups = (METHODS, *((method,) for method in METHODS))
    common, *own = (
        ", ".join(name for name, output in OUTPUTS.items() if output.methods == group) for group in groups
    )
    also = "; ".join(f"of {method} also {some}" for method, some in zip(METHODS, own, strict=True))
    tiled = ", ".join(kinds_of(TILED))
    return f"Outputs: {common}, {SIDECAR}; {also}. Of photos that are read by tiles: {tiled}."


@click.command()
@click.argument("inputs", metavar="INPUT...", nargs=-1, required=True, shell_complete=complete_files)
@output_option("outputs/photo")
@click.option(
    "--method",
    type=click.Choice(METHODS, case_sensitive=False),
    help="colors: cluster the colors. regions: find connected regions, as people would draw them; --regions, "
    "--scale, --detail and --edits imply it.  [default: colors]",
)
@components_option("Color clusters; auto takes the fewest of 1 .. 12 that gain nearly the best ICL.")
@click.option(
    "--covariance",
    "covariance_type",
    type=click.Choice(COVARIANCES, case_sensitive=False),
    default="full",
    show_default=True,
    help="Shape of a color cluster: any ellipsoid, axes-parallel, all alike, or spheres.",
)
@click.option(
    "--color-space",
    type=click.Choice(SPACES, case_sensitive=False),
    default="lab",
    show_default=True,
    help="Color space in which colors are clustered: CIELAB, CIELUV or Oklab, where distances are what eyes "
    "see; sRGB as stored; amounts of light.",
)
@click.option(
    "--smooth",
    type=SmoothChoice(SMOOTHINGS, case_sensitive=False),
    default="light",
    show_default=True,
    help="How much neighboring pixels decide a pixel's label: not at all, light or strong (windows grow with "
    "the photo), or within a radius in pixels, as 3px. Above 200 megapixels the default is none.",
)
@click.option(
    "--save",
    "kinds",
    metavar="A,B,C|all",
    default=",".join(DEFAULT),
    show_default=True,
    help=_output_help(),
)
@click.option(
    "--regions",
    "n_regions",
    type=click.IntRange(min=1),
    metavar="N",
    help="Into so many regions.",
)
@click.option(
    "--scale",
    type=click.FloatRange(0, 1, min_open=True),
    metavar="S",
    help="Cut the hierarchy of regions there; near 0 is finest, 1 is one region.",
)
@click.option(
    "--detail",
    type=click.Choice(DETAILS, case_sensitive=False),
    help="The scale of the regions in words: low gives few and large ones, high many and small.  [default: "
    "medium]",
)
@click.option(
    "--edits",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Merges and splits of regions that were saved from the page of --save levels, done on the photo.",
)
@click.option(
    "--n-init",
    type=click.IntRange(min=1),
    metavar="N",
    help="Short runs of EM to choose the start from.  [default: 32]",
)
@click.option(
    "--model",
    "model_path",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Apply a model that --save model wrote, instead of fitting one.",
)
@palette_options
@watch_option
@click.option("--recursive", is_flag=True, help="Look into folders within folders.")
@click.option(
    "--allow-large",
    is_flag=True,
    help="Read photos of more than 200 megapixels also from files without tiles (JPEG, PNG) and for regions.",
)
@hints_option
@where_options
@tile_options
@output_settings
@click.option(
    "--skip-existing",
    is_flag=True,
    help="Leave out photos whose outputs are there, from the same content and options; goes on with a batch "
    "that was interrupted.",
)
@shared_options("seed", "jobs", "force", "json", "quiet", "verbose")
@click.pass_context
@reports_errors
def photo(ctx: click.Context, **options: Any) -> None:
    """Segment color photos by a Gaussian mixture of their colors, or into regions.

    INPUT is a file (JPEG, PNG, WebP, BMP, GIF, TIFF, AVIF; HEIC and camera raw with an extra), a folder, a
    quoted glob, - for standard input, or skimage:NAME for a photo bundled with scikit-image (astronaut, cat,
    coffee, rocket, ...). Outputs keep the folders below the one that all inputs share. No input is ever
    replaced. Of one photo, `-o out.png` writes one output to that file, `-o -` to standard output.

    Photos of more than 200 megapixels, zarr and .npy are read by tiles, in little memory, and so is every
    photo with --level, --bands, --nodata, --bad-tiles or --dask, and one that takes more than
    --memory. Labels are those of the whole photo; outputs are a label map (BigTIFF, OME-Zarr), a table of
    areas, an overview and a palette.
    """
    from segment.photo.batch import files_of, plan_jobs
    from segment.photo.inputs import find_inputs
    from segment.photo.warm import load_in_background

    method, kinds = _method_and_kinds(ctx, options)
    if options["watch"]:
        check_watching(options)
    find = partial(
        find_inputs, options["inputs"], recursive=options["recursive"], may_be_empty=options["watch"]
    )
    inputs, problems, skipped = find()
    target = target_of(ctx, options, method, len(inputs))
    kinds = kinds if target is None else (target.kind,)
    where = where_of(options)
    also_read = files_read(options)
    read = files_of([*(item.source for item in inputs), *map(str, also_read)])
    plan = _plan(ctx, options, method, where, kinds, read)
    large = tiled_plan(ctx, options, method, where, plan, [item.source for item in inputs])
    all_kinds = tuple(dict.fromkeys([*plan.kinds, *(large.plan.kinds if large.sources else ())]))
    check_settings(ctx, all_kinds)
    check_palette_options(ctx, options, large.sources)
    jobs, conflicts = plan_jobs(inputs, plan.output, all_kinds, also_read)
    for problem in [*problems, *conflicts]:
        say_error(problem)
    failed = len(problems) + len(conflicts)
    total = failed + len(jobs)
    if not plan.quiet:
        tell_skipped(skipped, plan.verbose)
    if jobs or options["watch"]:
        load_in_background()
    if options["shared"] and jobs:
        fitting = {name: options[name] for name in FITTING}
        jobs, plan = share_colors(jobs, plan, reader_of(options, where), options, fitting)
        failed = total - len(jobs)
    missed, is_well = _segment_all(jobs, plan, large, target, find, options)
    failed += missed
    if failed and failed == total and is_well:
        sys.exit(EXIT_FAILED)
    if failed or not is_well:
        sys.exit(EXIT_SOME_FAILED)


def _segment_all(
    jobs: list[Job],
    plan: Plan,
    large: Tiled,
    target: Target | None,
    find: Callable[[], Inputs],
    options: dict[str, Any],
) -> tuple[int, bool]:
    """Segment what is there, then what arrives; return failures of the first, and if the rest is well."""
    failed = 0
    whole = [job for job in jobs if job.source not in large.sources]
    tables = prepare_tables(plan, whole if target is None else [])
    run = run_job if target is None else target.write
    with cluster_of(options["dask"] if jobs and large.sources else None) as options["client"]:
        for job in progress(jobs, "photos", quiet=plan.quiet or len(jobs) < 2):
            work = partial(run, job, large.plan if job.source in large.sources else plan)
            failed += not attempted(job.source, work)
    is_well = not options["watch"] or watch_folders(find, jobs, whole, plan, options)
    tables()
    return failed, is_well


def _method_and_kinds(ctx: click.Context, options: dict[str, Any]) -> tuple[str, tuple[str, ...]]:
    """Return the method, given or implied, and the outputs; options of the other method are usage errors."""
    implied = [name for name in REGION_OPTIONS if options[name] is not None]
    method = options["method"] or ("regions" if implied else "colors")
    foreign = {"colors": REGION_OPTIONS, "regions": COLOR_OPTIONS}[method]
    if wrong := [name for name in foreign if is_given(ctx, name)]:
        why = "" if options["method"] or not implied else f", which {spelled_option(ctx, implied[0])} implies"
        raise click.UsageError(f"{spelled_option(ctx, wrong[0])} does not go with --method {method}{why}")
    try:
        kinds = whole_kinds(options["kinds"], method)
    except SegmentError as error:
        raise click.BadParameter(str(error), param_hint="--save") from error
    if options["skip_existing"] and kinds and SIDECAR not in kinds:
        raise click.UsageError(f"--skip-existing needs what {SIDECAR} says: add it to --save")
    return method, kinds


def _plan(
    ctx: click.Context,
    options: dict[str, Any],
    method: str,
    where: Where,
    kinds: tuple[str, ...],
    files: set[tuple[int, int]],
) -> Plan:
    """Choose how photos are segmented, and gather what holds for every photo."""
    quiet = options["quiet"]

    def show(step: str) -> None:
        # One photo shows its steps, several show how many are done.
        if not quiet and len(files) < 2:
            live_line.show(f"{step} ..." if step else "")

    read = reader_of(options, where)
    segment, asked = {"colors": _by_colors, "regions": _by_regions}[method](ctx, options, show)
    asked = to_plain({"method": method, **asked, **where_asked(where), "seed": options["seed"]})
    told = ("output", "force", "skip_existing", "as_json", "quiet", "verbose")

    def read_and_segment(source: str, watch: Stopwatch) -> Segmentation:
        with watch.step("read"):
            photo = read(source)
        announce_compilation(quiet, show)
        return segment(photo)

    settings = settings_from(options)
    return Plan(
        read_and_segment, asked, kinds, settings, show, files, **{name: options[name] for name in told}
    )


def _by_colors(
    ctx: click.Context, options: dict[str, Any], step: Callable[[str], None]
) -> tuple[Callable[[Any], Segmentation], dict[str, Any]]:
    """Cluster colors: fit a mixture, apply a model, or follow hints."""
    if options["hints"] is not None:
        return by_hints(ctx, options, step)
    shared = {"smooth": options["smooth"], "n_jobs": options["jobs"], "step": step}
    if options["model_path"] is None:
        fitting = {name: options[name] for name in FITTING}
        given, asked = palette_fitting(options)

        def fit(photo: Any) -> Segmentation:
            from segment.photo.fit import segment_photo

            return segment_photo(photo, **fitting, **given, **shared, random_state=options["seed"])

        return fit, {**fitting, **asked, "smooth": options["smooth"]}
    for name in FITTING:
        if is_given(ctx, name):
            raise click.UsageError(f"--model brings its own {name}: leave the option out")
    from segment.photo.batch import content_hash
    from segment.photo.model import PhotoModel

    model = PhotoModel.load(options["model_path"])
    if model.classes is not None and is_given(ctx, "smooth"):
        raise click.UsageError("--smooth does not go with a model of classes by hints: leave it out")

    def apply(photo: Any) -> Segmentation:
        from segment.photo.fit import apply_model

        return apply_model(photo, model, **shared)

    return apply, {"model_sha256": content_hash(options["model_path"]), "smooth": options["smooth"]}


def _by_regions(
    ctx: click.Context, options: dict[str, Any], step: Callable[[str], None]
) -> tuple[Callable[[Any], Segmentation], dict[str, Any]]:
    """Find regions: a number of them, a scale, or what was edited by hand."""
    from segment.photo.batch import content_hash
    from segment.photo.regions.edits import Edits
    from segment.photo.regions.segmentation import DETAILS, segment_regions

    given = [name for name in REGION_OPTIONS if options[name] is not None]
    if len(given) > 1:
        spelled = " and ".join(spelled_option(ctx, name) for name in given)
        raise click.UsageError(f"{spelled} say the same thing in different ways: give one of them")
    n_regions, scale, path = options["n_regions"], options["scale"], options["edits"]
    if scale is None and n_regions is None and path is None:
        scale = DETAILS[options["detail"] or "medium"]
    edits = Edits.load(path) if path else None
    shared = {"edits": edits, "random_state": options["seed"], "n_jobs": options["jobs"]}

    def segment(photo: Any) -> Segmentation:
        step("regions")
        return segment_regions(photo, n_regions=n_regions, scale=scale, **shared)

    asked = {"n_regions": n_regions, "scale": scale}
    return segment, asked if path is None else {"edits_sha256": content_hash(path)}
