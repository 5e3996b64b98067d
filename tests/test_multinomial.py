"""Multinomial mixtures: the formulas, probabilities of 0, acceleration, digits as counts, the estimator."""

import pickle
import warnings
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.utils.estimator_checks import check_estimator

from segment import GaussianMixture, MultinomialMixture
from segment.data import Samples
from segment.errors import DataError, ModelError
from segment.mixture import accumulate, assign, log_densities, responsibilities, score_samples
from segment.mixture.expectation import log_likelihood
from segment.mixture.families.multinomial import Multinomial, MultinomialParameters
from segment.mixture.model import climb


def _case(seed=0, n=200, K=3, D=4, dtype=np.float64):
    rng = np.random.default_rng(seed)
    parameters = MultinomialParameters(rng.dirichlet(np.ones(K)), rng.dirichlet(np.ones(D), K), 12.0)
    y, totals = rng.choice(K, n, p=parameters.weights), rng.integers(0, 25, n)
    X = rng.multinomial(totals, parameters.probabilities[y]).astype(dtype)
    return parameters, Samples.of(X, rng.integers(0, 4, n))


@pytest.mark.kernels
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("D", [2, 5, 40])
def test_densities_and_sums_are_those_of_the_formula(D, dtype):
    """The coefficient included: a sample of no counts at all has probability 1."""
    parameters, samples = _case(D=D, dtype=dtype)
    samples.X[0], samples.X[1, 0] = 0, 3000
    totals = samples.X.sum(axis=1).astype(int)
    columns = [stats.multinomial.logpmf(samples.X, totals, p) for p in parameters.probabilities]
    expected = np.log(parameters.weights) + np.stack(columns, axis=1)
    assert np.allclose(log_densities(samples.X, parameters), expected, rtol=1e-9, atol=1e-9)
    assert score_samples(samples.X[:1], parameters)[0] == pytest.approx(0.0, abs=1e-12)
    scores = np.logaddexp.reduce(expected, axis=1)
    found = accumulate(samples, parameters)
    weighted = np.exp(expected - scores[:, None]) * samples.sample_weight[:, None]
    assert np.allclose(found.counts, weighted.sum(axis=0), rtol=1e-9)
    assert np.allclose(found.sums, weighted.T @ samples.X, rtol=1e-9)
    assert found.log_likelihood == pytest.approx(samples.sample_weight @ scores, rel=1e-10)


def test_the_probabilities_of_all_samples_of_a_total_sum_to_one():
    parameters = _case(D=3)[0]
    all_of_six = [[a, b, 6 - a - b] for a in range(7) for b in range(7 - a)]
    assert np.exp(score_samples(np.array(all_of_six, float), parameters)).sum() == pytest.approx(1.0)


@pytest.mark.parametrize("more", [0, 40])
def test_a_probability_of_zero_allows_a_count_of_zero_only(more):
    """Few features go through the kernel, many through products of matrices."""
    none = np.zeros((2, more))
    parameters = MultinomialParameters([0.5, 0.5], np.hstack([[[0.0, 1.0], [0.5, 0.5]], none]))
    densities = log_densities(np.hstack([[[0.0, 2.0], [1.0, 1.0]], none]), parameters)
    half = np.log(0.5)
    assert densities == pytest.approx(np.array([[half, 3 * half], [-np.inf, 2 * half]]))
    alone = MultinomialParameters([0.25, 0.75], np.hstack([[[0.0, 1.0], [0.0, 1.0]], none]))
    row = np.eye(1, 2 + more)
    assert score_samples(row, alone)[0] == -np.inf
    assert responsibilities(row, alone)[0].tolist() == pytest.approx([0.25, 0.75])


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 10**6), st.sampled_from(["squarem", None]))
def test_the_likelihood_never_falls_and_ends_where_its_slope_is_zero(seed, acceleration):
    truth, samples = _case(seed, K=2)
    family = Multinomial.of(samples)
    start = family.from_responsibilities(samples, responsibilities(samples.X, truth))
    result = climb(samples, family, start, tol=1e-13, max_iter=20000, acceleration=acceleration)
    assert np.diff(result.lower_bounds).min(initial=0.0) > -1e-11 * abs(result.lower_bound)
    p = result.parameters.probabilities
    for k, a in np.argwhere((p > 0.02) & (p < 0.98)):
        ends = []
        for step in (-1e-5, 1e-5):
            moved = p.copy()
            moved[k] *= (1 - p[k, a] - step) / (1 - p[k, a])
            moved[k, a] = p[k, a] + step
            ends.append(log_likelihood(samples, replace(result.parameters, probabilities=moved)))
        assert abs(ends[1] - ends[0]) / 2e-5 < 1e-2 * samples.total_weight


def test_one_component_is_the_share_of_each_count():
    samples = _case()[1]
    mixture = MultinomialMixture(1).fit(samples.X, sample_weight=samples.sample_weight)
    sums = samples.sample_weight @ samples.X
    assert mixture.probabilities_[0] == pytest.approx(sums / sums.sum(), rel=1e-12)
    assert mixture._n_parameters() == 3
    assert MultinomialMixture(3, max_iter=0).fit(samples.X)._n_parameters() == 2 + 3 * 3


