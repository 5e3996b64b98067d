"""Regions against people on BSDS500 (validation split): ours, the peers, what each ingredient is worth."""

import argparse
import os
import pickle
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from page import table, write_section
from published import BOUNDARY, REGIONS, cited, published, sentence

from segment.mixture import Samples, assign, fit_mixture
from segment.photo.evaluation import (
    ContingencyTable,
    RegionScores,
    ScaleScores,
    boundary_counts,
    bsds500_names,
    hierarchy_scores,
    load_bsds500_image,
    region_scores,
    summarize_boundaries,
    summarize_regions,
)
from segment.photo.photo import Photo
from segment.photo.regions.hierarchy import find_region_tree
from segment.photo.regions.sizes import to_lab

# The same number of scales for everybody; what other parameters a method has are its usual ones, or where
# these did badly (mean shift, quickshift) the best of a few on 25 photos of the train split.
N_SCALES = 8
BOUNDARY_SCALES = np.linspace(0.05, 0.4, 8)
# A hierarchy is scored at any number of scales for nothing; the code of BSDS500 takes 99 thresholds.
MANY_SCALES = 99


def felzenszwalb(image: np.ndarray, scale: float) -> np.ndarray:
    from skimage.segmentation import felzenszwalb as method

    return method(image, scale=scale, sigma=0.8, min_size=int(0.5 * scale) + 20)


def slic(image: np.ndarray, n_segments: float) -> np.ndarray:
    from skimage.segmentation import slic as method

    return method(image, n_segments=round(n_segments), compactness=20, start_label=0)


def quickshift(image: np.ndarray, kernel_size: float) -> np.ndarray:
    """At a quarter of the size: half size takes six times as long and scores less (train split)."""
    from skimage.segmentation import quickshift as method

    options = {"kernel_size": kernel_size, "max_dist": 10 * kernel_size, "ratio": 1.0}
    label_map = method(image[::4, ::4], **options, rng=0)
    full = np.repeat(np.repeat(label_map, 4, axis=0), 4, axis=1)
    return connected(full[: image.shape[0], : image.shape[1]], 100)


def mean_shift(image: np.ndarray, radius: float) -> np.ndarray:
    """Filter, then join neighboring pixels that differ by at most 3 in every band."""
    import cv2
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    shifted = cv2.pyrMeanShiftFiltering(image, 12, radius, maxLevel=2).astype(np.int16)
    index = np.arange(shifted[..., 0].size).reshape(shifted.shape[:2])
    pairs = []
    for axis in (0, 1):
        alike = (np.abs(np.diff(shifted, axis=axis)) <= 3).all(axis=2)
        n = index.shape[axis]
        before, after = index.take(range(n - 1), axis), index.take(range(1, n), axis)
        pairs.append((before[alike], after[alike]))
    ends = tuple(np.concatenate(side) for side in zip(*pairs, strict=True))
    links = coo_matrix((np.ones(len(ends[0]), dtype=bool), ends), (index.size, index.size))
    return connected(connected_components(links)[1].reshape(index.shape), 200)


def kmeans(image: np.ndarray, n_clusters: float) -> np.ndarray:
    from sklearn.cluster import KMeans

    X = _smooth_lab(image)
    rows = np.random.default_rng(0).choice(len(X), 5000)
    fitted = KMeans(round(n_clusters), n_init=1, random_state=0).fit(X[rows])
    return connected(fitted.predict(X).reshape(image.shape[:2]), 400)


