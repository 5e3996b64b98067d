"""The EM kernels against formulas worked out sample by sample, and their own exp and log.

Run once more with NUMBA_DISABLE_JIT=1, so that coverage sees every line: sizes are small.
"""

import decimal
import math
from dataclasses import replace

import naive
import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toys import draw, random_parameters

from segment.data.source import Block
from segment.kernels.em import narrow
from segment.mixture import (
    Parameters,
    Samples,
    accumulate,
    assign,
    log_densities,
    responsibilities,
    score_samples,
)
from segment.mixture.families.gaussian import wide
from segment.mixture.families.gaussian.engines import engine_of
from segment.mixture.families.gaussian.family import Gaussian

pytestmark = pytest.mark.kernels

# More rows than one block of the narrow kernels, and not a multiple of one.
N = narrow.BLOCK + 37


def _ulps(got, x, exact):
    """Largest error in units in the last place, against 40 decimal digits."""
    with decimal.localcontext(prec=40):
        errors = [
            abs(decimal.Decimal(g) - reference) / decimal.Decimal(math.ulp(float(reference)))
            for g, reference in (
                (float(g), exact(decimal.Decimal(float(v)))) for g, v in zip(got, x, strict=True)
            )
        ]
    return float(max(errors))


def test_exp_is_within_two_ulp():
    rng = np.random.default_rng(0)
    x = np.concatenate(
        [
            rng.uniform(-707.9, 0.0, 1000),
            rng.uniform(-1.0, 1.0, 1000),
            rng.uniform(0.0, 709.0, 300),
            rng.normal(0, 1e-9, 300),
        ]
    )
    out = np.empty_like(x)
    narrow.vector_exp(x, out)
    assert _ulps(out, x, decimal.Decimal.exp) <= 2.0


def test_exp_at_the_ends():
    x = np.array([0.0, -0.0, -np.inf, -708.5, -1e308])
    out = np.empty_like(x)
    narrow.vector_exp(x, out)
    assert out.tolist() == [1.0, 1.0, 0.0, 0.0, 0.0]


def test_log_is_within_two_ulp():
    rng = np.random.default_rng(1)
    x = np.concatenate(
        [
            np.exp(rng.uniform(-700, 700, 1000)),
            rng.uniform(1.0, 100.0, 1000),
            rng.uniform(0.6, 1.5, 500),
            1 + rng.normal(0, 1e-9, 300),
        ]
    )
    out = np.empty_like(x)
    narrow.vector_log(x, out)
    assert _ulps(out, x, decimal.Decimal.ln) <= 2.0
    one = np.array([1.0, 0.0])
    narrow.vector_log(one[:1], one[1:])
    assert one[1] == 0.0


# Every shape of kernel: its special case of three features, both sides of the switch from narrow to wide
# with an odd and an even number of features, one feature only.
SHAPES = [
    *[("full", D) for D in (1, 2, 3, 4, 11, 16, 17, 18, 60)],
    *[("diag", D) for D in (1, 3, 23, 24, 60)],
    *[("tied", D) for D in (3, 7, 8, 16, 17, 60)],
    ("spherical", 24),
]


def _case(covariance_type, D, dtype, K=3, seed=0):
    parameters = random_parameters(K, D, covariance_type, seed, spread=2.0 / math.sqrt(D))
    X = draw(parameters, N, seed)[0].astype(dtype)
    weight = np.random.default_rng(seed).uniform(0.0, 3.0, N)
    weight[::7] = 0.0
    return parameters, Samples.of(X, weight)


