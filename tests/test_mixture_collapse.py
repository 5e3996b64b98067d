"""Data that tempt a mixture to collapse: no exception in mid-fit, finite results, and a word about it."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toys import TYPES, four_gaussians

from segment.errors import CollapseWarning, ConvergenceWarning, DataError
from segment.mixture import Parameters, Samples, assign, fit_em, fit_mixture, responsibilities, score_samples
from segment.mixture.families.gaussian import covariance

rng = np.random.default_rng(0)

CASES = {
    "a constant column": (np.column_stack([rng.normal(size=60), np.full(60, 3.0)]), 3),
    "a column twice": (np.repeat(rng.normal(size=(60, 1)), 2, axis=1), 3),
    "six rows ten times": (np.repeat(rng.normal(size=(6, 2)), 10, axis=0), 3),
    "as many distinct rows as components": (np.repeat(rng.normal(size=(4, 2)), 10, axis=0), 4),
    "fewer distinct rows than components": (np.repeat(rng.normal(size=(3, 2)), 10, axis=0), 6),
    "as many samples as components": (rng.normal(size=(5, 2)), 5),
    "a single sample": (np.ones((1, 3)), 1),
    "one color only": (np.tile([10.0, 20.0, 30.0], (50, 1)), 3),
    "fewer samples than features": (rng.normal(size=(10, 30)), 2),
    "an outlier": (np.vstack([rng.normal(size=(100, 2)), [[1e12, -1e12]]]), 3),
    "zeros and ones": (rng.integers(0, 2, (200, 6)).astype(float), 5),
    "far from the origin": (rng.normal(size=(100, 2)) * 1e-3 + 1e9, 2),
    "units of 1e-8 and 1e8": (rng.normal(size=(200, 3)) * [1e-8, 1.0, 1e8], 2),
    "very large numbers": (rng.normal(size=(50, 2)) * 1e150, 2),
    "small numbers": (rng.normal(size=(50, 2)) * 1e-130, 2),
    "float32": (np.full((50, 3), 0.1, np.float32), 2),
}


@pytest.mark.parametrize("reg_covar", [1e-6, 0.0])
@pytest.mark.parametrize("covariance_type", TYPES)
@pytest.mark.parametrize("case", CASES)
def test_no_fit_breaks(case, covariance_type, reg_covar):
    X, K = CASES[case]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", CollapseWarning)
        if reg_covar == 0:
            # Without regularization rounding may lower the likelihood of a singular covariance.
            warnings.simplefilter("ignore", ConvergenceWarning)
        result = fit_mixture(
            Samples.of(X), K, covariance_type=covariance_type, relative_reg=reg_covar, n_init=6
        )
    assert result.converged or reg_covar == 0
    parameters = result.parameters
    for values in (parameters.weights, parameters.means, parameters.covariances, result.lower_bounds):
        assert np.isfinite(values).all()
    assert parameters.weights.sum() == pytest.approx(1.0, abs=1e-12)
    assert np.allclose(responsibilities(X, parameters).sum(axis=1), 1.0)
    labels = assign(X, parameters)
    assert labels.min() >= 0
    assert labels.max() < K


def test_equal_rows_get_equal_labels_and_distinct_ones_distinct_labels():
    X, K = CASES["as many distinct rows as components"]
    with pytest.warns(CollapseWarning, match="collapsed onto equal or nearly equal samples"):
        result = fit_mixture(Samples.of(X), K)
    assert sorted(np.bincount(assign(X, result.parameters))) == [10, 10, 10, 10]
    assert "held at reg_covar" in str(result.repairs[0])


def test_more_components_than_distinct_rows_leaves_some_empty():
    X, K = CASES["fewer distinct rows than components"]
    with pytest.warns(CollapseWarning):
        result = fit_mixture(Samples.of(X), K)
    assert result.repairs
    assert len(np.unique(assign(X, result.parameters))) == 3


def test_a_singular_component_is_reported_without_regularization_too():
    with pytest.warns(CollapseWarning, match="became singular.*give a reg_covar above 0"):
        fit_mixture(Samples.of(CASES["six rows ten times"][0]), 3, covariance_type="diag", relative_reg=0.0)


def test_flat_data_are_no_collapse_of_a_component():
    """A gray photo has no color: every component is flat there, none has collapsed."""
    X = np.column_stack([four_gaussians()[0], np.full(400, 128.0)])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = fit_mixture(Samples.of(X), 4)
    assert result.repairs == ()


def test_an_empty_component_is_reseeded_at_the_worst_explained_samples():
    X, _ = four_gaussians()
    stray = np.array([[30.0, 30.0], [30.5, 30.0], [30.0, 30.5], [30.5, 30.5], [31.0, 30.2], [30.2, 31.0]])
    samples = Samples.of(np.vstack([X, stray]))
    # Component 1 starts where there is no sample.
    start = Parameters(
        np.array([0.5, 0.5]), np.array([[2.5, 3.0], [-500.0, -500.0]]), np.array([np.eye(2) * 9] * 2)
    )
    with pytest.warns(
        CollapseWarning, match="component 1 explained less than 1e-07 of the total weight: re-seeded"
    ):
        result = fit_em(samples, start)
    assert result.converged
    assert np.linalg.norm(result.parameters.means[1] - stray.mean(axis=0)) < 1.0
    assert assign(stray, result.parameters).tolist() == [1] * 6


def test_reseeding_never_chooses_a_sample_of_weight_zero():
    X = np.vstack([four_gaussians()[0], [[1e6, 1e6]]])
    weight = np.append(np.ones(400), 0.0)
    start = Parameters(
        np.array([0.5, 0.5]), np.array([[2.5, 3.0], [-500.0, -500.0]]), np.array([np.eye(2) * 9] * 2)
    )
    with pytest.warns(CollapseWarning):
        result = fit_em(Samples.of(X, weight), start)
    assert np.abs(result.parameters.means).max() < 100


def test_numbers_whose_squares_overflow_are_refused():
    with pytest.raises(DataError, match=r"the variance of column 1 overflows: it reaches 1e\+200"):
        fit_mixture(Samples.of([[0.0, 1e200], [1.0, -1e200], [2.0, 0.0]]), 1)


@pytest.mark.parametrize("unit", [1e-160, 1e-200, [1.0, 1e-150]])
def test_numbers_whose_squares_underflow_are_refused(unit):
    X = np.random.default_rng(0).normal(size=(50, 2)) * unit
    with pytest.raises(DataError, match=r"the variance of column [01] underflows .*smaller unit"):
        fit_mixture(Samples.of(X), 2, reg_covar=0.0)


@pytest.mark.parametrize("covariance_type", TYPES)
@pytest.mark.parametrize("unit", [1e-160, 1e-130, 1e130, [1e-100, 1.0, 1e100]])
def test_an_absolute_regularization_holds_in_any_unit(covariance_type, unit):
    """What is small beside it is flat; what is large beside it is fitted as if it were not there."""
    X = np.random.default_rng(0).normal(size=(200, 3))
    X[:100] += 8.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CollapseWarning)
        result = fit_mixture(Samples.of(X * unit), 2, covariance_type=covariance_type, reg_covar=1e-6)
    assert result.converged
    assert np.allclose(responsibilities(X * unit, result.parameters).sum(axis=1), 1.0)
    if np.max(unit) > 1e-6:
        labels = assign(X * unit, result.parameters)
        assert len({*labels[:100]}) == len({*labels[100:]}) == 1
        assert labels[0] != labels[-1]


@pytest.mark.parametrize("scale", [1e155, 1e160, 1e300, -1e308])
@pytest.mark.parametrize("covariance_type", TYPES)
def test_a_row_beyond_all_distances_belongs_to_the_nearest(covariance_type, scale):
    parameters = Parameters(
        np.array([0.5, 0.3, 0.2]),
        np.zeros((3, 2)),
        {
            "full": np.array([1.0, 9.0, 4.0])[:, None, None] * np.eye(2),
            "diag": np.array([1.0, 9.0, 4.0])[:, None] * np.ones(2),
            "tied": np.eye(2),
            "spherical": np.array([1.0, 9.0, 4.0]),
        }[covariance_type],
        covariance_type,
    )
    row = np.array([[scale, -scale]])
    shares = responsibilities(row, parameters)[0]
    expected = [0.0, 1.0, 0.0] if covariance_type != "tied" else [1 / 3] * 3
    assert shares.tolist() == pytest.approx(expected)
    assert assign(row, parameters)[0] == int(np.argmax(expected))
    assert score_samples(row, parameters)[0] == -np.inf


@pytest.mark.parametrize(
    ("n_components", "n_init", "init", "message"),
    [
        (5, None, "short_runs", "n_components is 5, but there are only 3 samples"),
        (0, None, "short_runs", "at least 1 is needed"),
        (2, 0, "short_runs", "n_init is 0"),
        (2, None, "best", "allowed are short_runs, kmeans"),
    ],
)
def test_requests_that_cannot_be_met(n_components, n_init, init, message):
    with pytest.raises(DataError, match=message):
        fit_mixture(Samples.of(np.eye(3)), n_components, n_init=n_init, init=init)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 12), st.integers(0, 10**6), st.floats(-20.0, 0.0))
def test_what_is_called_regular_needs_no_raising(D, seed, exponent):
    """Eigenvalues from 1 down to 10^-20: those that are skipped are all above what would be raised."""
    rng = np.random.default_rng(seed)
    values = 10.0 ** rng.uniform(exponent, 0.0, D)
    turned = np.linalg.qr(rng.normal(size=(D, D)))[0]
    found = ((turned * values) @ turned.T)[None]
    found = (found + np.swapaxes(found, 1, 2)) / 2
    regular = covariance._is_clearly_regular(found)
    least = np.linalg.eigvalsh(found)[0, 0]
    assert not regular or least >= max(covariance.SINGULAR, D * np.finfo(float).eps * values.max())
    # What is far from singular is seen to be.
    assert regular or values.min() < 100 * D * covariance.SINGULAR
