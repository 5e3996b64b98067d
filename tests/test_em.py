"""The EM loop: one step by the formulas, what `EMResult` promises, acceleration, another kind of model."""

import warnings

import naive
import numpy as np
import pytest
from toys import TYPES, draw, four_gaussians, overlapping, random_parameters

from segment.em import Expectation, Model, Repair, SmallGain, run_em
from segment.errors import CollapseWarning, ConvergenceWarning, DataError
from segment.mixture import (
    Parameters,
    Samples,
    fit_em,
    fit_mixture,
    initial_parameters,
    parameters_from_responsibilities,
    score_samples,
)

# Nothing here may collapse or stop early unless the test says so.
pytestmark = [
    pytest.mark.filterwarnings("error::segment.errors.CollapseWarning"),
    pytest.mark.filterwarnings("error::segment.errors.ConvergenceWarning"),
]


def _one_step(samples, start, **options):
    """Two E-steps with the M-step between them; the warning that EM has not converged is expected."""
    with pytest.warns(ConvergenceWarning):
        return fit_em(samples, start, max_iter=2, tol=0.0, **options)


@pytest.mark.parametrize("D", [1, 3, 5, 20])
@pytest.mark.parametrize("covariance_type", TYPES)
def test_one_step_is_that_of_the_formulas(covariance_type, D):
    start = random_parameters(3, D, covariance_type, seed=D)
    X = draw(random_parameters(3, D, "full", seed=D + 1), 400)[0]
    weight = np.random.default_rng(D).integers(0, 4, len(X)).astype(float)
    mixture = naive.components(start)
    expected = naive.maximize(X, weight, naive.responsibilities(X, mixture), covariance_type)
    result = _one_step(Samples.of(X, weight), start, relative_reg=0.0)
    assert np.allclose(result.parameters.weights, expected[0], rtol=1e-10)
    assert np.allclose(result.parameters.means, expected[1], rtol=1e-9, atol=1e-10)
    assert np.allclose(result.parameters.covariances, expected[2], rtol=1e-8, atol=1e-9)
    before = weight @ naive.log_likelihoods(X, mixture) / weight.sum()
    assert result.lower_bounds[0] == pytest.approx(before, rel=1e-12)
    after = weight @ naive.log_likelihoods(X, naive.components(result.parameters))
    assert result.log_likelihood == pytest.approx(after, rel=1e-12)
    assert result.lower_bound == pytest.approx(after / weight.sum(), rel=1e-12)


@pytest.mark.parametrize("covariance_type", TYPES)
def test_reg_covar_blurs_the_samples(covariance_type):
    """Responsibilities lose reg / 2 times the trace of the precision; reg is added to every variance."""
    start = random_parameters(3, 2, covariance_type, seed=4)
    X = draw(start, 300)[0]
    samples = Samples.of(X)
    reg = 0.05 * samples.variance.mean()
    penalty = [0.5 * reg * np.trace(np.linalg.inv(matrix)) for _, _, matrix in naive.components(start)]
    blurred = naive.weighted_log_densities(X, naive.components(start)) - penalty
    scores = np.array([naive.log_sum_exp(row) for row in blurred])
    shares = np.exp(blurred - scores[:, None])
    weights, means, covariances = naive.maximize(X, np.ones(len(X)), shares, covariance_type)
    result = _one_step(samples, start, relative_reg=0.05)
    assert result.lower_bounds[0] == pytest.approx(scores.mean(), rel=1e-12)
    assert np.allclose(result.parameters.weights, weights, rtol=1e-10)
    assert np.allclose(result.parameters.means, means, rtol=1e-10)
    identity = np.eye(2) if covariance_type in ("full", "tied") else 1.0
    assert np.allclose(result.parameters.covariances, covariances + reg * identity, rtol=1e-10)
    plain = score_samples(X, result.parameters).sum()
    assert result.log_likelihood == pytest.approx(plain, rel=1e-12)


