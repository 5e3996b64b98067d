"""Bernoulli mixtures: the formulas, published tables, acceleration at 0 and 1, and the estimator."""

import math
import os
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.utils.estimator_checks import check_estimator

from segment import BernoulliMixture, GaussianMixture
from segment.data import Samples
from segment.errors import DataError, ModelError
from segment.mixture import accumulate, assign, bic, log_densities, responsibilities, score_samples
from segment.mixture.expectation import log_likelihood
from segment.mixture.families.bernoulli import Bernoulli, BernoulliParameters
from segment.mixture.model import climb

golden = Path(os.environ.get("SEGMENT_DATASETS", "")) / "golden"
needs_golden = pytest.mark.skipif(
    not (golden / "carcinoma.csv").is_file(), reason="the golden tables are not in SEGMENT_DATASETS"
)


def naive_log_density(x, weight, probabilities):
    terms = [p if value == 1 else 1 - p for value, p in zip(x, probabilities, strict=True)]
    if weight == 0 or min(terms) == 0:
        return -math.inf
    return math.log(weight) + math.fsum(math.log(term) for term in terms)


def _case(seed=0, n=300, K=3, D=5, dtype=np.float64):
    rng = np.random.default_rng(seed)
    parameters = BernoulliParameters(rng.dirichlet(np.ones(K)), rng.uniform(0.02, 0.98, (K, D)))
    y = rng.choice(K, n, p=parameters.weights)
    X = (rng.uniform(size=(n, D)) < parameters.probabilities[y]).astype(dtype)
    return parameters, Samples.of(X, rng.integers(0, 4, n))


@pytest.mark.kernels
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("D", [1, 5, 40])
def test_densities_and_sums_are_those_of_the_formula(D, dtype):
    parameters, samples = _case(D=D, dtype=dtype)
    expected = np.array(
        [
            [
                naive_log_density(x, w, p)
                for w, p in zip(parameters.weights, parameters.probabilities, strict=True)
            ]
            for x in samples.X
        ]
    )
    assert np.allclose(log_densities(samples.X, parameters), expected, rtol=1e-12)
    totals = np.log(np.exp(expected).sum(axis=1))
    assert np.allclose(score_samples(samples.X, parameters), totals, rtol=1e-12)
    shares = np.exp(expected - totals[:, None])
    assert np.allclose(responsibilities(samples.X, parameters), shares, atol=1e-13)
    assert np.array_equal(assign(samples.X, parameters), shares.argmax(axis=1))
    found = accumulate(samples, parameters)
    weighted = shares * samples.sample_weight[:, None]
    assert np.allclose(found.counts, weighted.sum(axis=0), rtol=1e-12)
    assert np.allclose(found.sums, weighted.T @ samples.X, rtol=1e-12, atol=1e-12)
    assert found.log_likelihood == pytest.approx(samples.sample_weight @ totals, rel=1e-12)


@pytest.mark.parametrize("more", [0, 40])
def test_zero_times_the_logarithm_of_zero_is_zero(more):
    """Few features go through the kernel, many through products of matrices."""
    ones = np.ones((2, more))
    parameters = BernoulliParameters([0.5, 0.5], np.hstack([[[0.0, 1.0], [0.5, 0.5]], ones]))
    densities = log_densities(np.hstack([[[0.0, 1.0], [1.0, 1.0]], ones]), parameters)
    assert densities[0].tolist() == pytest.approx([math.log(0.5), 3 * math.log(0.5)])
    assert densities[1].tolist() == pytest.approx([-math.inf, 3 * math.log(0.5)])
    one_is_missing = np.hstack([[0.0, 0.0], np.ones(more)])
    assert log_densities([one_is_missing], parameters)[0].tolist() == pytest.approx(
        [-math.inf, 3 * math.log(0.5)]
    )


@pytest.mark.parametrize("D", [2, 40])
def test_a_sample_that_no_component_explains_has_probability_zero(D):
    parameters = BernoulliParameters([0.25, 0.75], np.zeros((2, D)))
    row = np.eye(1, D)
    assert score_samples(row, parameters)[0] == -math.inf
    assert responsibilities(row, parameters)[0].tolist() == pytest.approx([0.25, 0.75])


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10**6), st.sampled_from(["squarem", None]))
def test_the_likelihood_never_falls_and_ends_where_its_slope_is_zero(seed, acceleration):
    truth, samples = _case(seed, n=150, K=2, D=4)
    family = Bernoulli.of(samples)
    start = family.from_responsibilities(samples, responsibilities(samples.X, truth))
    result = climb(samples, family, start, tol=1e-12, max_iter=20000, acceleration=acceleration)
    assert np.diff(result.lower_bounds).min(initial=0.0) > -1e-11 * abs(result.lower_bound)
    p = result.parameters.probabilities
    inner = np.argwhere((p > 0.02) & (p < 0.98))
    for k, a in inner:
        ends = []
        for step in (-1e-4, 1e-4):
            moved = p.copy()
            moved[k, a] += step
            q = BernoulliParameters(result.parameters.weights, moved)
            ends.append(log_likelihood(samples, q))
        assert abs(ends[1] - ends[0]) / 2e-4 < 2e-2 * samples.total_weight


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10**6))
def test_weight_is_repetition_and_cuts_add(seed):
    parameters, samples = _case(seed)
    copies = Samples.of(np.repeat(samples.X, samples.sample_weight.astype(int), axis=0))
    whole, repeated = accumulate(samples, parameters), accumulate(copies, parameters)
    parts = [
        accumulate(Samples(samples.X[rows], samples.sample_weight[rows]), parameters)
        for rows in (slice(0, 77), slice(77, None))
    ]
    for other in (repeated, parts[0] + parts[1]):
        assert np.allclose(whole.sums, other.sums, rtol=1e-12, atol=1e-12)
        assert whole.log_likelihood == pytest.approx(other.log_likelihood, rel=1e-12)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10**6))
