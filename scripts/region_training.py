"""Learn the cost of a merge from the segmentations that people drew (train split of BSDS500 only).

1. Leaf model: does a boundary between two leaves run through what people kept together?
2. Merge model: the same question at every stage of merging. What it meets there depends on what merged
   before, so records are gathered under several policies: merge, record the arcs met, train on all records.

Targets are soft: the share of pixel pairs across an arc that the annotators keep apart. A cost that merges
the photos it was trained on would meet unrealistically pure regions; so two costs are trained, each on half
of the photos, and each merges the other half. They also give the cross-validated scores that settings were
chosen by. The shipped cost is trained on all records at the end.

Chosen so (cross-validated covering ODS of the 200 photos, standard error about .005): a linear cost .642;
16 hidden units .656, with the records of a linear policy too .662; other weights of the stages .651 to .655;
a second seed .662. By cross-validated log loss, absolute colors and positions among the features cost the
merge model .009 nats, and 32 units gain .001.
"""

import argparse
import pickle
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
from environment import ROOT

from segment.kernels import regions as kernels
from segment.kernels.regions import Graph, Network
from segment.output import json_text, write_text
from segment.photo.evaluation import (
    ContingencyTable,
    bsds500_names,
    hierarchy_scores,
    load_bsds500_image,
    summarise_regions,
)
from segment.photo.photo import Photo
from segment.photo.regions.channels import measure_channels
from segment.photo.regions.cost import FEATURES, MergeCost
from segment.photo.regions.graph import add_prior, build_graph, find_leaves, leaf_log_odds
from segment.photo.regions.hierarchy import to_lab, to_probability

SHIPPED = ROOT / "segment" / "photo" / "regions" / "merge_cost.json"

# Arcs are recorded when so many regions are left, at most about SAMPLED a stage.
STAGES = (600, 300, 180, 120, 90, 70, 55, 43, 34, 27, 21, 17, 13, 10, 8, 6, 5, 4, 3)
SAMPLED = 150
# Mixtures fitted from other seeds give other leaves: more to learn from in the same photos.
SEEDS = (0, 1)
# Stages around this many regions count most, falling off with the logarithm.
CENTER, WIDTH = 25, 1.2

MEMBERS, UNITS, STEPS, BATCH = 3, 16, 2500, 1024
RATE, DECAY = 2e-3, 1.0

# Not known before the leaf model has spoken.
LATER = (
    "prior", "prior_spread", "modes4", "modes16", "prior_excess_small", "prior_excess_large", "n_regions",
    "leaves_small", "leaves_large",
)  # fmt: skip


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


def merge_records(photo: Measured, number: int, network: Network, rng: np.random.Generator) -> Records:
    """Merge by the network, and record arcs at every stage."""
    graph = Graph(*(part.copy() for part in photo.graph))
    counts, areas = photo.table.counts.copy(), graph.regions[:, kernels.AREA]
    now = len(areas)
    merges, costs = np.empty((now, 2), dtype=np.int64), np.empty(now)
    parts = []
    for stage in STAGES:
        done = kernels.merge_until(graph, network, now, min(stage, now), merges, costs)
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


def train(records: Records, seed: int, n_units: int, without: tuple[str, ...]) -> Network:
    """Fit a network of one hidden layer to soft targets: Adam with decoupled weight decay, cosine rate."""
    rng = np.random.default_rng(seed)
    cumulated = np.cumsum(records.weights / records.weights.sum())
    used = np.array([name not in without for name in FEATURES], dtype=np.float32)
    sample = records.features[np.searchsorted(cumulated, rng.random(100_000) * cumulated[-1])]
    mean, scale = sample.mean(axis=0), used / (sample.std(axis=0) + np.float32(1e-6))
    linear = np.zeros(len(FEATURES), dtype=np.float32)
    hidden = (rng.standard_normal((n_units, len(FEATURES))) / np.sqrt(used.sum())).astype(np.float32) * used
    output = (rng.standard_normal(n_units) * 0.1 / np.sqrt(max(n_units, 1))).astype(np.float32)
    parameters = [linear, hidden, np.zeros(n_units, dtype=np.float32), output, np.zeros(1, dtype=np.float32)]
    decays = (0.0, DECAY, 0.0, DECAY, 0.0)
    first = [np.zeros_like(part) for part in parameters]
    second = [np.zeros_like(part) for part in parameters]
    for step in range(STEPS):
        rows = np.searchsorted(cumulated, rng.random(BATCH) * cumulated[-1])
        z = np.clip((records.features[rows] - mean) * scale, -6, 6)
        gradients = _gradients(parameters, z, records.targets[rows].astype(np.float32))
        rate = RATE * min(1, (step + 1) / 200) * 0.5 * (1 + np.cos(np.pi * step / STEPS))
        for i, gradient in enumerate(gradients):
            first[i] = 0.9 * first[i] + 0.1 * gradient
            second[i] = 0.999 * second[i] + 0.001 * np.square(gradient)
            direction = (first[i] / (1 - 0.9 ** (step + 1))) / (
                np.sqrt(second[i] / (1 - 0.999 ** (step + 1))) + 1e-8
            )
            parameters[i] -= (rate * (direction + decays[i] * parameters[i])).astype(np.float32)
    linear, hidden, hidden_bias, output, bias = (part.astype(np.float64) for part in parameters)
    return Network(
        mean.astype(np.float64), scale.astype(np.float64), linear, hidden, hidden_bias, output, float(bias[0])
    )


