"""Hidden Markov models, fields, merging and linkage: published values, and hmmlearn as a peer."""

import importlib
import os
import warnings
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from page import in_turn, ratio, table, timed, write_section

from segment import HiddenMarkov
from segment.em import SmallGain, run_em
from segment.grid import fit_field
from segment.lab import EXPERIMENTS
from segment.lab.earthquakes import COUNTS
from segment.mixture import Samples, fit_mixture, merge_components, responsibilities
from segment.mixture.families.gaussian.family import Gaussian
from segment.mixture.families.gaussian.parameters import Parameters
from segment.mixture.merging import merged_entropies
from segment.sequence import ChainParameters, Sequences
from segment.sequence.chains import chain_rule
from segment.sequence.model import ChainModel

N_STARTS = 50
BEST = -328.5275
N_PHOTOS, N_COLORS = 10, 5
STRENGTHS = (0.5, 1.5)
STEPS = 5
ROUNDS = 5
# Sequences, rows of each, features, states.
SHAPES = ((5000, 10, 2, 3), (1, 50_000, 1, 8), (1, 50_000, 4, 8))


def goldens() -> str:
    """Every check of the experiments on chains, fields, merging and linkage, and of data at hand."""
    rows = []
    for name in ("earthquakes", "linkage", "potts", "merging", "federated"):
        outcome = EXPERIMENTS[name].run(0)
        for check in outcome.checks:
            rows.append([name, check.claim, check.expected, check.got, "yes" if check.passed else "NO"])
    rows += [[*row, "yes" if row[2] == row[3] else "NO"] for row in _from_files()]
    return table(["experiment", "quantity", "expected", "found", "agrees"], rows)


def _from_files() -> Iterable[list[str]]:
    folder = Path(os.environ.get("SEGMENT_DATASETS", "datasets")) / "golden"
    if (folder / "coal.csv").exists():
        years = np.floor(np.loadtxt(folder / "coal.csv", skiprows=1)).astype(int)
        X = np.bincount(years - 1851, minlength=112).astype(float)[:, None]
        model = HiddenMarkov(2, family="poisson", tol=1e-10, random_state=0).fit(X)
        yield ["coal", "log-likelihood, 2 states", "-171.8936", f"{model.log_likelihood_:.4f}"]
        found = ", ".join(f"{rate:.3f}" for rate in np.sort(model.rates_[:, 0])[::-1])
        yield ["coal", "rates", "3.123, 0.925", found]
    if (folder / "ex41.csv").exists():
        X = np.loadtxt(folder / "ex41.csv", delimiter=",", skiprows=1)
        fit = fit_mixture(Samples.of(X), 6, relative_reg=0.0, tol=1e-10, n_init=200)
        yield ["example 4.1", "log-likelihood, 6 Gaussians", "-1951.2841", f"{fit.log_likelihood:.4f}"]
        posterior = responsibilities(X, fit.parameters)
        entropies = merged_entropies(posterior, merge_components(posterior, 1, "entropy").steps)
        path = ", ".join(f"{value:.3f}" for value in entropies[:5])
        yield ["example 4.1", "entropies", "122.217, 40.897, 4.731, 1.041, 0.000", path]
        merged = merge_components(posterior, None, "entropy").merge(posterior).argmax(axis=1)
        sizes = ", ".join(map(str, sorted(np.bincount(merged), reverse=True)))
        yield ["example 4.1", "clusters at the elbow", "227, 133, 122, 118", sizes]


def _hmmlearn() -> Any:
    try:
        return importlib.import_module("hmmlearn.hmm")
    except ImportError:
        return None


