"""Poisson mixtures: the formulas, a published table, rates of 0, acceleration, and the estimator."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.utils.estimator_checks import check_estimator

from segment import PoissonMixture
from segment.data import Samples
from segment.errors import DataError
from segment.mixture import accumulate, log_densities, responsibilities, score_samples
from segment.mixture.expectation import log_likelihood
from segment.mixture.families.poisson import Poisson, PoissonParameters
from segment.mixture.model import climb

# Days with 0, 1, ..., 9 death notices in The Times (Hasselblad 1969).
NOTICES = np.arange(10.0)[:, None]
DAYS = np.array([162, 267, 271, 185, 111, 61, 27, 8, 3, 1])


def _case(seed=0, n=300, K=3, D=4, dtype=np.float64):
    rng = np.random.default_rng(seed)
    parameters = PoissonParameters(rng.dirichlet(np.ones(K)), rng.gamma(1.0, 4.0, (K, D)))
    y = rng.choice(K, n, p=parameters.weights)
    return parameters, Samples.of(rng.poisson(parameters.rates[y]).astype(dtype), rng.integers(0, 4, n))


@pytest.mark.kernels
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("D", [1, 4, 40])
def test_densities_and_sums_are_those_of_the_formula(D, dtype):
    parameters, samples = _case(D=D, dtype=dtype)
    samples.X[0, 0] = 3000
    expected = np.log(parameters.weights) + np.stack(
        [stats.poisson.logpmf(samples.X.astype(int), rates).sum(axis=1) for rates in parameters.rates], axis=1
    )
    assert np.allclose(log_densities(samples.X, parameters), expected, rtol=1e-11)
    largest = expected.max(axis=1)
    totals = largest + np.log(np.exp(expected - largest[:, None]).sum(axis=1))
    assert np.allclose(score_samples(samples.X, parameters), totals, rtol=1e-11)
    found = accumulate(samples, parameters)
    weighted = np.exp(expected - totals[:, None]) * samples.sample_weight[:, None]
    assert np.allclose(found.counts, weighted.sum(axis=0), rtol=1e-11)
    assert np.allclose(found.sums, weighted.T @ samples.X, rtol=1e-11)
    assert found.log_likelihood == pytest.approx(samples.sample_weight @ totals, rel=1e-11)


def test_a_rate_of_zero_allows_a_count_of_zero_only():
    parameters = PoissonParameters([0.5, 0.5], [[0.0, 2.0], [1.0, 2.0]])
    densities = log_densities([[0.0, 2.0], [1.0, 2.0]], parameters)
    rest = np.log(0.5) + stats.poisson.logpmf(2, 2.0)
    assert densities == pytest.approx(np.array([[rest, rest - 1], [-np.inf, rest - 1]]))


def test_the_death_notices():
    """As published; so flat that plain EM takes thousands of steps."""
    one = PoissonMixture(1).fit(NOTICES, sample_weight=DAYS)
    assert one.score(NOTICES, sample_weight=DAYS) * DAYS.sum() == pytest.approx(-2001.3979, abs=6e-5)
    samples = Samples.of(NOTICES, DAYS)
    family, start = Poisson.of(samples), PoissonParameters([0.3, 0.7], [[1.0], [2.5]])
    fast, plain = (
        climb(samples, family, start, tol=1e-15, max_iter=5000, acceleration=acceleration)
        for acceleration in ("squarem", None)
    )
    assert fast.log_likelihood == pytest.approx(-1989.94586, abs=6e-6)
    assert fast.parameters.weights[0] == pytest.approx(0.3598854, abs=1e-5)
    assert fast.parameters.rates.ravel().tolist() == pytest.approx([1.2560951, 2.6634044], abs=1e-5)
    assert fast.n_evaluations < 100
    assert plain.n_evaluations > 1000


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 10**6), st.sampled_from(["squarem", None]))
def test_the_likelihood_never_falls_and_ends_where_its_slope_is_zero(seed, acceleration):
    truth, samples = _case(seed, n=150, K=2, D=3)
    family = Poisson.of(samples)
    start = family.from_responsibilities(samples, responsibilities(samples.X, truth))
    result = climb(samples, family, start, tol=1e-13, max_iter=20000, acceleration=acceleration)
    assert np.diff(result.lower_bounds).min(initial=0.0) > -1e-11 * abs(result.lower_bound)
    rates = result.parameters.rates
    for cell in np.argwhere(rates > 0.1):
        ends = []
        for step in (-1e-4, 1e-4):
            moved = rates.copy()
            moved[tuple(cell)] += step
            ends.append(log_likelihood(samples, PoissonParameters(result.parameters.weights, moved)))
        assert abs(ends[1] - ends[0]) / 2e-4 < 1e-2 * samples.total_weight


@settings(deadline=None, max_examples=15)
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


def test_the_vector_form_loses_nothing_and_every_vector_is_legal():
    parameters, samples = _case()
    parameters.rates[0, 0] = 0.0
    chart = Poisson.of(samples).chart(3)
    vector = chart.pack(parameters)
    assert np.allclose(chart.unpack(vector).rates, parameters.rates, rtol=1e-14)
    far = chart.unpack(vector + np.random.default_rng(0).normal(0, 10.0, vector.shape))
    assert far.weights.sum() == pytest.approx(1.0)


def test_the_number_of_threads_changes_no_bit():
    parameters, samples = _case(n=40_000)
    found = [accumulate(samples, parameters, n_jobs=n_jobs) for n_jobs in (1, 2, 3, 8)]
    assert len({(f.log_likelihood, f.sums.tobytes()) for f in found}) == 1


class _Rounded(PoissonMixture):
    """Takes any positive numbers, as scikit-learn's checks give them."""

    def _rows(self, X):
        return super()._rows(np.rint(X))


def test_scikit_learns_checks():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check_estimator(_Rounded())


@pytest.mark.parametrize(
    ("value", "message"),
    [(-1.0, "Negative values in data: a count is -1"), (0.5, "a count is 0.5"), (np.nan, "NaN")],
)
def test_what_is_no_count_is_refused(value, message):
    X = np.ones((5, 2))
    X[3, 1] = value
    with pytest.raises(ValueError, match=message):
        PoissonMixture(2).fit(X)
    with pytest.raises(DataError, match=message):
        PoissonMixture(1).fit(np.ones((5, 2))).predict(X)


def test_a_saved_mixture_is_the_same_mixture_and_draws_have_its_rates(tmp_path):
    _, samples = _case(n=2000)
    mixture = PoissonMixture(2, random_state=0).fit(samples.X, sample_weight=samples.sample_weight)
    mixture.save(tmp_path / "counts.npz")
    again = PoissonMixture.load(tmp_path / "counts.npz")
    assert np.array_equal(again.predict_proba(samples.X), mixture.predict_proba(samples.X))
    X, y = mixture.sample(40_000)
    for k in range(2):
        assert np.allclose(X[y == k].mean(axis=0), mixture.rates_[k], rtol=0.1, atol=0.05)