def _gradients(parameters: list[np.ndarray], z: np.ndarray, targets: np.ndarray) -> list[np.ndarray]:
    linear, hidden, hidden_bias, output, bias = parameters
    before = z @ hidden.T + hidden_bias
    units = np.maximum(before, 0)
    log_odds = z @ linear + units @ output + bias
    error = (1 / (1 + np.exp(-log_odds)) - targets) / len(z)
    back = np.outer(error, output) * (before > 0)
    return [z.T @ error, back.T @ z, back.sum(axis=0), units.T @ error, error.sum(keepdims=True)]


def average(networks: list[Network]) -> Network:
    """Return one network whose value is the mean of theirs."""
    first, n = networks[0], len(networks)
    parts = []
    for network in networks:
        stretch = np.divide(network.scale, first.scale, out=np.zeros_like(first.scale), where=first.scale > 0)
        shift = (first.mean - network.mean) * network.scale
        parts.append(
            (
                network.linear * stretch / n,
                network.hidden * stretch,
                network.hidden_bias + network.hidden @ shift,
                network.output / n,
                (network.bias + network.linear @ shift) / n,
            )
        )
    linear, hidden, hidden_bias, output, bias = zip(*parts, strict=True)
    return Network(
        first.mean, first.scale, sum(linear), np.concatenate(hidden), np.concatenate(hidden_bias),
        np.concatenate(output), float(sum(bias)),
    )  # fmt: skip


def train_members(records: Records, without: tuple[str, ...]) -> Network:
    return average([train(records, seed, UNITS, without) for seed in range(MEMBERS)])


def cross_validated(photos: list[Measured], networks: list[Network]) -> dict:
    """Score each photo under the network that was trained on the other half."""
    trees = []
    for i, photo in enumerate(photos):
        graph = Graph(*(part.copy() for part in photo.graph))
        n = len(graph.regions)
        merges, costs = np.empty((n - 1, 2), dtype=np.int64), np.empty(n - 1)
        kernels.merge_until(graph, networks[1 - i % 2], n, 1, merges, costs)
        trees.append((merges, np.maximum.accumulate(costs)))
    levels = np.concatenate([levels[-100:] for _, levels in trees])
    scales = np.unique(np.quantile(levels, np.linspace(0.2, 1, 40)))
    return summarise_regions(
        [
            hierarchy_scores(photo.table, merges, levels, scales)
            for photo, (merges, levels) in zip(photos, trees, strict=True)
        ]
    )


def first_policy() -> Network:
    """Merge by the prior and by size: the cost before any merge model is trained."""
    linear = np.zeros(len(FEATURES))
    linear[FEATURES.index("prior")] = 1.0
    linear[FEATURES.index("area_small")] = 0.3
    none = np.zeros(0)
    zeros, ones = np.zeros_like(linear), np.ones_like(linear)
    return Network(zeros, ones, linear, np.zeros((0, len(linear))), none, none, 0.0)


def gather(photos: list[Measured], n_photos: int, policies: list[Network], seed: int) -> Records:
    """Record what each photo's policy meets: the one that was not trained on that photo."""
    rng = np.random.default_rng(seed)
    parts = []
    for i, photo in enumerate(photos):
        number = i % n_photos
        parts.append(merge_records(photo, number, policies[1 - number % 2], rng))
    return joined(parts)


def joined(parts: list[Records]) -> Records:
    return Records(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def learn(photos: list[Measured], n_photos: int, without: tuple[str, ...] = ()) -> MergeCost:
    """Train the leaf model, then the merge model, without the features named."""
    started = time.perf_counter()

    def say(text: str) -> None:
        print(f"{time.perf_counter() - started:5.0f} s  {text}", flush=True)

    records = leaf_records(photos, n_photos)
    leaf_without = (*LATER, *without)
    halves = [train_members(records.of_fold(fold), leaf_without) for fold in (0, 1)]
    leaf = train_members(records, leaf_without)
    for i, (graph, _) in enumerate(photos):
        add_prior(graph, to_probability(leaf_log_odds(graph, halves[1 - i % n_photos % 2])))
    say(f"leaf model trained on {len(records.targets)} arcs")
    unused = (*UNUSED, *without)
    gathered = [gather(photos, n_photos, [first_policy()] * 2, 0)]
    for n_units in (0, UNITS):
        records = joined(gathered)
        policies = [train(records.of_fold(fold), 0, n_units, unused) for fold in (0, 1)]
        gathered.append(gather(photos, n_photos, policies, len(gathered)))
        say(f"merged by a network of {n_units} hidden units: {len(gathered[-1].targets)} more arcs")
    records = joined(gathered)
    gathered.clear()
    policies = [train_members(records.of_fold(fold), unused) for fold in (0, 1)]
    scores = cross_validated(photos[:n_photos], policies)
    text = ", ".join(f"{name} {score.ods:.4f}/{score.ois:.4f}" for name, score in scores.items())
    say(f"cross-validated on {n_photos} photos: {text}")
    return MergeCost(leaf, train_members(records, unused))


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
