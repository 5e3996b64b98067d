"""Variational Gaussian mixtures: a bound with all its terms, published values, scikit-learn's tests."""

import importlib
import math
import os
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import sklearn.mixture
from scipy.special import multigammaln
from sklearn.utils.estimator_checks import check_estimator
from toys import TYPES, four_gaussians

from segment import BayesianGaussianMixture
from segment.data import Samples
from segment.errors import DataError
from segment.mixture import assign, responsibilities
from segment.mixture.expectation import accumulate
from segment.mixture.families.gaussian.covariance import covariance_type_of
from segment.mixture.families.variational.family import Bayesian
from segment.mixture.families.variational.priors import Priors
from segment.mixture.model import MixtureModel, climb

golden = Path(os.environ.get("SEGMENT_DATASETS", "")) / "golden"
KINDS = ("dirichlet_process", "dirichlet_distribution")


def _family(samples, covariance_type="full", K=4, reg_covar=0.0, **options):
    priors = Priors.of(samples, covariance_type_of(covariance_type), K, **options)
    return Bayesian.under(samples, covariance_type, priors, reg_covar=reg_covar)


def _start(samples, family, K=4, seed=0):
    shares = np.random.default_rng(seed).dirichlet(np.ones(K), samples.n_samples)
    return family.from_responsibilities(samples, shares)


def test_of_one_component_the_bound_is_the_evidence_in_closed_form():
    X = np.random.default_rng(0).normal(size=(40, 3)) * [1.0, 2.0, 0.5] + 3.0
    samples = Samples.of(X)
    own = {"mean": [2.0, 2.0, 4.0], "mean_precision": 0.7, "degrees_of_freedom": 4.5}
    family = _family(samples, K=1, weight_type="dirichlet_distribution", **own)
    start = _start(samples, family, K=1)
    bound = MixtureModel(samples, family, 1).expect(start).objective
    n, D = X.shape
    scale = family.priors.covariance
    shift = X.mean(axis=0) - [2.0, 2.0, 4.0]
    after = scale + (X - X.mean(axis=0)).T @ (X - X.mean(axis=0))
    after = after + 0.7 * n / (0.7 + n) * np.outer(shift, shift)
    evidence = (
        -0.5 * n * D * math.log(math.pi)
        + multigammaln(0.5 * (4.5 + n), D)
        - multigammaln(0.5 * 4.5, D)
        + 0.5 * 4.5 * np.linalg.slogdet(scale)[1]
        - 0.5 * (4.5 + n) * np.linalg.slogdet(after)[1]
        + 0.5 * D * math.log(0.7 / (0.7 + n))
    )
    assert bound == pytest.approx(evidence, rel=1e-12)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("covariance_type", TYPES)
def test_the_bound_never_falls_and_is_stationary(covariance_type, kind):
    samples = Samples.of(four_gaussians(300)[0])
    for reg_covar, acceleration in ((0.0, None), (0.05, "squarem")):
        family = _family(samples, covariance_type, reg_covar=reg_covar, weight_type=kind)
        start = _start(samples, family)
        result = climb(samples, family, start, tol=1e-13, max_iter=3000, acceleration=acceleration)
        assert np.diff(result.lower_bounds).min() > -1e-12
        assert result.converged
        # Moved in any direction of the vector form, the bound does not rise.
        model, chart = MixtureModel(samples, family, 4), family.chart(4)
        vector = chart.pack(result.parameters)
        best = model.expect(result.parameters).objective
        rng = np.random.default_rng(0)
        for _ in range(20):
            direction = rng.normal(size=vector.shape)
            direction[:4] = 0.0
            for step in (-1e-4, 1e-4):
                assert model.expect(chart.unpack(vector + step * direction)).objective <= best + 1e-6


@pytest.mark.parametrize("covariance_type", TYPES)
@pytest.mark.parametrize("kind", KINDS)
def test_the_vector_form_loses_nothing(covariance_type, kind):
    samples = Samples.of(four_gaussians(300)[0])
    family = _family(samples, covariance_type, weight_type=kind)
    start = _start(samples, family)
    chart = family.chart(4)
    again = chart.unpack(chart.pack(start))
    for name in ("weights", "means", "covariances", "concentrations", "degrees_of_freedom"):
        assert np.allclose(getattr(again, name), getattr(start, name), rtol=1e-9), name


def test_weight_is_repetition_and_threads_change_no_bit():
    X, _ = four_gaussians(200)
    weight = np.random.default_rng(1).integers(1, 4, len(X))
    fits = [
        BayesianGaussianMixture(n_components=4, init_params="kmeans", random_state=0, n_jobs=n_jobs).fit(
            rows, sample_weight=weights
        )
        for rows, weights, n_jobs in (
            (X, weight, 1),
            (X, weight, 3),
            (np.repeat(X, weight, axis=0), None, 1),
        )
    ]
    assert fits[0].means_.tobytes() == fits[1].means_.tobytes()
    order = [np.argsort(fit.means_[:, 0]) for fit in fits]
    assert np.allclose(fits[0].means_[order[0]], fits[2].means_[order[2]], atol=1e-3)
    assert np.allclose(fits[0].covariance_prior_, fits[2].covariance_prior_, rtol=1e-12)


