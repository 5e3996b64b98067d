"""Photos of any size: seconds and memory as they grow, the same labels as whole, rare colors, faults.

Each piece runs in a process of its own (`--piece NAME` runs one), so that memory is counted for it alone.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from environment import ROOT
from page import peak_memory, table, write_section
from PIL import Image

from segment.data.samples import Samples
from segment.datasets import data_folder
from segment.errors import SegmentError
from segment.photo import read_photo, segment_photo
from segment.photo.colors import to_features
from segment.photo.fit import fit_colors
from segment.photo.outputs.files import write_outputs
from segment.photo.tiles.fit import segment_tiles

# Megapixels, rows, columns.
SIZES = {24: (4000, 6000), 100: (10_000, 10_000), 400: (20_000, 20_000), 1000: (31_250, 32_000)}
THREADS = (1, 2)
TILE = 512
K = 8
MEMORY = 1_000_000_000
KINDS = ("labels", "areas", "overview", "palette")

# A color on 0.01 % of the photo: a square of this side in 100 megapixels.
RARE, RARE_SIDE = (255, 0, 255), 100
COMMON = ((236, 232, 228), (206, 150, 170), (120, 80, 140), (60, 40, 90))
SAMPLES = (10_000, 1_000_000)


def mosaic(shape: tuple[int, int], seed: int = 0) -> Iterator[np.ndarray]:
    """Tiles of photos of BSDS500, enlarged, each a little brighter or darker, with noise."""
    rng = np.random.default_rng(seed)
    files = sorted((data_folder() / "bsds500").rglob("*.jpg"))
    patches = []
    for path in rng.choice(np.array(files), 60, replace=False):
        with Image.open(path) as image:
            patches.append(
                np.asarray(image.convert("RGB").resize((TILE * 2, TILE * 2), Image.Resampling.BICUBIC))
            )
    noise = rng.normal(0, 3, (2 * TILE, 2 * TILE, 3)).astype(np.float32)
    for _ in range(-(-shape[0] // TILE) * -(-shape[1] // TILE)):
        patch, (y, x, v, u) = patches[rng.integers(len(patches))], rng.integers(0, TILE, 4)
        tile = patch[y : y + TILE, x : x + TILE] + noise[v : v + TILE, u : u + TILE]
        yield np.clip(np.rint(tile + np.float32(rng.normal(0, 8))), 0, 255).astype(np.uint8)


def make_photo(path: Path, shape: tuple[int, int]) -> None:
    """Write a JPEG-tiled BigTIFF, colors as JPEG has them."""
    tifffile.imwrite(
        path,
        mosaic(shape),
        shape=(*shape, 3),
        dtype=np.uint8,
        tile=(TILE, TILE),
        bigtiff=True,
        photometric="rgb",
        subsampling=(2, 2),
        compression="jpeg",
        compressionargs={"level": 85},
        maxworkers=2,
        metadata=None,
    )


def photo_of(folder: Path, megapixels: int) -> Path:
    path = folder / f"{megapixels}.tif"
    if not path.exists():
        make_photo(folder / "new.tif", SIZES[megapixels])
        (folder / "new.tif").rename(path)
    return path


# --- pieces -------------------------------------------------------------------------------------------


def grow(folder: Path, megapixels: int, threads: int) -> dict[str, Any]:
    """Count, fit, label and write a photo; return seconds, and the peak of this process in megabytes."""
    path = photo_of(folder, megapixels)
    out = folder / f"out_{megapixels}"
    start = time.perf_counter()
    options: dict[str, Any] = {
        "fitting": {"n_components": K},
        "memory": MEMORY,
        "n_jobs": threads,
        "folder": folder,
    }
    with segment_tiles(path, smooth="none", **options) as found:
        write_outputs(found, out / "photo", KINDS)
    seconds = time.perf_counter() - start
    shutil.rmtree(out)
    return {
        "seconds": seconds,
        "steps": found.seconds,
        "peak": peak_memory(),
        "threads": found.n_threads,
        "colors": found.n_distinct_colors,
        "file": path.stat().st_size,
    }


def same(folder: Path, smooth: str) -> dict[str, Any]:
    """Compare the labels of a photo of 24 megapixels, read by tiles and as a whole."""
    path = photo_of(folder, 24)
    start = time.perf_counter()
    whole = segment_photo(read_photo(path), n_components=K, smooth=smooth)
    middle = time.perf_counter()
    with segment_tiles(path, fitting={"n_components": K}, smooth=smooth, memory=MEMORY) as found:
        labels = found.store.labels(0, found.photo.shape[0])
    return {
        "equal": labels.tobytes() == whole.label_map.tobytes(),
        "log_likelihood": whole.log_likelihood == found.log_likelihood,
        "labels": int(labels.max()) + 1,
        "whole": middle - start,
        "tiled": time.perf_counter() - middle,
    }


def rare(folder: Path, share: float) -> dict[str, Any]:
    """Look for a color on a share of 210 megapixels, in all pixels and in samples of them."""
    path, shape = folder / "rare.npy", (15_000, 14_000)
    rng = np.random.default_rng(0)
    image = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=(*shape, 3))
    rows = 500
    for start in range(0, shape[0], rows):
        which = rng.choice(len(COMMON), (rows, shape[1]), p=(0.5, 0.25, 0.15, 0.1))
        noise = rng.normal(0, 6, (rows, shape[1], 3)).astype(np.float32)
        image[start : start + rows] = np.clip(np.rint(np.array(COMMON)[which] + noise), 0, 255)
    side = round(np.sqrt(share * shape[0] * shape[1]))
    spot = np.clip(np.rint(np.array(RARE) + rng.normal(0, 6, (side, side, 3))), 0, 255)
    image[5000 : 5000 + side, 7000 : 7000 + side] = spot
    flat = image.reshape(-1, 3)
    found = {}
    for size in SAMPLES:
        sample = flat[np.sort(rng.choice(len(flat), size, replace=False))]
        values, counts = np.unique(sample, axis=0, return_counts=True)
        samples = Samples.of(to_features(values, "lab"), counts.astype(float))
        means = fit_colors(samples, "lab", n_components=5)[0].parameters.means
        found[str(size)] = _distance(means)
    with segment_tiles(path, fitting={"n_components": 5}, smooth="none", memory=MEMORY) as result:
        found["all"] = _distance(result.parameters.means)
        spotted = result.store.labels(5000, 5000 + side)[:, 7000 : 7000 + side]
        label = int(np.bincount(spotted.ravel()).argmax())
        pixels = int(result.counts[label])
    path.unlink()
    return {"share": share, "pixels": side * side, "labeled": pixels, "distance": found}


def _distance(means: np.ndarray) -> float:
    """Distance in Lab of the rare color from the closest mean."""
    target = to_features(np.array([RARE], dtype=np.uint8), "lab")
    return float(np.sqrt(np.square(means - target).sum(axis=1)).min())


def fault(folder: Path, name: str) -> dict[str, Any]:
    """Break something; return what is said, and which files are left."""
    source = folder / "fault.tif"
    shutil.copy(photo_of(folder, 24), source)
    out = folder / "fault"
    shutil.rmtree(out, ignore_errors=True)
    FAULTS[name](source)

    def notify(step: str, done: int, total: int) -> None:
        if name == "file changed between the passes" and step == "fit":
            os.utime(source)

    options: dict[str, Any] = {"fitting": {"n_components": K}, "memory": MEMORY, "notify": notify}
    said = "nothing"
    try:
        with segment_tiles(source, smooth="none", folder=out, **options) as found:
            write_outputs(found, out / "photo", KINDS)
    except SegmentError as error:
        said = str(error).replace(str(folder) + os.sep, "")
    left = sorted(path.name for path in out.iterdir()) if out.exists() else []
    shutil.rmtree(out, ignore_errors=True)
    source.unlink()
    return {"fault": name, "said": said, "left": left}


def _fill_disk(source: Path) -> None:
    """Let files grow to 20 MB and no further, as on a full disk."""
    import resource
    import signal

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000_000, 20_000_000))


def _cut_off(source: Path) -> None:
    with tifffile.TiffFile(source) as file:
        last = max(file.pages[0].dataoffsets)
    os.truncate(source, last + 100)


def _overwrite(source: Path) -> None:
    with tifffile.TiffFile(source) as file:
        page = file.pages[0]
        place, size = page.dataoffsets[50], page.databytecounts[50]
    with open(source, "r+b") as stream:
        stream.seek(place + size // 2)
        stream.write(bytes(size - size // 2))


FAULTS: dict[str, Callable[[Path], None]] = {
    "full disk": _fill_disk,
    "file changed between the passes": lambda source: None,
    "last tile past the end of the file": _cut_off,
    "second half of a tile overwritten": _overwrite,
}

PIECES: dict[str, Callable[[Path], dict[str, Any]]] = {
    **{f"grow-{mp}-{n}": partial(grow, megapixels=mp, threads=n) for n in reversed(THREADS) for mp in SIZES},
    **{f"same-{smooth}": partial(same, smooth=smooth) for smooth in ("none", "light", "3px")},
    **{f"rare-{share:g}": partial(rare, share=share) for share in (1e-4, 1e-5, 1e-6)},
    **{f"fault-{number}": partial(fault, name=name) for number, name in enumerate(FAULTS)},
}


# --- the page -----------------------------------------------------------------------------------------


def growth_table(found: dict[str, Any]) -> str:
    rows = []
    for name in (name for name in PIECES if name.startswith("grow") and name in found):
        result, megapixels = found[name], int(name.split("-")[1])
        steps = [f"{result['steps'][step]:.1f}" for step in ("count", "fit", "label")]
        row = [f"{megapixels:,}", name.split("-")[2], f"{result['file'] / 1e6:.0f}", f"{result['colors']:,}"]
        row += [*steps, f"{result['seconds']:.1f}", f"{1000 * result['seconds'] / megapixels:.0f}"]
        rows.append([*row, f"{result['peak']:.0f}"])
    header = ["megapixels", "threads", "file, MB", "distinct colors", "count, s", "fit, s", "label, s"]
    return table([*header, "all, s", "ms a megapixel", "peak, MB"], rows)


def same_table(found: dict[str, Any]) -> str:
    rows = [
        [
            name.removeprefix("same-"),
            "yes" if result["equal"] else "NO",
            *(f"{result[key]:.1f}" for key in ("whole", "tiled")),
        ]
        for name, result in found.items()
        if name.startswith("same")
    ]
    return table(["smoothing", "labels byte for byte equal", "whole, s", "tiled, s"], rows)


def rare_table(found: dict[str, Any]) -> str:
    rows = []
    for name in (name for name in PIECES if name.startswith("rare") and name in found):
        result = found[name]
        cells = [
            ("found" if distance < 10 else "missed") + f" ({distance:.1f})"
            for distance in (result["distance"][key] for key in ("all", *map(str, reversed(SAMPLES))))
        ]
        rows.append(
            [f"{100 * result['share']:g} %", f"{result['pixels']:,}", *cells, f"{result['labeled']:,}"]
        )
    header = ["share", "its pixels", "all pixels", "a sample of 1,000,000", "a sample of 10,000"]
    return table([*header, "pixels with its label"], rows)


def fault_table(found: dict[str, Any]) -> str:
    results = [result for name, result in found.items() if name.startswith("fault")]
    rows = [[result["fault"], result["said"], ", ".join(result["left"]) or "nothing"] for result in results]
    return table(["fault", "what is said", "what is left"], rows)


def draw_growth(found: dict[str, Any]) -> Path:
    """Draw seconds and memory against megapixels."""
    from segment.style import COLORS, new_figure, save_figure

    figure = new_figure(7.2, 3.0)
    left, right = figure.subplots(1, 2)
    for color, n in zip(COLORS, THREADS, strict=False):
        sizes = [mp for mp in SIZES if f"grow-{mp}-{n}" in found]
        results = [found[f"grow-{mp}-{n}"] for mp in sizes]
        label = f"{n} thread{'s' if n > 1 else ''}"
        left.plot(sizes, [result["seconds"] for result in results], "o-", color=color, label=label)
        right.plot(sizes, [result["peak"] for result in results], "o-", color=color, label=label)
    for axes, name in ((left, "seconds"), (right, "peak memory, MB")):
        axes.set_xlabel("megapixels")
        axes.set_ylabel(name)
        axes.set_ylim(bottom=0)
        axes.legend()
    path = ROOT / "docs" / "gallery" / "scale_photo.png"
    save_figure(figure, path)
    return path


def body(found: dict[str, Any]) -> str:
    draw_growth(found)
    parts = (
        (
            f"A JPEG-tiled BigTIFF (tiles of {TILE}, 4:2:0, quality 85; photos of BSDS500, enlarged, with "
            f"noise), K = {K}, not smoothed; labels as BigTIFF with a pyramid, areas, overview, palette. "
            f"At most {MEMORY / 1e9:g} GB were allowed; each run is a process of its own.",
            growth_table,
        ),
        ("![Seconds and memory against megapixels](gallery/scale_photo.png)", lambda _: ""),
        ("24 megapixels, read by tiles and as a whole:", same_table),
        (
            "Four common colors and a rare one on 210 megapixels, K = 5: whether a mean lies within 10 in "
            "Lab of the rare color (its distance in brackets), fitted to all pixels by tiles and to "
            "random samples.",
            rare_table,
        ),
        ("Faults, on 24 megapixels:", fault_table),
    )
    return "\n\n".join(f"{text}\n\n{make(found)}".strip() for text, make in parts)


def main() -> int | None:
    parser = argparse.ArgumentParser(prog="scripts/benchmark scale_photo")
    parser.add_argument("--folder", type=Path, default=ROOT / "outputs" / "scale_photo")
    parser.add_argument("--piece", choices=PIECES, help="run this one, in this process")
    parser.add_argument("--only", help="run the pieces that begin so; those that were done before are kept")
    parser.add_argument("--keep", action="store_true", help="keep the photos that were made")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    for megapixels in SIZES:
        photo_of(options.folder, megapixels)
    results = options.folder / "results.json"
    if options.piece:
        print(json.dumps(PIECES[options.piece](options.folder)))
        return None
    found = json.loads(results.read_text()) if results.exists() else {}
    again = [
        sys.executable,
        "-c",
        "import benchmark_scale_photo as b; b.main()",
        "--folder",
        str(options.folder),
    ]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    # Kernels are compiled before anything is timed.
    grow(options.folder, 24, 2)
    for name in (name for name in PIECES if name.startswith(options.only or "") and name not in found):
        done = subprocess.run([*again, "--piece", name], capture_output=True, text=True, env=environment)
        if done.returncode:
            print(f"{name}: {done.stderr}", file=sys.stderr)
            return 1
        found[name] = json.loads(done.stdout.splitlines()[-1])
        print(name, found[name], flush=True)
        results.write_text(json.dumps(found))
    write_section("scale_photo", "Photos of any size", body({n: found[n] for n in PIECES if n in found}))
    if not options.keep:
        for path in options.folder.glob("*.tif"):
            path.unlink()
    return None
