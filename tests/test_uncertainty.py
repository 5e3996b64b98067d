"""Standard errors: against closed forms, numerical derivatives, and each other."""

from dataclasses import replace

import numpy as np
import pytest
from toys import TYPES, draw, overlapping, random_parameters

from segment.em.uncertainty import bootstrap, em_rates, observed_information, supplemented_em
from segment.errors import DataError
from segment.mixture import Parameters, Samples, fit_em, score_samples
from segment.mixture.uncertainty import GaussianData


def fitted(covariance_type, n=240, seed=3):
    """Return weighted samples in the plane and a converged mixture of two components."""
    truth = random_parameters(2, 2, covariance_type, seed=seed)
    truth = replace(truth, means=np.array([[0.0, 0.0], [2.4, 1.2]]))
    X, _ = draw(truth, n, seed)
    samples = Samples.of(X, np.random.default_rng(seed).integers(1, 4, n))
    result = fit_em(samples, truth, relative_reg=0.0, tol=1e-14, max_iter=5000)
    assert result.converged
    return samples, result.parameters


def numerical_information(data, samples, parameters, step=1e-4):
    """Return minus the second derivatives of the log-likelihood, by differences."""

    def value(vector):
        return samples.sample_weight @ score_samples(samples.X, data.from_vector(vector))

    center = data.to_vector(parameters)
    shifts = step * np.eye(len(center))
    return -np.array(
        [
            [
                value(center + a + b) - value(center + a - b) - value(center - a + b) + value(center - a - b)
                for b in shifts
            ]
            for a in shifts
        ]
    ) / (4 * step**2)


@pytest.mark.parametrize("covariance_type", TYPES)
def test_louis_is_the_second_derivative_of_the_log_likelihood(covariance_type):
    samples, parameters = fitted(covariance_type)
    data = GaussianData(samples, 2, covariance_type)
    complete, missing = data.information(parameters)
    expected = numerical_information(data, samples, parameters)
    assert np.allclose(complete - missing, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("covariance_type", TYPES)
def test_supplemented_em_agrees_with_louis(covariance_type):
    samples, parameters = fitted(covariance_type)
    data = GaussianData(samples, 2, covariance_type)
    louis, sem = observed_information(data, parameters), supplemented_em(data, parameters)
    assert np.allclose(sem.covariance, louis.covariance, rtol=1e-3, atol=1e-6)
    assert sem.names == louis.names
    assert np.array_equal(sem.estimates, louis.estimates)


def test_one_gaussian_has_the_textbook_errors():
    x = np.random.default_rng(0).normal(3.0, 2.0, 400)
    variance = x.var()
    parameters = Parameters(np.ones(1), np.array([[x.mean()]]), np.array([[[variance]]]))
    found = observed_information(GaussianData(Samples.of(x[:, None]), 1), parameters)
    # A weight that is 1 by definition has no error.
    expected = [0.0, np.sqrt(variance / 400), variance * np.sqrt(2 / 400)]
    assert np.allclose(found.errors, expected)
    assert found.names == ("weight 1", "mean 1", "covariance 1")


def test_vectors_and_parameters_are_two_forms_of_one_thing():
    for covariance_type in TYPES:
        parameters = random_parameters(3, 2, covariance_type)
        data = GaussianData(Samples.of(np.eye(2)), 3, covariance_type)
        back = data.from_vector(data.to_vector(parameters))
        assert np.allclose(back.weights, parameters.weights)
        assert np.allclose(back.covariances, parameters.covariances)
        assert len(data.to_vector(parameters)) == parameters.n_parameters
        reported = data.offset + data.matrix @ data.to_vector(parameters)
        assert np.allclose(reported[:3], parameters.weights)


def test_a_weight_is_a_repetition():
    samples, parameters = fitted("full", n=60)
    repeated = Samples.of(np.repeat(samples.X, samples.sample_weight.astype(int), axis=0))
    weighted = observed_information(GaussianData(samples, 2), parameters)
    spelled_out = observed_information(GaussianData(repeated, 2), parameters)
    assert np.allclose(weighted.covariance, spelled_out.covariance)


def test_weights_have_errors_that_cancel():
    samples, parameters = fitted("diag")
    found = observed_information(GaussianData(samples, 2, "diag"), parameters)
    assert found.errors[0] == pytest.approx(found.errors[1])
    assert found.correlations[0, 1] == pytest.approx(-1.0)


def test_the_largest_rate_is_how_fast_em_converges():
    samples = Samples.of(overlapping(600))
    start = Parameters(np.array([0.6, 0.4]), np.array([[0.0], [1.7]]), np.array([[[1.0]], [[0.64]]]))
    best = fit_em(samples, start, relative_reg=0.0, tol=1e-15, max_iter=20000).parameters
    slowest = np.abs(np.linalg.eigvals(em_rates(GaussianData(samples, 2), best))).max()
    assert slowest > 0.9
    means = []
    fit_em(
        samples,
        start,
        relative_reg=0.0,
        tol=1e-13,
        max_iter=20000,
        acceleration=None,
        callback=lambda iteration, bound, parameters: means.append(parameters.means[0, 0]),
    )
    steps = np.abs(np.diff(means[len(means) // 3 : 2 * len(means) // 3]))
    assert np.median(steps[1:] / steps[:-1]) == pytest.approx(slowest, abs=0.003)


def test_the_bootstrap_of_a_mean_is_its_standard_error():
    x = np.random.default_rng(1).normal(0.0, 1.0, 300)
    parameters = Parameters(np.ones(1), np.array([[x.mean()]]), np.array([[[x.var()]]]))
    data = GaussianData(Samples.of(x[:, None]), 1)
    found = bootstrap(data, parameters, n_replicates=300, random_state=5)
    assert found.errors[1] == pytest.approx(x.std() / np.sqrt(300), rel=0.15)
    again = bootstrap(data, parameters, n_replicates=300, random_state=5, n_jobs=1)
    assert np.array_equal(found.covariance, again.covariance)
    other = bootstrap(data, parameters, n_replicates=300, random_state=6)
    assert not np.array_equal(found.covariance, other.covariance)


def test_what_has_no_standard_error_says_so():
    samples, parameters = fitted("full", n=60)
    data = GaussianData(samples, 2)
    with pytest.raises(DataError, match="n_replicates is 1"):
        bootstrap(data, parameters, n_replicates=1)
    # Half-way between the components the likelihood curves upwards in some direction.
    middle = samples.mean + np.array([[-0.3, 0.0], [0.3, 0.0]])
    wide = np.repeat(np.diag(samples.variance)[None], 2, axis=0)
    with pytest.raises(DataError, match="curve downwards"):
        observed_information(data, Parameters(np.array([0.5, 0.5]), middle, wide))
    # Two components that are one: nothing tells their weights apart.
    equal = Parameters(np.array([0.5, 0.5]), np.repeat(samples.mean[None], 2, axis=0), wide)
    with pytest.raises(DataError, match=r"do not determine|curve downwards"):
        observed_information(data, equal)
