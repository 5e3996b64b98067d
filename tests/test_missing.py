"""Gaussian mixtures of samples with missing entries: formulas, published tables, imputation."""

import math
import os
import warnings
from pathlib import Path

import numpy as np
import pytest
from sklearn.utils.estimator_checks import check_estimator
from toys import TYPES, draw, four_gaussians, random_parameters

from segment import GaussianMixture
from segment.data import Samples
from segment.data.gaps import GappySamples
from segment.errors import DataError
from segment.mixture import Parameters, log_densities, score_samples
from segment.mixture.expectation import accumulate
from segment.mixture.families.gaussian.gaps import GappyGaussian, GappyParameters
from segment.mixture.imputation import draw_missing, impute
from segment.mixture.model import MixtureModel, climb

golden = Path(os.environ.get("SEGMENT_DATASETS", "")) / "golden"
needs_golden = pytest.mark.skipif(
    not (golden / "apple.csv").is_file(), reason="the golden tables are not in SEGMENT_DATASETS"
)
MURRAY = np.array(
    [[1, 1], [1, -1], [-1, 1], [-1, -1]]
    + [[x, math.nan] for x in (2, 2, -2, -2)]
    + [[math.nan, x] for x in (2, 2, -2, -2)]
)


def _gappy(n=300, D=4, K=3, covariance_type="full", share=0.3, seed=0):
    parameters = random_parameters(K, D, covariance_type, seed)
    X, _ = draw(parameters, n, seed)
    rng = np.random.default_rng(seed)
    X[rng.random(X.shape) < share] = np.nan
    X[0] = np.nan
    return GappyParameters.of(parameters), GappySamples.of(X, rng.integers(0, 4, n))


def naive_statistics(samples, parameters):
    """Log densities and expected moments about the means, one row and one component at a time."""
    K, D = parameters.means.shape
    densities = np.empty((samples.n_samples, K))
    counts, first, second = np.zeros(K), np.zeros((K, D)), np.zeros((K, D, D))
    covariances = parameters.spread_covariances()
    for i, x in enumerate(samples.X):
        o, m = np.flatnonzero(~np.isnan(x)), np.flatnonzero(np.isnan(x))
        expected = []
        for k, covariance in enumerate(covariances):
            inverse = np.linalg.inv(covariance[np.ix_(o, o)])
            difference = x[o] - parameters.means[k, o]
            determinant = np.linalg.slogdet(covariance[np.ix_(o, o)])[1] if len(o) else 0.0
            distance = difference @ inverse @ difference
            densities[i, k] = math.log(parameters.weights[k]) - 0.5 * (
                len(o) * math.log(2 * math.pi) + determinant + distance
            )
            whole, rest = np.zeros(D), np.zeros((D, D))
            whole[o] = difference
            whole[m] = covariance[np.ix_(m, o)] @ inverse @ difference
            rest[np.ix_(m, m)] = (
                covariance[np.ix_(m, m)] - covariance[np.ix_(m, o)] @ inverse @ covariance[np.ix_(o, m)]
            )
            expected.append((whole, rest))
        shares = np.exp(densities[i]) / np.exp(densities[i]).sum() * samples.sample_weight[i]
        for k, (whole, rest) in enumerate(expected):
            counts[k] += shares[k]
            first[k] += shares[k] * whole
            second[k] += shares[k] * (np.outer(whole, whole) + rest)
    return densities, counts, first, second


@pytest.mark.parametrize("covariance_type", TYPES)
def test_densities_and_moments_are_those_of_the_formula(covariance_type):
    parameters, samples = _gappy(60, covariance_type=covariance_type)
    densities, counts, first, second = naive_statistics(samples, parameters)
    assert np.allclose(log_densities(samples, parameters), densities, rtol=1e-10)
    found = accumulate(samples, parameters)
    assert np.allclose(found.counts, counts, rtol=1e-10)
    assert np.allclose(found.first, first, rtol=1e-9, atol=1e-9)
    if found.second.ndim == 2:
        assert np.allclose(found.second, np.diagonal(second, axis1=1, axis2=2), rtol=1e-9, atol=1e-9)
    else:
        assert np.allclose(np.tril(found.second), np.tril(second), rtol=1e-9, atol=1e-9)
    totals = np.log(np.exp(densities).sum(axis=1))
    assert found.log_likelihood == pytest.approx(samples.sample_weight @ totals, rel=1e-10)


