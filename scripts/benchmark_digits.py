"""The digit pipelines over seeds: accuracy, time, memory; scikit-learn from the same start; other sets.

`--limit N` tries every part on the first N digits of each set, in a minute or two, and writes nothing.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from typing import Any

import numpy as np
from page import peak_memory, table, write_section
from published import ACCURACY, cited, sentence

SEEDS = range(5)
HEAD = f"""All 70 000 digits of MNIST, all cores.
No label enters a fit or chooses a run; labels only score. **The settings
(features, regularization, shrinkage, neighbors) were found on MNIST with the accuracy in view**; the last
table shows the default pipeline, unchanged, on other sets. "Features" are seconds from images to principal
components, next to nothing where they are cached; "clustering" is what follows; "whole" also holds reading
the files. Each run is a process of its own. For reference, {sentence(ACCURACY)}.

{cited(ACCURACY)}"""
STEPS = 10
SAME_START = f"""### scikit-learn from the same start

One k-means start, the same samples (float64), K = 10, plain EM without reg_covar. Both programs take
{STEPS} E-steps and stop there, converged or not: from one start they climb the same path, so that the
seconds an E-step are what differs."""
OTHER_SETS = "### The default pipeline on other sets"

# Name -> what is run, the accuracy and the seconds of clustering aimed at ("raw": of the whole, from files).
PIPELINES: dict[str, dict[str, Any]] = {
    "pixels, PCA 50, full": {
        "settings": {"features": "pixels", "n_features": 50, "refine": "none"},
        "aim": (0.75, 10),
    },
    "deskew, PCA 30, full": {
        "settings": {"features": "deskew", "n_features": 30, "refine": "none"},
        "aim": (0.87, 6),
    },
    "pixels, PCA 30, 80 components, overlap merge": {
        "settings": {"features": "pixels", "n_features": 30, "n_components": 80, "refine": "none"},
        "aim": (0.95, 25),
    },
    "scattering, PCA 200, full, shrinkage 0.5": {"settings": {"refine": "none"}, "aim": (0.987, 15)},
    "the same, graph (the default)": {"settings": {}, "aim": (0.992, 75), "raw": True},
    "the default fitted on 60 000, scored on the unseen 10 000": {
        "settings": {},
        "aim": (0.990, None),
        "split": "train-test",
    },
}
OTHERS = ("digits", "fashion-mnist", "kmnist")
# Not scattering: of its 200 axes scikit-learn cannot estimate a small cluster's covariance without reg_covar,
# and with one the two programs climb different functions.
COMPARED = {"pixels": 50, "deskew": 30}


def run_once(data: str, settings: dict[str, Any], split: str, limit: int | None) -> dict[str, Any]:
    """Cluster in this process, which does nothing else: its peak memory is the pipeline's."""
    from segment.digits import DigitSettings, cluster_digits, load_digits

    begun, busy = time.perf_counter(), time.process_time()
    digits = load_digits(data).limited(limit)
    stages: dict[str, float] = {}

    def step(name: str, share: float) -> None:
        stages.setdefault(name, time.perf_counter())

    clustering = cluster_digits(digits, DigitSettings(**settings), split=split, step=step)
    ended = time.perf_counter()
    scores = clustering.test_scores() or clustering.scores()
    mixture = clustering.mixture_scores()
    return {
        "accuracy": scores and scores.accuracy,
        "nmi": scores and scores.nmi,
        "mixture": mixture and mixture.accuracy,
        "features": stages["mixture"] - stages["features"],
        "clustering": ended - stages["mixture"],
        "whole": ended - begun,
        "busy": time.process_time() - busy,
        "memory": peak_memory() / 2**10,
    }


def in_own_process(call: str, *arguments: Any, cache: str) -> dict[str, Any]:
    """Call a function of this file in a fresh process, so that its memory can be told."""
    command = [sys.executable, __file__, call, json.dumps(arguments)]
    environment = {**os.environ, "XDG_CACHE_HOME": cache}
    finished = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if finished.returncode:
        raise SystemExit(f"{call} {arguments} failed:\n{finished.stderr}")
    return json.loads(finished.stdout.splitlines()[-1])


def pipelines(scratch: str, limit: int | None) -> str:
    rows = []
    for name, pipeline in PIPELINES.items():
        aim, seconds = pipeline["aim"]
        raw = pipeline.get("raw", False)
        for seed in SEEDS:
            # Once from raw files; the other seeds find the features, which are half of the time.
            cache = f"{scratch}/raw" if raw and seed == 0 else f"{scratch}/shared"
            settings = {**pipeline["settings"], "random_state": seed}
            found = in_own_process(
                "run_once", "mnist", settings, pipeline.get("split", "all"), limit, cache=cache
            )
            rows.append(
                [
                    name if seed == 0 else "",
                    seed,
                    f"{found['accuracy']:.4f}",
                    f"{found['mixture']:.4f}",
                    f"{found['nmi']:.4f}",
                    f"{found['features']:.1f}",
                    f"{found['clustering']:.1f}",
                    f"{found['whole']:.1f}",
                    f"{found['busy']:.1f}",
                    f"{found['memory']:.2f}",
                    f">= {aim}" + (f", <= {seconds} s" + raw * " whole" if seconds else "")
                    if seed == 0
                    else "",
                ]
            )
            _progress(rows)
    header = [
        "pipeline",
        "seed",
        "accuracy",
        "mixture alone",
        "NMI",
        "features, s",
        "clustering, s",
        "whole, s",
        "processor s",
        "peak GB",
        "aim, every seed",
    ]
    return table(header, rows)


