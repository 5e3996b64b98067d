"""Mixtures of t distributions: the formulas, direct optimization, outliers, and the estimator."""

import os
import pickle
import warnings
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats
from sklearn.utils.estimator_checks import check_estimator

from segment import GaussianMixture, TMixture
from segment.data import Samples
from segment.errors import DataError, ModelError
from segment.lab.ecm_t import Bell
from segment.mixture import accumulate, assign, log_densities, responsibilities, score_samples
from segment.mixture.expectation import log_likelihood
from segment.mixture.families.student.family import Student, root_of_degrees
from segment.mixture.families.student.parameters import StudentParameters, log_gamma_ratio
from segment.mixture.model import climb

TYPES = ("full", "diag", "tied", "spherical")
needs_jit = pytest.mark.skipif(
    os.environ.get("NUMBA_DISABLE_JIT") == "1", reason="tried for compiled code only: slow without"
)


def _scale(kind, K, D, rng):
    matrix = rng.normal(size=(K, D, D))
    matrix = matrix @ matrix.transpose(0, 2, 1) + 0.5 * np.eye(D)
    variances = rng.uniform(0.5, 2.0, (K, D))
    return {"full": matrix, "tied": matrix[0], "diag": variances, "spherical": variances[:, 0]}[kind]


def _case(seed=0, n=200, K=3, D=2, kind="full", rule="free", dtype=np.float64):
    rng = np.random.default_rng(seed)
    means = rng.normal(0, 4, (K, D))
    degrees = np.full(K, 3.5) if rule == "shared" else rng.uniform(1.5, 9.0, K)
    weights = rng.dirichlet(np.full(K, 4.0))
    parameters = StudentParameters(weights, means, _scale(kind, K, D, rng), kind, degrees, rule)
    y = rng.choice(K, n, p=weights)
    X = parameters.drawn(y, np.random.RandomState(seed)).astype(dtype)
    return parameters, Samples.of(X, rng.integers(0, 4, n))


def naive_densities(X, p):
    """Log weight plus scipy's log density, (n, K)."""
    columns = [
        np.log(weight) + stats.multivariate_t(mean, shape, df=degrees).logpdf(X.astype(np.float64))
        for weight, mean, shape, degrees in zip(
            p.weights, p.means, p.spread_covariances(), p.degrees_of_freedom, strict=True
        )
    ]
    return np.stack([np.atleast_1d(column) for column in columns], axis=1)


@pytest.mark.kernels
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("D", [1, 2, 5])
def test_densities_and_sums_are_those_of_the_formula(D, kind, dtype):
    parameters, samples = _case(n=60, D=D, kind=kind, dtype=dtype)
    expected = naive_densities(samples.X, parameters)
    assert np.allclose(log_densities(samples.X, parameters), expected, rtol=1e-10)
    totals = np.logaddexp.reduce(expected, axis=1)
    assert np.allclose(score_samples(samples.X, parameters), totals, rtol=1e-10)
    r = np.exp(expected - totals[:, None]) * samples.sample_weight[:, None]
    nu = parameters.degrees_of_freedom
    d = samples.X[:, None, :] - parameters.means
    inverses = np.linalg.inv(parameters.spread_covariances())
    u = (nu + D) / (nu + np.einsum("ika,kab,ikb->ik", d, inverses, d))
    found = accumulate(samples, parameters)
    assert np.allclose(found.counts, r.sum(axis=0), rtol=1e-9)
    assert np.allclose(found.scales, (r * u).sum(axis=0), rtol=1e-9)
    assert np.allclose(found.logs, (r * np.log(u)).sum(axis=0), rtol=1e-9, atol=1e-9)
    assert np.allclose(found.first, np.einsum("ik,ika->ka", r * u, d), atol=1e-8)
    second = np.einsum("ik,ika,ikb->kab", r * u, d, d)
    if found.second.ndim == 3:
        lower = np.tril_indices(D)
        assert np.allclose(found.second[:, *lower], second[:, *lower], rtol=1e-8, atol=1e-8)
    else:
        assert np.allclose(found.second, np.einsum("kaa->ka", second), rtol=1e-8)
    assert found.log_likelihood == pytest.approx(samples.sample_weight @ totals, rel=1e-10)


