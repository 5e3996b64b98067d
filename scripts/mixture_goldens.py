"""Published values of mixtures of independent samples, each with what is found for it."""

import math
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from sklearn.datasets import load_iris

from segment import BayesianGaussianMixture, BernoulliMixture, GaussianMixture
from segment.data import Samples
from segment.mixture.families.poisson import Poisson
from segment.mixture.fitting import fit_family

GOLDEN = Path(os.environ.get("SEGMENT_DATASETS", "datasets")) / "golden"
SOURCES = {
    "mclust": "mclust (R)",
    "poLCA": "poLCA (R)",
    "mvnmle": "mvnmle (R), Little & Rubin",
    "Murray": "Murray (1977)",
    "Hasselblad": "Hasselblad (1969)",
    "sklearn": "scikit-learn, three seeds",
}


class Golden(NamedTuple):
    """A value, the digits that are published, and whether a higher one is as good."""

    source: str
    what: str
    published: float
    digits: int
    found: float
    is_likelihood: bool = False

    @property
    def is_met(self) -> bool:
        tolerance = 1.01 * 10.0**-self.digits
        if self.is_likelihood and self.found > self.published:
            return True
        return abs(self.found - self.published) <= tolerance


def read(name: str) -> np.ndarray:
    return np.genfromtxt(GOLDEN / name, delimiter=",", skip_header=1).reshape(-1, _columns(name))


def _columns(name: str) -> int:
    with open(GOLDEN / name) as file:
        return len(file.readline().split(","))


EXACT: dict[str, Any] = {"tol": 1e-12, "max_iter": 20_000, "random_state": 0}


def likelihoods() -> Iterator[Golden]:
    """Gaussians of complete rows."""
    tables = {"faithful": read("faithful.csv"), "galaxies": read("galaxies.csv") / 1000.0}
    tables["iris"] = load_iris().data
    # The likelihood of three components on iris has no bound: k-means starts far from a collapse.
    for name, K, kind, init, published in (
        ("faithful", 2, "full", "short_runs", -1130.2640),
        ("faithful", 3, "tied", "short_runs", -1126.3159),
        ("iris", 2, "full", "short_runs", -214.3547),
        ("iris", 3, "full", "kmeans", -180.1855),
        ("galaxies", 3, "full", "short_runs", -203.1792),
    ):
        X = tables[name]
        options: dict[str, Any] = {"covariance_type": kind, "init_params": init, "reg_covar": 1e-9, **EXACT}
        mixture = GaussianMixture(K, **options).fit(X)
        what = f"{name}, {kind}, K = {K}: log-likelihood"
        yield Golden("mclust", what, published, 4, mixture.score(X) * len(X), True)


def missing() -> Iterator[Golden]:
    """Gaussians of rows with gaps."""
    options: dict[str, Any] = {"missing": "em", "reg_covar": 0.0, **EXACT}
    X = read("apple.csv")
    found = GaussianMixture(1, **options).fit(X)
    covariance = found.covariances_[0]
    for what, published, digits, value in (
        ("apples: mean of the size", 14.7222, 4, found.means_[0, 0]),
        ("apples: mean of the wormy share", 49.3333, 4, found.means_[0, 1]),
        ("apples: variance", 89.534, 3, covariance[0, 0]),
        ("apples: covariance", -90.697, 3, covariance[0, 1]),
        ("apples: variance of the share", 114.695, 3, covariance[1, 1]),
        ("apples: log-likelihood", -101.7856, 4, found.score(X) * len(X)),
    ):
        yield Golden("mvnmle", what, published, digits, float(value))
    X = read("missvals.csv")
    found = GaussianMixture(1, **options).fit(X)
    for a, published in enumerate((6.65517, 49.96526, 11.76923, 27.04709, 95.42308)):
        yield Golden("mvnmle", f"13 rows of five: mean {a + 1}", published, 5, float(found.means_[0, a]))
    nan = math.nan
    rows: list[list[float]] = [[1, 1], [1, -1], [-1, 1], [-1, -1]]
    rows += [[x, nan] for x in (2, 2, -2, -2)] + [[nan, x] for x in (2, 2, -2, -2)]
    for rho, end, published in ((0.1, 0.5, -29.97429), (-0.1, -0.5, -29.97429), (0.0, 0.0, -30.03334)):
        start: dict[str, Any] = {"weights_init": [1.0], "means_init": [[0.0, 0.0]]}
        start["precisions_init"] = [np.linalg.inv([[2.0, 2 * rho], [2 * rho, 2.0]])]
        found = GaussianMixture(1, **options, **start).fit(rows)
        covariance = found.covariances_[0]
        where = f"12 points, from correlation {rho:g}"
        correlation = float(covariance[0, 1] / covariance[0, 0])
        yield Golden("Murray", f"{where}: correlation", end, 5, correlation)
        yield Golden("Murray", f"{where}: log-likelihood", published, 5, found.score(rows) * 12)


