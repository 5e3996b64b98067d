"""Photos: whole runs of the program, the fit against scikit-learn on the same pixels, the choice of K."""

import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from benchmark_em import fit_sklearn
from page import in_turn, ratio, table, timed, write_section

from segment.mixture import Parameters, Samples, fit_em, initial_parameters
from segment.photo import Photo, read_photo, segment_photo
from segment.photo.colors import to_features
from segment.photo.distinct import distinct_colors

ROUNDS = 5
PHOTOS = ("astronaut", "coffee", "cat", "rocket")
SIZE, NOISE, QUALITY = (6000, 4000), 2.5, 92
N_COMPONENTS = 8

# scikit-learn gets every so-manieth pixel: all of them take minutes an iteration and 10 GB.
THINNED = 4

# Of the data's variance: too little to matter, enough to keep both programs from collapsed components.
RELATIVE_REG = 1e-5
TOL = 1e-5


def write_large_photo(path: Path) -> None:
    """Write a photo of 24 megapixels: coffee, enlarged by bicubic interpolation, with a sensor's noise."""
    from PIL import Image

    coffee = Image.fromarray(read_photo("skimage:coffee").pixels)
    large = np.asarray(coffee.resize(SIZE, Image.Resampling.BICUBIC)).astype(np.float32)
    large += np.random.default_rng(0).normal(0, NOISE, large.shape).astype(np.float32)
    Image.fromarray(np.clip(np.rint(large), 0, 255).astype(np.uint8)).save(path, quality=QUALITY)


def fit_peer(X: np.ndarray, start: Parameters, n_iter: int) -> Parameters:
    """scikit-learn with the regularization that ours has."""
    return fit_sklearn(X, start, n_iter, RELATIVE_REG * float(X.var(axis=0).mean()))


class Run:
    """One call of the program in a process of its own: what it took, what it said."""

    def __init__(
        self, arguments: Sequence[Any], *, cache: Path | None = None, one_core: bool = False
    ) -> None:
        command = [sys.executable, "-m", "segment", *map(str, arguments)]
        environment = os.environ | ({"NUMBA_CACHE_DIR": str(cache)} if cache else {})
        cores = os.sched_getaffinity(0)
        if one_core:
            os.sched_setaffinity(0, {min(cores)})
        start = time.perf_counter()
        with subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as child:
            os.sched_setaffinity(0, cores)
            assert child.stdout is not None
            output = child.stdout.read()
            _, status, usage = os.wait4(child.pid, 0)
            child.returncode = os.waitstatus_to_exitcode(status)
        self.wall = time.perf_counter() - start
        if child.returncode:
            raise RuntimeError(f"{' '.join(command)} failed")
        self.cpu = usage.ru_utime + usage.ru_stime
        self.megabytes = usage.ru_maxrss / 1024
        self.facts = json.loads(output) if "--json" in command else {}


def spread(values: Sequence[float]) -> str:
    return f"{statistics.median(values):.2f} [{min(values):.2f} - {max(values):.2f}]"


def whole_runs(photo: Path, folder: Path) -> str:
    """The table of whole processes, from file to files."""
    fixed = ("--force", "--json", "-q", "-o", folder / "out")
    one = ("--save", "segmented", *fixed)
    runs: dict[str, tuple[str, list[Any]]] = {
        "24 megapixels, -k 8 --smooth none, segmented only": (
            "2",
            ["photo", photo, "-k", 8, "--smooth", "none", *one],
        ),
        "24 megapixels, -k 8, segmented only": ("5", ["photo", photo, "-k", 8, *one]),
        "24 megapixels, K chosen, all default outputs": ("-", ["photo", photo, *fixed]),
        "astronaut (512 x 512), -k 5": ("1.2", ["photo", "skimage:astronaut", "-k", 5, *fixed]),
        "astronaut (512 x 512), K chosen": ("-", ["photo", "skimage:astronaut", *fixed]),
        "segment --help": ("0.3", ["--help"]),
    }
    for _, arguments in runs.values():
        Run(arguments)
    found: dict[str, list[Run]] = {name: [] for name in runs}
    for _ in range(ROUNDS):
        for name, (_, arguments) in runs.items():
            found[name].append(Run(arguments))
    rows = []
    for name, (target, _) in runs.items():
        taken = found[name]
        fits = [run.facts["seconds"]["fit"] for run in taken if run.facts]
        rows.append(
            [
                name,
                target,
                spread([run.wall for run in taken]),
                spread([run.cpu for run in taken]),
                spread(fits) if fits else "-",
                f"{max(run.megabytes for run in taken):.0f}",
            ]
        )
        print(*rows[-1], flush=True)
    header = ["run", "target, s", "wall, s", "CPU, s", "of it the fit, wall s", "peak MB"]
    return table(header, rows)


