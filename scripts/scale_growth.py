"""Cost as work grows: rows, tasks a step, megapixels; tables, and a plot. The section "growth" of `scale`.

SCALE_SMALL=1 takes a sixty-fourth of the rows and photos of a few megapixels, to try the script.
"""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from benchmark_scale_photo import K, make_photo
from environment import ROOT
from page import table

import segment.data.dask as cluster
from segment import open_samples
from segment.data.source import Source
from segment.mixture.families.gaussian.parameters import Parameters
from segment.photo.tiles.fit import segment_tiles

SMALL = bool(os.environ.get("SCALE_SMALL"))
ROWS = [2**exponent for exponent in ((14, 16, 18, 20) if SMALL else (20, 22, 24, 26))]
# Of this many rows, a step is cut into more and more tasks.
CUT_ROWS = ROWS[2]
TASKS = (8, 16, 64, 256, 1024)
MEGAPIXELS = (1, 2, 4) if SMALL else (24, 100, 400, 1000)
WORKERS = (1, 2)

# Seconds of a step from a source, a start and a number of threads.
Step = Callable[[Source, Parameters, int | None], float]


def rows_and_tasks(
    rows_of: Any, start_of: Any, step: Step
) -> tuple[dict[tuple[str, int], float], dict[int, float]]:
    """Time steps on more and more rows by threads and workers, and on some in more and more tasks."""
    found, tasks = {}, {}
    with tempfile.TemporaryDirectory() as name:
        X = rows_of(ROWS[-1], 3, K)
        start = start_of(X, K)
        for n in ROWS:
            np.save(Path(name) / f"{n}.npy", X[:n])
        del X
        for jobs in WORKERS:
            for n in ROWS:
                label = f"{jobs} thread{'s' * (jobs > 1)}"
                found[label, n] = step(open_samples(Path(name) / f"{n}.npy"), start, jobs)
        for workers in WORKERS:
            with cluster.connected(f"local:{workers}") as client:
                label = f"Dask, {workers} process{'es' * (workers > 1)}"
                for n in ROWS:
                    found[label, n] = step(open_samples(Path(name) / f"{n}.npy", client=client), start, None)
                if workers == WORKERS[-1]:
                    tasks = _by_tasks(Path(name) / f"{CUT_ROWS}.npy", client, start, step)
    return found, tasks


def _by_tasks(path: Path, client: Any, start: Parameters, step: Step) -> dict[int, float]:
    import segment.data.stored as stored

    found, each, size = {}, cluster._TASKS_EACH, stored._SPAN_BYTES
    stored._SPAN_BYTES = 2**17
    for count in TASKS:
        cluster._TASKS_EACH = count // WORKERS[-1]
        found[count] = step(open_samples(path, client=client), start, None)
    cluster._TASKS_EACH, stored._SPAN_BYTES = each, size
    return found


def photos() -> dict[tuple[int, int], dict[str, float]]:
    """Time both passes over JPEG-tiled photos by workers; by (workers, megapixels)."""
    found = {}
    with tempfile.TemporaryDirectory() as name:
        paths = {megapixels: Path(name) / f"{megapixels}.tif" for megapixels in MEGAPIXELS}
        for megapixels, path in paths.items():
            side = round(1000 * megapixels**0.5)
            make_photo(path, (side, side))
        for workers in WORKERS:
            with cluster.connected(f"local:{workers}") as client:
                # Workers load and compile what they need before anything is timed.
                _passes(paths[MEGAPIXELS[0]], client, name)
                for megapixels, path in paths.items():
                    found[workers, megapixels] = _passes(path, client, name)
    return found


def _passes(path: Path, client: Any, folder: str) -> dict[str, float]:
    options: dict[str, Any] = {
        "fitting": {"n_components": K, "n_init": 4},
        "smooth": "none",
        "folder": folder,
    }
    with segment_tiles(path, client=client, **options) as done:
        return dict(done.seconds)


def growth(rows_of: Any, start_of: Any, step: Step) -> str:
    """Measure everything, draw it, and return the text."""
    found, tasks = rows_and_tasks(rows_of, start_of, step)
    seen = photos()
    _plot(found, tasks, seen)
    who = list(dict.fromkeys(name for name, _ in found))
    lines = [[_rows(n), *(f"{found[name, n]:.4f}" for name in who)] for n in ROWS]
    header = [f"{step}, {w} worker{'s' * (w > 1)}" for step in ("count", "label") for w in WORKERS]
    shown = [
        [f"{m:,}", *(f"{seen[w, m][step]:.1f}" for step in ("count", "label") for w in WORKERS)]
        for m in MEGAPIXELS
    ]
    return (
        f"Seconds of an E- and M-step, K = {K}, 3 features, full, from one .npy file:\n\n"
        + table(("rows", *who), lines)
        + f"\n\n{_rows(CUT_ROWS)} rows on two processes, cut into more and more tasks a step:\n\n"
        + table(("tasks", "seconds a step"), [[count, f"{seconds:.4f}"] for count, seconds in tasks.items()])
        + "\n\nSeconds of the two passes over a JPEG-tiled BigTIFF on Dask, 8-bit colors, not smoothed; the "
        "fit between them does not grow with the photo:\n\n"
        + table(("megapixels", *header), shown)
        + "\n\n![Seconds against rows, tasks and megapixels](gallery/scale.png)"
    )


def _rows(n: int) -> str:
    return f"{n // 2**20} Mi" if n >= 2**20 else f"{n // 2**10} Ki"


def _plot(
    found: dict[tuple[str, int], float],
    tasks: dict[int, float],
    seen: dict[tuple[int, int], dict[str, float]],
) -> None:
    from segment.style import COLORS, new_figure, save_figure

    figure = new_figure(10.5, 3.4)
    rows, cuts, pixels = figure.subplots(1, 3)
    for color, who in zip(COLORS, dict.fromkeys(name for name, _ in found), strict=False):
        rows.plot(ROWS, [found[who, n] for n in ROWS], "o-", color=color, label=who)
    rows.set(xscale="log", yscale="log", xlabel="rows", ylabel="seconds a step", title="More rows")
    cuts.plot(list(tasks), list(tasks.values()), "o-", color=COLORS[0])
    cuts.set(xscale="log", xlabel="tasks a step", ylabel="seconds a step", ylim=(0, None))
    cuts.set_title(f"{_rows(CUT_ROWS)} rows in more tasks, 2 processes")
    cuts.set_xticks(TASKS, [str(count) for count in TASKS])
    cuts.minorticks_off()
    for color, workers in zip(COLORS, WORKERS, strict=False):
        seconds = [seen[workers, m]["count"] + seen[workers, m]["label"] for m in MEGAPIXELS]
        label = f"{workers} worker{'s' * (workers > 1)}"
        pixels.plot(MEGAPIXELS, seconds, "o-", color=color, label=label)
    pixels.set(xlabel="megapixels", ylabel="seconds of both passes", ylim=(0, None), title="Larger photos")
    for axes in (rows, pixels):
        axes.legend(fontsize=8)
    save_figure(figure, ROOT / "docs" / "gallery" / "scale.png")