def test_the_vector_form_loses_nothing_and_every_vector_is_legal(seed):
    parameters, samples = _case(seed)
    parameters.probabilities[0, :2] = 0.0, 1.0
    chart = Bernoulli.of(samples).chart(3)
    vector = chart.pack(parameters)
    again = chart.unpack(vector)
    assert np.allclose(again.probabilities, parameters.probabilities, atol=1e-15)
    assert again.probabilities[0, :2].tolist() == [0.0, 1.0]
    assert np.allclose(again.weights, parameters.weights, rtol=1e-12)
    rng = np.random.default_rng(seed)
    far = chart.unpack(vector + rng.normal(0, 10.0, vector.shape))
    assert far.weights.sum() == pytest.approx(1.0)


def test_the_number_of_threads_changes_no_bit():
    parameters, samples = _case(n=40_000)
    found = [accumulate(samples, parameters, n_jobs=n_jobs) for n_jobs in (1, 2, 3, 8)]
    assert len({(f.log_likelihood, f.sums.tobytes()) for f in found}) == 1


def _table(name):
    rows = np.loadtxt(golden / name, delimiter=",", skiprows=1, ndmin=2)
    return rows - 1.0


@needs_golden
@pytest.mark.parametrize(
    ("name", "K", "log_likelihood"),
    [
        ("carcinoma.csv", 1, -524.4648),
        ("carcinoma.csv", 2, -317.2568),
        ("carcinoma.csv", 3, -293.7050),
        ("carcinoma.csv", 4, -289.2858),
        ("values.csv", 1, -543.6498),
        ("values.csv", 2, -504.4677),
        ("values.csv", 3, -503.3011),
    ],
)
def test_published_log_likelihoods(name, K, log_likelihood):
    """Agresti's carcinoma and Goodman's values, as poLCA (R) reports them; an equal or a higher one."""
    X = _table(name)
    mixture = BernoulliMixture(K, tol=1e-10, max_iter=20000, n_init=10, random_state=0).fit(X)
    assert mixture.converged_
    assert mixture.score(X) * len(X) == pytest.approx(log_likelihood, abs=6e-5)


@needs_golden
def test_the_published_classes_of_carcinoma():
    X = _table("carcinoma.csv")
    mixture = BernoulliMixture(3, tol=1e-10, max_iter=20000, n_init=10, random_state=0).fit(X)
    assert np.sort(mixture.weights_)[::-1].tolist() == pytest.approx([0.4447, 0.3736, 0.1817], abs=6e-5)
    assert mixture.bic(X) == pytest.approx(697.1357, abs=1e-3)
    assert bic(Samples.of(X), mixture._parameters()) == mixture.bic(X)
    # Ten of the 21 probabilities lie on an end: acceleration must get there.
    ends = (mixture.probabilities_ < 1e-6) | (mixture.probabilities_ > 1 - 1e-6)
    assert ends.sum() == 10


def test_scikit_learns_checks():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check_estimator(BernoulliMixture(binarize=0.0))


@pytest.mark.parametrize(
    ("X", "message"),
    [
        ([[1, 2], [2, 1], [1, 1]], "holds 2; 0 and 1 are allowed: subtract 1 from codes 1 and 2"),
        ([[0.5, 1], [0, 1], [1, 1]], "holds 0.5"),
        ([[np.nan, 1], [0, 1], [1, 1]], "NaN"),
    ],
)
def test_what_is_not_binary_is_refused(X, message):
    with pytest.raises(ValueError, match=message):
        BernoulliMixture(2).fit(X)
    with pytest.raises(DataError, match=message):
        BernoulliMixture(1).fit([[0, 1], [1, 0]]).predict(X)


def test_a_threshold_makes_numbers_binary_and_nan_is_no_number():
    X = np.random.default_rng(0).normal(size=(60, 4))
    binary = BernoulliMixture(2, random_state=0).fit(X > 0.3)
    assert np.array_equal(
        BernoulliMixture(2, binarize=0.3, random_state=0).fit(X).probabilities_, binary.probabilities_
    )
    X[3, 1] = np.nan
    with pytest.raises(DataError, match="NaN"):
        BernoulliMixture(2, binarize=0.3).fit(X)


def test_a_saved_mixture_is_the_same_mixture(tmp_path):
    _, samples = _case()
    mixture = BernoulliMixture(3, random_state=0).fit(samples.X, sample_weight=samples.sample_weight)
    mixture.save(tmp_path / "classes.npz")
    again = BernoulliMixture.load(tmp_path / "classes.npz")
    assert np.array_equal(again.predict_proba(samples.X), mixture.predict_proba(samples.X))
    with pytest.raises(ModelError, match=r"classes\.npz: not a model"):
        GaussianMixture.load(tmp_path / "classes.npz")


def test_draws_have_the_probabilities_of_the_mixture():
    _, samples = _case(n=2000)
    mixture = BernoulliMixture(2, random_state=0).fit(samples.X)
    X, y = mixture.sample(40_000)
    for k in range(2):
        assert np.allclose(X[y == k].mean(axis=0), mixture.probabilities_[k], atol=0.03)
    with pytest.raises(DataError, match="at least one"):
        mixture.sample(0)
