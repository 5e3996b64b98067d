"""Learn the cost of a merge from the segmentations that people drew (train split of BSDS500 only).

1. Leaf model: does a boundary between two leaves run through what people kept together?
2. Merge model: the same question at every stage of merging. What it meets there depends on what merged
   before, so records are gathered under several policies: merge, record the arcs met, train on all records.

Targets are soft: the share of pixel pairs across an arc that the annotators keep apart. A cost that merges
the photos it was trained on would meet unrealistically pure regions; so two costs are trained, each on half
of the photos, and each merges the other half. They also give the cross-validated scores that settings were
chosen by. The shipped cost is trained on all records at the end.

The log odds are quadratic in the features, and photos are measured at their own size;
docs/decisions/merge-cost.md, leaf-evidence.md and region-sizes.md have what else was tried.
"""

import argparse
import pickle
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from environment import ROOT

from segment.kernels.regions import merging as kernels
from segment.kernels.regions.merging import Graph, Quadratic
from segment.output import json_text, write_text
from segment.photo.evaluation import (
    ContingencyTable,
    bsds500_names,
    hierarchy_scores,
    load_bsds500_image,
    summarize_regions,
)
from segment.photo.photo import Photo
from segment.photo.regions.channels import measure_channels
from segment.photo.regions.cost import FEATURES, MergeCost
from segment.photo.regions.graph import add_prior, build_graph, find_leaves, leaf_log_odds
from segment.photo.regions.hierarchy import to_probability
from segment.photo.regions.sizes import to_lab

SHIPPED = ROOT / "segment" / "photo" / "regions" / "merge_cost.json"

# Arcs are recorded when so many regions are left, at most about SAMPLED a stage.
STAGES = (600, 300, 180, 120, 90, 70, 55, 43, 34, 27, 21, 17, 13, 10, 8, 6, 5, 4, 3)
SAMPLED = 75
# Mixtures fitted from other seeds give other leaves: more to learn from in the same photos.
SEEDS: tuple[int, ...] = (0, 1, 2, 3)
# Stages around this many regions count most, falling off with the logarithm.
CENTER, WIDTH = 25, 1.2

# Records drawn by weight, steps of the optimizer, penalties on the products and on the features themselves.
ROUNDS = 3
ROWS, STEPS, BLOCK = 400_000, 120, 20_000
RIDGE, RIDGE_LINEAR = 1e-2, 1e-3

# Not known before the leaf model has spoken.
LATER = (
    "prior",
    "prior_spread",
    "modes4",
    "modes16",
    "prior_excess_small",
    "prior_excess_large",
    "n_regions",
    "leaves_small",
    "leaves_large",
)


# What tells photos apart rather than boundaries: with these, the merge model learns 200 photos by heart.
UNUSED = tuple(name for name in FEATURES if name.startswith(("row_", "off_center_", "L_", "a_", "b_")))


class Measured(NamedTuple):
    """A photo's graph before any merging, and its leaves against the annotators."""

    graph: Graph
    table: ContingencyTable


class Records(NamedTuple):
    """Arcs met: their features, soft targets, weights, and the photo each is from."""

    features: np.ndarray
    targets: np.ndarray
    weights: np.ndarray
    photos: np.ndarray

    def of_fold(self, fold: int) -> "Records":
        chosen = self.photos % 2 == fold
        return Records(*(part[chosen] for part in self))


def measure(name: str, seed: int, split: str = "train") -> Measured:
    annotated = load_bsds500_image(split, name)
    channels = measure_channels(to_lab(Photo.of(annotated.image)), random_state=seed, n_jobs=1)
    leaves = find_leaves(channels)
    return Measured(build_graph(channels, leaves), ContingencyTable.of(leaves, annotated.annotations))


def measure_all(names: list[str], cache: Path | None) -> list[Measured]:
    """Measure every photo under every seed; the photo of entry i is the one numbered i % len(names)."""
    stored = cache / f"graphs-{len(names)}.pickle" if cache else None
    if stored and stored.exists():
        return pickle.loads(stored.read_bytes())
    jobs = [(name, seed) for seed in SEEDS for name in names]
    with ProcessPoolExecutor(2) as pool:
        photos = list(pool.map(measure, *zip(*jobs, strict=True), chunksize=5))
    if stored:
        stored.parent.mkdir(parents=True, exist_ok=True)
        stored.write_bytes(pickle.dumps(photos))
    return photos


def targets_of(ends: np.ndarray, counts: np.ndarray, areas: np.ndarray, n_annotators: int) -> np.ndarray:
    share = counts / areas[:, None]
    together = np.einsum("es,es->e", share[ends[:, 0]], share[ends[:, 1]]) / n_annotators
    return np.clip(1 - together, 0, 1)


