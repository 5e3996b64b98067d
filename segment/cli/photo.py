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
DEFAULT_SAVE = "segmented,overlay,palette,json"


class Count(click.ParamType):
    """A number of components, or "auto"."""

    name = "K|auto"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | str:
        """Return the number, or "auto"."""
        if value == "auto":
            return value
        return click.IntRange(min=1).convert(value, param, ctx)


def _kinds(ctx: click.Context, param: click.Parameter, value: str) -> tuple[str, ...]:
    """Turn the value of --save into kinds of output."""
    from segment.photo.write import parse_kinds

    try:
        return parse_kinds(value)
    except SegmentError as error:
        raise click.BadParameter(str(error)) from error


@dataclass(frozen=True)
class Plan:
    """What to do with every photo: how to segment it, what to write, what to say."""

    segment: Callable[[Any], Any]
    output: Path
    kinds: tuple[str, ...]
    seed: int
    force: bool
    allow_large: bool
    as_json: bool
    quiet: bool
    verbose: bool


@click.command()
@click.argument("inputs", metavar="INPUT...", nargs=-1, required=True)
@output_option("outputs/photo")
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
    help="How much neighbouring pixels decide a pixel's label.",
)
@click.option(
    "--save",
    "kinds",
    metavar="A,B,C|all",
    default=DEFAULT_SAVE,
    show_default=True,
    callback=_kinds,
    help="Outputs: segmented, labels, overlay, masks, soft, palette, sheet, model, json.",
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
    """Segment color photos by a Gaussian mixture of their colors.

    INPUT is a file (JPEG, PNG, WebP, BMP, GIF, TIFF), a folder, a quoted glob, - for standard input, or
    skimage:NAME for a photo bundled with scikit-image (astronaut, cat, coffee, rocket, ...).
    """  # fmt: skip
    from segment.photo.inputs import find_inputs
    from segment.photo.warm import load_in_background

    plan = _plan(ctx, options)
    inputs, errors = find_inputs(options["inputs"], recursive=options["recursive"])
    for error in errors:
        say_error(error)
    failed = len(errors)
    if inputs:
        load_in_background()
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
    """Choose between fitting and applying a model, and gather what holds for every photo."""
    shared = {"smooth": options["smooth"], "n_jobs": options["jobs"]}
    if options["model_path"] is None:
        names = ("n_components", "covariance_type", "color_space", "n_init")
        fitting = {name: options[name] for name in names} | shared | {"random_state": options["seed"]}

        def segment(photo: Any) -> Any:
            from segment.photo.fit import segment_photo

            return segment_photo(photo, **fitting)
    else:
        for name in ("n_components", "covariance_type", "color_space", "n_init"):
            if ctx.get_parameter_source(name) == click.core.ParameterSource.COMMANDLINE:
                raise click.UsageError(f"--model brings its own {name}: leave the option out")
        from segment.photo.model import PhotoModel

        model = PhotoModel.load(options["model_path"])

        def segment(photo: Any) -> Any:
            from segment.photo.fit import apply_model

            return apply_model(photo, model, **shared)

    told = ("output", "kinds", "seed", "force", "allow_large", "as_json", "quiet", "verbose")
    return Plan(segment, **{name: options[name] for name in told})


def _segment(item: Any, plan: Plan) -> None:
    """Read, segment and write one photo; tell of it."""
    from segment.photo.read import read_photo
    from segment.photo.segmentation import Stopwatch
    from segment.photo.summary import summarise
    from segment.photo.write import SIDECAR, existing_outputs, sidecar_path, write_outputs

    stem = plan.output / item.name
    existing = existing_outputs(stem, plan.kinds)
    if existing and not plan.force:
        more = f" and {len(existing) - 1} more" if len(existing) > 1 else ""
        raise OutputError(f"{existing[0]}{more}: exists already; allow overwriting with --force, or choose "
                          "another folder with -o")  # fmt: skip
    watch = Stopwatch()
    with watch.step("total"), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with watch.step("read"):
            photo = read_photo(item.source, allow_large=plan.allow_large)
        _announce_compilation(plan.quiet)
        segmentation = plan.segment(photo)
        with watch.step("write"):
            paths = write_outputs(segmentation, stem, plan.kinds)
    for warning in caught:
        say_warning(f"{item.source}: {warning.message}")
    facts = summarise(
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
    n_components = facts["n_components"]
    chosen = " (smallest ICL)" if facts["selection"] else ""
    say(
        f"{facts['input']}: {facts['width']} x {facts['height']}, {n_components} "
        f"component{'s' if n_components > 1 else ''}{chosen}, {facts['seconds']['total']:.2f} s, "
        f"{len(facts['outputs'])} files in {plan.output}"
    )
    if not plan.verbose:
        return
    say(f"  {facts['n_distinct_colors']} distinct colors, {facts['n_iter']} iterations, log-likelihood "
        f"{facts['log_likelihood']:.6g}")  # fmt: skip
    say("  " + ", ".join(f"{name} {value}" for name, value in facts["reader"].items()))
    say("  " + ", ".join(f"{name} {value:.2f} s" for name, value in facts["seconds"].items()))
    for color, share in zip(facts["palette"].tolist(), facts["shares"], strict=True):
        say("  #{:02x}{:02x}{:02x}".format(*color) + f" {share:6.1%}")
    for text in [*facts["warnings"], *facts["outputs"]]:
        say(f"  {text}")