def test_the_gamma_ratio_is_exact_for_few_and_for_many_degrees():
    from fractions import Fraction

    for a, b in ((1.5, 1), (29.0, 2), (31.0, 2), (1e3, 3), (5e5, 4)):
        product = Fraction(1)
        for j in range(b):
            product *= Fraction(a) + j
        exact = np.log(float(product / Fraction(a) ** b))
        assert log_gamma_ratio(np.array([a]), float(b))[0] == pytest.approx(exact, abs=3e-13)
    # Many degrees of freedom are a Gaussian.
    p = StudentParameters([1.0], [[0.0]], [[[1.0]]], "full", [1e6])
    assert score_samples([[1.5]], p)[0] == pytest.approx(stats.norm.logpdf(1.5), abs=2e-6)


def test_the_equation_of_the_degrees_is_solved():
    from scipy.special import digamma

    for nu in (0.3, 2.0, 40.0, 3000.0):
        terms = np.array([digamma(nu / 2) - np.log(nu / 2) - 1.0])
        assert root_of_degrees(terms)[0] == pytest.approx(nu, rel=1e-7)


@needs_jit
@settings(deadline=None, max_examples=15)
@given(
    st.integers(0, 10**6),
    st.sampled_from(TYPES),
    st.sampled_from(["free", "shared", 4.0]),
    st.sampled_from([0.0, 0.2]),
    st.sampled_from(["squarem", None]),
)
def test_the_likelihood_never_falls(seed, kind, degrees, reg_covar, acceleration):
    truth, samples = _case(seed, kind=kind, n=120)
    family = Student.of(samples, kind, degrees_of_freedom=degrees, reg_covar=reg_covar)
    start = family.from_responsibilities(samples, responsibilities(samples.X, truth))
    result = climb(samples, family, start, tol=1e-9, max_iter=200, acceleration=acceleration)
    assert np.diff(result.lower_bounds).min(initial=0.0) > -1e-11 * abs(result.lower_bound)
    if degrees == "shared":
        assert len(np.unique(result.parameters.degrees_of_freedom)) == 1
    if degrees == 4.0:
        assert result.parameters.degrees_of_freedom.tolist() == [4.0] * 3


@needs_jit
@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("degrees", ["free", "shared", 3.0])
def test_direct_optimization_finds_nothing_better(kind, degrees):
    """Quasi-Newton on the log-likelihood, by its own formula, ends where EM ends: to 1e-6."""
    truth, samples = _case(4, n=300, K=2, kind=kind)
    family = Student.of(samples, kind, degrees_of_freedom=degrees, reg_covar=0.0)
    start = family.from_responsibilities(samples, responsibilities(samples.X, truth))
    result = climb(samples, family, start, tol=1e-13, max_iter=20000)
    assert result.converged
    chart, total = family.chart(2), samples.total_weight

    def loss(vector):
        densities = naive_densities(samples.X, chart.unpack(vector))
        return -samples.sample_weight @ np.logaddexp.reduce(densities, axis=1) / total

    best = chart.pack(result.parameters)
    pushed = best + np.random.default_rng(0).normal(0, 0.05, best.shape)
    found = optimize.minimize(loss, pushed, method="BFGS", options={"gtol": 1e-8, "maxiter": 2000})
    assert -found.fun == pytest.approx(result.lower_bound, abs=1e-9)
    direct = chart.unpack(found.x)
    assert np.allclose(direct.means, result.parameters.means, atol=1e-5)
    assert np.allclose(direct.weights, result.parameters.weights, atol=1e-6)
    assert np.allclose(direct.degrees_of_freedom, result.parameters.degrees_of_freedom, rtol=1e-4)
    steps = 1e-4 * np.eye(len(best))
    slopes = [(loss(best + step) - loss(best - step)) / 2e-4 for step in steps]
    assert np.abs(slopes).max() < 1e-6


