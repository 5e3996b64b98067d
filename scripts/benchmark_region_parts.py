"""What each ingredient of the region hierarchy is worth: learned again without it, scored on validation."""

import argparse
import os
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import region_training as training
from benchmark_regions import N_SCALES, kept, row
from page import table, write_section

from segment.kernels.regions import merging as kernels
from segment.kernels.regions.merging import Graph
from segment.photo.evaluation import bsds500_names, hierarchy_scores, summarize_regions
from segment.photo.regions.cost import FEATURES, MergeCost
from segment.photo.regions.graph import add_prior, leaf_log_odds
from segment.photo.regions.hierarchy import to_probability


def having(*words: str) -> tuple[str, ...]:
    return tuple(name for name in FEATURES if any(word in name for word in words))


# The leaves stay as they are; the prior and the modes are learned again, so that nothing comes back by them.
PARTS = {
    "everything": (),
    "without color posteriors": having("color"),
    "without texture posteriors": having("texture"),
    "without both": having("color", "texture"),
    "without gradients of L, a, b": having("_light", "_tint"),
    "without gradients along the normal": having("normal_"),
    "without steps across the boundary": having("step_"),
    "without differences of the regions": ("color", "texture", "lab", "mean", "light"),
    "without shapes": having("compact", "box", "border", "elongation", "shared", "length"),
    "without prior": having("prior"),
    "without modes": having("modes"),
}


def learned(photos: list, without: tuple[str, ...], *, products: bool = True) -> MergeCost:
    fresh = [photo._replace(graph=Graph(*(part.copy() for part in photo.graph))) for photo in photos]
    return training.learn(fresh, len(photos), without, products=products)


def score(photos: list, cost: MergeCost) -> dict:
    """Merge every photo of the validation split by the cost."""
    trees = []
    for photo in photos:
        graph = Graph(*(part.copy() for part in photo.graph))
        n = len(graph.regions)
        merges, costs = np.empty((n - 1, 2), dtype=np.int64), np.empty(n - 1)
        add_prior(graph, to_probability(leaf_log_odds(graph, cost.leaf)))
        kernels.merge_until(graph, cost.merge, n, 1, merges, costs)
        trees.append((photo.table, merges, np.maximum.accumulate(costs)))
    levels = np.concatenate([levels[-100:] for *_, levels in trees])
    scales = np.unique(np.quantile(levels, np.linspace(0.3, 1, 4 * N_SCALES)))
    return summarize_regions([hierarchy_scores(*tree, scales) for tree in trees])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=200, help="photos of the train split to learn from")
    parser.add_argument("--cache", type=Path, help="folder that keeps the measured graphs between runs")
    options = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    names = bsds500_names("train")[: options.images]
    # A table of differences needs no last percent.
    training.SEEDS, training.ROUNDS, training.ROWS, training.STEPS = (0,), 2, 150_000, 60
    photos = kept(lambda: training.measure_all(names, None), options.cache, f"train-{len(names)}")
    validation = kept(measure_validation, options.cache, "validation")
    rows = []
    for name, without in PARTS.items():
        rows.append(row(name, score(validation, learned(photos, without))))
        print(*rows[-1], flush=True)
    rows.append(row("a linear cost (no products)", score(validation, learned(photos, (), products=False))))
    body = f"""
Learned again from {len(names)} photos of the train split without the features named (shorter: one seed
of the mixtures, {training.ROUNDS} rounds of merging), scored on all images of the validation split. The
leaves are the same throughout.

{table(("ingredients", "covering ODS", "OIS", "Rand index ODS", "OIS", "variation ODS", "OIS"), rows)}
"""
    print(write_section("region_parts", "Regions: what each ingredient is worth", body))
    return 0


def measure_validation() -> list[training.Measured]:
    with ProcessPoolExecutor(2) as pool:
        return list(
            pool.map(partial(training.measure, seed=0, split="val"), bsds500_names("val"), chunksize=5)
        )