@pytest.mark.skipif(not (golden / "faithful.csv").is_file(), reason="no golden tables in SEGMENT_DATASETS")
def test_of_six_components_old_faithful_keeps_two():
    X = np.loadtxt(golden / "faithful.csv", delimiter=",", skiprows=1)
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    mixture = BayesianGaussianMixture(
        n_components=6,
        weight_concentration_prior_type="dirichlet_distribution",
        weight_concentration_prior=1e-3,
        mean_precision_prior=1.0,
        degrees_of_freedom_prior=2.0,
        covariance_prior=np.eye(2),
        random_state=0,
        tol=1e-7,
        max_iter=2000,
    ).fit(X)
    order = np.argsort(-mixture.weights_)
    assert mixture.converged_
    assert mixture.weights_[order][:3].tolist() == pytest.approx([0.64286, 0.35712, 0.0], abs=1.5e-5)
    assert mixture.means_[order][0].tolist() == pytest.approx([0.70204, 0.66669], abs=1.5e-5)
    assert mixture.means_[order][1].tolist() == pytest.approx([-1.25804, -1.19469], abs=1.5e-5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("covariance_type", TYPES)
def test_a_step_is_scikit_learns(covariance_type, kind):
    """From equal parameters, equal densities (where the posteriors agree) and an equal M-step."""
    X, _ = four_gaussians(300)
    theirs = sklearn.mixture.BayesianGaussianMixture(
        n_components=4,
        covariance_type=covariance_type,
        weight_concentration_prior_type=kind,
        random_state=0,
        reg_covar=0,
        max_iter=1,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs.fit(X)
    shares = theirs.predict_proba(X)
    theirs._m_step(X, np.log(shares + 1e-300))
    samples = Samples.of(X)
    mine = _family(samples, covariance_type, weight_type=kind).from_responsibilities(samples, shares)
    for name in ("means", "covariances", "mean_precision"):
        assert np.allclose(getattr(mine, name), getattr(theirs, name + "_"), rtol=1e-9, atol=1e-12), name
    assert np.allclose(mine.concentrations, theirs.weight_concentration_, rtol=1e-9)
    if covariance_type in ("full", "tied"):
        assert np.allclose(responsibilities(X, mine), theirs.predict_proba(X), atol=1e-8)


def test_the_order_of_a_dirichlet_process_stays_and_that_of_a_distribution_may_change():
    samples = Samples.of(four_gaussians(200)[0])
    order = np.array([2, 0, 3, 1])
    found = _start(samples, _family(samples, weight_type="dirichlet_distribution"))
    moved = assign(samples.X, found.reordered(order))
    assert np.array_equal(moved, np.argsort(order)[assign(samples.X, found)])
    with pytest.raises(DataError, match="have their order"):
        _start(samples, _family(samples)).reordered(order)


def test_saved_and_read_again_it_is_the_same(tmp_path):
    X, _ = four_gaussians(200)
    for kind in KINDS:
        mixture = BayesianGaussianMixture(
            n_components=4, weight_concentration_prior_type=kind, random_state=0
        ).fit(X)
        mixture.save(tmp_path / "bayes.npz")
        again = BayesianGaussianMixture.load(tmp_path / "bayes.npz")
        assert again.predict_proba(X).tobytes() == mixture.predict_proba(X).tobytes()
        assert np.array_equal(again.weight_concentration_, mixture.weight_concentration_)


def test_cuts_add():
    samples = Samples.of(four_gaussians(300)[0])
    family = _family(samples)
    start = _start(samples, family)
    parts = [
        accumulate(replace(samples, X=samples.X[rows], sample_weight=samples.sample_weight[rows]), start)
        for rows in (slice(0, 77), slice(77, None))
    ]
    whole, both = accumulate(samples, start), parts[0] + parts[1]
    assert np.allclose(whole.second, both.second, rtol=1e-11, atol=1e-11)
    assert whole.log_likelihood == pytest.approx(both.log_likelihood, rel=1e-12)


# Compared through private methods, and by the order of two components that are equal to rounding.
WANTED = {"test_compare_covar_type", "test_invariant_translation"}
# Hundreds of fits: `scripts/benchmark mixtures` runs it.
LONG = {
    "test_bayesian_mixture_fit_predict",
    "test_bayesian_mixture_fit_predict_n_init",
    "test_monotonic_likelihood",
}


@pytest.fixture(scope="module")
def theirs():
    kept = sklearn.mixture.BayesianGaussianMixture
    module = importlib.import_module("sklearn.mixture.tests.test_bayesian_mixture")
    sklearn.mixture.BayesianGaussianMixture = module.BayesianGaussianMixture = BayesianGaussianMixture
    yield module
    sklearn.mixture.BayesianGaussianMixture = module.BayesianGaussianMixture = kept


def test_scikit_learns_tests_of_its_own_class(theirs):
    names = [name for name in vars(theirs) if name.startswith("test_")]
    assert set(names) >= WANTED | LONG
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in sorted(set(names) - WANTED - LONG):
            getattr(theirs, name)()


def test_scikit_learns_checks():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check_estimator(BayesianGaussianMixture(init_params="kmeans"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"degrees_of_freedom_prior": 0.5}, "should be greater than 1, but got 0.500"),
        ({"mean_prior": [1.0]}, "should have the shape of"),
        ({"covariance_prior": [[1.0, 2.0], [2.0, 1.0]]}, "symmetric, positive-definite"),
        ({"covariance_type": "diag", "covariance_prior": [1.0, -1.0]}, "should be positive"),
    ],
)
def test_priors_that_are_none_are_refused(options, message):
    with pytest.raises(DataError, match=message):
        BayesianGaussianMixture(**options).fit([[0.0, 1.0], [1.0, 0.0], [2.0, 2.0]])