def steps(photo: Path, folder: Path) -> str:
    """Where the time of a large photo goes."""
    options = ("--save", "segmented", "--force", "--json", "-q", "-o", folder / "out")
    rows = []
    for smooth in ("none", "light"):
        facts = [Run(["photo", photo, "-k", 8, "--smooth", smooth, *options]).facts for _ in range(3)]
        rows.append(
            [smooth, *(f"{statistics.median(f['seconds'][name] for f in facts):.2f}" for name in _STEPS)]
        )
    return table(["--smooth", *_STEPS], rows)


_STEPS = ("read", "count", "fit", "label", "smooth", "write", "total")


def compilation(folder: Path) -> str:
    """Seconds that a first run takes on one core, beyond one whose kernels are cached."""
    arguments = ["photo", "skimage:astronaut", "-k", 5, "--force", "-q", "-o", folder / "out"]
    cold, warm = [], []
    for i in range(3):
        cache = folder / f"cache{i}"
        cold.append(Run(arguments, cache=cache, one_core=True))
        warm.append(Run(arguments, cache=cache, one_core=True))
    walls = [a.wall - b.wall for a, b in zip(cold, warm, strict=True)]
    times = [a.cpu - b.cpu for a, b in zip(cold, warm, strict=True)]
    return (
        f"Kernels of a photo, compiled on one core: wall {spread(walls)} s, CPU {spread(times)} s (target 6)."
    )


def against_sklearn(image: np.ndarray) -> str:
    """The fit to a large photo's colors and to all its pixels, from one start to one tolerance."""
    colors = distinct_colors(Photo.of(image))
    samples = Samples.of(to_features(colors.values, "lab").astype(np.float64), colors.weights)
    start = initial_parameters(samples, N_COMPONENTS, relative_reg=RELATIVE_REG)
    options: dict[str, Any] = {"tol": TOL, "relative_reg": RELATIVE_REG, "max_iter": 5000}
    plain = fit_em(samples, start, acceleration=None, **options)
    ours = fit_em(samples, start, **options)
    thinned = to_features(image.reshape(-1, 3)[::THINNED], "lab").astype(np.float64)

    def an_iteration() -> float:
        short = timed(lambda: fit_peer(thinned, start, 2))
        return THINNED * (timed(lambda: fit_peer(thinned, start, 4)) - short) / 2

    seconds = in_turn({"ours": lambda: _fit_seconds(image, start, options), "peer": an_iteration}, 3)
    peer = [plain.n_iter * s for s in seconds["peer"]]
    memory = {
        "segment": _megabytes(partial(_fit_seconds, image, start, options)),
        "scikit-learn": THINNED * _megabytes(partial(fit_peer, thinned, start, 2)),
    }
    rows = [
        [
            "segment (counting, conversion, EM)",
            ours.n_iter,
            spread(seconds["ours"]),
            "1",
            f"{ours.log_likelihood / samples.total_weight:.6f}",
            f"{memory['segment']:.0f}",
        ],
        [
            "scikit-learn",
            plain.n_iter,
            spread(peer),
            ratio(peer, seconds["ours"]),
            f"{plain.log_likelihood / samples.total_weight:.6f}",
            f"{memory['scikit-learn']:.0f}",
        ],
    ]
    header = ["program", "iterations", "seconds", "ratio", "log-likelihood a pixel", "MB beyond the photo"]
    note = (
        f"{image.shape[1]} x {image.shape[0]} pixels, {samples.n_samples} distinct colors, "
        f"K = {N_COMPONENTS}, full, Lab, tolerance {TOL:g}, one start for both. scikit-learn's seconds are "
        f"those of an iteration on every {THINNED}th pixel, times {THINNED}, times the iterations that plain "
        "EM needs (counted on the distinct colors, where it takes the same steps); its memory is that of the "
        f"thinned pixels, times {THINNED}."
    )
    return note + "\n\n" + table(header, rows)