def test_weight_is_repetition_cuts_add_and_the_family_is_picklable():
    parameters, samples = _case()
    copies = Samples.of(np.repeat(samples.X, samples.sample_weight.astype(int), axis=0))
    whole = accumulate(samples, parameters)
    parts = [
        accumulate(Samples(samples.X[rows], samples.sample_weight[rows]), parameters)
        for rows in (slice(0, 77), slice(77, None))
    ]
    for other in (accumulate(copies, parameters), parts[0] + parts[1]):
        assert np.allclose(whole.sums, other.sums, rtol=1e-12)
        assert whole.log_likelihood == pytest.approx(other.log_likelihood, rel=1e-12)
    family = Multinomial.of(samples)
    again = pickle.loads(pickle.dumps(family)).maximize(whole, parameters)
    assert np.array_equal(again.probabilities, family.maximize(whole, parameters).probabilities)


@settings(deadline=None, max_examples=10)
@given(st.integers(0, 10**6))
def test_the_vector_form_loses_nothing_and_every_vector_is_legal(seed):
    parameters, samples = _case(seed)
    parameters.probabilities[0] = [0.0, 1.0, 0.0, 0.0]
    chart = Multinomial.of(samples).chart(3)
    vector = chart.pack(parameters)
    assert np.allclose(chart.unpack(vector).probabilities, parameters.probabilities, atol=1e-15)
    assert chart.unpack(vector).probabilities[0].tolist() == [0.0, 1.0, 0.0, 0.0]
    chart.unpack(vector + np.random.default_rng(seed).normal(0, 10.0, vector.shape))
    chart.unpack(-np.abs(vector))


def test_the_length_of_a_text_says_nothing_of_its_kind():
    rng = np.random.default_rng(0)
    profiles = np.array([[0.6, 0.3, 0.1, 0.0], [0.1, 0.1, 0.3, 0.5]])
    y, lengths = rng.integers(0, 2, 400), rng.integers(15, 2000, 400)
    X = rng.multinomial(lengths, profiles[y])
    mixture = MultinomialMixture(2, random_state=0).fit(X)
    order = np.argsort(-mixture.probabilities_[:, 0])
    assert np.abs(mixture.probabilities_[order] - profiles).max() < 0.005
    assert (np.argsort(order)[mixture.predict(X)] == y).mean() > 0.99
    assert np.array_equal(assign(40 * X, mixture._parameters()), mixture.predict(X))


def test_texts_of_no_words_are_legal():
    X = np.array([[0, 0], [0, 0], [3, 0], [0, 4]])
    assert np.isfinite(MultinomialMixture(2, random_state=0).fit(X).lower_bound_)
    assert MultinomialMixture(2, random_state=0).fit(np.zeros((5, 3))).lower_bound_ == pytest.approx(0.0)


def test_digits_as_counts_of_ink():
    """scikit-learn's bundled digits, 8 x 8 pixels of 0 to 16: scores beside those of k-means."""
    from sklearn.datasets import load_digits
    from sklearn.metrics import adjusted_rand_score

    X, y = load_digits(return_X_y=True)
    mixture = MultinomialMixture(10, init_params="kmeans", random_state=0).fit(X)
    assert adjusted_rand_score(y, mixture.predict(X)) > 0.5


def test_a_saved_mixture_is_the_same_mixture(tmp_path):
    samples = _case()[1]
    mixture = MultinomialMixture(3, random_state=0).fit(samples.X, sample_weight=samples.sample_weight)
    mixture.save(tmp_path / "texts.npz")
    again = MultinomialMixture.load(tmp_path / "texts.npz")
    assert np.array_equal(again.predict_proba(samples.X), mixture.predict_proba(samples.X))
    assert again.length_ == mixture.length_
    again.weights_ = again.weights_.copy()
    assert again.bic(samples.X) == pytest.approx(mixture.bic(samples.X), rel=1e-12)
    with pytest.raises(ModelError, match=r"texts\.npz: not a model"):
        GaussianMixture.load(tmp_path / "texts.npz")


def test_draws_have_the_probabilities_and_the_mean_total():
    samples = _case(n=1000)[1]
    mixture = MultinomialMixture(2, random_state=0).fit(samples.X)
    X, y = mixture.sample(20_000)
    assert set(X.sum(axis=1)) == {round(float(mixture.length_))}
    for k in range(2):
        assert np.allclose(X[y == k].sum(axis=0) / X[y == k].sum(), mixture.probabilities_[k], atol=0.01)


@pytest.mark.parametrize("X", [[[-1, 2], [1, 0], [2, 2]], [[0.5, 2], [1, 0], [2, 2]]])
def test_what_is_no_count_is_refused(X):
    with pytest.raises(DataError, match="whole numbers from 0"):
        MultinomialMixture(2).fit(X)


class _Rounded(MultinomialMixture):
    """Takes any positive numbers, as scikit-learn's checks give them."""

    def _rows(self, X):
        return super()._rows(np.rint(X))


def test_scikit_learns_checks():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check_estimator(_Rounded())