@pytest.mark.parametrize("acceleration", [None, "squarem"])
@pytest.mark.parametrize("covariance_type", TYPES)
def test_the_lower_bound_never_falls(covariance_type, acceleration):
    """Not even from starts so bad that components come out empty and are re-seeded."""
    for seed in range(6):
        start = random_parameters(4, 2, covariance_type, seed=seed, spread=4.0)
        samples = Samples.of(four_gaussians(300, seed)[0])
        for reg_covar in (0.0, 1e-3):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", CollapseWarning)
                result = fit_em(
                    samples, start, tol=1e-8, max_iter=5000, relative_reg=reg_covar, acceleration=acceleration
                )
            assert result.converged
            assert np.diff(result.lower_bounds).min() > -1e-11 * abs(result.lower_bound)


def test_result_and_callback_agree():
    X = four_gaussians()[0]
    samples = Samples.of(X)
    seen = []
    start = initial_parameters(samples, 4, method="random", random_state=1)
    result = fit_em(samples, start, relative_reg=0.0, callback=lambda *arguments: seen.append(arguments))
    assert [iteration for iteration, _, _ in seen] == list(range(result.n_iter))
    assert [bound for _, bound, _ in seen] == result.lower_bounds.tolist()
    assert seen[-1][2] is result.parameters
    assert result.n_iter == len(result.lower_bounds) <= result.n_evaluations
    assert result.lower_bound == result.lower_bounds[-1]
    assert result.converged
    assert result.repairs == ()
    for _, bound, parameters in seen[::5]:
        assert score_samples(X, parameters).mean() == pytest.approx(bound, rel=1e-11)
    assert result.log_likelihood == pytest.approx(len(X) * result.lower_bound, rel=1e-14)


def test_convergence_is_a_plain_step_that_gains_less_than_tol():
    samples, start = Samples.of(overlapping()), random_parameters(2, 1, seed=0)
    for acceleration in (None, "squarem"):
        coarse = fit_em(samples, start, tol=1e-4, acceleration=acceleration)
        fine = fit_em(samples, start, tol=1e-8, acceleration=acceleration)
        assert 0 <= coarse.lower_bounds[-1] - coarse.lower_bounds[-2] < 1e-4
        assert fine.n_iter > coarse.n_iter
        assert fine.lower_bound > coarse.lower_bound


@pytest.mark.parametrize("D", [3, 17, 40])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rounding_is_not_taken_for_a_fall(D, dtype):
    """Gains below what the arithmetic can resolve mean convergence, in single precision too."""
    for seed in range(3):
        X = draw(random_parameters(4, D, seed=seed, spread=5 / np.sqrt(D)), 2000, seed)[0].astype(dtype)
        start = initial_parameters(Samples.of(X), 4, method="kmeans", random_state=seed)
        result = fit_em(Samples.of(X), start, tol=1e-9, max_iter=5000)
        assert result.converged
        assert np.diff(result.lower_bounds).min() > -1e-7 * abs(result.lower_bound)


def test_stopping_early_is_reported():
    samples, start = Samples.of(overlapping()), random_parameters(2, 1, seed=0)
    with pytest.warns(ConvergenceWarning, match=r"7 E-steps were not enough for tol=1e-09"):
        result = fit_em(samples, start, tol=1e-9, max_iter=7)
    assert not result.converged
    assert result.n_evaluations == 7


def test_squarem_halves_the_e_steps_of_a_slow_problem():
    samples, start = (
        Samples.of(overlapping()),
        Parameters(np.array([0.5, 0.5]), np.array([[-0.5], [1.0]]), np.array([[1.0], [1.0]]), "diag"),
    )
    plain = fit_em(samples, start, tol=1e-9, max_iter=20000, acceleration=None)
    fast = fit_em(samples, start, tol=1e-9, max_iter=20000, acceleration="squarem")
    assert fast.n_evaluations * 2 <= plain.n_evaluations
    assert fast.lower_bound >= plain.lower_bound - 1e-9


def test_squarem_costs_next_to_nothing_on_easy_problems():
    plain, fast = 0, 0
    for seed in range(10):
        truth = random_parameters(3, 2, seed=seed, spread=12.0)
        X = draw(truth, 500, seed)[0]
        samples = Samples.of(X)
        start = initial_parameters(samples, 3, method="kmeans", random_state=seed)
        plain += fit_em(samples, start, tol=1e-6, acceleration=None).n_evaluations
        fast += fit_em(samples, start, tol=1e-6, acceleration="squarem").n_evaluations
    assert fast <= 1.05 * plain