def kmeans_start(kind: str, n_features: int, folder: str, limit: int | None) -> None:
    """Write the features of all digits and a k-means start, for processes that do nothing but fit."""
    from segment.digits import load_digits
    from segment.digits.cache import cached_features
    from segment.mixture import Samples, initial_parameters

    digits = load_digits("mnist").limited(limit)
    X = cached_features(digits.images, kind, n_features)[1].astype(np.float64)
    # Regularized, so that the inverses that scikit-learn is given are symmetric to the last digits.
    start = initial_parameters(Samples.of(X), 10, method="kmeans", relative_reg=1e-3, random_state=0)
    start.save(f"{folder}/start.npz", X=X, labels=np.asarray(digits.labels))


def from_same_start(program: str, folder: str) -> dict[str, Any]:
    """Take `STEPS` steps of EM from the k-means start, by one of the two programs."""
    from benchmark_em import fit_ours, fit_sklearn, mean_log_likelihood

    from segment.digits.scores import score
    from segment.mixture import Parameters
    from segment.mixture.expectation import assign

    fit = {"segment": fit_ours, "scikit-learn": fit_sklearn}[program]
    start, stored = Parameters.load(f"{folder}/start.npz")
    X = stored["X"]
    if program == "segment":
        # Its kernels are read from disk at their first use.
        fit(X[:2000], start, 2)
    before, begun = peak_memory(), time.perf_counter()
    parameters = fit(X, start, STEPS)
    return {
        "seconds": time.perf_counter() - begun,
        "more": peak_memory() - before,
        "mean": mean_log_likelihood(X, parameters),
        "accuracy": score(stored["labels"], assign(X, parameters), 10).accuracy,
    }


def against_sklearn(scratch: str, limit: int | None) -> str:
    rows = []
    for kind, n_features in COMPARED.items():
        in_own_process("kmeans_start", kind, n_features, scratch, limit, cache=f"{scratch}/shared")
        for program in ("segment", "scikit-learn"):
            found = in_own_process("from_same_start", program, scratch, cache=f"{scratch}/shared")
            rows.append(
                [
                    f"{kind}, PCA {n_features}",
                    program,
                    f"{found['seconds']:.1f}",
                    f"{found['seconds'] / STEPS:.3f}",
                    f"{found['mean']:.6f}",
                    f"{found['more']:.0f}",
                    f"{found['accuracy']:.4f}",
                ]
            )
            _progress(rows)
    header = [
        "features",
        "program",
        f"{STEPS} E-steps, s",
        "seconds an E-step",
        "mean log-likelihood (nats)",
        "MB beyond the data",
        "accuracy",
    ]
    return table(header, rows)


def other_sets(scratch: str, limit: int | None) -> str:
    from segment.datasets import is_present

    rows = []
    for data in OTHERS:
        if data != "digits" and not is_present(data):
            continue
        for seed in SEEDS:
            found = in_own_process(
                "run_once", data, {"random_state": seed}, "all", limit, cache=f"{scratch}/shared"
            )
            rows.append(
                [
                    data if seed == 0 else "",
                    seed,
                    f"{found['accuracy']:.4f}",
                    f"{found['mixture']:.4f}",
                    f"{found['nmi']:.4f}",
                    f"{found['whole']:.1f}",
                ]
            )
            _progress(rows)
    return table(["data", "seed", "accuracy", "mixture alone", "NMI", "whole, s"], rows)


def _progress(rows: list[list[Any]]) -> None:
    print(f"[{time.perf_counter() - BEGUN:4.0f} s]", *rows[-1], flush=True)


BEGUN = time.perf_counter()


def main() -> None:
    from segment.datasets import is_present

    parser = argparse.ArgumentParser(prog="scripts/benchmark digits", description=__doc__)
    parser.add_argument("--limit", type=int, help="digits of each set; nothing is written")
    limit = parser.parse_args().limit
    if not is_present("mnist"):
        raise SystemExit("MNIST is needed: segment datasets fetch mnist, or set SEGMENT_DATASETS")
    sections = {HEAD: pipelines, SAME_START: against_sklearn, OTHER_SETS: other_sets}
    parts: list[str] = []
    with tempfile.TemporaryDirectory() as scratch:
        for text, measure in sections.items():
            parts += [text, measure(scratch, limit)]
            # After every part: should the next one fail, this one is not lost.
            if limit is None:
                write_section("digits", "Digits", "\n\n".join(parts))


if __name__ == "__main__":
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        print(json.dumps(globals()[sys.argv[1]](*json.loads(sys.argv[2]))))