class Problem:
    """Sequences from a chain of Gaussian states, one start, and some steps of EM by either program."""

    def __init__(self, n_sequences: int, length: int, D: int, K: int) -> None:
        rng = np.random.default_rng(0)
        means = rng.normal(0, 3, (K, D))
        states = rng.integers(0, K, n_sequences * length // 5).repeat(5)
        self.X = means[states] + rng.normal(size=(len(states), D))
        self.lengths, self.K = [length] * n_sequences, K
        self.means = means + rng.normal(0, 0.5, means.shape)
        self.transitions = 0.6 * np.eye(K) + 0.4 / K
        self.log_likelihoods = {"segment": 0.0, "hmmlearn": 0.0}

    def ours(self, n_jobs: int) -> None:
        K = self.K
        emissions = Parameters(np.full(K, 1 / K), self.means, np.ones_like(self.means), "diag")
        start = ChainParameters(np.full(K, 1 / K), self.transitions, emissions)
        family = Gaussian.of(Samples.of(self.X), "diag", reg_covar=0.0)
        rule = chain_rule("estimated")
        model = ChainModel(Sequences.of(self.X, self.lengths), family, K, rule, n_jobs=n_jobs)
        found = run_em(model, start, stopping=SmallGain(-1.0, STEPS), acceleration=None)
        self.log_likelihoods["segment"] = found.log_likelihood

    def theirs(self, peer: Any) -> None:
        plain = dict.fromkeys(("min_covar", "covars_prior", "covars_weight", "means_weight"), 0.0)
        options = {"init_params": "", "n_iter": STEPS, "tol": -np.inf, "implementation": "scaling"}
        model = peer.GaussianHMM(self.K, "diag", **options, **plain)
        model.startprob_, model.transmat_ = np.full(self.K, 1 / self.K), self.transitions
        model.means_, model.covars_ = self.means, np.ones_like(self.means)
        model.fit(self.X, self.lengths)
        self.log_likelihoods["hmmlearn"] = model.monitor_.history[-1]


def speed() -> str:
    """Seconds for some EM steps from one start, beside hmmlearn's scaling mode."""
    peer = _hmmlearn()
    if peer is None:
        return "hmmlearn is not installed (the bench extra has it): skipped."
    rows = []
    for shape in SHAPES:
        problem = Problem(*shape)
        problem.ours(1)
        contestants = {
            "1": partial(timed, partial(problem.ours, 1)),
            "2": partial(timed, partial(problem.ours, 2)),
            "theirs": partial(timed, partial(problem.theirs, peer)),
        }
        seconds = in_turn(contestants, ROUNDS)
        differ = problem.log_likelihoods["segment"] / problem.log_likelihoods["hmmlearn"] - 1
        rows.append(
            [
                "{} x {}, D = {}, K = {}".format(*shape),
                *(f"{np.median(seconds[name]) / STEPS * 1000:.1f}" for name in contestants),
                ratio(seconds["theirs"], seconds["1"]),
                ratio(seconds["theirs"], seconds["2"]),
                f"{abs(differ):.0e}",
            ]
        )
    header = [
        "sequences",
        "segment, one thread, ms a step",
        "two threads",
        "hmmlearn, scaling",
        "faster, one thread",
        "faster, two",
        "log-likelihood differs by",
    ]
    return table(header, rows)


def starts() -> str:
    """How often one call finds the best optimum of three states on the earthquakes."""
    X = COUNTS[:, None]
    peer = _hmmlearn()

    def hits(fit: Callable[[int], float]) -> str:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return f"{sum(fit(seed) > BEST - 1e-3 for seed in range(N_STARTS))} of {N_STARTS}"

    def ours(seed: int, n_init: int | None = None) -> float:
        model = HiddenMarkov(3, family="poisson", tol=1e-8, n_init=n_init, random_state=seed)
        return model.fit(X).log_likelihood_

    def theirs(seed: int) -> float:
        model = peer.PoissonHMM(3, n_iter=2000, tol=1e-6, random_state=seed).fit(X.astype(int))
        return model.score(X.astype(int))

    rows = [
        ["segment, as it comes (24 racing starts)", hits(ours)],
        ["segment, one random start", hits(lambda seed: ours(seed, 1))],
    ]
    if peer is not None:
        rows.append(["hmmlearn, as it comes (one start)", hits(theirs)])
    return table(["earthquakes, 3 states", f"best optimum ({BEST})"], rows)


def photos() -> str:
    """Covering of BSDS500 validation photos by a mixture's labels: as they are, guided filter, Potts "
    "field."""
    from skimage.measure import label

    from segment import segment_photo
    from segment.errors import SegmentError
    from segment.photo.colors import to_features
    from segment.photo.evaluation import bsds500_names, load_bsds500_image, region_scores

    try:
        names = bsds500_names("val")[:: 100 // N_PHOTOS][:N_PHOTOS]
    except SegmentError as error:
        return f"BSDS500 is not at hand ({error}): skipped."
    found: dict[str, list[tuple[float, float, float]]] = {}
    for name in names:
        photo = load_bsds500_image("val", name)
        features = to_features(photo.image.reshape(-1, 3), "lab").reshape(photo.image.shape)
        maps = {
            "as they are": segment_photo(photo.image, n_components=N_COLORS, smooth="none").label_map,
            "guided filter": segment_photo(photo.image, n_components=N_COLORS).label_map,
        }
        for strength in STRENGTHS:
            field = fit_field(features, N_COLORS, strength=strength, neighbors=8)
            maps[f"field, strength {strength:g}"] = field.parameters.labels
        for method, labels in maps.items():
            regions = label(labels, background=-1, connectivity=1) - 1
            scores = [region_scores(one.astype(np.int32), photo.annotations) for one in (labels, regions)]
            found.setdefault(method, []).append((scores[0].covering, scores[1].covering, regions.max() + 1))
    means = {method: np.mean(values, axis=0) for method, values in found.items()}
    rows = [
        [method, f"{colors:.3f}", f"{regions:.3f}", f"{n:.0f}"]
        for method, (colors, regions, n) in means.items()
    ]
    header = [
        f"{N_PHOTOS} photos, {N_COLORS} colors",
        "covering by colors",
        "by connected regions",
        "regions",
    ]
    return table(header, rows)


def sections() -> list[tuple[str, Callable[[], str]]]:
    return [
        ("Chains, fields, merging, linkage: expected values", goldens),
        ("Baum-Welch: Gaussian states", speed),
        ("Baum-Welch: how often the start hits", starts),
        ("Photos: guided filter or Potts field", photos),
    ]


def main() -> int:
    parts = [f"### {title}\n\n{measure()}" for title, measure in sections()]
    write_section("sequences", "Sequences and grids", "\n\n".join(parts))
    return 0