def test_one_component_is_scipys_t_fit():
    x = stats.t.rvs(4.0, loc=2.0, scale=1.5, size=400, random_state=1)
    mixture = TMixture(1, reg_covar=0.0, tol=1e-14, max_iter=5000, random_state=0).fit(x[:, None])
    degrees, center, scale = stats.t.fit(x)
    assert mixture.score(x[:, None]) >= stats.t.logpdf(x, degrees, center, scale).mean() - 1e-9
    assert mixture.degrees_of_freedom_[0] == pytest.approx(degrees, rel=1e-2)
    assert mixture.scales_[0, 0, 0] ** 0.5 == pytest.approx(scale, rel=1e-3)


@needs_jit
def test_components_of_colors_stay_where_noise_pixels_are_added():
    """Five in a hundred pixels of any color: Gaussians follow them, t components do not."""
    rng = np.random.default_rng(0)
    truth = np.array([[60.0, 70.0, 90.0], [150.0, 120.0, 60.0], [220.0, 215.0, 205.0]])
    clean = truth[rng.integers(0, 3, 6000)] + rng.normal(0, 6.0, (6000, 3))
    noisy = np.concatenate([clean, rng.uniform(0, 255, (300, 3))]).round().clip(0, 255)
    colors, counts = np.unique(noisy, axis=0, return_counts=True)

    def moved(mixture):
        found = mixture.fit(colors, sample_weight=counts)
        nearest = [np.abs(found.means_ - center).sum(axis=1).argmin() for center in truth]
        return np.linalg.norm(found.means_[nearest] - truth, axis=1).max(), nearest

    robust, options = TMixture(3, random_state=0), {"random_state": 0}
    distance, nearest = moved(robust)
    assert distance < 0.5
    assert sorted(nearest) == [0, 1, 2]
    assert moved(GaussianMixture(3, **options))[0] > 5 * distance
    # The scale is that of the clean pixels too: sd 6.
    spread = np.sqrt(np.linalg.det(robust.scales_)) ** (1 / 3)
    assert np.allclose(spread, 6.0, rtol=0.15)


@pytest.mark.parametrize("kind", TYPES)
def test_weight_is_repetition_cuts_add_and_families_are_picklable(kind):
    parameters, samples = _case(kind=kind)
    copies = Samples.of(np.repeat(samples.X, samples.sample_weight.astype(int), axis=0))
    whole = accumulate(samples, parameters)
    parts = [
        accumulate(Samples(samples.X[rows], samples.sample_weight[rows]), parameters)
        for rows in (slice(0, 77), slice(77, None))
    ]
    family = pickle.loads(pickle.dumps(Student.of(samples, kind)))
    wanted = family.maximize(whole, parameters)
    for other in (accumulate(copies, parameters), parts[0] + parts[1], whole.scaled(2.0)):
        found = family.maximize(other, parameters)
        assert np.allclose(found.covariances, wanted.covariances, rtol=1e-9)
        assert np.allclose(found.degrees_of_freedom, wanted.degrees_of_freedom, rtol=1e-9)
    moved = replace(parameters, means=parameters.means + 0.3)
    again = family.maximize(whole.about(parameters, moved), moved)
    assert np.allclose(again.means, wanted.means, rtol=1e-9)
    assert np.allclose(again.covariances, wanted.covariances, rtol=1e-7)


