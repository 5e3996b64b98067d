"""`segment photo`: segment color photos."""

from __future__ import annotations

import functools
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from segment.cli.common import (
    EXIT_FAILED,
    EXIT_SOME_FAILED,
    output_option,
    progress,
    reports_errors,
    say,
    say_error,
    say_warning,
    shared_options,
)
from segment.errors import ConvergenceWarning, OutputError, SegmentError
from segment.output import json_text, write_json

COVARIANCES = ("full", "diag", "tied", "spherical")
SPACES = ("lab", "luv", "oklab", "rgb", "linear")
SMOOTHINGS = ("none", "light", "strong")
METHODS = ("colors", "regions")
DETAILS = ("low", "medium", "high")
COLOR_OPTIONS = ("n_components", "covariance_type", "color_space", "smooth", "n_init", "model_path")
REGION_OPTIONS = ("n_regions", "scale", "detail")
DEFAULT_SAVE = "segmented,overlay,palette,json"


class Count(click.ParamType):
    """A number of components, or "auto"."""

    name = "K|auto"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | str:
        """Return the number, or "auto"."""
        if value == "auto":
            return value
        return click.IntRange(min=1).convert(value, param, ctx)


class Status:
    """Shows on a terminal which step of a photo has begun; leaves a clean line behind."""

    def __init__(self, shown: bool) -> None:
        self.shown = shown and sys.stderr.isatty()

    def __call__(self, step: str) -> None:
        """Show the step that begins."""
        if self.shown:
            click.echo(f"\r{step + ' ...':<12}", err=True, nl=False)

    def __enter__(self) -> Status:
        return self

    def __exit__(self, *_: object) -> None:
        if self.shown:
            click.echo(f"\r{'':<12}\r", err=True, nl=False)


@dataclass(frozen=True)
class Plan:
    """What to do with every photo: how to segment it, what to write, what to say."""

    segment: Callable[[Any], Any]
    summarize: Callable[..., dict[str, Any]]
    output: Path
    kinds: tuple[str, ...]
    seed: int
    force: bool
    allow_large: bool
    as_json: bool
    quiet: bool
    verbose: bool
    status: Status


