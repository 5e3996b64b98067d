"""Photos that are read by tiles: their options, which photos they are, and how they are segmented."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from time import monotonic
from typing import TYPE_CHECKING, Any

import click

from segment.cli.common import dask_option, is_given, live_line, options_of, spelled_option
from segment.cli.photo_run import Plan, announce_compilation
from segment.errors import SegmentError
from segment.output import to_plain
from segment.photo.outputs import SIDECAR, TILED, TILED_DEFAULT, kinds_of, parse_kinds

if TYPE_CHECKING:
    from segment.photo.segmentation import Segmentation
    from segment.photo.where import Where
    from segment.stopwatch import Stopwatch

BAD_TILES = ("refuse", "mask")
# Each of them, and --dask, has a photo read by tiles, whatever its size.
SELECTING = ("level", "bands", "nodata", "bad_tiles")
OPTIONS = ("memory", "dask", *SELECTING)

# A whole photo takes about so many bytes a pixel.
_WHOLE_BYTES = 24

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}


class Memory(click.ParamType):
    """An amount of memory, like 2GB."""

    name = "SIZE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the number of bytes."""
        found = re.fullmatch(r"([0-9.]+) ?([kmgt]?)i?b?", str(value).lower())
        try:
            return int(float(found[1]) * _UNITS[found[2]]) if found else self._refuse(value, param, ctx)
        except ValueError:
            return self._refuse(value, param, ctx)

    def _refuse(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        self.fail(f"{value!r}; allowed are amounts like 500MB and 2GB", param, ctx)


class Bands(click.ParamType):
    """Numbers of bands, like 4,3,2,8."""

    name = "BANDS"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        """Return the numbers."""
        if isinstance(value, tuple):
            return value
        if not re.fullmatch(r"[1-9]\d*(,[1-9]\d*)*", value):
            self.fail(f"{value!r}; allowed are numbers from 1 on, like 4,3,2", param, ctx)
        return tuple(map(int, value.split(",")))


class SmoothChoice(click.Choice[str]):
    """One of some words, or a radius in pixels."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the word, or the radius as it is spelled."""
        if re.fullmatch(r"\d+ ?px", str(value), re.IGNORECASE):
            from segment.photo.smooth import smoothing_of

            try:
                smoothing_of(value)
            except SegmentError as error:
                self.fail(str(error), param, ctx)
            return str(value).lower().replace(" ", "")
        return super().convert(value, param, ctx)


tile_options = options_of(
    click.option(
        "--memory",
        type=Memory(),
        help="Memory that reading by tiles may take, about; photos that would take more as a whole are read "
        "so.  [default: half of what is free]",
    ),
    click.option(
        "--level",
        type=click.IntRange(min=0),
        metavar="L",
        help="Level of a pyramid to read; 0 is the largest.  [default: 0]",
    ),
    click.option("--bands", type=Bands(), metavar="A,B,C", help="Bands to cluster, the first is 1."),
    click.option(
        "--nodata",
        type=float,
        metavar="V",
        help="Pixels with this value in all bands count nothing (nan: in any).  [default: the file's own]",
    ),
    click.option(
        "--bad-tiles",
        type=click.Choice(BAD_TILES, case_sensitive=False),
        help="What a tile that is missing, cut off or damaged leads to: refuse, an error; mask, its pixels "
        "count nothing.  [default: refuse]",
    ),
    dask_option("Read by tiles, count and label"),
)


@dataclass(frozen=True)
class Tiled:
    """Which inputs are read by tiles, and what is done with them."""

    sources: frozenset[str]
    plan: Plan


def tiled_plan(
    ctx: click.Context, options: dict[str, Any], method: str, where: Where, plan: Plan, sources: list[str]
) -> Tiled:
    """Find the inputs that are read by tiles, and change the plan for them.

    Raises
    ------
    click.UsageError
        If options of theirs are given with another method, or outputs are asked for that they do not have.
    """
    given = [name for name in OPTIONS if options[name] is not None]
    if method != "colors":
        if given:
            raise click.UsageError(f"{spelled_option(ctx, given[0])} does not go with --method {method}")
        return Tiled(frozenset(), plan)
    found = frozenset(source for source in sources if _by_tiles(source, options))
    if not found:
        return Tiled(found, plan)
    try:
        kinds = parse_kinds(options["kinds"], TILED) if is_given(ctx, "kinds") else TILED_DEFAULT
    except SegmentError as error:
        raise click.BadParameter(f"{error} (as {min(found)} is)", param_hint="--save") from error
    if options["skip_existing"] and SIDECAR not in kinds:
        raise click.UsageError(f"--skip-existing needs what {SIDECAR} says: add it to --save")
    smooth = options["smooth"] if is_given(ctx, "smooth") else None
    asked = {name: options[name] for name in SELECTING if options[name] is not None}
    changed = to_plain({**plan.options, "smooth": smooth, "tiles": asked})
    return Tiled(
        found, replace(plan, kinds=kinds, options=changed, segment=_segmenter(options, where, smooth))
    )


def whole_kinds(text: str, method: str) -> tuple[str, ...]:
    """Return the outputs of photos that are not read by tiles: without those that only tiles have."""
    only_tiled = set(kinds_of(TILED)) - set(kinds_of("colors")) if method == "colors" else set()
    names = [name.strip().lower() for name in text.split(",")]
    left = [name for name in names if name not in only_tiled]
    return parse_kinds(",".join(left), method) if left or not names else ()


def _by_tiles(source: str, options: dict[str, Any]) -> bool:
    """Tell whether a photo is read by tiles: for its format, its size, or an option."""
    from segment.photo.read import BUNDLED, MAX_PIXELS, STDIN
    from segment.photo.tiles.sizes import is_tiled_format, n_pixels_of

    asked = any(options[name] is not None for name in ("dask", *SELECTING))
    if source == STDIN or source.startswith(BUNDLED):
        if asked:
            raise click.UsageError(f"{source} is not read by tiles, as the options ask for: give a file")
        return False
    if asked or is_tiled_format(source):
        return True
    if options["memory"] is None and not options["allow_large"]:
        return n_pixels_of(source, tiff_only=True) > MAX_PIXELS
    n_pixels = n_pixels_of(source)
    return n_pixels > MAX_PIXELS or _WHOLE_BYTES * n_pixels > (options["memory"] or float("inf"))


def _segmenter(
    options: dict[str, Any], where: Where, smooth: str | None
) -> Callable[[str, Stopwatch], Segmentation]:
    """Return what reads and segments a photo by its tiles."""
    names = ("n_components", "covariance_type", "color_space", "n_init")

    def segment(source: str, watch: Stopwatch) -> Segmentation:
        from segment.photo.model import PhotoModel
        from segment.photo.tiles.fit import segment_tiles
        from segment.photo.tiles.photo import Selection

        announce_compilation(options["quiet"])
        asked: dict[str, Any] = {name: options[name] for name in SELECTING if options[name] is not None}
        return segment_tiles(
            source,
            selection=Selection(where=where, **asked),
            model=PhotoModel.load(options["model_path"]) if options["model_path"] else None,
            fitting={name: options[name] for name in names},
            smooth=smooth,
            memory=options["memory"],
            folder=options["output"],
            random_state=options["seed"],
            n_jobs=options["jobs"],
            client=options["client"],
            notify=_teller(options["quiet"]),
        )

    return segment


def _teller(quiet: bool) -> Callable[[str, int, int], None]:
    """Return what shows how much of a step is done, and the time left."""
    began: dict[str, float] = {}

    def tell(step: str, done: int, total: int) -> None:
        if quiet:
            return
        passed = monotonic() - began.setdefault(step, monotonic())
        if not done:
            live_line.show(f"{step} ...")
            return
        left = passed * (total - done) / done
        time = f", {left:.0f} s left" if left < 100 else f", {left / 60:.0f} min left"
        live_line.show(f"{step} {done / total:.0%}{time if passed > 2 else ''}")

    return tell
