"""Every family through one suite: a line in `CASES` is tried for all that a mixture promises."""

import math
import os
from dataclasses import dataclass, fields, is_dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import naive
import numpy as np
import pytest
from sklearn.datasets import load_iris
from toys import four_gaussians

from segment import BernoulliMixture, GaussianMixture
from segment.data import Samples
from segment.data.gaps import GappySamples
from segment.mixture import accumulate, assign, log_densities, responsibilities
from segment.mixture.families.bernoulli import Bernoulli
from segment.mixture.families.gaussian.covariance import covariance_type_of
from segment.mixture.families.gaussian.family import Gaussian
from segment.mixture.families.gaussian.gaps import GappyGaussian
from segment.mixture.families.poisson import Poisson
from segment.mixture.families.student.family import Student
from segment.mixture.families.table import FAMILIES, family_of
from segment.mixture.families.variational.family import Bayesian
from segment.mixture.families.variational.priors import Priors
from segment.mixture.fitting import fit_family
from segment.mixture.model import MixtureModel, climb

golden = Path(os.environ.get("SEGMENT_DATASETS", "")) / "golden"
K = 3


def _plane(n):
    return four_gaussians(n)[0]


def _binary(n):
    rng = np.random.default_rng(1)
    return (rng.random((n, 5)) < rng.uniform(0.1, 0.9, (K, 5))[rng.integers(0, K, n)]).astype(np.float64)


def _counts(n):
    rng = np.random.default_rng(2)
    return rng.poisson(rng.uniform(0.5, 9.0, (K, 3))[rng.integers(0, K, n)]).astype(np.float64)


def _gaps(n):
    X = _plane(n).copy()
    X[np.random.default_rng(3).random(X.shape) < 0.2] = np.nan
    return X


@dataclass(frozen=True)
class Case:
    """A family, how its samples are drawn, and what makes samples and a family of them."""

    name: str
    rows: Any
    family: Any
    samples: Any = Samples.of


def _gaussian(kind, reg_covar=0.0):
    return lambda samples: Gaussian.of(samples, kind, reg_covar=reg_covar)


def _bayesian(kind, weight_type):
    def of(samples):
        priors = Priors.of(samples, covariance_type_of(kind), K, weight_type=weight_type)
        return Bayesian.under(samples, kind, priors, reg_covar=0.0)

    return of


def _student(samples):
    # Degrees that are free have no finite optimum where the tails are light, as here.
    return Student.of(samples, "full", degrees_of_freedom=4.0, reg_covar=0.0)


CASES = [
    Case("bernoulli", _binary, Bernoulli.of),
    Case("poisson", _counts, Poisson.of),
    *(Case(f"gaussian {kind}", _plane, _gaussian(kind)) for kind in ("full", "diag", "tied", "spherical")),
    Case("gaussian regularized", _plane, _gaussian("full", 0.2)),
    Case("gaussian-gaps full", _gaps, lambda s: GappyGaussian.of(s, "full", reg_covar=0.0), GappySamples.of),
    Case("gaussian-gaps tied", _gaps, lambda s: GappyGaussian.of(s, "tied", reg_covar=0.1), GappySamples.of),
    Case("student", _plane, _student),
    Case("bayesian process", _plane, _bayesian("full", "dirichlet_process")),
    Case("bayesian distribution", _plane, _bayesian("diag", "dirichlet_distribution")),
]
every_family = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


def _made(case, n=300, weighted=True):
    weight = np.random.default_rng(0).integers(1, 4, n).astype(np.float64) if weighted else None
    samples = case.samples(case.rows(n), weight)
    family = case.family(samples)
    shares = np.random.default_rng(1).dirichlet(np.ones(K), n)
    return samples, family, family.from_responsibilities(samples, shares)


def _close(one, other, rtol=1e-10):
    """Tell whether statistics of dataclasses of arrays and numbers are equal to rounding."""
    if is_dataclass(one):
        return all(_close(getattr(one, f.name), getattr(other, f.name), rtol) for f in fields(one))
    return np.allclose(one, other, rtol=rtol, atol=1e-9)


def test_every_family_stands_under_its_name_and_its_parameters_know_it():
    for name in FAMILIES:
        family = FAMILIES[name]
        assert family.name == family.parameters.family == name