def features_of(graph: Graph, n_regions: int) -> np.ndarray:
    features = np.zeros((len(graph.ends), len(FEATURES)))
    kernels.arc_features(graph, n_regions, features)
    return features


def leaf_records(photos: list[Measured], n_photos: int) -> Records:
    parts = []
    for i, (graph, table) in enumerate(photos):
        length = graph.arcs[:, kernels.LENGTH]
        areas = graph.regions[:, kernels.AREA]
        parts.append(
            (
                features_of(graph, len(areas)).astype(np.float32),
                targets_of(graph.ends, table.counts, areas, len(table.starts)),
                length / length.sum(),
                np.full(len(length), i % n_photos),
            )
        )
    return joined([Records(*part) for part in parts])


def merge_records(photo: Measured, number: int, cost: Quadratic, rng: np.random.Generator) -> Records:
    """Merge by the cost, and record arcs at every stage."""
    graph = Graph(*(part.copy() for part in photo.graph))
    counts, areas = photo.table.counts.copy(), graph.regions[:, kernels.AREA]
    now = len(areas)
    merges, levels = np.empty((now, 2), dtype=np.int64), np.empty(now)
    parts = []
    for stage in STAGES:
        done = kernels.merge_until(graph, cost, now, min(stage, now), merges, levels)
        now -= done
        for kept, gone in merges[:done]:
            counts[kept] += counts[gone]
        share = min(1.0, SAMPLED / now)
        chosen = np.flatnonzero((graph.ends[:, 0] >= 0) & (rng.random(len(graph.ends)) < share))
        ends = graph.ends[chosen]
        smaller = areas[ends].min(axis=1) / (graph.size[0] * graph.size[1])
        importance = np.exp(-0.5 * (np.log(now / CENTER) / WIDTH) ** 2) + 0.02
        parts.append(
            (
                features_of(graph, now)[chosen].astype(np.float32),
                targets_of(ends, counts, areas, len(photo.table.starts)),
                importance * np.sqrt(smaller) / share,
                np.full(len(chosen), number),
            )
        )
    records = joined([Records(*part) for part in parts])
    return records._replace(weights=records.weights / records.weights.sum())


def train(records: Records, without: tuple[str, ...], *, products: bool = True) -> Quadratic:
    """Fit log odds to soft targets by penalized likelihood, quadratic or (without products) linear."""
    from scipy.optimize import minimize

    used = np.flatnonzero([name not in without for name in FEATURES])
    cumulated = np.cumsum(records.weights / records.weights.sum())
    rows = np.searchsorted(cumulated, (np.arange(ROWS) + 0.5) / ROWS * cumulated[-1])
    x, targets = records.features[rows][:, used], records.targets[rows].astype(np.float32)
    mean, deviation = x.mean(axis=0), x.std(axis=0) + np.float32(1e-6)
    z = np.clip((x - mean) / deviation, -kernels.FARTHEST, kernels.FARTHEST)
    n = len(used)
    lower = np.tril_indices(n if products else 0)
    start = np.zeros(1 + n + len(lower[0]))
    solved = minimize(
        _penalized, start, (z, targets, lower), "L-BFGS-B", jac=True, options={"maxiter": STEPS, "maxcor": 20}
    )
    means, scale, linear = np.zeros((3, len(FEATURES)))
    means[used], scale[used], linear[used] = mean, 1 / deviation, solved.x[1 : n + 1]
    square = np.zeros((len(FEATURES), len(FEATURES)))
    square[np.ix_(used, used)] = _square(solved.x, n, lower)
    return Quadratic(means, scale, linear, square, float(solved.x[0]))


def _square(parameters: np.ndarray, n: int, lower: tuple[np.ndarray, ...]) -> np.ndarray:
    products = np.zeros((n, n), dtype=np.float32)
    products[lower] = parameters[n + 1 :]
    return products


