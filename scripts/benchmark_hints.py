"""Classes by hints against OpenCV's GrabCut: covering and seconds on photos of BSDS500, drawn hints."""

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import cv2
import numpy as np
from page import ratio, table, write_section
from scipy.ndimage import binary_dilation, distance_transform_edt
from skimage.morphology import skeletonize

from segment.photo.evaluation import bsds500_names, load_bsds500_image
from segment.photo.hints import segmentation, superpixels
from segment.photo.hints.scribbles import Hints
from segment.photo.hints.segmentation import segment_hints
from segment.photo.regions.hierarchy import find_region_tree

N_PHOTOS, SEGMENTS, ITERATIONS = 20, 4, 5
# Of the skeleton of a segment, what lies deep within it and near one random point of it.
DEEP, NEAR = 0.4, 0.5
PALETTE = np.array([[255, 0, 0], [0, 0, 255], [0, 255, 0], [255, 255, 0]], dtype=np.uint8)

Task = tuple[np.ndarray, np.ndarray, np.ndarray]
Method = Callable[[np.ndarray, np.ndarray], np.ndarray]


def stroke(segment: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw a stroke of 3 pixels along the skeleton of a segment."""
    depth = distance_transform_edt(np.pad(segment, 1))[1:-1, 1:-1]
    y, x = np.nonzero(skeletonize(segment) & (depth >= DEEP * depth.max()))
    if len(y) == 0:
        y, x = np.nonzero(depth == depth.max())
    start = rng.integers(len(y))
    near = np.hypot(y - y[start], x - x[start]) <= NEAR * np.sqrt(segment.sum())
    out = np.zeros(segment.shape, dtype=bool)
    out[y[near], x[near]] = True
    return binary_dilation(out) & segment


def tasks(split: str, n_photos: int, n_classes: int) -> Iterator[Task]:
    """Yield photo, hints and truth: the largest segment and the rest, or the largest segments each."""
    names = bsds500_names(split)
    for number, name in enumerate(names[:: len(names) // n_photos][:n_photos]):
        photo = load_bsds500_image(split, name)
        drawn, rng = photo.annotations[0], np.random.default_rng(number)
        labels, areas = np.unique(drawn, return_counts=True)
        largest = labels[np.argsort(-areas, kind="stable")][:SEGMENTS]
        if len(largest) < min(n_classes, 2):
            continue
        hints = np.full(drawn.shape, -1, dtype=np.int32)
        truth = np.full(drawn.shape, 1 if n_classes == 2 else -1, dtype=np.int32)
        for k, label in enumerate(largest):
            number_of = min(k, n_classes - 1)
            hints[stroke(drawn == label, rng)] = number_of
            truth[drawn == label] = number_of
        yield photo.image, hints, truth


def covering(found: np.ndarray, truth: np.ndarray) -> float:
    """The overlap of each class with what was found of it, weighted by its area; -1 is not judged."""
    judged, score = truth >= 0, 0.0
    for k in range(int(truth.max()) + 1):
        wanted, got = truth == k, judged & (found == k)
        score += wanted.sum() * (wanted & got).sum() / max(int((wanted | got).sum()), 1)
    return float(score / judged.sum())


def ours(image: np.ndarray, hints: np.ndarray) -> np.ndarray:
    n = int(hints.max()) + 1
    given = Hints(hints, PALETTE[:n], tuple(map(str, range(n))))
    return segment_hints(image, given).label_map


def grabcut(image: np.ndarray, hints: np.ndarray) -> np.ndarray:
    """GrabCut; pixels without a hint are probable background at first."""
    mask = np.select([hints == 0, hints == 1], [cv2.GC_FGD, cv2.GC_BGD], cv2.GC_PR_BGD).astype(np.uint8)
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.setRNGSeed(0)
    cv2.grabCut(
        np.ascontiguousarray(image[:, :, ::-1]), mask, None, *models, ITERATIONS, cv2.GC_INIT_WITH_MASK
    )
    return np.where((mask == cv2.GC_FGD) | (mask == cv2.GC_PR_FGD), 0, 1)


METHODS: dict[str, Method] = {"segment": ours, "GrabCut": grabcut}


def measure(methods: dict[str, Method], found: Iterator[Task]) -> tuple[dict, dict]:
    scores: dict[str, list[float]] = {name: [] for name in methods}
    seconds: dict[str, list[float]] = {name: [] for name in methods}
    for image, hints, truth in found:
        for name, method in methods.items():
            start = time.perf_counter()
            labels = method(image, hints)
            seconds[name].append(time.perf_counter() - start)
            scores[name].append(covering(labels, truth))
        print(".", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return scores, seconds


def rows_of(scores: dict, seconds: dict) -> list[list[str]]:
    first = next(iter(scores))
    rows = []
    for name, values in scores.items():
        wins = sum(a > b for a, b in zip(scores[first], values, strict=True))
        rows.append(
            [
                name,
                f"{np.mean(values):.3f}",
                f"{np.median(values):.3f}",
                "" if name == first else f"{wins} of {len(values)}",
                f"{statistics.median(seconds[name]):.2f}",
                "" if name == first else ratio(seconds[name], seconds[first]),
            ]
        )
    return rows


@contextmanager
def changed(**constants: Any) -> Iterator[None]:
    """Set constants of the modules under test for a while: `_STEP=8`."""
    owners = {name: superpixels if hasattr(superpixels, name) else segmentation for name in constants}
    before = {name: getattr(owners[name], name) for name in constants}
    try:
        for name, value in constants.items():
            setattr(owners[name], name, value)
        yield
    finally:
        for name, value in before.items():
            setattr(owners[name], name, value)


def with_changed(**constants: Any) -> Method:
    def find(image: np.ndarray, hints: np.ndarray) -> np.ndarray:
        with changed(**constants):
            return ours(image, hints)

    return find


def on_leaves(image: np.ndarray, hints: np.ndarray) -> np.ndarray:
    """Walk among the leaves of the hierarchy of regions instead of superpixels."""
    with changed(_basins=lambda lab: find_region_tree(image).leaves):
        return ours(image, hints)


SETTINGS = (
    *(("_STEP", value) for value in (8, 14)),
    *(("_CONTRAST", value) for value in (7.0, 16.0)),
    *(("_ENDING", value) for value in (0.001, 0.02)),
    *(("_ROUNDS", value) for value in (0, 2)),
    *(("_SHARE", value) for value in (0.5, 2.0)),
)
VARIANTS: dict[str, Method] = {
    "as shipped": ours,
    **{f"{name} {value}": with_changed(**{name: value}) for name, value in SETTINGS},
    "leaves of the hierarchy": on_leaves,
}


def tune(n_photos: int) -> None:
    """Print what other settings score on the validation split, with two and with four classes."""
    header = ["", "mean", "median", "worse than shipped", "s", ""]
    for n_classes in (2, SEGMENTS):
        print(table(header, rows_of(*measure(VARIANTS, tasks("val", n_photos, n_classes)))), flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tune", action="store_true", help="print other settings on the validation split")
    parser.add_argument("--photos", type=int, default=N_PHOTOS)
    options = parser.parse_args()
    if options.tune:
        tune(options.photos)
        return 0
    next(iter(ours(image, hints) for image, hints, _ in tasks("train", 1, 2)))
    scores, seconds = measure(METHODS, tasks("train", options.photos, 2))
    header = ["method", "covering", "median", "segment is better on", "seconds a photo", "segment is faster"]
    many = rows_of(*measure({"segment": ours}, tasks("train", options.photos, SEGMENTS)))
    body = f"""
{len(scores["segment"])} photos of the train split of BSDS500; settings were chosen on the validation split
([decision](decisions/hints.md)). Hints are drawn by rule from the first annotator: a stroke of 3 pixels in
each of the {SEGMENTS} largest segments, along what lies deep in its skeleton ({DEEP:g} of the largest depth
or more) within {NEAR:g} times the root of its area from a random point of it (seed: the photo's number).
Covering: each class's overlap with what was found of it, weighted by its area.

Two classes, the largest segment and all the rest; GrabCut of OpenCV {cv2.__version__}, {ITERATIONS}
iterations, what has no hint probable background at first; default threads both:

{table(header, rows_of(scores, seconds))}

Four classes, the {SEGMENTS} largest segments, judged on these; GrabCut has two at most:

{table(["method", "covering", "median", "seconds a photo"], [[*row[:3], row[4]] for row in many])}
"""
    write_section("hints", "Classes by hints", body)
    return 0