def test_only_families_of_the_table_are_tried():
    names = {case.name.split()[0] for case in CASES}
    assert names >= {"bernoulli", "poisson", "gaussian", "gaussian-gaps", "student", "bayesian"}
    assert names <= set(FAMILIES)


@every_family
@pytest.mark.parametrize("acceleration", [None, "squarem"])
def test_the_objective_never_falls_and_its_gradient_is_zero_in_the_end(case, acceleration):
    samples, family, start = _made(case)
    result = climb(samples, family, start, tol=1e-13, max_iter=20_000, acceleration=acceleration)
    assert result.converged
    assert np.diff(result.lower_bounds).min(initial=0.0) > -1e-12 * max(1.0, abs(result.lower_bound))
    model, chart = MixtureModel(samples, family, K), family.chart(K)
    vector = chart.pack(result.parameters)
    step, slopes = 1e-4, []
    for direction in np.eye(len(vector)):
        ends = [model.expect(chart.unpack(vector + s * direction)).objective for s in (-step, step)]
        slopes.append((ends[1] - ends[0]) / (2 * step * samples.total_weight))
    # At an end (a probability of 1, an unneeded component) the vector form has no inner point.
    assert np.abs(slopes).max() < 1e-4


@every_family
def test_a_weight_is_so_many_copies(case):
    samples, family, start = _made(case)
    copies = case.samples(np.repeat(samples.X, samples.sample_weight.astype(int), axis=0))
    one, other = (accumulate(source, start, family=family) for source in (samples, copies))
    assert _close(one, other)
    assert np.isclose(samples.total_weight, copies.total_weight)


@every_family
def test_any_cut_into_blocks_sums_alike(case):
    samples, family, start = _made(case)
    whole = accumulate(samples, start, family=family)
    kind = type(samples)
    for seed in range(3):
        cuts = np.sort(np.random.default_rng(seed).integers(1, samples.n_samples - 1, 4))
        edges = np.unique([0, *cuts, samples.n_samples])
        parts = [
            accumulate(kind(samples.X[a:b], samples.sample_weight[a:b]), start, family=family)
            for a, b in pairwise(edges)
        ]
        total = parts[0]
        for part in parts[1:]:
            total = total + part
        assert _close(whole, total)
    assert _close(whole.scaled(0.5) + whole.scaled(0.5), whole)


@every_family
def test_the_number_of_threads_changes_no_bit(case):
    samples, family, start = _made(case)
    found = [accumulate(samples, start, family=family, n_jobs=n_jobs) for n_jobs in (1, 2, 5)]
    assert len({np.asarray(one.counts).tobytes() for one in found}) == 1
    assert len({one.log_likelihood for one in found}) == 1


@every_family
def test_the_vector_form_loses_nothing_and_every_vector_is_legal(case):
    samples, family, start = _made(case)
    chart = family.chart(K)
    vector = chart.pack(start)
    assert np.allclose(chart.pack(chart.unpack(vector)), vector, rtol=1e-9, atol=1e-9)
    far = chart.unpack(vector + np.random.default_rng(0).normal(0, 2.0, vector.shape))
    assert far.weights.sum() == pytest.approx(1.0)
    assert np.isfinite(accumulate(samples, far, family=family).counts).all()


@every_family
def test_what_is_saved_is_read_again_and_belongs_to_its_family(case, tmp_path):
    samples, family, start = _made(case)
    start.save(tmp_path / "mixture.npz")
    again, _ = type(start).load(tmp_path / "mixture.npz")
    assert type(family_of(start)) is type(family)
    assert log_densities(samples, again).tobytes() == log_densities(samples, start).tobytes()
    assert start.n_parameters == again.n_parameters > K


@every_family
def test_responsibilities_are_shares_and_labels_the_largest(case):
    samples, _, start = _made(case)
    shares = responsibilities(samples, start)
    assert np.allclose(shares.sum(axis=1), 1.0)
    assert np.array_equal(assign(samples, start), log_densities(samples, start).argmax(axis=1))


@every_family
def test_draws_look_like_the_samples_of_the_family(case):
    samples, _, start = _made(case)
    X = start.drawn(np.repeat(np.arange(K), 20), np.random.RandomState(0))
    assert X.shape == (60, samples.n_features)
    assert np.isfinite(log_densities(X, start)).any(axis=1).all()