def _penalized(
    parameters: np.ndarray, z: np.ndarray, targets: np.ndarray, lower: tuple[np.ndarray, ...]
) -> tuple[float, np.ndarray]:
    """Return the mean log loss with its penalty, and the gradient of both."""
    n = z.shape[1]
    linear, products = parameters[1 : n + 1].astype(np.float32), _square(parameters, n, lower)
    loss, gradient, by_product = 0.0, np.zeros(n + 1), np.zeros((n, n))
    for block in range(0, len(z), BLOCK):
        part, wanted = z[block : block + BLOCK], targets[block : block + BLOCK]
        log_odds = parameters[0] + part @ linear + np.einsum("ri,ri->r", part @ products.T, part)
        loss += float(np.sum(np.logaddexp(0, log_odds) - wanted * log_odds))
        error = (1 / (1 + np.exp(-log_odds)) - wanted).astype(np.float32)
        gradient[0] += error.sum()
        gradient[1:] += part.T @ error
        by_product += part.T @ (part * error[:, None])
    ridge = np.repeat([0, RIDGE_LINEAR, RIDGE], [1, n, len(lower[0])])
    gradient = np.concatenate([gradient, by_product[lower]]) / len(z) + ridge * parameters
    return loss / len(z) + 0.5 * float(ridge @ np.square(parameters)), gradient


def cross_validated(photos: list[Measured], costs: list[Quadratic]) -> dict:
    """Score each photo under the cost that was trained on the other half."""
    trees = []
    for i, photo in enumerate(photos):
        graph = Graph(*(part.copy() for part in photo.graph))
        n = len(graph.regions)
        merges, levels = np.empty((n - 1, 2), dtype=np.int64), np.empty(n - 1)
        kernels.merge_until(graph, costs[1 - i % 2], n, 1, merges, levels)
        trees.append((merges, np.maximum.accumulate(levels)))
    levels = np.concatenate([levels[-100:] for _, levels in trees])
    scales = np.unique(np.quantile(levels, np.linspace(0.2, 1, 40)))
    return summarize_regions(
        [
            hierarchy_scores(photo.table, merges, levels, scales)
            for photo, (merges, levels) in zip(photos, trees, strict=True)
        ]
    )


def first_policy() -> Quadratic:
    """Merge by the prior and by size: the cost before any merge model is trained."""
    linear, n = np.zeros(len(FEATURES)), len(FEATURES)
    linear[FEATURES.index("prior")] = 1.0
    linear[FEATURES.index("area_small")] = 0.3
    return Quadratic(np.zeros(n), np.ones(n), linear, np.zeros((n, n)), 0.0)


def gather(photos: list[Measured], n_photos: int, policies: list[Quadratic], seed: int) -> Records:
    """Record what each photo's policy meets: the one that was not trained on that photo."""
    rng = np.random.default_rng(seed)
    parts = []
    for i, photo in enumerate(photos):
        number = i % n_photos
        parts.append(merge_records(photo, number, policies[1 - number % 2], rng))
    return joined(parts)


def joined(parts: list[Records]) -> Records:
    return Records(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def learn(
    photos: list[Measured], n_photos: int, without: tuple[str, ...] = (), *, products: bool = True
) -> MergeCost:
    """Train the leaf model, then the merge model, without the features named."""
    started = time.perf_counter()
    fit = partial(train, products=products)

    def say(text: str) -> None:
        print(f"{time.perf_counter() - started:5.0f} s  {text}", flush=True)

    records = leaf_records(photos, n_photos)
    leaf_without = (*LATER, *without)
    halves = [fit(records.of_fold(fold), leaf_without) for fold in (0, 1)]
    leaf = fit(records, leaf_without)
    for i, (graph, _) in enumerate(photos):
        add_prior(graph, to_probability(leaf_log_odds(graph, halves[1 - i % n_photos % 2])))
    say(f"leaf model trained on {len(records.targets)} arcs")
    unused = (*UNUSED, *without)
    policies, gathered = [first_policy()] * 2, []
    for stage in range(ROUNDS):
        gathered.append(gather(photos, n_photos, policies, stage))
        records = joined(gathered)
        policies = [fit(records.of_fold(fold), unused) for fold in (0, 1)]
        say(f"round {stage + 1}: {len(gathered[-1].targets)} more arcs")
    scores = cross_validated(photos[:n_photos], policies)
    text = ", ".join(f"{name} {score.ods:.4f}/{score.ois:.4f}" for name, score in scores.items())
    say(f"cross-validated on {n_photos} photos: {text}")
    return MergeCost(leaf, fit(records, unused))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=200, help="photos of the train split to learn from")
    parser.add_argument("--cache", type=Path, help="folder that keeps the measured graphs between runs")
    options = parser.parse_args()
    names = bsds500_names("train")[: options.images]
    print(f"measuring {len(names)} photos ...", flush=True)
    cost = learn(measure_all(names, options.cache), len(names))
    write_text(SHIPPED, json_text(cost.to_plain(), indent=None) + "\n")
    print(f"wrote {SHIPPED.relative_to(ROOT)} ({SHIPPED.stat().st_size / 1000:.0f} kB)")
    return 0
