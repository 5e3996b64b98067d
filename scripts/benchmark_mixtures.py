"""Mixtures beside their published values and their peers. Sections: one function a section, in `SECTIONS`.

A peer that is not installed is skipped by name; a data set that is not at hand, too.
"""

import importlib
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import mixture_goldens
import numpy as np
from page import in_turn, ratio, table, timed, write_section

from segment.data import Samples
from segment.mixture import Parameters
from segment.mixture.families.bernoulli import Bernoulli
from segment.mixture.families.gaussian.covariance import covariance_type_of
from segment.mixture.families.variational.family import Bayesian
from segment.mixture.families.variational.priors import Priors
from segment.mixture.imputation import impute
from segment.mixture.model import MixtureModel

# Modules with a `sections()` of their own, where they exist: (title, function) pairs.
MORE = ("benchmark_sequences",)


def peer(name: str) -> Any:
    """Return the module of a peer, or None where it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def goldens() -> str:
    header = ["quantity", "source", "published", "found", "agrees to a unit of the last digit"]
    return table(header, mixture_goldens.goldens())


def _stepper(model: MixtureModel, parameters: Any) -> Callable[[], None]:
    """Return an EM step that goes on from where the last one ended."""
    state = [parameters]

    def step() -> None:
        found = model.expect(state[0])
        state[0] = model.maximize(found.statistics, state[0])

    return step


def variational() -> str:
    """Seconds a step of variational inference, 200 000 x 3, K = 8, beside scikit-learn's."""
    from sklearn.mixture import BayesianGaussianMixture as Theirs

    rng = np.random.default_rng(0)
    X = rng.normal(0, 4, (8, 3))[rng.integers(0, 8, 200_000)] + rng.normal(size=(200_000, 3))
    rows = []
    for kind in ("full", "tied", "diag", "spherical"):
        theirs = Theirs(n_components=8, covariance_type=kind, max_iter=1, init_params="random_from_data")
        theirs.set_params(random_state=0).fit(X)

        def their_step(theirs: Any = theirs) -> None:
            norms, shares = theirs._e_step(X)
            theirs._m_step(X, shares)
            theirs._compute_lower_bound(shares, norms)

        samples = Samples.of(X)
        priors = Priors.of(samples, covariance_type_of(kind), 8)
        family = Bayesian.under(samples, kind, priors, reg_covar=1e-6)
        start = family.from_responsibilities(samples, theirs.predict_proba(X))
        step = _stepper(MixtureModel(samples, family, 8), start)
        step()
        contestants = {"segment": partial(timed, step), "sklearn": partial(timed, their_step)}
        seconds = in_turn(contestants, 5)
        medians = {name: np.median(values) for name, values in seconds.items()}
        faster = ratio(seconds["sklearn"], seconds["segment"])
        rows.append([kind, f"{medians['segment']:.4f}", f"{medians['sklearn']:.4f}", faster])
    return table(["covariance_type", "segment, s a step", "scikit-learn, s a step", "faster"], rows)


def imputation() -> str:
    """Root mean squared error of filling 20 % of the entries of 20 000 x 8, K = 3."""
    from sklearn.experimental import enable_iterative_imputer
    from sklearn.impute import IterativeImputer, SimpleImputer

    from segment import GaussianMixture

    assert enable_iterative_imputer is not None
    rng = np.random.default_rng(0)
    means, roots = rng.normal(0, 2, (3, 8)), rng.normal(0, 0.8, (3, 8, 8)) + np.eye(8)
    y = rng.integers(0, 3, 20_000)
    whole = means[y] + np.einsum("iab,ib->ia", roots[y], rng.normal(size=(20_000, 8)))
    gaps = rng.random(whole.shape) < 0.2
    X = np.where(gaps, np.nan, whole)
    truth = Parameters(np.full(3, 1 / 3), means, roots @ roots.transpose(0, 2, 1))
    fillers: dict[str, Callable[[], np.ndarray]] = {
        "the true parameters (oracle)": lambda: impute(X, truth),
        "segment, GaussianMixture(missing='em')": lambda: (
            GaussianMixture(3, missing="em", tol=1e-6, max_iter=500, random_state=0).fit(X).impute(X)
        ),
        "scikit-learn, IterativeImputer": lambda: IterativeImputer(random_state=0).fit_transform(X),
        "column means": lambda: SimpleImputer().fit_transform(X),
    }
    rows: list[tuple[str, float, str]] = []
    for name, fill in fillers.items():
        began = time.perf_counter()
        error = float(np.sqrt(np.mean((fill() - whole)[gaps] ** 2)))
        rows.append((name, error, f"{time.perf_counter() - began:.1f}"))
    best = rows[0][1]
    shown = [[name, f"{error:.4f}", f"{error / best - 1:+.2%}", seconds] for name, error, seconds in rows]
    return table(["filled in by", "error", "above the oracle", "seconds"], shown)


def binary() -> str:
    """Seconds an iteration on binarized MNIST, 60 000 x 784, K = 10, beside StepMix."""
    stepmix = peer("stepmix")
    from segment.datasets import is_present
    from segment.digits import load_digits

    if not is_present("mnist"):
        return "MNIST is not at hand: skipped."
    if stepmix is None:
        return "StepMix is not installed (the bench extra has it): skipped."
    digits = load_digits("mnist")
    X = (digits.images[:60_000].reshape(-1, 784) > 127).astype(np.float64)
    samples = Samples.of(X)
    family = Bernoulli.of(samples)
    shares = np.random.default_rng(0).dirichlet(np.ones(10), len(X))
    step = _stepper(MixtureModel(samples, family, 10), family.from_responsibilities(samples, shares))
    step()

    def theirs(max_iter: int) -> float:
        model = stepmix.StepMix(
            n_components=10,
            measurement="binary",
            max_iter=max_iter,
            n_init=1,
            random_state=0,
            abs_tol=0.0,
            rel_tol=0.0,
            progress_bar=0,
            verbose=0,
        )
        return timed(lambda: model.fit(X))

    turns = [(timed(step), (theirs(4) - theirs(1)) / 3) for _ in range(3)]
    ratios = [yours / mine for mine, yours in turns]
    mine, yours = np.median(turns, axis=0)
    faster = f"{np.median(ratios):.1f}x [{min(ratios):.3g} - {max(ratios):.3g}]"
    rows = [["segment", f"{mine:.3f}", ""], ["StepMix", f"{yours:.2f}", faster]]
    return table(["", "seconds an iteration", "segment is faster"], rows)


SECTIONS: dict[str, Callable[[], str]] = {
    "Published values": goldens,
    "Variational step: 200 000 x 3, K = 8": variational,
    "Imputation: 20 000 x 8, K = 3, a fifth of the entries missing": imputation,
    "Binary features: binarized MNIST, 60 000 x 784, K = 10": binary,
}


def main() -> int:
    sections = dict(SECTIONS)
    for name in MORE:
        if (module := peer(name)) is not None and hasattr(module, "sections"):
            sections |= dict(module.sections())
    parts = []
    for title, measure in sections.items():
        print(title, file=sys.stderr, flush=True)
        parts += [f"### {title}", measure()]
    write_section("mixtures", "Mixtures", "\n\n".join(parts))
    return 0
