"""The consensus on sets of several kinds, every seed; on any features, beside scikit-learn's clusterings.

Usage: scripts/benchmark consensus [features|digits|mnist|halves|unseen ...]   (default: all)
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from page import peak_memory, table, write_section

SEEDS = range(5)
SETTLED = """No label enters a fit, nor chooses a candidate; labels only score. **The settings of the
consensus were found with the labels of MNIST, of the 8 x 8 digits and of KMNIST's test part in view.**"""
FEATURES = """Adjusted Rand index on scikit-learn's bundled sets. All get the same standardized features and
the true number of clusters, but HDBSCAN, which finds its own; all else is left at its default, but
`SpectralClustering`, which gets the graph of 10 neighbors (its default affinity does worse). Five seeds each:
the mean, and the range in brackets."""
DIGITS = f"""`segment digits --refine consensus`, the same settings for every set (`scripts/benchmark digits`
has the default pipeline on them). {SETTLED} "Information" is what the clusters taken tell along the edges
(nats), "agree" the mean share of members that agree with a label; "processor s" is of all cores; features and
neighbors are cached from the second seed on.

"""
HALVES = f"""5 000 of the 10 000 kana, other ones with each seed. {SETTLED}

"""
MNIST = f"""All 70 000 digits. {SETTLED}

"""
UNSEEN = f"""Fitted on 60 000 digits; the accuracy on the other 10 000, labeled as `digits-predict` does.

{SETTLED}

"""
HEADER = [
    "set",
    "seed",
    "accuracy",
    "NMI",
    "taken",
    "information",
    "stability",
    "agree",
    "whole, s",
    "processor s",
    "peak GB",
]


def cluster_once(data: str, seed: int, split: str, half: bool) -> dict[str, Any]:
    """Cluster in this process, which does nothing else: its peak memory is the pipeline's."""
    from segment.digits import DigitSettings, cluster_digits, load_digits

    begun, busy = time.perf_counter(), time.process_time()
    digits = load_digits(data)
    if half:
        n = len(digits.images)
        digits = digits.rows(np.sort(np.random.default_rng(seed).permutation(n)[: n // 2]))
        digits = replace(digits, n_train=n // 2)
    found = cluster_digits(digits, DigitSettings(refine="consensus", random_state=seed), split=split)
    scores = found.test_scores() or found.scores()
    consensus = found.consensus
    assert consensus is not None
    return {
        "accuracy": scores and scores.accuracy,
        "nmi": scores and scores.nmi,
        "taken": consensus.taken,
        "information": consensus.candidates[consensus.taken],
        "stability": consensus.stability,
        "agree": float(consensus.confidence.mean()),
        "whole": time.perf_counter() - begun,
        "busy": time.process_time() - busy,
        "memory": peak_memory() / 2**10,
    }


def in_own_process(cache: str, *arguments: Any) -> dict[str, Any]:
    command = [sys.executable, __file__, json.dumps(arguments)]
    environment = {**os.environ, "XDG_CACHE_HOME": cache}
    finished = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if finished.returncode:
        raise SystemExit(f"{arguments} failed:\n{finished.stderr}")
    return json.loads(finished.stdout.splitlines()[-1])


def row(name: str, seed: int, found: dict[str, Any]) -> list[str]:
    def shown(key: str, form: str) -> str:
        return "" if found[key] is None else format(found[key], form)

    return [
        name if seed == 0 else "",
        str(seed),
        shown("accuracy", ".4f"),
        shown("nmi", ".4f"),
        found["taken"],
        shown("information", ".5f"),
        shown("stability", ".3f"),
        shown("agree", ".3f"),
        shown("whole", ".1f"),
        shown("busy", ".1f"),
        shown("memory", ".2f"),
    ]


def cases(rows: list[tuple[str, str, str, bool]], cache: str) -> str:
    """Run (name, data, split, half) for every seed."""
    lines: list[list[str]] = []
    for name, data, split, half in rows:
        for seed in SEEDS:
            lines.append(row(name, seed, in_own_process(cache, data, seed, split, half)))
            print(*lines[-1], flush=True)
    return table(HEADER, lines)


def kana() -> Path:
    from segment.datasets import dataset_folder

    return dataset_folder("mnist").parent / "kmnist-test" / "kmnist-test.npz"


def digits(cache: str) -> str:
    sets = [("scikit-learn's 8 x 8", "digits", "all", False)]
    if kana().is_file():
        sets.append(("KMNIST, test part", str(kana()), "all", False))
    return DIGITS + cases(sets, cache)


def halves(cache: str) -> str:
    if not kana().is_file():
        raise SystemExit(f"KMNIST's test part is needed: {kana()}")
    return HALVES + cases([("KMNIST, half of the test part", str(kana()), "all", True)], cache)


def mnist(cache: str) -> str:
    return MNIST + cases([("MNIST, 70 000", "mnist", "all", False)], cache)


def unseen(cache: str) -> str:
    return UNSEEN + cases([("MNIST, unseen 10 000", "mnist", "train-test", False)], cache)


def contestants(n_clusters: int, seed: int) -> dict[str, Callable[[np.ndarray], np.ndarray]]:
    from sklearn.cluster import HDBSCAN, KMeans, SpectralClustering

    from segment import ConsensusClustering

    spectral = SpectralClustering(n_clusters, affinity="nearest_neighbors", random_state=seed)
    return {
        "consensus": ConsensusClustering(n_clusters, random_state=seed).fit_predict,
        "KMeans": KMeans(n_clusters, n_init=10, random_state=seed).fit_predict,
        "SpectralClustering": spectral.fit_predict,
        "HDBSCAN": HDBSCAN(copy=True).fit_predict,
    }


def features(cache: str) -> str:
    from sklearn.datasets import load_breast_cancer, load_iris, load_wine
    from sklearn.metrics import adjusted_rand_score
    from sklearn.preprocessing import scale

    from segment import cluster_consensus

    rows = []
    for name, load in {"wine": load_wine, "breast cancer": load_breast_cancer, "iris": load_iris}.items():
        X, labels = load(return_X_y=True)
        X, n_clusters = scale(X), len(set(labels))
        scores: dict[str, list[float]] = {}
        for seed in SEEDS:
            for peer, fit_predict in contestants(n_clusters, seed).items():
                scores.setdefault(peer, []).append(adjusted_rand_score(labels, fit_predict(X)))
        curve = cluster_consensus(X, "auto").curve
        assert curve is not None
        shown = [f"{np.mean(of):.3f} [{min(of):.3f} - {max(of):.3f}]" for of in scores.values()]
        rows.append([name, *shown, f"{curve.chosen} (sure: {curve.sureness:.0%}); true: {n_clusters}"])
        print(*rows[-1], flush=True)
    return f"{FEATURES}\n\n" + table(["set", *scores, 'clusters by `"auto"`'], rows)


PARTS = {"features": features, "digits": digits, "mnist": mnist, "halves": halves, "unseen": unseen}
TITLES = {
    "features": "Consensus on any features",
    "digits": "Consensus on digits and kana",
    "mnist": "Consensus on MNIST",
    "halves": "Consensus on halves of the kana",
    "unseen": "Consensus on digits that it has not seen",
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/benchmark consensus", description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], metavar="|".join(PARTS))
    parser.add_argument("--cache", help="a folder that keeps features, so that another run starts at once")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        for name in arguments.parts or PARTS:
            body = PARTS[name](arguments.cache or scratch)
            write_section(f"consensus {name}", TITLES[name], body)


if __name__ == "__main__":
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        print(json.dumps(cluster_once(*json.loads(sys.argv[1]))))
