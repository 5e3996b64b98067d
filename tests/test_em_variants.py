"""Variants of the loop: what each must share with EM, and what it may do otherwise."""

import numpy as np
import pytest

from segment.em import (
    ConditionalSteps,
    Expectation,
    Model,
    NewtonSteps,
    NoiseAware,
    SmallGain,
    run_em,
    run_monte_carlo,
)
from segment.errors import DataError
from segment.lab.linkage import COUNTS, LIMIT, DrawnLinkage, LinkageModel, LinkageSurface
from segment.lab.online import DrawnMixture, MixtureSurface, RawModel, centers, draw_samples, spread
from segment.mixture import GaussianMixture, Samples
from segment.mixture.expectation import accumulate, log_likelihood, responsibilities
from segment.mixture.families.bernoulli import Bernoulli, BernoulliParameters
from segment.mixture.families.gaussian.family import Gaussian
from segment.mixture.families.gaussian.parameters import Parameters
from segment.mixture.given import GivenShares
from segment.mixture.stepwise import Incremental, block_em


def start_of(samples):
    means = samples.mean + np.array([[-0.5, 0.0], [0.5, 0.0], [0.0, 0.5]])
    return Parameters(np.full(3, 1 / 3), means, np.ones((3, 2)), "diag")


@pytest.fixture(scope="module")
def samples():
    return Samples.of(draw_samples(np.random.default_rng(0)).X[:800])


def test_sums_about_nothing_are_those_of_the_moments(samples):
    model, start = RawModel(samples), start_of(samples)
    value, statistics = model.expect(start)
    value_too, moments = model.mixture.expect(start)
    assert value == value_too
    one, other = model.maximize(statistics, start), model.mixture.maximize(moments, start)
    np.testing.assert_allclose(one.means, other.means, rtol=1e-10)
    np.testing.assert_allclose(one.covariances, other.covariances, rtol=1e-10)


@pytest.mark.parametrize("multicycle", [False, True])
def test_conditional_steps_never_fall_and_end_where_em_does(samples, multicycle):
    model, start = RawModel(samples), start_of(samples)
    stopping = SmallGain(1e-12, 3000)
    plain = run_em(model, start, stopping=stopping, acceleration=None)
    parts = ConditionalSteps(model, (centers, spread), multicycle=multicycle)
    found = run_em(parts, start, stopping=stopping, acceleration=None)
    assert np.diff(found.lower_bounds).min() > -1e-12
    assert found.lower_bound == pytest.approx(plain.lower_bound, abs=1e-7)
    if not multicycle:
        np.testing.assert_allclose(found.lower_bounds[:50], plain.lower_bounds[:50], rtol=1e-12)


def test_one_newton_step_never_falls_and_ends_where_em_does(samples):
    model, start = RawModel(samples), start_of(samples)
    stopping = SmallGain(1e-12, 3000)
    plain = run_em(model, start, stopping=stopping, acceleration=None)
    found = run_em(NewtonSteps(model, MixtureSurface()), start, stopping=stopping, acceleration=None)
    assert np.diff(found.lower_bounds).min() > -1e-12
    assert found.lower_bound == pytest.approx(plain.lower_bound, abs=1e-7)


def test_slopes_of_a_surface_are_those_of_its_value(samples):
    model, surface = RawModel(samples), MixtureSurface()
    statistics = model.expect(start_of(samples)).statistics
    vector = surface.pack(start_of(samples)) + 0.1 * np.random.default_rng(0).normal(size=14)
    gradient, hessian = surface.slopes(statistics, vector)
    for i, shift in enumerate(1e-5 * np.eye(14)):
        ahead, behind = (surface.value(statistics, vector + sign * shift) for sign in (1, -1))
        assert gradient[i] == pytest.approx((ahead - behind) / 2e-5, rel=1e-5, abs=1e-3)
        slopes = [surface.slopes(statistics, vector + sign * shift)[0] for sign in (1, -1)]
        np.testing.assert_allclose(hessian[i], (slopes[0] - slopes[1]) / 2e-5, rtol=1e-5, atol=1e-3)


class Saddle(Model[float]):
    """EM steps that a Newton step on a function of another curvature would leap beyond."""

    total_weight = 1.0

    def expect(self, parameters):
        return Expectation(-abs(parameters), parameters)

    def maximize(self, statistics, parameters):
        raise AssertionError("the Newton step stands in its place")


class Uphill(LinkageSurface):
    """Curved upwards, so that Newton's own step leads downhill."""

    def value(self, statistics, vector):
        return -abs(float(vector[0]))

    def slopes(self, statistics, vector):
        return -np.sign(vector), np.eye(1)


def test_a_newton_step_that_leads_downhill_is_turned_and_halved():
    step = NewtonSteps(Saddle(), Uphill(COUNTS)).maximize(0.3, 0.3)
    assert abs(step) < 0.3


