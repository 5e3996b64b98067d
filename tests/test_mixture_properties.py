"""What must not change a fit: counting, order, unit and origin of samples, numbers of components, threads."""

import warnings

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from toys import TYPES, draw, four_gaussians, random_parameters

from segment.errors import CollapseWarning, ConvergenceWarning
from segment.mixture import (
    Gaussian,
    Parameters,
    Samples,
    accumulate,
    aic,
    assign,
    bic,
    fit_em,
    fit_mixture,
    icl,
    initial_parameters,
    responsibilities,
)
from segment.mixture.families.gaussian.covariance import COVARIANCE_TYPES

quick = settings(max_examples=15, deadline=None)
seeds = st.integers(0, 10**6)
types = st.sampled_from(TYPES)


def _data(seed, n=120, D=2):
    return draw(random_parameters(3, D, seed=seed, spread=3.0), n, seed)[0]


def _fit(samples, covariance_type, n_components=3, **options):
    """Fit from a start that needs no random numbers, to a tolerance at which paths have met."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CollapseWarning)
        return fit_mixture(
            samples,
            n_components,
            covariance_type=covariance_type,
            **{"init": "kmeans", "tol": 1e-10, "max_iter": 20000, **options},
        )


def _same(a, b, tolerance=1e-4):
    scale = np.ptp(a.means, axis=0).max() + 1.0
    assert np.allclose(a.weights, b.weights, atol=tolerance)
    assert np.allclose(a.means, b.means, atol=tolerance * scale)
    assert np.allclose(a.covariances, b.covariances, atol=tolerance * scale**2)


@quick
@given(seeds, types, st.sampled_from([1, 2, 3, 17]))
def test_an_integer_weight_equals_repetition_in_the_moments(seed, covariance_type, D):
    X = _data(seed, 60, D)
    weight = np.random.default_rng(seed).integers(0, 5, len(X))
    parameters = random_parameters(3, D, covariance_type, seed)
    weighted = accumulate(Samples.of(X, weight), parameters)
    repeated = accumulate(Samples.of(np.repeat(X, weight, axis=0)), parameters)
    assert np.allclose(weighted.counts, repeated.counts, rtol=1e-12, atol=1e-12)
    assert np.allclose(weighted.second, repeated.second, rtol=1e-9, atol=1e-9)
    assert weighted.log_likelihood == pytest.approx(repeated.log_likelihood, rel=1e-12)


@quick
@given(seeds, types, st.sampled_from(["kmeans", "k-means++", "random", "short_runs"]))
def test_an_integer_weight_equals_repetition_in_whole_fits(seed, covariance_type, init):
    X = _data(seed, 60)
    weight = np.random.default_rng(seed).integers(0, 5, len(X))
    samples, copies = Samples.of(X, weight), Samples.of(np.repeat(X, weight, axis=0))
    weighted = _fit(samples, covariance_type, init=init, random_state=seed, relative_reg=1e-2)
    repeated = _fit(copies, covariance_type, init=init, random_state=seed, relative_reg=1e-2)
    assert weighted.lower_bound == pytest.approx(repeated.lower_bound, abs=1e-7)
    # Two runs may end in one optimum; rounding then decides which of them gives the numbers.
    first, second = (
        p.reordered(np.argsort(p.means[:, 0])) for p in (weighted.parameters, repeated.parameters)
    )
    _same(first, second)
    for criterion in (aic, bic, icl):
        expected = pytest.approx(criterion(copies, weighted.parameters), rel=1e-11)
        assert criterion(samples, weighted.parameters) == expected


@quick
@given(seeds, types, st.floats(-1e4, 1e4), st.floats(1e-5, 1e5))
def test_shift_and_scale(seed, covariance_type, shift, scale):
    X = _data(seed)
    plain = _fit(Samples.of(X), covariance_type)
    moved = _fit(Samples.of((X + shift) * scale), covariance_type)
    parameters = moved.parameters
    back = Parameters(
        parameters.weights,
        parameters.means / scale - shift,
        parameters.covariances / scale**2,
        covariance_type,
    )
    _same(plain.parameters, back)
    # A density in other units: log density falls by log(scale) a feature.
    assert moved.lower_bound + 2 * np.log(scale) == pytest.approx(plain.lower_bound, abs=1e-6)
    assert np.array_equal(assign((X + shift) * scale, parameters), assign(X, back))


@quick
@given(seeds, st.sampled_from(["full", "diag"]))
def test_each_feature_may_have_its_own_unit(seed, covariance_type):
    X = _data(seed)
    units = np.array([1e-3, 1e3])
    start = initial_parameters(Samples.of(X), 3, covariance_type=covariance_type, method="kmeans")
    scale = COVARIANCE_TYPES[covariance_type].scale(start.covariances, units)
    moved = Parameters(start.weights, start.means * units, scale, covariance_type)
    # So many steps, not to the end: where the likelihood is flat, rounding decides where a fit stops.
    options = {"relative_reg": 0.0, "acceleration": None, "tol": -np.inf, "max_iter": 25}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        plain = fit_em(Samples.of(X), start, **options)
        scaled = fit_em(Samples.of(X * units), moved, **options)
    assume(not plain.repairs)
    assert np.allclose(scaled.lower_bounds, plain.lower_bounds, atol=1e-9)
    assert np.allclose(scaled.parameters.weights, plain.parameters.weights, atol=1e-7)
    assert np.allclose(scaled.parameters.means / units, plain.parameters.means, atol=1e-6)


@quick
@given(seeds, types)
def test_the_order_of_the_samples(seed, covariance_type):
    X = _data(seed)
    order = np.random.default_rng(seed).permutation(len(X))
    start = initial_parameters(Samples.of(X), 3, covariance_type=covariance_type, method="kmeans")
    plain = fit_em(Samples.of(X), start, tol=1e-10, relative_reg=1e-3)
    shuffled = fit_em(Samples.of(X[order]), start, tol=1e-10, relative_reg=1e-3)
    _same(plain.parameters, shuffled.parameters)
    shares = responsibilities(X[order], shuffled.parameters)
    assert np.allclose(responsibilities(X, plain.parameters)[order], shares, atol=1e-3)


@quick
@given(seeds, types, st.permutations(range(3)))
def test_the_numbers_of_the_components(seed, covariance_type, order):
    X = _data(seed)
    start = initial_parameters(Samples.of(X), 3, covariance_type=covariance_type, method="kmeans")
    plain = fit_em(Samples.of(X), start, tol=1e-10, relative_reg=1e-3)
    renumbered = fit_em(Samples.of(X), start.reordered(order), tol=1e-10, relative_reg=1e-3)
    _same(plain.parameters.reordered(order), renumbered.parameters)
    old, new = assign(X, plain.parameters), assign(X, plain.parameters.reordered(order))
    assert np.array_equal(np.array(order)[new], old)


@pytest.mark.parametrize(
    ("D", "dtype"), [(2, np.float64), (3, np.float32), (18, np.float64), (18, np.float32)]
)
@pytest.mark.parametrize("covariance_type", ["full", "diag"])
def test_the_number_of_threads_does_not_change_a_bit(covariance_type, D, dtype):
    X = draw(random_parameters(3, D, seed=D), 40000)[0].astype(dtype)
    samples = Samples.of(X, np.random.default_rng(0).uniform(0, 2, len(X)))
    start = random_parameters(3, D, covariance_type, seed=1)
    fits = []
    for n_jobs in (1, 2, 8):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            fits.append(fit_em(samples, start, max_iter=4, n_jobs=n_jobs))
    for other in fits[1:]:
        # Not one value may differ, and the test says which.
        assert other.lower_bounds.tolist() == fits[0].lower_bounds.tolist()
        for name in ("weights", "means", "covariances"):
            first, second = (getattr(fit.parameters, name) for fit in (fits[0], other))
            assert first.tolist() == second.tolist(), name


def test_the_number_of_threads_does_not_change_the_race_of_short_runs():
    samples = Samples.of(four_gaussians(2000)[0])
    starts = [initial_parameters(samples, 4, random_state=3, n_jobs=n_jobs) for n_jobs in (1, 2, 8)]
    assert len({start.covariances.tobytes() for start in starts}) == 1


@pytest.mark.parametrize("covariance_type", TYPES)
def test_the_number_of_threads_does_not_change_a_fit_of_few_distinct_rows(covariance_type):
    """Components run empty and are re-seeded in many of the racing starts at once."""
    rows = np.random.default_rng(0).normal(size=(14, 2)) * 3
    counts = np.random.default_rng(1).integers(20, 400, 14)
    samples = Samples.of(np.repeat(rows, counts, axis=0))
    ends = set()
    for n_jobs in (1, 2, 3, 8, 8, 8):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CollapseWarning)
            result = fit_mixture(samples, 8, covariance_type=covariance_type, random_state=3, n_jobs=n_jobs)
        ends.add((result.lower_bound, result.parameters.covariances.tobytes(), str(result.repairs)))
    assert len(ends) == 1


def test_the_same_seed_gives_the_same_bits():
    samples = Samples.of(four_gaussians(500)[0])
    first, second = (fit_mixture(samples, 4, random_state=11) for _ in range(2))
    assert first.parameters.covariances.tobytes() == second.parameters.covariances.tobytes()


@quick
@given(seeds, types, st.integers(1, 4), st.sampled_from([1, 2, 5]))
def test_the_vector_form_loses_nothing(seed, covariance_type, K, D):
    covariances = random_parameters(K, D, covariance_type, seed).covariances
    kind = COVARIANCE_TYPES[covariance_type]
    vector = kind.pack(covariances)
    assert vector.shape == (kind.n_parameters(K, D),)
    assert np.allclose(kind.unpack(vector, K, D), covariances, rtol=1e-12, atol=1e-13)


@quick
@given(seeds, types)
def test_the_vector_form_of_a_model_loses_nothing(seed, covariance_type):
    samples = Samples.of(_data(seed) * [1e-3, 1e3] + [0.0, 1e5])
    chart = Gaussian.of(samples, covariance_type).chart(3)
    parameters = initial_parameters(
        samples, 3, covariance_type=covariance_type, method="kmeans", relative_reg=1e-9
    )
    again = chart.unpack(chart.pack(parameters))
    assert np.allclose(again.weights, parameters.weights, rtol=1e-12)
    assert np.allclose(again.means, parameters.means, rtol=1e-9)
    assert np.allclose(again.covariances, parameters.covariances, rtol=1e-9)


@quick
@given(seeds, types)
def test_every_vector_is_a_legal_covariance(seed, covariance_type):
    kind = COVARIANCE_TYPES[covariance_type]
    vector = np.random.default_rng(seed).normal(0, 3.0, kind.n_parameters(3, 2))
    covariances = kind.unpack(vector, 3, 2)
    spread = kind.spread(covariances, 3, 2)
    values = np.linalg.eigvalsh(spread) if spread.ndim == 3 else spread
    assert values.min() > 0