@pytest.mark.parametrize("rule", ["free", "shared", "fixed"])
@pytest.mark.parametrize("kind", TYPES)
def test_the_vector_form_loses_nothing_and_every_vector_is_legal(kind, rule):
    parameters, samples = _case(kind=kind, rule="shared")
    degrees = {"fixed": 3.5}.get(rule, rule)
    chart = Student.of(samples, kind, degrees_of_freedom=degrees).chart(3)
    vector = chart.pack(parameters)
    again = chart.unpack(vector)
    assert np.allclose(again.degrees_of_freedom, parameters.degrees_of_freedom, rtol=1e-12)
    assert np.allclose(again.covariances, parameters.covariances, rtol=1e-10)
    assert again.rule == rule
    chart.unpack(vector + np.random.default_rng(0).normal(0, 10.0, vector.shape))
    gaussian = GaussianMixture(3, covariance_type=kind).fit(samples.X)._n_parameters()
    assert again.n_parameters == gaussian + {"free": 3, "shared": 1, "fixed": 0}[rule]


def test_a_sample_out_of_all_reach_is_explained_by_the_heaviest_tail():
    p = StudentParameters([0.5, 0.5], [[0.0], [5.0]], [[[1.0]], [[1.0]]], "full", [2.0, 30.0])
    assert assign([[1e200], [-1e120], [5.0]], p).tolist() == [0, 0, 1]
    assert np.isfinite(log_likelihood(Samples.of(np.array([[1e100], [0.0]])), p))


def test_the_number_of_threads_changes_no_bit():
    parameters, samples = _case(n=40_000)
    found = [accumulate(samples, parameters, n_jobs=n_jobs) for n_jobs in (1, 2, 8)]
    assert len({(f.log_likelihood, f.second.tobytes()) for f in found}) == 1


def test_a_saved_mixture_is_the_same_mixture(tmp_path):
    _, samples = _case()
    mixture = TMixture(2, degrees_of_freedom="shared", random_state=0)
    mixture.fit(samples.X, sample_weight=samples.sample_weight).save(tmp_path / "t.npz")
    again = TMixture.load(tmp_path / "t.npz")
    assert np.array_equal(again.predict_proba(samples.X), mixture.predict_proba(samples.X))
    again.scales_ = again.scales_.copy()
    assert again.bic(samples.X) == pytest.approx(mixture.bic(samples.X), rel=1e-12)
    with pytest.raises(ModelError, match=r"t\.npz: "):
        GaussianMixture.load(tmp_path / "t.npz")


def test_draws_are_what_they_are_drawn_from():
    _, samples = _case(n=400)
    mixture = TMixture(2, degrees_of_freedom=6.0, random_state=0).fit(samples.X)
    X, y = mixture.sample(60_000)
    for k in range(2):
        assert np.allclose(np.median(X[y == k], axis=0), mixture.means_[k], atol=0.15)
        d = X[y == k] - mixture.means_[k]
        distance = np.einsum("ia,ab,ib->i", d, np.linalg.inv(mixture.scales_[k]), d) / 2
        assert stats.kstest(distance, stats.f(2, 6.0).cdf).pvalue > 1e-3


@pytest.mark.parametrize("given", [0.0, -1.0, 1e9, "many"])
def test_impossible_degrees_of_freedom_are_refused(given):
    with pytest.raises(ValueError, match="degrees_of_freedom"):
        TMixture(2, degrees_of_freedom=given).fit([[0.0], [1.0], [2.0]])
    with pytest.raises(DataError, match="degrees_of_freedom"):
        Student.of(Samples.of(np.array([[0.0], [1.0]])), degrees_of_freedom=given)


def test_scikit_learns_checks():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check_estimator(TMixture())


def test_the_lab_counts_the_pieces_of_a_t_distribution_by_hand():
    """With one degree of freedom u is 2 / (1 + d), and the density is Cauchy's."""
    bell = Bell(center=1.0, scale=2.0, degrees=1.0)
    x = np.array([1.0, 5.0])
    np.testing.assert_allclose(bell.precisions(x), [2.0, 2.0 / 5.0])
    assert bell.log_likelihood(x) == pytest.approx(np.log(1 / (2 * np.pi)) + np.log(1 / (10 * np.pi)))