@pytest.mark.parametrize("acceleration", ["squarem", "anderson"])
def test_acceleration_needs_fewer_passes_and_never_falls(samples, acceleration):
    model, start = RawModel(samples), start_of(samples)
    plain = run_em(model, start, stopping=SmallGain(1e-9, 5000), acceleration=None)
    found = run_em(model, start, stopping=SmallGain(1e-9, 5000), acceleration=acceleration)
    assert np.diff(found.lower_bounds).min() > -1e-12
    assert found.n_evaluations < 0.7 * plain.n_evaluations
    assert found.lower_bound > plain.lower_bound - 1e-7


def test_incremental_steps_climb_further_than_as_many_passes_of_em(samples):
    family, start = Gaussian.of(samples, "diag", relative_reg=0.0), start_of(samples)
    values = []

    def watch(step, parameters):
        if step % 8 == 0:
            values.append(log_likelihood(samples, parameters))

    rng = np.random.default_rng(0)
    block_em(samples, family, start, rng, Incremental(), passes=30, n_blocks=8, callback=watch)
    plain = run_em(RawModel(samples), start, stopping=SmallGain(0.0, 31), acceleration=None)
    assert values[-1] > plain.log_likelihood
    assert np.diff(values).min() > -1e-9


def test_one_block_is_em(samples):
    """With one block the sums are those of all samples, and every step is the M-step's."""
    family, start = Gaussian.of(samples, "diag", relative_reg=0.0), start_of(samples)
    found = block_em(samples, family, start, np.random.default_rng(0), Incremental(), passes=5, n_blocks=1)
    plain = run_em(RawModel(samples), start, stopping=SmallGain(0.0, 6), acceleration=None)
    np.testing.assert_allclose(found.means, plain.parameters.means, rtol=1e-9)


@pytest.mark.parametrize("kind", ["full", "diag", "tied", "spherical"])
def test_given_responsibilities_leave_the_statistics_of_an_e_step(samples, kind):
    fit = GaussianMixture(3, covariance_type=kind, random_state=0).fit(samples.X)
    parameters = fit._parameters()
    family = Gaussian.of(samples, kind, relative_reg=0.0)
    expected = accumulate(samples, parameters, family=family)
    given = GivenShares(family, parameters, samples.dtype)
    found = given.accumulate(samples.X, responsibilities(samples.X, parameters), n_jobs=2)
    for name in ("counts", "first", "second"):
        lower = np.tril(np.ones(2)) if getattr(found, name).ndim == 3 else 1.0
        np.testing.assert_allclose(getattr(found, name) * lower, getattr(expected, name) * lower, atol=1e-8)


def test_given_responsibilities_serve_bits_as_well():
    X = (np.random.default_rng(0).uniform(size=(300, 5)) < 0.4).astype(float)
    parameters = BernoulliParameters([0.4, 0.6], np.random.default_rng(1).uniform(0.2, 0.8, (2, 5)))
    found = GivenShares(Bernoulli(), parameters, X.dtype).accumulate(X, responsibilities(X, parameters))
    expected = accumulate(Samples.of(X), parameters)
    np.testing.assert_allclose(found.sums, expected.sums, rtol=1e-12)


def test_draws_lead_to_the_linkage_estimate_within_their_noise():
    ends = [
        run_monte_carlo(
            DrawnLinkage(COUNTS), 0.5, np.random.default_rng(seed), stopping=NoiseAware(tol=1e-4, first=200)
        )
        for seed in range(12)
    ]
    assert all(end.converged for end in ends)
    values = np.array([end.parameters for end in ends])
    assert abs(values.mean() - LIMIT) < 4 * values.std() / np.sqrt(12) + 1e-4
    # The more is asked, the more is drawn.
    assert all(end.steps[-1].n_draws > end.steps[0].n_draws for end in ends)
    more = run_monte_carlo(
        DrawnLinkage(COUNTS), 0.5, np.random.default_rng(0), stopping=NoiseAware(tol=1e-6, first=200)
    )
    assert more.n_draws > 3 * ends[0].n_draws


def test_drawn_components_gain_what_they_say(samples):
    model, start = DrawnMixture(samples), start_of(samples)
    draws = model.draw(start, 5, np.random.default_rng(0))
    assert draws.shape == (5, 800)
    after = model.maximize(draws, start)
    gains = model.gains(draws, start, after)
    assert gains.mean() > 0
    # The maximum over the mean of the draws: no other parameters gain more.
    other = Parameters(after.weights, after.means + 0.05, after.covariances, "diag")
    assert model.gains(draws, start, other).mean() < gains.mean()


def test_a_rule_that_cannot_work_is_refused():
    with pytest.raises(DataError, match="2 <= first"):
        NoiseAware(first=1)


def test_em_counts_the_hidden_animals():
    model = LinkageModel(COUNTS)
    assert model.expect(0.5).statistics == pytest.approx(25.0)
    assert model.maximize(25.0, 0.5) == pytest.approx(59 / 97)