NAIVE = {
    "bernoulli": lambda p, k, x: naive.log_bernoulli(x, p.probabilities[k]),
    "poisson": lambda p, k, x: naive.log_poisson(x, p.rates[k]),
    "gaussian": lambda p, k, x: naive.weighted_log_density(x, 1.0, p.means[k], p.spread_covariances()[k]),
    "gaussian-gaps": lambda p, k, x: naive.log_density_of_known(x, p.means[k], p.spread_covariances()[k]),
}


@every_family
def test_densities_are_those_of_the_formula(case):
    samples, family, start = _made(case, 40)
    if (formula := NAIVE.get(family.name)) is None:
        pytest.skip("its densities are expectations: see the tests of the family")
    expected = [
        [math.log(start.weights[k]) + formula(start, k, x) for k in range(K)] for x in samples.X.tolist()
    ]
    assert np.allclose(log_densities(samples, start), expected, rtol=1e-10)


def _read(name):
    if not (golden / name).is_file():
        pytest.skip("the golden tables are not in SEGMENT_DATASETS")
    return np.loadtxt(golden / name, delimiter=",", skiprows=1, ndmin=2)


@pytest.mark.parametrize(
    ("name", "n_components", "covariance_type", "init", "published"),
    [
        ("faithful.csv", 2, "full", "short_runs", -1130.2640),
        ("faithful.csv", 3, "tied", "short_runs", -1126.3159),
        ("galaxies.csv", 3, "full", "short_runs", -203.1792),
        ("iris", 2, "full", "short_runs", -214.3547),
        ("iris", 3, "full", "kmeans", -180.1855),
    ],
)
def test_log_likelihoods_that_mclust_reports_or_higher_ones(
    name, n_components, covariance_type, init, published
):
    X = load_iris().data if name == "iris" else _read(name)
    if name == "galaxies.csv":
        X = X / 1000.0
    # The likelihood has no bound where a component collapses: k-means starts far from that.
    options = {"covariance_type": covariance_type, "tol": 1e-10, "max_iter": 5000, "reg_covar": 1e-9}
    mixture = GaussianMixture(n_components, **options, init_params=init, random_state=0).fit(X)
    assert mixture.repairs_ == ()
    assert mixture.converged_
    assert mixture.score(X) * len(X) >= published - 6e-5


def _death_notices(**options):
    days = np.array([162, 267, 271, 185, 111, 61, 27, 8, 3, 1])
    samples = Samples.of(np.arange(10.0)[:, None], days)
    return fit_family(samples, 2, Poisson.of(samples), init="kmeans", **options)


def test_death_notices_converge_in_fewer_than_a_hundred_evaluations():
    """Hasselblad (1969): days with 0, 1, ... 9 death notices of women of 80 and more in The Times."""
    result = _death_notices(tol=1e-13, max_iter=1000)
    assert result.converged
    assert result.n_evaluations < 100
    assert result.log_likelihood == pytest.approx(-1989.94586, abs=6e-6)
    # Plain steps are not there after ten times as many.
    plain = _death_notices(tol=1e-13, max_iter=1000, acceleration=None)
    assert not plain.converged
    assert plain.log_likelihood < result.log_likelihood


def test_the_published_rates_of_death_notices():
    # The likelihood is flat to its last digit there: steps go on as long as they are let.
    found = _death_notices(tol=-1.0, max_iter=400).parameters
    order = np.argsort(found.rates[:, 0])
    assert found.rates[order, 0].tolist() == pytest.approx([1.2560951, 2.6634044], abs=6e-8)
    assert found.weights[order][0] == pytest.approx(0.3598854, abs=6e-8)


def test_the_estimators_of_discrete_features_take_weights():
    X, days = _binary(200), np.random.default_rng(0).integers(1, 4, 200)
    weighted = BernoulliMixture(2, random_state=0).fit(X, sample_weight=days)
    repeated = BernoulliMixture(2, random_state=0).fit(np.repeat(X, days, axis=0))
    assert weighted.lower_bound_ == pytest.approx(repeated.lower_bound_, abs=1e-4)
