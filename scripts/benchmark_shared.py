"""Photos that share one mixture: seconds a photo, and the log-likelihood of the pooled fit."""

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from benchmark_photo import Run
from page import table, write_section

from segment.datasets import dataset_folder
from segment.mixture import Samples
from segment.mixture.expectation import log_likelihood
from segment.photo import read_photo
from segment.photo.colors import to_features
from segment.photo.evaluation import bsds500_names
from segment.photo.model import PhotoModel

N_PHOTOS, N_COMPONENTS = 200, 12
TARGET, TOLERANCE = 0.25, 1e-9


def pooled_log_likelihood(paths: list[Path], model: PhotoModel) -> float:
    """Return the log-likelihood of all pixels of all photos, none of them gathered by color."""
    total = 0.0
    for path in paths:
        pixels = read_photo(path).pixels.reshape(-1, 3)
        total += log_likelihood(Samples.of(to_features(pixels, model.color_space)), model.parameters)
    return total


def main() -> None:
    folder = dataset_folder("bsds500") / "images" / "train"
    paths = [folder / f"{name}.jpg" for name in bsds500_names("train")[:N_PHOTOS]]
    with tempfile.TemporaryDirectory() as name:
        out = Path(name)
        # Kernels are compiled before anything is timed.
        Run(["photo", *paths[:2], "--shared", "-k", N_COMPONENTS, "-o", out / "first", "-q"])
        run = Run(["photo", *paths, "--shared", "-k", N_COMPONENTS, "-o", out / "all", "-q"])
        shared = json.loads((out / "all" / "shared.json").read_text())
        model = PhotoModel.load(out / "all" / "shared_model.npz")
        palettes = {
            tuple(
                color["hex"]
                for color in json.loads((out / "all" / f"{p.stem}_palette.json").read_text())["colors"]
            )
            for p in paths
        }
    pooled = pooled_log_likelihood(paths, model)
    off = abs(shared["log_likelihood"] / pooled - 1)
    rows: list[list[Any]] = [
        ["seconds a photo, whole run", f"{TARGET}", f"{run.wall / len(paths):.3f}"],
        ["CPU seconds a photo", "-", f"{run.cpu / len(paths):.3f}"],
        ["peak memory, MB", "-", f"{run.megabytes:.0f}"],
        ["different palettes among the photos", "1", len(palettes)],
        ["colors of the palette", N_COMPONENTS, len(shared["palette"])],
        ["log-likelihood against that of all pixels, relative", f"{TOLERANCE:g}", f"{off:.1e}"],
    ]
    note = (
        f"{len(paths)} photos of BSDS500 train, `--shared -k {N_COMPONENTS}`, default outputs: "
        f"{shared['n_pixels']:.0f} pixels, {shared['n_distinct_colors']} distinct colors, "
        f"{shared['n_iter']} iterations. One process, kernels cached; other work made the load "
        f"{os.getloadavg()[1]:.1f} meanwhile, on {os.cpu_count()} cores."
    )
    write_section(
        "shared", "One palette for many photos", note + "\n\n" + table(["what", "target", "found"], rows)
    )
