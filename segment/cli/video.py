"""`segment video`: what stays in a clip and what moves."""

from __future__ import annotations

import importlib.util
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from segment.cli.common import (
    complete_files,
    output_option,
    print_json,
    progress,
    reports_errors,
    say,
    say_error,
    say_warning,
    shared_options,
)
from segment.errors import OutputError, SegmentError
from segment.output import write_json

KINDS = ("masks", "ffv1", "background", "overlay", "areas", "heatmap", "page", "model")
# Smaller parts than one in so many of the frame are noise, if nothing else is asked for.
_PARTS = 5000
DEFAULT_SAVE = "masks,background,overlay,areas,heatmap,page"


class Odd(click.ParamType):
    """An odd number of pixels."""

    name = "pixels"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the number."""
        number = click.IntRange(1, 127).convert(value, param, ctx)
        return number if number % 2 else self.fail(f"{number} is even; it must be odd", param, ctx)


def parse_kinds(context: click.Context, parameter: click.Parameter, value: str) -> tuple[str, ...]:
    """Turn "masks,areas" into a tuple; a usage error names what is allowed."""
    kinds = tuple(dict.fromkeys(part.strip().lower() for part in value.split(",") if part.strip()))
    kinds = KINDS if kinds == ("all",) else kinds
    if unknown := [kind for kind in kinds if kind not in KINDS]:
        raise click.BadParameter(f"{', '.join(unknown)}; allowed are {', '.join(KINDS)} and all")
    if not kinds:
        raise click.BadParameter(f"nothing to save; allowed are {', '.join(KINDS)} and all")
    return kinds


@click.command()
@click.argument("clip", metavar="CLIP|FOLDER|GLOB|camera:0", shell_complete=complete_files)
@output_option("outputs/video")
@click.option(
    "--history",
    type=click.IntRange(min=2),
    default=500,
    show_default=True,
    metavar="N",
    help="Frames after which what stands still is background.",
)
@click.option(
    "--threshold",
    type=click.FloatRange(0, min_open=True),
    default=8.0,
    show_default=True,
    help="Squared distance from which a pixel moves, in variances.",
)
@click.option(
    "--window",
    type=Odd(),
    default=11,
    show_default=True,
    help="Side of the square of pixels that vote; 1: none.",
)
@click.option("--no-shadows", is_flag=True, help="Take shadows for moving things.")
@click.option("--no-gain", is_flag=True, help="Do not follow changes of the whole light.")
@click.option(
    "--min-area",
    type=click.IntRange(min=1),
    metavar="N",
    help="Drop moving parts of fewer pixels.  [default: 1 in 5000 of the frame]",
)
@click.option(
    "--rate",
    type=click.FloatRange(0, 1),
    metavar="R",
    help="Weight of every frame; 0 learns only from the warm-up, or one frame.  [default: by --history]",
)
@click.option(
    "--warm-up",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    metavar="N",
    help="First frames that are only learned from.",
)
@click.option(
    "--region",
    type=click.Path(path_type=Path),
    metavar="MASK",
    help="Image of the frames' size: look where it is not black.",
)
@click.option(
    "--model",
    "model_path",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Go on with a model that --save model wrote.",
)
@click.option(
    "--frame-rate",
    type=click.FloatRange(0, min_open=True),
    default=25.0,
    show_default=True,
    help="Frames a second of images.",
)
@click.option(
    "--save",
    "kinds",
    callback=parse_kinds,
    default=DEFAULT_SAVE,
    show_default=True,
    metavar="A,B,C|all",
    help=f"Outputs: {', '.join(KINDS)}; ffv1 is the masks as one lossless clip.",
)
@shared_options("jobs", "force", "json", "quiet")
@click.pass_context
@reports_errors
def video(ctx: click.Context, clip: str, output: Path, **options: Any) -> None:
    """Tell what stays and what moves, by an adaptive mixture at every pixel.

    A clip is read by PyAV (pip install 'segment-em[video]'); a folder or quoted glob of images needs nothing
    more. Ctrl-C ends a camera, or any clip: what has been found is written properly.
    """
    from segment.video.read import open_video

    kinds = _possible(ctx, options["kinds"])
    _refuse_existing(output, kinds, options["force"])
    found = open_video(clip, options["frame_rate"])
    _watch(found, kinds, output, options)


def _possible(ctx: click.Context, kinds: tuple[str, ...]) -> tuple[str, ...]:
    """Leave the overlay out if nobody asked for it and PyAV is missing."""
    given = ctx.get_parameter_source("kinds") == click.core.ParameterSource.COMMANDLINE
    if given or importlib.util.find_spec("av") is not None:
        return kinds
    from segment.video.read import INSTALL

    say_warning(f"overlay.mp4 is left out: it needs PyAV; try: {INSTALL}")
    return tuple(kind for kind in kinds if kind != "overlay")


def _refuse_existing(output: Path, kinds: tuple[str, ...], force: bool) -> None:
    from segment.video.outputs import OUTPUTS

    names = [*(OUTPUTS[kind][1] for kind in kinds), "summary.json"]
    existing = [output / name for name in names if (output / name).exists()]
    if existing and not force:
        raise OutputError(
            f"{existing[0]}: exists already; allow overwriting with --force, or choose another folder with -o"
        )
    if force and output / "masks" in existing:
        # Masks of a longer clip would stay among the new ones.
        for path in (output / "masks").glob("[0-9]*.png"):
            path.unlink()


def _watch(found: Any, kinds: tuple[str, ...], output: Path, options: dict[str, Any]) -> None:
    """Watch the clip; whatever happens, close the outputs and say what was written."""
    from segment.video.outputs import OUTPUTS
    from segment.video.summary import Summary

    begun = time.perf_counter()
    outputs = [OUTPUTS[kind][0](output, found.rate) for kind in kinds]
    summary = Summary()
    ended = "interrupted"
    try:
        _run(found, [*outputs, summary], options)
        ended = "complete"
    except SegmentError as error:
        ended = str(error)
        raise
    finally:
        paths = _close(outputs)
        facts = {"input": found.name, "ended": ended, **summary.facts()}
        facts |= {"settings": _told(options), "seconds": time.perf_counter() - begun, "outputs": paths}
        if summary.n_frames:
            write_json(output / "summary.json", facts)
            _tell(facts, output, options)


def _close(outputs: list[Any]) -> list[Any]:
    """Close all outputs, also if one of them cannot be; return the paths written."""
    paths: list[Any] = []
    for item in outputs:
        try:
            paths += item.close()
        except SegmentError as error:
            say_error(error)
    return paths


def _run(found: Any, outputs: list[Any], options: dict[str, Any]) -> None:
    from itertools import chain

    from segment.video.read import read_region
    from segment.video.watch import Watching, watch

    first = next(found.frames)
    shape = first.pixels.shape[:2]
    region = None if options["region"] is None else read_region(options["region"], shape)
    background = _background(shape, options)
    min_area = options["min_area"] or max(1, shape[0] * shape[1] // _PARTS)
    watching = Watching(options["rate"], options["warm_up"], min_area, region)
    found = type(found)(found.name, found.rate, found.n_frames, chain([first], found.frames))

    def shown(frames: Any) -> Any:
        return progress(frames, "frames", quiet=options["quiet"], total=found.n_frames)

    watch(found, background, outputs, watching, shown)


def _background(shape: tuple[int, int], options: dict[str, Any]) -> Any:
    from segment.errors import ModelError
    from segment.video import Background

    if options["model_path"] is not None:
        background = Background.load(options["model_path"], options["jobs"])
        if background.shape != shape:
            height, width = background.shape
            raise ModelError(
                f"{options['model_path']}: learned from frames of {width} x {height} pixels, these have "
                f"{shape[1]} x {shape[0]}; give the model of this camera, or none"
            )
        return background
    return Background(
        shape,
        options["history"],
        threshold=options["threshold"],
        window=options["window"],
        shadows=not options["no_shadows"],
        gain=not options["no_gain"],
        n_jobs=options["jobs"],
    )


def _told(options: dict[str, Any]) -> dict[str, Any]:
    names = (
        "history",
        "threshold",
        "window",
        "no_shadows",
        "no_gain",
        "min_area",
        "rate",
        "warm_up",
        "region",
    )
    return {name: options[name] for name in (*names, "model_path")}


def _tell(facts: dict[str, Any], output: Path, options: dict[str, Any]) -> None:
    if options["as_json"]:
        print_json(facts)
    if options["quiet"]:
        return
    with suppress(BrokenPipeError):
        say(
            f"{facts['input']}: {facts['n_frames']} frames, {facts['width']} x {facts['height']}, "
            f"{facts['n_things']} things, {100 * facts['moving']:.2f} % moving, {facts['seconds']:.1f} s "
            f"({1000 * facts['seconds'] / facts['n_frames']:.1f} ms a frame); {len(facts['outputs']) + 1} "
            f"outputs in {output}"
        )
