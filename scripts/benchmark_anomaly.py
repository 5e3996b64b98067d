"""Planted defects on a rendered weave: what is found of them, and what is flagged besides."""

import argparse
from typing import Any

import numpy as np
from page import table, write_section

from segment.photo.anomalies import find_anomalies
from segment.photo.colors import to_features
from segment.photo.fit import apply_model, segment_photo

HEIGHT, WIDTH, N_DEFECTS, NOISE = 480, 640, 24, 5.0
THREADS = np.array([[150, 120, 90], [110, 85, 60], [128, 104, 92]])
DISTANCES = (10, 15, 20, 30, 40)
SHARES = (0.001, 0.01)
SIDES = (4, 16)


def weave(rng: np.random.Generator) -> np.ndarray:
    """Three threads, light that falls off to the right by a tenth, normal noise."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    threads = THREADS[np.where((y // 4 + x // 4) % 2 == 0, 0, 1 + (y // 16 % 2))]
    return threads * (1 - 0.1 * x / WIDTH)[:, :, None] + rng.normal(0, NOISE, (HEIGHT, WIDTH, 3))


def planted(rng: np.random.Generator, distance: float) -> tuple[np.ndarray, np.ndarray]:
    """A weave with stains, each shifted toward one color until its mean lies `distance` away in Lab."""
    image, areas = weave(rng), np.full((HEIGHT, WIDTH), -1)
    cells = rng.permutation([(r, c) for r in range(4) for c in range(6)])
    for number, (row, column) in enumerate(cells[:N_DEFECTS]):
        height, width = rng.integers(*SIDES, 2, endpoint=True)
        top = row * HEIGHT // 4 + rng.integers(20, HEIGHT // 4 - 40)
        left = column * WIDTH // 6 + rng.integers(20, WIDTH // 6 - 40)
        box = slice(top, top + height), slice(left, left + width)
        image[box] += shift(image[box], rng.normal(size=3), distance)
        areas[box] = number
    return np.clip(np.rint(image), 0, 255).astype(np.uint8), areas


def shift(part: np.ndarray, direction: np.ndarray, distance: float) -> np.ndarray:
    """Return how much is added to sRGB so that the mean color moves by a distance in Lab."""
    mean = np.clip(part.reshape(-1, 3).mean(axis=0), 0, 255) / 255
    steps = np.linspace(0, 120, 241)[:, None] * direction / np.linalg.norm(direction)
    moved = np.clip(mean + steps / 255, 0, 1)
    apart = np.linalg.norm(to_features(moved, "lab") - to_features(mean[None], "lab"), axis=1)
    return (moved[np.abs(apart - distance).argmin()] - mean) * 255


def as_photo(image: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)


def judged(segmentation: Any, areas: np.ndarray, share: float) -> list[str]:
    """Return recall of stains and of their pixels, and what is flagged elsewhere."""
    found = find_anomalies(segmentation, false_alarms=share)
    wrong, flagged = areas >= 0, found.log_densities < found.threshold
    hit = np.unique(areas[wrong & (found.area_map >= 0)])
    listed = np.unique(found.area_map[found.area_map >= 0])
    false = np.setdiff1d(listed, np.unique(found.area_map[wrong]))
    return [
        f"{len(hit)} of {N_DEFECTS}",
        f"{flagged[wrong].mean():.0%}",
        f"{flagged[~wrong].mean():.2e}",
        str(len(false)),
    ]


def main() -> int:
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    model = segment_photo(as_photo(weave(np.random.default_rng(0))), smooth="none").model
    rows: list[list[Any]] = []
    stained = 0.0
    for distance in DISTANCES:
        image, areas = planted(np.random.default_rng(distance), distance)
        stained += float((areas >= 0).mean()) / len(DISTANCES)
        found = {"its own": segment_photo(image, smooth="none"), "a good one's": apply_model(image, model)}
        for name, segmentation in found.items():
            for share in SHARES:
                n = segmentation.parameters.n_components
                rows.append([distance, f"{name}, K = {n}", f"{share:g}", *judged(segmentation, areas, share)])
    clean = apply_model(as_photo(weave(np.random.default_rng(99))), model)
    nothing = np.full((HEIGHT, WIDTH), -1)
    alarms = [[f"{share:g}", *_alarms(clean, nothing, share)] for share in SHARES]
    header = [
        "Delta E",
        "mixture",
        "asked for",
        "stains found",
        "of their pixels",
        "of others",
        "false areas",
    ]
    body = f"""
A weave of three threads ({WIDTH} x {HEIGHT}, noise of {NOISE:g} in sRGB, light that falls off by a tenth)
with {N_DEFECTS} stains of {SIDES[0]} to {SIDES[1]} pixels a side, each moved in a random direction
until its mean color lies so far away in Lab; together they are {stained:.1%} of all pixels. Found: an area of
at least 9 flagged pixels that touch lies on it. "Its own": the mixture (K by ICL) of the photo with the
stains, of which no larger share can be flagged than was asked for; "a good one's": that of one without any.

{table(header, rows)}

Another weave without stains, by the model of the first:

{table(["asked for", "flagged", "areas"], alarms)}

Only colors are judged: a stain moved toward the color of another thread is none.
"""
    write_section("anomaly", "Anomalies: planted defects", body)
    return 0


def _alarms(segmentation: Any, areas: np.ndarray, share: float) -> list[str]:
    found = find_anomalies(segmentation, false_alarms=share)
    return [f"{found.n_flagged / areas.size:.2e}", str(len(found.areas))]
