"""Samples, moments and parameters: what is accepted, what is refused in which words, model files."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toys import TYPES, draw, random_parameters

from segment.data import subsample
from segment.errors import DataError, ModelError
from segment.mixture import Parameters, Samples, accumulate, assign, score_samples


@pytest.mark.parametrize(
    ("X", "dtype"),
    [
        ([[1, 2], [3, 4]], np.float64),
        (np.ones((3, 2), np.uint8), np.float64),
        (np.ones((3, 2), np.float16), np.float64),
        (np.ones((3, 2), np.float32), np.float32),
        (np.asfortranarray(np.ones((3, 2))), np.float64),
        (np.ones((6, 4))[::2, ::2], np.float64),
    ],
)
def test_numbers_of_every_kind_are_taken(X, dtype):
    samples = Samples.of(X)
    assert samples.X.dtype == dtype
    assert samples.X.flags.c_contiguous
    assert np.array_equal(samples.X, X)
    assert samples.total_weight == len(X)
    assert (samples.n_samples, samples.n_features) == np.shape(X)


@pytest.mark.parametrize(
    ("X", "weight", "message"),
    [
        ([1.0, 2.0], None, r"shape \(2,\).*reshape"),
        (np.ones((2, 2, 2)), None, "2-D array"),
        (np.ones((0, 2)), None, "at least one row"),
        (np.ones((2, 0)), None, "at least one row and one column"),
        ([["a", "b"]], None, "must be numbers"),
        ([[1.0], [1.0, 2.0]], None, "must be numbers"),
        (None, None, "samples"),
        (
            [[1.0, 2.0], [np.nan, np.inf]],
            None,
            r"2 of 4 entries are NaN or infinite, the first at row 1, column 0 \(nan\)",
        ),
        ([[1.0, -np.inf]], None, r"row 0, column 1 \(-inf\)"),
        (np.array([[1.0], [np.inf]], np.float32), None, "row 1, column 0"),
        ([[1.0], [2.0]], [1.0], r"shape \(1,\); one weight for each of 2 rows"),
        ([[1.0], [2.0]], [1.0, -1.0], r"sample_weight\[1\] is -1.0"),
        ([[1.0], [2.0]], [np.nan, 1.0], r"sample_weight\[0\] is nan"),
        ([[1.0], [2.0]], [0.0, 0.0], "every sample_weight is zero"),
    ],
)
@pytest.mark.filterwarnings("error")
def test_what_is_no_sample_is_refused(X, weight, message):
    with pytest.raises(DataError, match=message):
        Samples.of(X, weight)


@pytest.mark.filterwarnings("error")
def test_a_sum_that_overflows_is_no_infinity():
    assert Samples.of(np.full((4, 1), 1.7e308)).n_samples == 4


def test_mean_and_variance_by_hand():
    samples = Samples.of([[0.0, 5.0], [4.0, 5.0], [100.0, 7.0]], [3, 1, 0])
    assert samples.total_weight == 4
    assert samples.mean.tolist() == [1.0, 5.0]
    assert samples.variance.tolist() == [3.0, 0.0]


def test_variance_of_a_constant_column_is_exactly_zero():
    assert Samples.of(np.full((1000, 1), 0.1)).variance[0] == 0.0
    assert Samples.of(np.full((1000, 1), 0.1, np.float32)).variance[0] == 0.0


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(5, 300), st.integers(1, 400))
def test_a_subsample_is_drawn_in_proportion_to_the_weights(seed, n, size):
    rng = np.random.default_rng(seed)
    samples = Samples.of(np.arange(n, dtype=float)[:, None], rng.integers(0, 6, n) + (np.arange(n) == 0))
    part = subsample(samples, size, rng)
    if n <= size:
        assert part is samples
        return
    assert part.total_weight == size
    # One draw from each equal share of the weight: only the shares that a row begins or ends in are in doubt.
    drawn = np.zeros(n)
    drawn[part.X[:, 0].astype(int)] = part.sample_weight
    expected = samples.sample_weight * size / samples.total_weight
    assert (np.abs(drawn - expected) < 2 + 1e-9).all()


def test_moments_of_parts_add_up():
    parameters = random_parameters(3, 2)
    X = draw(parameters, 300)[0]
    whole = accumulate(Samples.of(X), parameters)
    parts = accumulate(Samples.of(X[:100]), parameters) + accumulate(Samples.of(X[100:]), parameters)
    assert np.allclose(whole.counts, parts.counts)
    assert np.allclose(whole.first, parts.first)
    assert np.allclose(whole.scatters(), parts.scatters())
    assert whole.log_likelihood == pytest.approx(parts.log_likelihood)


@pytest.mark.parametrize("covariance_type", TYPES)
def test_parameters_are_counted_as_bic_counts_them(covariance_type):
    expected = {"full": 3 * 10, "tied": 10, "diag": 12, "spherical": 3}[covariance_type]
    assert random_parameters(3, 4, covariance_type).n_parameters == expected + 2 + 12


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ([1.0], [[0.0]], [[[1.0]]], "round"),
            "covariance_type is 'round'; allowed are full, diag, tied, spherical",
        ),
        (([0.5, 0.5], [[0.0]], [[[1.0]]], "full"), r"weights \(2,\) and means \(1, 1\) do not fit"),
        (([1.0], [0.0], [[[1.0]]], "full"), "do not fit"),
        (
            ([1.0], [[0.0, 0.0]], [[1.0, 1.0]], "full"),
            r"covariances have shape \(1, 2\); \(1, 2, 2\) is needed",
        ),
    ],
)
def test_parameters_must_fit_each_other(arguments, message):
    with pytest.raises(DataError, match=message):
        Parameters(*arguments)


@pytest.mark.parametrize(
    ("covariances", "covariance_type"),
    [
        ([[[1.0, 2.0], [2.0, 1.0]]], "full"),
        ([[1.0, 2.0], [2.0, 1.0]], "tied"),
        ([[1.0, 0.0]], "diag"),
        ([-1.0], "spherical"),
    ],
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_covariances_must_be_positive_definite(covariances, covariance_type):
    parameters = Parameters([1.0], [[0.0, 0.0]], covariances, covariance_type)
    with pytest.raises(DataError, match="give a larger reg_covar"):
        score_samples([[0.0, 0.0]], parameters)


@pytest.mark.parametrize("covariance_type", TYPES)
def test_a_model_file_brings_back_every_bit(covariance_type, tmp_path):
    parameters = random_parameters(3, 2, covariance_type)
    path = tmp_path / "new folder" / "model.npz"
    parameters.save(path, color_space=np.array("lab"))
    again, extra = Parameters.load(path)
    assert again.covariance_type == covariance_type
    for name in ("weights", "means", "covariances"):
        assert getattr(again, name).tobytes() == getattr(parameters, name).tobytes()
    assert str(extra.pop("color_space")) == "lab"
    assert not extra
    assert [file.name for file in path.parent.iterdir()] == ["model.npz"]


def _pickled(path):
    np.savez(path, weights=np.array([{"a": 1}], dtype=object), means=np.ones((1, 1)))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"PK\x03\x04 not a zip file"),
        lambda path: path.write_text("weights"),
        lambda path: np.savez(path, weights=np.ones(1)),
        lambda path: path.write_bytes(path.read_bytes()[:200]),
        lambda path: np.savez(
            path, weights=np.ones(1), means=np.ones((2, 2)), covariances=1.0, covariance_type="full"
        ),
        lambda path: path.unlink(),
        _pickled,
    ],
    ids=["empty", "no zip", "text", "incomplete", "cut off", "wrong shapes", "missing", "pickled"],
)
def test_a_damaged_model_file_is_named(spoil, tmp_path):
    path = tmp_path / "model.npz"
    random_parameters(2, 2).save(path)
    spoil(path)
    with pytest.raises(ModelError, match=r"model\.npz: "):
        Parameters.load(path)


def test_spread_and_reordered():
    tied = random_parameters(3, 2, "tied")
    assert np.array_equal(tied.spread_covariances()[2], tied.covariances)
    spherical = random_parameters(3, 2, "spherical")
    assert np.array_equal(spherical.spread_covariances()[1], spherical.covariances[1] * np.eye(2))
    swapped = spherical.reordered([2, 0, 1])
    assert np.array_equal(swapped.means, spherical.means[[2, 0, 1]])
    assert np.array_equal(swapped.covariances, spherical.covariances[[2, 0, 1]])
    X = draw(spherical, 50)[0]
    assert np.array_equal(np.array([2, 0, 1])[assign(X, swapped)], assign(X, spherical))


def test_a_subsample_does_not_fall_in_step_with_a_period():
    # Rows that come round every 64, and 64 rows a draw: equal steps would always take one kind.
    X = (np.arange(2**19) % 64).astype(float)[:, None]
    part = subsample(Samples.of(X), 8192, np.random.default_rng(0))
    kinds = np.bincount(part.X[:, 0].astype(int), part.sample_weight, 64)
    assert kinds.min() > 80
    assert kinds.max() < 180


def test_rows_of_weight_zero_at_the_end_are_not_drawn():
    weight = np.r_[np.ones(70_000), np.zeros(70_000)]
    X = np.arange(140_000.0)[:, None]
    for seed in range(20):
        part = subsample(Samples.of(X, weight), 5000, np.random.default_rng(seed))
        assert part.X.max() < 70_000