def _fit_seconds(image: np.ndarray, start: Parameters, options: dict[str, Any]) -> float:
    def fit() -> None:
        colors = distinct_colors(Photo.of(image))
        fit_em(Samples.of(to_features(colors.values, "lab"), colors.weights), start, **options)

    return timed(fit)


def _megabytes(function: Callable[[], Any]) -> float:
    """Most memory that NumPy held at once while a function ran, beyond what it held before."""
    tracemalloc.start()
    function()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 2**20


def small_photos() -> str:
    """scikit-learn run to its end on all the pixels of the bundled photos, and what the choice of K costs."""
    rows = []
    for name in PHOTOS:
        photo = read_photo(f"skimage:{name}")
        pixels = to_features(photo.pixels.reshape(-1, 3), "lab").astype(np.float64)
        samples = Samples.of(pixels)
        start = initial_parameters(samples, 5, relative_reg=RELATIVE_REG)
        options: dict[str, Any] = {"tol": TOL, "relative_reg": RELATIVE_REG, "max_iter": 5000}
        plain = fit_em(samples, start, acceleration=None, **options)
        ours = fit_em(samples, start, **options)
        contestants = {
            "ours": partial(_fit_seconds, photo.pixels, start, options),
            "peer": partial(timed, partial(fit_peer, pixels, start, plain.n_iter)),
        }
        seconds = in_turn(contestants, 2)
        choose = partial(segment_photo, photo, smooth="none")
        chosen = [timed(choose) for _ in range(3)]
        fixed = [timed(partial(choose, n_components=5)) for _ in range(3)]
        K = choose().parameters.n_components
        gain = (ours.log_likelihood - plain.log_likelihood) / samples.total_weight
        rows.append(
            [
                name,
                spread(seconds["ours"]),
                spread(seconds["peer"]),
                ratio(seconds["peer"], seconds["ours"]),
                f"{gain:+.1e}",
                spread(fixed),
                f"{spread(chosen)}, K = {K}",
            ]
        )
        print(*rows[-1], flush=True)
    header = [
        "photo, K = 5",
        "segment, s",
        "scikit-learn, s",
        "ratio",
        "gain in log-likelihood a pixel",
        "start and fit, K = 5, s",
        "choice of K, start and fit, s",
    ]
    return table(header, rows)


def introduction(path: Path) -> str:
    megabytes = path.stat().st_size / 1e6
    return (
        f"The large photo is coffee from scikit-image, enlarged to {SIZE[0]} x {SIZE[1]}, with normal noise "
        f"of sd {NOISE}, and saved as JPEG of quality {QUALITY} ({megabytes:.1f} MB). Runs of the program "
        f"are whole processes with cached kernels; median [range] of {ROUNDS}."
    )


def main() -> None:
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = folder / "large.jpg"
        # In a process of its own: what this one holds would count as memory of those that it starts.
        maker = context.Process(target=write_large_photo, args=(path,))
        maker.start()
        maker.join()
        parts = [
            introduction(path),
            whole_runs(path, folder),
            "Where the time goes, seconds:",
            steps(path, folder),
            compilation(folder),
            "### The fit against scikit-learn on the same pixels",
            against_sklearn(read_photo(path).pixels),
            "Run to the end on all pixels of the bundled photos:",
            small_photos(),
        ]
    write_section("photo", "Photos", "\n\n".join(parts))