@click.command()
@click.argument("inputs", metavar="INPUT...", nargs=-1, required=True)
@output_option("outputs/photo")
@click.option(
    "--method",
    type=click.Choice(METHODS),
    default="colors",
    show_default=True,
    help="colors: cluster the colors. regions: find connected regions, as people would draw them.",
)
@click.option(
    "-k",
    "--components",
    "n_components",
    type=Count(),
    metavar="K|auto",
    default="auto",
    show_default=True,
    help="Color clusters; auto takes the smallest ICL of 1 .. 12.",
)
@click.option(
    "--covariance", "covariance_type", type=click.Choice(COVARIANCES), default="full", show_default=True
)
@click.option("--color-space", type=click.Choice(SPACES), default="lab", show_default=True)
@click.option(
    "--smooth",
    type=click.Choice(SMOOTHINGS),
    default="light",
    show_default=True,
    help="How much neighboring pixels decide a pixel's label.",
)
@click.option(
    "--save",
    "kinds",
    metavar="A,B,C|all",
    default=DEFAULT_SAVE,
    show_default=True,
    help="Outputs: segmented, labels, overlay, masks, palette, sheet, json; of colors also soft, model; of "
    "regions also contours, tree, levels (a page with a slider).",
)
@click.option(
    "--regions",
    "n_regions",
    type=click.IntRange(min=1),
    metavar="N",
    help="With --method regions: into so many.",
)
@click.option(
    "--scale",
    type=click.FloatRange(0, 1, min_open=True),
    metavar="S",
    help="With --method regions: cut the hierarchy there; near 0 is finest, 1 is one region.",
)
@click.option(
    "--detail",
    type=click.Choice(DETAILS),
    help="With --method regions: the scale in words.  [default: medium]",
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
@click.option("--recursive", is_flag=True, help="Look into folders within folders.")
@click.option("--allow-large", is_flag=True, help="Read photos of more than 200 megapixels.")
@shared_options("seed", "jobs", "force", "json", "quiet", "verbose")
@click.pass_context
@reports_errors
def photo(ctx: click.Context, **options: Any) -> None:
    """Segment color photos by a Gaussian mixture of their colors, or into regions.

    INPUT is a file (JPEG, PNG, WebP, BMP, GIF, TIFF), a folder, a quoted glob, - for standard input, or
    skimage:NAME for a photo bundled with scikit-image (astronaut, cat, coffee, rocket, ...).
    """
    from segment.photo.inputs import find_inputs
    from segment.photo.warm import load_in_background

    plan = _plan(ctx, options)
    inputs, errors = find_inputs(options["inputs"], recursive=options["recursive"])
    for error in errors:
        say_error(error)
    failed = len(errors)
    if inputs:
        load_in_background()
    # One photo shows its steps, several show how many are done.
    plan.status.shown &= len(inputs) == 1
    for item in progress(inputs, "photos", quiet=plan.quiet or len(inputs) < 2):
        try:
            _segment(item, plan)
        except SegmentError as error:
            say_error(error)
            failed += 1
        except MemoryError:
            say_error(f"{item.source}: out of memory; try a smaller photo or fewer components")
            failed += 1
    if failed:
        sys.exit(EXIT_FAILED if failed == len(inputs) + len(errors) else EXIT_SOME_FAILED)


def _plan(ctx: click.Context, options: dict[str, Any]) -> Plan:
    """Choose how photos are segmented, and gather what holds for every photo."""
    from segment.photo.write import parse_kinds

    method = options["method"]
    foreign = {"colors": REGION_OPTIONS, "regions": COLOR_OPTIONS}[method]
    if wrong := [name for name in foreign if _is_given(ctx, name)]:
        raise click.UsageError(f"{_spelled(ctx, wrong[0])} does not go with --method {method}")
    try:
        kinds = parse_kinds(options["kinds"], method)
    except SegmentError as error:
        raise click.BadParameter(str(error), param_hint="--save") from error
    status = Status(not options["quiet"])
    segment, summarize = {"colors": _by_colors, "regions": _by_regions}[method](ctx, options, status)
    told = ("output", "seed", "force", "allow_large", "as_json", "quiet", "verbose")
    return Plan(segment, summarize, kinds=kinds, status=status, **{name: options[name] for name in told})


def _is_given(ctx: click.Context, name: str) -> bool:
    return ctx.get_parameter_source(name) == click.core.ParameterSource.COMMANDLINE


def _spelled(ctx: click.Context, name: str) -> str:
    return next(param.opts[-1] for param in ctx.command.params if param.name == name)


def _by_colors(ctx: click.Context, options: dict[str, Any], status: Status) -> tuple[Callable, Callable]:
    """Cluster colors: fit a mixture, or apply a model."""
    from segment.photo.summary import summarize

    shared = {"smooth": options["smooth"], "n_jobs": options["jobs"], "step": status}
    if options["model_path"] is None:
        names = ("n_components", "covariance_type", "color_space", "n_init")
        fitting = {name: options[name] for name in names} | shared | {"random_state": options["seed"]}

        def segment(photo: Any) -> Any:
            from segment.photo.fit import segment_photo

            return segment_photo(photo, **fitting)
    else:
        for name in ("n_components", "covariance_type", "color_space", "n_init"):
            if _is_given(ctx, name):
                raise click.UsageError(f"--model brings its own {name}: leave the option out")
        from segment.photo.model import PhotoModel

        model = PhotoModel.load(options["model_path"])

        def segment(photo: Any) -> Any:
            from segment.photo.fit import apply_model

            return apply_model(photo, model, **shared)

    return segment, summarize


def _by_regions(ctx: click.Context, options: dict[str, Any], status: Status) -> tuple[Callable, Callable]:
    """Find regions: a number of them, or a scale."""
    from segment.photo.regions.segmentation import (
        DETAILS,
        segment_regions,
        summarize_regions,
    )

    given = [name for name in REGION_OPTIONS if options[name] is not None]
    if len(given) > 1:
        spelled = " and ".join(_spelled(ctx, name) for name in given)
        raise click.UsageError(f"{spelled} say the same thing in different ways: give one of them")
    scale = options["scale"]
    if scale is None and options["n_regions"] is None:
        scale = DETAILS[options["detail"] or "medium"]
    cut = {"n_regions": options["n_regions"], "scale": scale}
    shared = {"random_state": options["seed"], "n_jobs": options["jobs"]}

    def segment(photo: Any) -> Any:
        status("regions")
        return segment_regions(photo, **cut, **shared)

    return segment, summarize_regions


def _segment(item: Any, plan: Plan) -> None:
    """Read, segment and write one photo; tell of it."""
    from segment.photo.read import read_photo
    from segment.photo.segmentation import Stopwatch
    from segment.photo.write import SIDECAR, existing_outputs, sidecar_path, write_outputs

    stem = plan.output / item.name
    existing = existing_outputs(stem, plan.kinds)
    if existing and not plan.force:
        more = f" and {len(existing) - 1} more" if len(existing) > 1 else ""
        raise OutputError(
            f"{existing[0]}{more}: exists already; allow overwriting with --force, or choose "
            "another folder with -o"
        )
    watch = Stopwatch(plan.status)
    with plan.status, watch.step("total"), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with watch.step("read"):
            photo = read_photo(item.source, allow_large=plan.allow_large)
        _announce_compilation(plan.quiet)
        segmentation = plan.segment(photo)
        with watch.step("write"):
            paths = write_outputs(segmentation, stem, plan.kinds)
    for warning in caught:
        say_warning(f"{item.source}: {warning.message}")
    facts = plan.summarize(
        segmentation,
        seed=plan.seed,
        seconds=watch.seconds,
        outputs=[*paths, *([sidecar_path(stem)] if SIDECAR in plan.kinds else [])],
        warnings=[str(w.message) for w in caught if not issubclass(w.category, ConvergenceWarning)],
    )
    if SIDECAR in plan.kinds:
        write_json(sidecar_path(stem), facts)
    if plan.as_json:
        click.echo(json_text(facts, indent=None))
    if not plan.quiet:
        _tell(facts, plan)


@functools.cache
def _announce_compilation(quiet: bool) -> None:
    """Say, once, that kernels are being compiled, if they are."""
    from segment.photo.warm import compilation_notice

    notice = compilation_notice()
    if notice and not quiet:
        say(notice)


def _tell(facts: dict[str, Any], plan: Plan) -> None:
    """Say in a line what was found, and in detail if asked."""
    say(
        f"{facts['input']}: {facts['width']} x {facts['height']}, {_found(facts)}, "
        f"{facts['seconds']['total']:.2f} s, {len(facts['outputs'])} files in {plan.output}"
    )
    if not plan.verbose:
        return
    say(f"  {_how(facts)}")
    say("  " + ", ".join(f"{name} {value}" for name, value in facts["reader"].items()))
    say("  " + ", ".join(f"{name} {value:.2f} s" for name, value in facts["seconds"].items()))
    for color, share in zip(facts["palette"].tolist(), facts["shares"], strict=True):
        say("  #{:02x}{:02x}{:02x}".format(*color) + f" {share:6.1%}")
    for text in [*facts["warnings"], *facts["outputs"]]:
        say(f"  {text}")


def _found(facts: dict[str, Any]) -> str:
    if "n_regions" in facts:
        return f"{facts['n_regions']} region{'s' if facts['n_regions'] > 1 else ''}"
    chosen = " (smallest ICL)" if facts["selection"] else ""
    if facts["selection"] and facts["n_components"] == 1:
        chosen = " (smallest ICL; -k asks for more)"
    return f"{facts['n_components']} component{'s' if facts['n_components'] > 1 else ''}{chosen}"


def _how(facts: dict[str, Any]) -> str:
    if "n_regions" in facts:
        scale = "" if facts["scale"] is None else f", cut at scale {facts['scale']:g}"
        return f"a hierarchy of {facts['n_leaves']} leaves{scale}"
    return (
        f"{facts['n_distinct_colors']} distinct colors, {facts['n_iter']} iterations, log-likelihood "
        f"{facts['log_likelihood']:.6g}"
    )