@pytest.mark.parametrize("covariance_type", TYPES)
@pytest.mark.parametrize("reg_covar", [0.0, 0.3])
def test_the_objective_never_falls_also_regularized_and_is_stationary(covariance_type, reg_covar):
    truth, samples = _gappy(400, covariance_type=covariance_type)
    family = GappyGaussian.of(samples, covariance_type, reg_covar=reg_covar)
    plain = climb(samples, family, truth, tol=1e-13, max_iter=30, acceleration=None)
    assert np.diff(plain.lower_bounds).min() > -1e-12
    result = climb(samples, family, truth, tol=1e-12, max_iter=5000)
    assert result.converged
    model, chart = MixtureModel(samples, family, 3), family.chart(3)
    vector = chart.pack(result.parameters)
    best = model.expect(result.parameters).objective
    for direction in np.eye(len(vector))[:: max(1, len(vector) // 12)]:
        for step in (-1e-3, 1e-3):
            assert model.expect(chart.unpack(vector + step * direction)).objective < best + 1e-6


@pytest.mark.parametrize("covariance_type", TYPES)
def test_without_gaps_it_is_the_ordinary_fit(covariance_type):
    X, _ = four_gaussians(300)
    options = {"n_components": 4, "covariance_type": covariance_type, "random_state": 0}
    ordinary = GaussianMixture(**options).fit(X)
    gappy = GaussianMixture(**options, missing="em").fit(X)
    assert np.allclose(gappy.means_, ordinary.means_, rtol=1e-9)
    assert np.allclose(gappy.covariances_, ordinary.covariances_, rtol=1e-8)
    assert np.array_equal(gappy.predict(X), ordinary.predict(X))


def test_weight_is_repetition_cuts_add_and_threads_change_no_bit():
    parameters, samples = _gappy(500)
    weight = samples.sample_weight
    whole = accumulate(samples, parameters)
    copies = GappySamples.of(np.repeat(samples.X, weight.astype(int), axis=0))
    parts = [
        accumulate(GappySamples(samples.X[rows], weight[rows]), parameters)
        for rows in (slice(0, 77), slice(77, None))
    ]
    for other in (accumulate(copies, parameters), parts[0] + parts[1]):
        assert np.allclose(whole.second, other.second, rtol=1e-11, atol=1e-11)
        assert whole.log_likelihood == pytest.approx(other.log_likelihood, rel=1e-12)
    found = [accumulate(samples, parameters, n_jobs=n_jobs).second.tobytes() for n_jobs in (1, 2, 5)]
    assert len(set(found)) == 1


def _single(X, start=None):
    given = {}
    if start is not None:
        given = {"weights_init": [1.0], "means_init": [[0.0, 0.0]], "precisions_init": [np.linalg.inv(start)]}
    return GaussianMixture(1, missing="em", reg_covar=0, tol=1e-13, max_iter=5000, **given).fit(X)


@needs_golden
def test_published_tables():
    """Little & Rubin's apples and their 13 rows of five, as mvnmle (R) reports them."""
    apple, missvals = (
        np.genfromtxt(golden / f"{name}.csv", delimiter=",", skip_header=1) for name in ("apple", "missvals")
    )
    found = _single(apple)
    assert found.means_[0].tolist() == pytest.approx([14.7222, 49.3333], abs=6e-5)
    assert found.covariances_[0].ravel()[[0, 1, 3]].tolist() == pytest.approx(
        [89.534, -90.697, 114.695], abs=6e-4
    )
    assert found.score(apple) * len(apple) == pytest.approx(-101.7856, abs=6e-5)
    found = _single(missvals)
    published = [6.65517, 49.96526, 11.76923, 27.04709, 95.42308]
    assert found.means_[0].tolist() == pytest.approx(published, abs=6e-6)
    assert found.score(missvals) * len(missvals) == pytest.approx(-132.9253, abs=6e-5)


@pytest.mark.parametrize(
    ("rho", "end", "variance"), [(0.1, 0.5, 8 / 3), (-0.1, -0.5, 8 / 3), (0.0, 0.0, 2.5)]
)
def test_murrays_twelve_points_have_two_optima_and_a_saddle(rho, end, variance):
    found = _single(MURRAY, [[2.0, 2 * rho], [2 * rho, 2.0]])
    (a, b), (_, d) = found.covariances_[0]
    assert [a, d] == pytest.approx([variance, variance], abs=1e-5)
    assert b / a == pytest.approx(end, abs=1e-5)
    expected = -30.03334 if end == 0 else -29.97429
    assert found.score(MURRAY) * 12 == pytest.approx(expected, abs=6e-6)


def test_a_fifth_of_the_entries_missing_the_means_stay_and_gaps_are_filled_as_by_the_truth():
    truth = random_parameters(3, 8, seed=3, spread=3.0)
    whole, _ = draw(truth, 4000, 1)
    X, gaps = whole.copy(), np.random.default_rng(2).random(whole.shape) < 0.2
    X[gaps] = np.nan
    mixture = GaussianMixture(3, missing="em", random_state=0, tol=1e-5, max_iter=500).fit(X)

    def error(filled):
        assert np.array_equal(filled[~gaps], whole[~gaps])
        return np.sqrt(np.mean((filled - whole)[gaps] ** 2))

    best = error(impute(X, truth))
    assert error(mixture.impute(X)) < 1.01 * best
    order = np.argsort(mixture.means_[:, 0])
    assert np.allclose(mixture.means_[order], truth.means[np.argsort(truth.means[:, 0])], atol=0.25)
    # Draws are further off than means, by the root of 2, and as wide as the values are.
    drawn = mixture.sample_missing(X, random_state=0)
    assert error(drawn) == pytest.approx(math.sqrt(2) * best, rel=0.05)
    assert drawn.std(axis=0) == pytest.approx(whole.std(axis=0), rel=0.05)
    assert np.array_equal(drawn, draw_missing(X, mixture._parameters(), np.random.default_rng(0)))


def test_nan_is_refused_without_the_option_and_infinity_with_it():
    X = [[0.0, 1.0], [np.nan, 2.0], [3.0, 1.0]]
    with pytest.raises(DataError, match=r"GaussianMixture\(missing='em'\)"):
        GaussianMixture(1).fit(X)
    with pytest.raises(DataError, match="infinite"):
        GaussianMixture(1, missing="em").fit([*X, [np.inf, 0.0]])
    with pytest.raises(DataError, match="column 0 holds NaN only"):
        GaussianMixture(1, missing="em").fit([[np.nan, 1.0], [np.nan, 2.0]])
    with pytest.raises(ValueError, match="missing"):
        GaussianMixture(1, missing="drop").fit(X)


def test_the_estimator_saves_scores_and_passes_scikit_learns_checks(tmp_path):
    _, samples = _gappy(400)
    X = samples.X
    mixture = GaussianMixture(3, missing="em", random_state=0).fit(X, sample_weight=samples.sample_weight + 1)
    mixture.save(tmp_path / "gaps.npz")
    again = GaussianMixture.load(tmp_path / "gaps.npz")
    assert again.predict_proba(X).tobytes() == mixture.predict_proba(X).tobytes()
    assert again.bic(X) == mixture.bic(X)
    known = ~np.isnan(X).any(axis=1)
    ordinary = Parameters(mixture.weights_, mixture.means_, mixture.covariances_)
    assert np.allclose(mixture.score_samples(X)[known], score_samples(X[known], ordinary), rtol=1e-12)
    # A row of which nothing is known tells nothing.
    assert np.allclose(mixture.predict_proba(X)[0], mixture.weights_)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check_estimator(GaussianMixture(missing="em"))


def test_a_mixture_of_whole_rows_imputes_too():
    X, _ = four_gaussians(300)
    mixture = GaussianMixture(4, random_state=0).fit(X)
    row = np.array([[5.0, np.nan], [np.nan, np.nan]])
    filled = mixture.impute(row)
    assert filled[0, 0] == 5.0
    assert filled[1] == pytest.approx(mixture.weights_ @ mixture.means_)
    assert Samples.of(filled).n_samples == 2
