"""Segment one photo after the other: read, write, tell, leave alone what is done."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segment.cli.common import print_json, say, say_error, say_warning
from segment.errors import ConvergenceWarning, OutputError, SegmentError, heed_only_own_warnings
from segment.output import to_plain, write_json
from segment.photo.outputs import SIDECAR, settings_used

if TYPE_CHECKING:
    import numpy as np

    from segment.photo.batch import Job
    from segment.photo.outputs.settings import OutputSettings
    from segment.photo.outputs.sidecar import Sidecar
    from segment.photo.segmentation import Segmentation
    from segment.stopwatch import Stopwatch

MEASUREMENTS = "measurements"

# So many colors are told of in the line about a photo.
TOLD_COLORS = 12


@dataclass(frozen=True)
class Plan:
    """What to do with every photo: how to segment it, what to write, what to say.

    `segment` reads and segments a photo, its steps timed; `options` are those that it depends on, `settings`
    those of the outputs; `inputs` tells apart the files that are read; `target` is the file
    that the only output becomes, where one was named.
    """

    segment: Callable[[str, Stopwatch], Segmentation]
    options: dict[str, Any]
    kinds: tuple[str, ...]
    settings: OutputSettings
    step: Callable[[str], None]
    inputs: set[tuple[int, int]]
    output: Path
    force: bool
    skip_existing: bool
    as_json: bool
    quiet: bool
    verbose: bool
    target: Path | None = None


def files_read(options: dict[str, Any]) -> list[Path]:
    """Return the files besides photos that are read: no output may replace them."""
    return [
        Path(options[name])
        for name in ("model_path", "mask", "palette", "reference", "edits", "hints")
        if options[name]
    ]


def attempted(source: str, work: Callable[[], object]) -> bool:
    """Do some work on a photo; where it fails, say so in a line that names the photo, and return False."""
    try:
        work()
        return True
    except SegmentError as error:
        # In a batch, an error of the fit must say whose it is.
        say_error(error if source in str(error) else f"{source}: {error}")
    except MemoryError:
        say_error(f"{source}: out of memory; try a smaller photo or fewer components")
    return False


def run_job(job: Job, plan: Plan) -> None:
    """Read, segment and write one photo, or leave it as it is; tell of it."""
    from segment.photo.outputs.files import existing_outputs, has_outputs
    from segment.photo.outputs.sidecar import read_sidecar, sidecar_path

    earlier = read_sidecar(sidecar_path(job.stem))
    used = to_plain(settings_used(plan.kinds, plan.settings))
    is_same = earlier is not None and plan.skip_existing and job.is_done(earlier, plan.options, used)
    if earlier is not None and is_same and has_outputs(earlier, job.stem, plan.kinds):
        if not plan.quiet:
            say(f"{job.source}: done already")
        return
    if not plan.kinds:
        raise OutputError(
            f"{job.source}: --save names only outputs of photos that are read by tiles; add others, or have "
            "this one read so (--level 0)"
        )
    existing = existing_outputs(job.stem, plan.kinds)
    if existing and not plan.force and not is_same:
        more = f" and {len(existing) - 1} more" if len(existing) > 1 else ""
        skipping = "; they are of another content or other options" if plan.skip_existing else ""
        raise OutputError(
            f"{existing[0]}{more}: exists already{skipping}; allow overwriting with --force, or choose "
            "another folder with -o"
        )
    _segment(job, plan, earlier)


def _segment(job: Job, plan: Plan, earlier: Sidecar | None) -> None:
    """Read, segment and write one photo; tell of it."""
    from segment.photo.batch import tidy
    from segment.photo.outputs.files import write_outputs
    from segment.photo.outputs.sidecar import sidecar_path, summarize
    from segment.stopwatch import Stopwatch

    watch = Stopwatch(plan.step)
    try:
        with watch.step("total"), warnings.catch_warnings(record=True) as caught:
            heed_only_own_warnings()
            segmentation = plan.segment(job.source, watch)
            with closing(segmentation), watch.step("write"):
                paths = write_outputs(segmentation, job.stem, plan.kinds, plan.settings)
    finally:
        plan.step("")
    for warning in caught:
        say_warning(f"{job.source}: {warning.message}")
    kept = tidy(job, plan.kinds, paths, earlier, plan.options, segmentation.photo.sha256, plan.inputs)
    paths += kept
    settings = settings_used(plan.kinds, plan.settings)
    if kept and earlier is not None:
        settings = earlier.settings | settings
    if SIDECAR in plan.kinds:
        paths.append(sidecar_path(job.stem))
    facts = summarize(
        segmentation,
        options=plan.options,
        settings=settings,
        seconds=watch.seconds,
        outputs=[plan.target] if plan.target else paths,
        warnings=[str(w.message) for w in caught if not issubclass(w.category, ConvergenceWarning)],
    )
    if SIDECAR in plan.kinds:
        write_json(sidecar_path(job.stem), facts)
    if plan.as_json:
        print_json(facts)
    if not plan.quiet:
        _tell(segmentation, facts, plan)


def prepare_tables(plan: Plan, jobs: Sequence[Job]) -> Callable[[], None]:
    """Return what writes the tables of the whole batch once its photos are done.

    Raises
    ------
    OutputError
        If another file has its name, or a library for it is missing.
    """
    if MEASUREMENTS not in plan.kinds:
        return lambda: None
    from segment.photo.outputs.measurements import check_batch, check_parquet, write_batch

    if plan.settings.parquet:
        check_parquet()
    if not plan.force:
        check_batch(plan.output)

    def write() -> None:
        if not jobs:
            return
        paths = write_batch(plan.output, [job.stem for job in jobs], parquet=plan.settings.parquet)
        if not plan.quiet:
            say(f"measurements of the batch: {', '.join(map(str, paths))}")

    return write


@functools.cache
def announce_compilation(quiet: bool, show: Callable[[str], None] = lambda step: None) -> None:
    """Say, once, that kernels are being compiled, if they are; show each of them as it is."""
    from segment.kernels.compile import watch_compilation
    from segment.photo.warm import compilation_notice

    notice = compilation_notice()
    if notice and not quiet:
        say(notice)
        watch_compilation(lambda name: show(f"compiling {name}"))


def _named_colors(palette: np.ndarray, shares: np.ndarray) -> list[str]:
    from segment.photo.colors import hex_code

    return [f"{hex_code(color)} {share:.1%}" for color, share in zip(palette, shares, strict=True)]


def told_colors(palette: np.ndarray, shares: np.ndarray) -> str:
    """Return the colors of a palette and their shares in a line, the first ones where there are many."""
    colors = _named_colors(palette, shares)
    more = f", and {len(colors) - TOLD_COLORS} more" if len(colors) > TOLD_COLORS else ""
    return ", ".join(colors[:TOLD_COLORS]) + more


def _tell(segmentation: Segmentation, facts: dict[str, Any], plan: Plan) -> None:
    """Say in a line what was found, and in detail if asked."""
    colors = _named_colors(segmentation.palette, segmentation.shares)
    palette = f": {told_colors(segmentation.palette, segmentation.shares)}" if "palette" in plan.kinds else ""
    outputs = facts["outputs"]
    files = f"{len(outputs)} file{'s' if len(outputs) > 1 else ''}"
    written = f"{files} in {plan.output}" if plan.target is None else f"written to {plan.target}"
    say(
        f"{facts['input']}: {facts['width']} x {facts['height']}, {segmentation.found()}, "
        f"{facts['seconds']['total']:.2f} s, {written}"
        f"{palette}"
    )
    if not plan.verbose:
        return
    say(f"  {segmentation.how()}")
    say("  " + ", ".join(f"{name} {value}" for name, value in facts["reader"].items()))
    say("  " + ", ".join(f"{name} {value:.2f} s" for name, value in facts["seconds"].items()))
    for text in [*colors, *facts["warnings"], *facts["outputs"]]:
        say(f"  {text}")