def _tolerance(parameters, dtype):
    """float32 data is multiplied in float32 by the wide kernels only."""
    engine = engine_of(parameters.type, parameters.n_features)
    return 5e-6 if engine.rounding(np.dtype(dtype)) > 1e-9 else 1e-11


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(("covariance_type", "D"), SHAPES)
def test_moments_are_the_sums_of_the_formula(covariance_type, D, dtype):
    parameters, samples = _case(covariance_type, D, dtype)
    counts, first, second = naive.moments(samples.X, samples.sample_weight, naive.components(parameters))
    moments = accumulate(samples, parameters, n_jobs=1)
    close = {"rtol": _tolerance(parameters, dtype), "atol": _tolerance(parameters, dtype) * N}
    assert np.allclose(moments.counts, counts, **close)
    assert np.allclose(moments.first, first, **close)
    if covariance_type in ("diag", "spherical"):
        assert np.allclose(moments.second, np.diagonal(second, axis1=1, axis2=2), **close)
    elif len(moments.second) == 1:
        assert np.allclose(np.tril(moments.second[0]), np.tril(second.sum(axis=0)), **close)
    else:
        assert np.allclose(np.tril(moments.second), np.tril(second), **close)
    expected = samples.sample_weight @ naive.log_likelihoods(samples.X, naive.components(parameters))
    assert moments.log_likelihood == pytest.approx(expected, rel=_tolerance(parameters, dtype))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(("covariance_type", "D"), SHAPES)
def test_densities_are_those_of_the_formula(covariance_type, D, dtype):
    parameters, samples = _case(covariance_type, D, dtype)
    mixture = naive.components(parameters)
    expected = naive.weighted_log_densities(samples.X, mixture)
    tolerance = _tolerance(parameters, dtype)
    assert np.allclose(log_densities(samples.X, parameters), expected, rtol=tolerance, atol=tolerance)
    assert np.allclose(
        responsibilities(samples.X, parameters),
        naive.responsibilities(samples.X, mixture),
        atol=10 * tolerance,
    )
    assert np.allclose(
        score_samples(samples.X, parameters), naive.log_likelihoods(samples.X, mixture), rtol=tolerance
    )
    two_best = np.sort(expected, axis=1)[:, -2:]
    clear = two_best[:, 1] - two_best[:, 0] > 0.01
    labels = assign(samples.X, parameters)
    assert labels.dtype == np.int32
    assert clear.sum() > N / 2
    assert np.array_equal(labels[clear], expected.argmax(axis=1)[clear])


def _with_an_empty_component(parameters):
    weights = parameters.weights.copy()
    weights[1] = 0.0
    return Parameters(
        weights / weights.sum(), parameters.means, parameters.covariances, parameters.covariance_type
    )


WITHOUT = [("full", 2), ("full", 3), ("full", 17), ("diag", 2), ("diag", 24), ("tied", 17)]


@pytest.mark.parametrize(("covariance_type", "D"), WITHOUT)
def test_an_empty_component_takes_no_part(covariance_type, D):
    parameters, samples = _case(covariance_type, D, np.float64)
    parameters = _with_an_empty_component(parameters)
    moments = accumulate(samples, parameters)
    assert moments.counts[1] == 0.0
    assert not moments.first[1].any()
    if covariance_type != "tied":
        assert not moments.second[1].any()
    rest = parameters.reordered([0, 2])
    others = accumulate(samples, rest)
    assert np.allclose(moments.counts[[0, 2]], others.counts, rtol=1e-13)
    assert moments.log_likelihood == pytest.approx(others.log_likelihood, rel=1e-13)
    shares = responsibilities(samples.X, parameters)
    assert not shares[:, 1].any()
    assert np.allclose(shares.sum(axis=1), 1.0, atol=1e-14)
    assert not (assign(samples.X, parameters) == 1).any()
    assert np.array_equal(log_densities(samples.X, parameters)[:, 1], np.full(N, -np.inf))


@pytest.mark.filterwarnings("ignore:overflow encountered")
@pytest.mark.parametrize(("covariance_type", "D"), WITHOUT)
def test_a_sample_that_no_component_explains_counts_for_none(covariance_type, D):
    """Its log densities overflow to -inf: no NaN may come of it, and none of the others may change."""
    parameters, samples = _case(covariance_type, D, np.float64)
    far = np.vstack([samples.X, np.full(D, 1e200)])
    with_far = Samples(far, np.append(samples.sample_weight, 1.0))
    moments, others = accumulate(with_far, parameters), accumulate(samples, parameters)
    assert np.allclose(moments.counts, others.counts, rtol=1e-13)
    assert np.allclose(moments.first, others.first, rtol=1e-10, atol=1e-10)
    assert moments.log_likelihood < -1e307
    # It belongs to whatever is least far; the posterior sums to 1 all the same.
    assert responsibilities(far, parameters)[-1].sum() == 1.0
    assert assign(far, parameters)[-1] == responsibilities(far, parameters)[-1].argmax()
    assert score_samples(far, parameters)[-1] == -np.inf
    # With weight zero it does not even lower the log-likelihood.
    without = Samples(far, np.append(samples.sample_weight, 0.0))
    assert accumulate(without, parameters).log_likelihood == pytest.approx(others.log_likelihood, rel=1e-13)


