"""Many fits at once give what one fit at a time gives."""

import numpy as np
import pytest

from segment.lab.basin import fit_pairs
from segment.lab.trace import trace_em
from segment.mixture import Parameters, Samples

pytestmark = pytest.mark.kernels

REG = 1e-6


def heights(n=80, seed=0):
    rng = np.random.default_rng(seed)
    return np.concatenate([rng.normal(176, 8, 3 * n // 5), rng.normal(160, 5, 2 * n // 5)])


def test_every_start_ends_where_the_general_code_ends():
    x = heights()
    starts = np.array([[180.0, 160.0], [160.0, 180.0], [200.0, 140.0], [172.0, 168.0]])
    fits = fit_pairs(x, starts, relative_reg=REG, tol=1e-7, max_iter=400)
    for i, means in enumerate(starts):
        start = Parameters(np.array([0.5, 0.5]), means[:, None], np.full((2, 1, 1), x.var()))
        trace = trace_em(Samples.of(x[:, None]), start, relative_reg=REG, tol=1e-7, max_iter=400)
        assert fits.log_likelihoods[i] == pytest.approx(trace.log_likelihoods[-1], abs=1e-7)
        assert fits.n_iter[i] == trace.result.n_iter
        assert np.allclose(fits.means[i], trace.last.means[:, 0], atol=1e-6)
        assert np.allclose(fits.variances[i], trace.last.covariances[:, 0, 0], atol=1e-6)
        assert np.allclose(fits.weights[i], trace.last.weights, atol=1e-8)


def test_exchanged_means_exchange_the_components():
    x = heights(seed=1)
    fits = fit_pairs(x, np.array([[190.0, 150.0], [150.0, 190.0]]), relative_reg=REG, tol=1e-6, max_iter=300)
    assert fits.log_likelihoods[0] == pytest.approx(fits.log_likelihoods[1], abs=1e-9)
    assert np.allclose(fits.means[0], fits.means[1][::-1])


def test_a_component_that_explains_nothing_leaves_a_single_gaussian():
    x = heights(seed=2)
    fits = fit_pairs(x, np.array([[x.mean(), -900.0], [-900.0, x.mean()]]), relative_reg=REG, max_iter=50)
    variance = x.var() * (1 + REG)
    single = -0.5 * len(x) * (np.log(2 * np.pi * variance) + 1)
    assert np.allclose(fits.log_likelihoods, single, atol=1e-6)
    assert np.isfinite(fits.means).all()


def test_equal_starts_stay_equal():
    x = heights(seed=3)
    fits = fit_pairs(x, np.array([[170.0, 170.0]]), relative_reg=REG, max_iter=50)
    assert fits.means[0, 0] == pytest.approx(fits.means[0, 1], abs=1e-9)


def test_more_samples_than_a_block_of_products():
    # 1030 samples take three blocks, the last of six samples.
    x = np.resize(heights(seed=4), 1030)
    fits = fit_pairs(x, np.array([[180.0, 160.0]]), relative_reg=REG, max_iter=4, tol=0.0)
    start = Parameters(np.array([0.5, 0.5]), np.array([[180.0], [160.0]]), np.full((2, 1, 1), x.var()))
    trace = trace_em(Samples.of(x[:, None]), start, relative_reg=REG, max_iter=4, tol=0.0)
    assert fits.log_likelihoods[0] == pytest.approx(trace.log_likelihoods[-1], rel=1e-12)


def test_the_number_of_threads_changes_no_bit():
    x = heights(seed=5)
    starts = np.random.default_rng(0).uniform(150, 190, (130, 2))
    one = fit_pairs(x, starts, relative_reg=REG, max_iter=3, n_jobs=1)
    three = fit_pairs(x, starts, relative_reg=REG, max_iter=3, n_jobs=3)
    assert np.array_equal(one.log_likelihoods, three.log_likelihoods)
    assert np.array_equal(one.means, three.means)