def plain_mixture(image: np.ndarray, n_components: float) -> np.ndarray:
    X = _smooth_lab(image)
    samples = Samples.of(X[np.random.default_rng(0).choice(len(X), 5000)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitted = fit_mixture(samples, round(n_components), init="kmeans", relative_reg=3e-3, n_jobs=1)
    return connected(assign(X, fitted.parameters, n_jobs=1).reshape(image.shape[:2]), 400)


def _smooth_lab(image: np.ndarray) -> np.ndarray:
    from scipy.ndimage import gaussian_filter

    return gaussian_filter(to_lab(Photo.of(image)), (2, 2, 0)).reshape(-1, 3).astype(np.float64)


def connected(labels: np.ndarray, smallest: int) -> np.ndarray:
    """Split labels into connected regions; those too small join the neighbor they touch first."""
    from scipy.ndimage import distance_transform_edt
    from skimage.measure import label

    regions = label(labels, background=-1, connectivity=1)
    kept = np.bincount(regions.ravel())[regions] >= smallest
    if not kept.any():
        return np.zeros_like(regions)
    nearest = distance_transform_edt(~kept, return_distances=False, return_indices=True)
    return np.unique(regions[tuple(nearest)], return_inverse=True)[1].reshape(regions.shape)


PEERS: dict[str, tuple[Callable[[np.ndarray, float], np.ndarray], np.ndarray]] = {
    "scikit-image felzenszwalb": (felzenszwalb, np.geomspace(50, 3000, N_SCALES)),
    "OpenCV mean shift": (mean_shift, np.linspace(8, 64, N_SCALES)),
    "scikit-image quickshift, quarter size": (quickshift, np.geomspace(2, 20, N_SCALES)),
    "scikit-image slic": (slic, np.unique(np.geomspace(2, 150, N_SCALES).round())),
    "scikit-learn k-means of Lab": (kmeans, np.unique(np.geomspace(2, 24, N_SCALES).round())),
    "plain mixture of Lab": (plain_mixture, np.unique(np.geomspace(2, 24, N_SCALES).round())),
}


def score_peer(name: str, method: str) -> tuple[list[RegionScores], float]:
    annotated = load_bsds500_image("val", name)
    segment, scales = PEERS[method]
    started = time.process_time()
    label_maps = [segment(annotated.image, scale) for scale in scales]
    seconds = (time.process_time() - started) / len(scales)
    return [region_scores(label_map, annotated.annotations) for label_map in label_maps], seconds


def score_all(pool: ProcessPoolExecutor, method: str, names: list[str]) -> list:
    return list(pool.map(partial(score_peer, method=method), names))


def kept(compute: Callable[[], Any], folder: Path | None, name: str) -> Any:
    """Compute once; later runs read what the first one left in the folder."""
    path = folder / f"{name}.pickle" if folder else None
    if path and path.exists():
        return pickle.loads(path.read_bytes())
    value = compute()
    if path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(pickle.dumps(value))
    return value


def grow_ours(name: str) -> tuple[Any, ContingencyTable, float]:
    annotated = load_bsds500_image("val", name)
    started = time.process_time()
    tree = find_region_tree(annotated.image, n_jobs=1)
    return tree, ContingencyTable.of(tree.leaves, annotated.annotations), time.process_time() - started


def score_boundaries(job: tuple[str, Any]) -> list[tuple[int, ...]]:
    name, tree = job
    annotations = load_bsds500_image("val", name).annotations
    return [boundary_counts(tree.cut(scale=scale), annotations) for scale in BOUNDARY_SCALES]


def row(name: str, scores: dict[str, ScaleScores], *more: str) -> list[str]:
    cells = [f"{scores[key][i]:.3f}" for key in ("covering", "rand_index", "variation") for i in (0, 1)]
    return [name, *cells, *more]


def on_the_other_half(scores: np.ndarray) -> list[str]:
    """Choose the scale for each metric on every second image, score the others; and the other way round."""
    found = []
    for chosen, scored in ((scores[::2], scores[1::2]), (scores[1::2], scores[::2])):
        best = {key: score.scale for key, score in summarize_regions(chosen).items()}
        found.append([summarize_regions(scored[:, [scale]])[key].ods for key, scale in best.items()])
    return [" / ".join(f"{half[i]:.3f}" for half in found) for i in range(3)]


def evaluate_ours(names: list[str], pool: ProcessPoolExecutor) -> tuple[list, dict[int, np.ndarray], float]:
    """Return the trees, scores by number of scales, and CPU seconds an image."""
    grown = list(pool.map(grow_ours, names))
    levels = np.concatenate([tree.levels[-100:] for tree, _, _ in grown])
    scales = {n: np.quantile(levels, np.linspace(0.3, 1, n)) for n in (N_SCALES, MANY_SCALES)}
    scores = {
        n: np.array([hierarchy_scores(t, tree.merges, tree.levels, some) for tree, t, _ in grown])
        for n, some in scales.items()
    }
    return [tree for tree, _, _ in grown], scores, float(np.mean([s for *_, s in grown]))


def time_one(name: str, rounds: int = 5) -> float:
    image = load_bsds500_image("val", name).image
    find_region_tree(image)
    seconds = []
    for _ in range(rounds):
        started = time.perf_counter()
        find_region_tree(image)
        seconds.append(time.perf_counter() - started)
    return float(np.median(seconds))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=100, help="images of the validation split")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--cache", type=Path, help="folder that keeps the peers' scores between runs")
    parser.add_argument("--skip-peers", action="store_true", help="print our scores only; the page stays")
    options = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    names = bsds500_names("val")[: options.images]
    with ProcessPoolExecutor(options.processes) as pool:
        trees, scores, seconds = evaluate_ours(names, pool)
        rows = [
            row(f"**segment regions**, {n} scales", summarize_regions(some), f"{seconds:.2f}")
            for n, some in scores.items()
        ]
        for line in rows:
            print(*line, flush=True)
        halves = on_the_other_half(scores[MANY_SCALES])
        print("scale chosen on the other half:", *halves, flush=True)
        if options.skip_peers:
            return 0
        for method in PEERS:
            results = kept(partial(score_all, pool, method, names), options.cache, f"{method}-{len(names)}")
            peer = summarize_regions([scores for scores, _ in results])
            rows.append(row(method, peer, f"{np.mean([s for _, s in results]):.2f}"))
            print(*rows[-1], flush=True)
        jobs = list(zip(names, trees, strict=True))
        boundary = summarize_boundaries(list(pool.map(score_boundaries, jobs)))
    body = describe(rows, halves, boundary, len(names), time_one(names[0]))
    print(write_section("regions", "Regions, against people (BSDS500)", body))
    return 0


def describe(rows: list, halves: list[str], boundary: ScaleScores, n_images: int, seconds: float) -> str:
    header = (
        "method",
        "covering ODS",
        "OIS",
        "Rand index ODS",
        "OIS",
        "variation ODS",
        "OIS",
        "CPU s / image",
    )
    others = [(f"{row.method}, {row.data}, published", *row.figures, "") for row in published(REGIONS)]
    shown = [*rows, *others]
    return f"""
{n_images} images of the validation split, all annotators; the cost was learned from the train split.
Ours are hierarchies of two sizes, agreed on; what each ingredient is worth (below) is measured with one
hierarchy, at the photos' own size.
ODS: one scale for all images; OIS: the best scale of each. Covering and Rand index: more is better;
variation of information (bits): less is better. Every method is swept over {N_SCALES} values of its scale
(fewer where these are whole numbers); a hierarchy is also scored at {MANY_SCALES} cuts, as published
ones are.

{table(header, shown)}

Scale chosen on one half of the images and scored on the other, both ways: covering {halves[0]},
Rand index {halves[1]}, variation {halves[2]}.

Boundary F-measure: ODS {boundary.ods:.3f}, OIS {boundary.ois:.3f};
{sentence(BOUNDARY)}.

{cited(REGIONS, BOUNDARY)}

One 481 x 321 image, everything, all cores, kernels cached: {seconds:.2f} s (median).
"""