def test_a_tie_goes_to_the_first_component():
    labels = np.empty(3, np.int32)
    narrow.argmax_rows(np.array([[0.0, 1.0, 1.0], [-np.inf] * 3, [2.0, 1.0, 2.0]]), labels)
    assert labels.tolist() == [1, 0, 0]


def test_normalized_rows_by_hand():
    rows = np.array([[math.log(1.0), math.log(3.0)], [math.log(0.5), -math.inf]])
    scores = np.empty(2)
    narrow.normalize_rows(rows, scores)
    assert np.allclose(rows, [[0.25, 0.75], [1.0, 0.0]], atol=1e-16)
    assert np.allclose(scores, [math.log(4.0), math.log(0.5)])


@pytest.mark.parametrize("size", [64, 100])
def test_wide_blocks_may_be_of_any_size(size, monkeypatch):
    parameters, samples = _case("full", 18, np.float64)
    whole = accumulate(samples, parameters)
    monkeypatch.setattr(wide, "_FEWEST_ROWS", size)
    monkeypatch.setattr(wide, "_SCRATCH", 1)
    monkeypatch.setattr(wide, "_HEADS", 1)
    blocks = accumulate(samples, parameters)
    assert np.allclose(blocks.counts, whole.counts, rtol=1e-13)
    assert np.allclose(blocks.second, whole.second, rtol=1e-11, atol=1e-11)
    assert blocks.log_likelihood == pytest.approx(whole.log_likelihood, rel=1e-13)


@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="it is about compiled code")
@pytest.mark.parametrize(
    ("covariance_type", "D"),
    [("full", 2), ("full", 3), ("diag", 3), ("full", 18), ("diag", 24), ("tied", 18)],
)
def test_the_sums_do_not_depend_on_where_arrays_lie(covariance_type, D):
    """Whether memory that is written might overlap with memory that is read is decided at run time."""
    parameters, samples = _case(covariance_type, D, np.float64)
    rng, kept, found = np.random.default_rng(0), [], set()
    for _ in range(600):
        kept.append(np.empty(rng.integers(1, 3000)))
        if len(kept) > 7:
            kept.clear()
        moments = accumulate(Samples.of(samples.X.copy(), samples.sample_weight.copy()), parameters, n_jobs=1)
        found.add(
            (moments.log_likelihood, *(getattr(moments, n).tobytes() for n in ("counts", "first", "second")))
        )
    assert len(found) == 1


@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="it is about compiled code")
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_large_moments_exist_once_whatever_the_threads(dtype):
    """Where moments are large beside a block, threads share its rows and then its components."""
    parameters = random_parameters(150, 40, seed=5, spread=3.0)
    samples = Samples.of(draw(parameters, 700)[0].astype(dtype), np.arange(700.0) % 3)
    assert Gaussian.plain(parameters).prepare(parameters, samples.dtype).shares_threads
    one, *others = (accumulate(samples, parameters, n_jobs=n_jobs) for n_jobs in (1, 2, 3, 8))
    for other in others:
        assert other.log_likelihood == one.log_likelihood
        for name in ("counts", "first", "second"):
            assert np.array_equal(getattr(other, name), getattr(one, name)), name
    mixture = naive.components(parameters)
    counts, first, _ = naive.moments(samples.X[:40], samples.sample_weight[:40], mixture)
    few = accumulate(Samples.of(samples.X[:40], samples.sample_weight[:40]), parameters)
    tolerance = 1e-4 if dtype == np.float32 else 1e-9
    assert np.allclose(few.counts, counts, rtol=tolerance, atol=tolerance)
    assert np.allclose(few.first, first, rtol=tolerance, atol=tolerance)