class _Census(Model):
    """Counts of four blood-like classes: Dempster, Laird & Rubin's example of linkage (1977, section 1)."""

    counts = np.array([125.0, 18.0, 20.0, 34.0])
    total_weight = 197.0

    def expect(self, parameters):
        p = parameters
        probabilities = np.array([0.5 + p / 4, (1 - p) / 4, (1 - p) / 4, p / 4])
        objective = float(self.counts @ np.log(probabilities))
        return Expectation(objective, 125.0 * (p / 4) / (0.5 + p / 4))

    def maximize(self, statistics, parameters):
        return (statistics + 34.0) / (statistics + 18.0 + 20.0 + 34.0)


class _Logit:
    def pack(self, parameters):
        return np.array([np.log(parameters / (1 - parameters))])

    def unpack(self, vector):
        return float(1 / (1 + np.exp(-vector[0])))


class _PackedCensus(_Census):
    chart = _Logit()


def test_the_linkage_example_of_dempster_laird_and_rubin():
    path = []
    result = run_em(_Census(), 0.5, stopping=SmallGain(1e-14), callback=lambda i, bound, p: path.append(p))
    # Their table 1.
    assert path[:5] == pytest.approx([0.5, 0.608247423, 0.624321051, 0.626488879, 0.626777323], abs=1e-9)
    assert result.parameters == pytest.approx(0.626821498, abs=1e-8)
    assert result.converged
    fast = run_em(_PackedCensus(), 0.5, stopping=SmallGain(1e-14))
    assert fast.parameters == pytest.approx(0.626821498, abs=1e-7)


def test_a_model_without_a_vector_form_takes_plain_steps():
    """Whatever acceleration is asked for."""
    stopping = SmallGain(1e-14)
    runs = [run_em(_Census(), 0.5, stopping=stopping, acceleration=how) for how in ("squarem", None)]
    assert runs[0].lower_bounds.tolist() == runs[1].lower_bounds.tolist()
    fast = run_em(_PackedCensus(), 0.5, stopping=stopping)
    assert fast.n_evaluations < runs[0].n_evaluations


class _Falling(_Census):
    """A broken M-step: it walks away from the maximum."""

    def maximize(self, statistics, parameters):
        return parameters - 0.05


def test_a_fall_of_the_log_likelihood_is_no_convergence():
    result = run_em(_Falling(), 0.6, acceleration=None)
    assert not result.converged
    assert result.parameters == 0.6
    assert result.n_iter == 1
    assert result.n_evaluations == 2


class _Far(_Logit):
    def unpack(self, vector):
        return 0.001


class _Overshooting(_Census):
    """An extrapolation that always lands where the log-likelihood is lower, or cannot be evaluated."""

    chart = _Far()

    def __init__(self, raises):
        self.raises = raises

    def expect(self, parameters):
        if parameters == 0.001 and self.raises:
            raise DataError("not positive definite")
        return super().expect(parameters)


@pytest.mark.parametrize("raises", [False, True])
def test_a_bad_extrapolation_is_rejected_and_em_goes_on(raises):
    result = run_em(_Overshooting(raises), 0.2, stopping=SmallGain(1e-12))
    assert result.converged
    assert result.parameters == pytest.approx(0.626821498, abs=1e-6)
    assert result.n_evaluations > result.n_iter
    assert np.diff(result.lower_bounds).min() > -1e-12


class _Back(_Logit):
    def __init__(self):
        self.packed = []

    def pack(self, parameters):
        self.packed.append(parameters)
        return super().pack(parameters)

    def unpack(self, vector):
        # The last but one is where the loop stands, the last one what it has not tried yet.
        return self.packed[-2]


class _Standing(_Census):
    """An extrapolation that gains nothing: it leads back to where it came from."""

    def __init__(self):
        self.chart = _Back()


def test_an_extrapolation_that_gains_nothing_is_no_convergence():
    result = run_em(_Standing(), 0.01, stopping=SmallGain(1e-12))
    assert result.converged
    assert result.parameters == pytest.approx(0.626821498, abs=1e-6)


class _Mending(_Census):
    """A model whose steps are always found wanting: it counts how often it was asked."""

    def repair(self, parameters, n_done):
        return None if n_done == 2 else (parameters, Repair("reseeded", (1,), 0.5))