def discrete() -> Iterator[Golden]:
    """Binary features and counts."""
    published = {
        "carcinoma": (-524.4648, -317.2568, -293.7050, -289.2858),
        "values": (-543.6498, -504.4677, -503.3011),
    }
    for name, values in published.items():
        X = read(f"{name}.csv") - 1.0
        for K, value in enumerate(values, start=1):
            found = BernoulliMixture(K, n_init=10, **EXACT).fit(X).score(X) * len(X)
            yield Golden("poLCA", f"{name}, K = {K}: log-likelihood", value, 4, found, True)
    yield from death_notices()


def death_notices() -> Iterator[Golden]:
    """Counts of The Times; the likelihood is flat to its last digit near the optimum."""
    samples = Samples.of(np.arange(10.0)[:, None], [162, 267, 271, 185, 111, 61, 27, 8, 3, 1])
    family = Poisson.of(samples)
    single = fit_family(samples, 1, family)
    quick = fit_family(samples, 2, family, init="kmeans", tol=1e-13)
    best = fit_family(samples, 2, family, init="kmeans", tol=-1.0, max_iter=400).parameters
    order = np.argsort(best.rates[:, 0])
    for what, value, digits, found in (
        ("K = 1: log-likelihood", -2001.3979, 4, single.log_likelihood),
        (f"K = 2: log-likelihood ({quick.n_evaluations} evaluations)", -1989.94586, 5, quick.log_likelihood),
        ("K = 2: weight", 0.3598854, 7, best.weights[order[0]]),
        ("K = 2: lower rate", 1.2560951, 7, best.rates[order[0], 0]),
        ("K = 2: higher rate", 2.6634044, 7, best.rates[order[1], 0]),
    ):
        yield Golden("Hasselblad", f"death notices, {what}", value, digits, float(found))


def variational() -> Iterator[Golden]:
    """Old Faithful, standardized: of six components two remain."""
    X = read("faithful.csv")
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    found = BayesianGaussianMixture(
        n_components=6,
        weight_concentration_prior_type="dirichlet_distribution",
        weight_concentration_prior=1e-3,
        mean_precision_prior=1.0,
        degrees_of_freedom_prior=2.0,
        covariance_prior=np.eye(2),
        tol=1e-9,
        max_iter=5000,
        random_state=0,
    ).fit(X)
    order = np.argsort(-found.weights_)
    means = found.means_[order]
    for what, value, got in (
        ("first weight", 0.64286, found.weights_[order[0]]),
        ("second weight", 0.35712, found.weights_[order[1]]),
        ("first mean", 0.70204, means[0, 0]),
        ("first mean, second feature", 0.66669, means[0, 1]),
        ("second mean", -1.25804, means[1, 0]),
        ("second mean, second feature", -1.19469, means[1, 1]),
    ):
        yield Golden("sklearn", f"standardized faithful, variational, K = 6: {what}", value, 5, float(got))


GOLDENS: tuple[Callable[[], Iterator[Golden]], ...] = (likelihoods, missing, discrete, variational)


def goldens() -> list[list[Any]]:
    """Return the rows of the table: source, quantity, published, found, whether the digits agree."""
    rows = []
    for part in GOLDENS:
        for one in part():
            met = "yes" if one.is_met else "**no**"
            if one.is_likelihood and one.is_met and one.found - one.published > 10.0**-one.digits:
                met = "higher"
            rows.append(
                [
                    one.what,
                    SOURCES[one.source],
                    f"{one.published:.{one.digits}f}",
                    f"{one.found:.{one.digits + 1}f}",
                    met,
                ]
            )
    return rows