def test_well_separated_components_are_skipped_exactly():
    """Where the bound drops components, what is dropped is below one unit in the last place."""
    parameters = random_parameters(4, 20, seed=3, spread=12.0)
    X, labels = draw(parameters, N)
    moments = accumulate(Samples.of(X), parameters)
    assert np.array_equal(np.round(moments.counts), np.bincount(labels, minlength=4))
    counts, first, _ = naive.moments(X, np.ones(N), naive.components(parameters))
    assert np.allclose(moments.counts, counts, rtol=1e-14)
    assert np.allclose(moments.first, first, atol=1e-9)


@given(
    covariance_type=st.sampled_from(["diag", "spherical", "tied"]),
    D=st.integers(24, 40),
    K=st.integers(1, 6),
    seed=st.integers(0, 1000),
    shift=st.sampled_from([0.0, 3.0, 1e5]),
    spread=st.sampled_from([0.1, 1.0, 4.0]),
)
@settings(max_examples=40, deadline=None)
def test_expanded_squares_equal_the_plain_kernels(covariance_type, D, K, seed, shift, spread):
    parameters = random_parameters(K, D, covariance_type, seed, spread)
    parameters = replace(parameters, means=parameters.means + shift)
    X = draw(parameters, 300, seed)[0]
    weight = np.random.default_rng(seed).uniform(0.0, 3.0, len(X))
    prepared = Gaussian.plain(parameters).prepare(parameters, X.dtype)
    assert prepared.expands
    block = Block(X, weight, 0)
    found, plain = prepared.accumulate(block), prepared.plain.accumulate(block)
    assert found.log_likelihood == pytest.approx(plain.log_likelihood, rel=1e-12)
    assert np.allclose(found.counts, plain.counts, rtol=1e-10, atol=1e-10)
    assert np.allclose(found.first, plain.first, rtol=1e-9, atol=1e-9 * (1 + shift))
    axes = (0,) if covariance_type == "tied" else ()
    one, other = found.scatters().sum(axis=axes), plain.scatters().sum(axis=axes)
    assert np.allclose(one, other, rtol=1e-9, atol=1e-9 * len(X))
    densities, expected = prepared.log_densities(X), prepared.plain.log_densities(X)
    assert np.allclose(densities, expected, rtol=1e-11, atol=1e-10)


@pytest.mark.parametrize("covariance_type", ["diag", "tied"])
def test_squares_that_would_cancel_are_not_expanded(covariance_type):
    """Means a million standard deviations apart: the plain kernels keep the digits."""
    parameters = random_parameters(3, 24, covariance_type, spread=1.0)
    parameters = replace(parameters, means=parameters.means + 1e6 * np.arange(3.0)[:, None])
    X = draw(parameters, N)[0]
    assert not Gaussian.plain(parameters).prepare(parameters, X.dtype).expands
    counts, first, _ = naive.moments(X, np.ones(N), naive.components(parameters))
    moments = accumulate(Samples.of(X), parameters)
    assert np.allclose(moments.counts, counts, rtol=1e-12)
    assert np.allclose(moments.first, first, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("D", [1, 2, 3, 17])
def test_moments_do_not_cancel_far_from_the_origin(D):
    """Raw second moments would lose every digit of a variance of 1 at 1e6."""
    parameters = random_parameters(2, D, "full", spread=1.0)
    X = draw(parameters, N)[0]
    near = accumulate(Samples.of(X), parameters)
    moved = Parameters(parameters.weights, parameters.means + 1e6, parameters.covariances)
    far = accumulate(Samples.of(X + 1e6), moved)
    assert np.allclose(near.scatters(), far.scatters(), rtol=1e-6, atol=1e-6)
    assert far.log_likelihood == pytest.approx(near.log_likelihood, rel=1e-7)


@pytest.mark.parametrize("D", [3, 17])
def test_single_precision_far_from_the_origin(D):
    """float32 keeps three digits behind the point at 1e4: what it keeps must count, no more may be lost."""
    parameters = random_parameters(2, D, "full", spread=1.0)
    moved = Parameters(parameters.weights, parameters.means + 1e4, parameters.covariances)
    X = (draw(parameters, N)[0] + 1e4).astype(np.float32)
    single, double = accumulate(Samples.of(X), moved), accumulate(Samples.of(X.astype(np.float64)), moved)
    assert np.allclose(single.scatters(), double.scatters(), rtol=1e-4, atol=1e-4)
    assert single.log_likelihood == pytest.approx(double.log_likelihood, rel=1e-7)
