"""Where EM starts: k-means by hand, units, and how often each way of starting finds the best optimum."""

import numpy as np
import pytest
from toys import TYPES, draw, four_gaussians, random_parameters

from segment.mixture import (
    Samples,
    fit_em,
    fit_mixture,
    initial_parameters,
    starting_points,
)
from segment.mixture.seeding import METHODS, kmeans, kmeans_plusplus, parameters_from_means


def test_kmeans_by_hand():
    samples = Samples.of([[0.0], [1.0], [10.0], [12.0]], [1.0, 3.0, 1.0, 1.0])
    centers, labels = kmeans(samples, 2, np.random.default_rng(0))
    order = np.argsort(centers[:, 0])
    assert centers[order, 0].tolist() == [0.75, 11.0]
    assert np.argsort(order)[labels].tolist() == [0, 0, 1, 1]


def test_kmeans_plusplus_chooses_rows_far_apart():
    rng = np.random.default_rng(0)
    clumps = [rng.normal(center, 0.01, (50, 2)) for center in ((0, 0), (10, 0), (0, 10), (10, 10))]
    samples = Samples.of(np.concatenate(clumps))
    for seed in range(20):
        centers = kmeans_plusplus(samples, 4, np.random.default_rng(seed))
        assert len({tuple(center) for center in np.round(centers, -1)}) == 4
        assert all((center == samples.X).all(axis=1).any() for center in centers)


def test_rows_of_weight_zero_are_never_chosen():
    samples = Samples.of([[0.0], [1.0], [1e6]], [1.0, 1.0, 0.0])
    for seed in range(30):
        assert kmeans_plusplus(samples, 2, np.random.default_rng(seed)).max() == 1.0
        for method in ("random", "k-means++", "kmeans"):
            start = initial_parameters(samples, 2, method=method, random_state=seed)
            assert start.means.max() <= 1.0


def test_a_row_that_outweighs_all_others_leaves_room_for_other_components():
    """A subsample of such data has too few distinct rows: all samples are used instead."""
    X = np.random.default_rng(0).normal(size=(9000, 1))
    weight = np.ones(9000)
    weight[0] = 1e12
    start = initial_parameters(Samples.of(X, weight), 3, method="kmeans")
    assert len(np.unique(start.means)) == 3


def test_fewer_distinct_rows_than_clusters():
    samples = Samples.of(np.repeat([[0.0], [1.0]], 10, axis=0))
    assert kmeans_plusplus(samples, 5, np.random.default_rng(0)).shape == (5, 1)


def test_a_stretched_feature_does_not_decide():
    """Two clusters a little apart in one feature; another feature is noise of a thousand times that size."""
    rng = np.random.default_rng(0)
    truth = np.arange(300) % 2
    X = np.column_stack([rng.normal(truth * 10.0, 0.1), rng.normal(0.0, 3e3, 300)])
    start = initial_parameters(Samples.of(X), 2, method="kmeans")
    assert np.sort(start.means[:, 0]) == pytest.approx([0.0, 10.0], abs=0.1)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("covariance_type", TYPES)
def test_every_start_is_a_legal_mixture(method, covariance_type):
    samples = Samples.of(four_gaussians(100)[0])
    starts = starting_points(samples, 4, covariance_type=covariance_type, method=method, n_init=8)
    assert len(starts) == 1 or method == "short_runs"
    for start in starts:
        assert start.covariance_type == covariance_type
        assert start.n_components == 4
        assert start.weights.sum() == pytest.approx(1.0)
        assert np.isfinite(start.log_scales).all()


def test_seeds_generators_and_chance():
    samples = Samples.of(four_gaussians(100)[0])

    def means(random_state):
        return initial_parameters(samples, 4, method="random", random_state=random_state).means.tolist()

    assert means(5) == means(5) == means(np.random.default_rng(5))
    assert means(5) != means(6)
    generator = np.random.default_rng(5)
    assert means(generator) != means(generator)
    assert means(None) != means(None)


def test_finalists_are_different_optima_best_first():
    X = draw(random_parameters(6, 2, seed=8, spread=2.0), 400)[0]
    samples = Samples.of(X)
    starts = starting_points(samples, 6, random_state=1)
    bounds = [fit_em(samples, start, tol=1e-6).lower_bound for start in starts]
    assert len(starts) > 1
    assert bounds[0] >= max(bounds) - 1e-3
    assert np.diff(np.sort(bounds)).min() > 1e-5


def test_finalists_in_one_optimum_are_one_start():
    assert len(starting_points(Samples.of(four_gaussians(400)[0]), 4, random_state=0)) == 1


def test_a_start_from_given_means():
    samples = Samples.of([[0.0], [2.0], [9.0], [11.0]])
    start = parameters_from_means(samples, [[1.5], [10.5], [500.0]], covariance_type="diag", relative_reg=0.0)
    assert start.means[:, 0].tolist() == [1.5, 10.5, 500.0]
    assert start.weights == pytest.approx(np.array([0.5, 0.5, 0.1 / 3]) / (1.0 + 0.1 / 3))
    assert start.covariances[:2, 0] == pytest.approx([1.0, 1.0])


@pytest.mark.parametrize("data_seed", [0, 1])
def test_short_runs_find_the_best_optimum_of_four_gaussians(data_seed):
    """At least 95 % of seeds come within 1e-3 nats of the best that any of them, or the truth, finds."""
    X, labels = four_gaussians(400, data_seed)
    samples = Samples.of(X)
    found = np.array([fit_mixture(samples, 4, random_state=seed, tol=1e-6).lower_bound for seed in range(20)])
    truth = parameters_from_means(samples, [X[labels == k].mean(axis=0) for k in range(4)])
    best = max(found.max(), fit_em(samples, truth, tol=1e-6).lower_bound)
    assert np.mean(found > best - 1e-3) >= 0.95


def test_four_gaussians_are_recovered():
    X, labels = four_gaussians(4000)
    parameters = fit_mixture(Samples.of(X), 4, random_state=0).parameters
    for k in range(4):
        nearest = np.argmin(np.linalg.norm(parameters.means - X[labels == k].mean(axis=0), axis=1))
        assert parameters.means[nearest] == pytest.approx(X[labels == k].mean(axis=0), abs=0.15)
        assert parameters.covariances[nearest] == pytest.approx(np.cov(X[labels == k].T), abs=0.25)
        assert parameters.weights[nearest] == pytest.approx(np.mean(labels == k), abs=0.02)