def test_repairs_are_counted_by_the_run_not_by_the_model():
    model = _Mending()
    for _ in range(2):
        result = run_em(model, 0.2, stopping=SmallGain(1e-12))
        assert result.converged
        assert [repair.components for repair in result.repairs] == [(1,), (1,)]
        assert str(result.repairs[0]).startswith("component 1 explained less than 0.5 of the total weight")


def test_a_repair_is_renumbered_with_its_components():
    repair = Repair("collapsed", (0, 2), 1e-3)
    assert repair.renumbered([2, 0, 1]).components == (0, 1)
    assert str(repair) == (
        "components 0, 2 collapsed onto equal or nearly equal samples: the smallest variance is held at "
        "reg_covar (0.001)"
    )


def test_a_run_continues_another():
    first = run_em(_Census(), 0.2, stopping=SmallGain(1e-14, 4))
    rest = run_em(_Census(), first.parameters, stopping=SmallGain(1e-14))
    whole = run_em(_Census(), 0.2, stopping=SmallGain(1e-14))
    joined = rest.continuing(first)
    assert joined.lower_bounds.tolist() == whole.lower_bounds.tolist()
    assert (joined.n_iter, joined.n_evaluations) == (whole.n_iter, whole.n_evaluations)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"acceleration": "newton"}, "allowed are .*'squarem'"),
        ({"max_iter": 0}, "at least one iteration"),
        ({"reg_covar": -1.0}, "must not be negative"),
        ({"reg_covar": float("nan")}, "must not be negative"),
        ({"covariance_shrinkage": 1.5}, r"must lie in \[0, 1\]"),
        ({"n_jobs": 0}, "n_jobs is 0; allowed are 1"),
    ],
)
def test_options_that_are_not_allowed(options, message):
    with pytest.raises(DataError, match=message):
        fit_em(Samples.of(four_gaussians()[0]), random_parameters(2, 2), **options)


def test_samples_and_parameters_must_have_the_same_features():
    with pytest.raises(DataError, match="2 features, the mixture has 3"):
        fit_em(Samples.of(four_gaussians()[0]), random_parameters(2, 3))


def test_shrinkage_pulls_the_covariances_together():
    X = four_gaussians()[0]
    samples = Samples.of(X)
    start = initial_parameters(samples, 4)
    pooled = fit_em(samples, start, covariance_shrinkage=1.0).parameters
    assert np.ptp(pooled.covariances, axis=0).max() < 1e-12
    half = fit_em(samples, start, covariance_shrinkage=0.5, tol=1e-8)
    assert half.converged
    free = fit_em(samples, start).parameters
    assert np.ptp(half.parameters.covariances, axis=0).sum() < np.ptp(free.covariances, axis=0).sum()


def test_only_the_fit_that_is_kept_is_complained_about():
    samples = Samples.of(four_gaussians()[0])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fit_mixture(samples, 6, max_iter=3, tol=0.0)
    assert [w.category for w in caught if w.category is not CollapseWarning] == [ConvergenceWarning]
    assert caught[0].filename == __file__


def test_parameters_from_labels_and_from_responsibilities_agree():
    X, labels = four_gaussians()
    samples = Samples.of(X, np.arange(len(X)) % 3)
    by_label = parameters_from_responsibilities(samples, labels, relative_reg=0.0)
    shares = (labels[:, None] == np.arange(4)).astype(float)
    weights, means, covariances = naive.maximize(X, samples.sample_weight, shares, "full")
    assert np.allclose(by_label.weights, weights)
    assert np.allclose(by_label.means, means)
    assert np.allclose(by_label.covariances, covariances)
    with pytest.raises(DataError, match="400 rows are needed"):
        parameters_from_responsibilities(samples, labels[:-1])


def test_labels_below_zero_belong_to_nobody():
    X, labels = four_gaussians()
    known = np.where(np.arange(len(X)) < 300, labels, -1)
    some = parameters_from_responsibilities(Samples.of(X), known, relative_reg=0.0)
    rest = parameters_from_responsibilities(Samples.of(X[:300]), labels[:300], relative_reg=0.0)
    assert np.allclose(some.means, rest.means)
    assert np.allclose(some.weights, rest.weights)
