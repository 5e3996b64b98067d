"""`GaussianMixture`: scikit-learn's own checks, and scikit-learn's mixture beside it."""

import pickle
import warnings

import numpy as np
import pytest
import sklearn.exceptions
import sklearn.mixture
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator
from toys import TYPES, draw, four_gaussians, overlapping, random_parameters

from segment import GaussianMixture
from segment.errors import CollapseWarning, ConvergenceWarning, DataError, ModelError
from segment.mixture import Samples, bic, icl

X, LABELS = four_gaussians()


@pytest.fixture(scope="module")
def fitted():
    return GaussianMixture(4, random_state=0).fit(X)


def test_scikit_learn_finds_nothing_to_object_to():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = check_estimator(GaussianMixture(), on_fail="raise")
    assert {result["status"] for result in results} <= {"passed", "skipped"}
    assert sum(result["status"] == "passed" for result in results) > 40


def test_the_constructor_takes_what_scikit_learn_takes():
    theirs, ours = sklearn.mixture.GaussianMixture().get_params(), GaussianMixture().get_params()
    assert set(theirs) <= set(ours)
    different = {name for name in theirs if theirs[name] != ours[name]}
    assert different == {"init_params"}
    assert set(ours) - set(theirs) == {"n_jobs", "acceleration", "missing"}


def test_methods_and_attributes_are_those_of_scikit_learn(fitted):
    theirs = sklearn.mixture.GaussianMixture(4).fit(X)
    public = {name for name in dir(theirs) if not name.startswith("_")}
    # Whether metadata routing is on decides on these; they are no part of the mixture.
    missing = {name for name in public - set(dir(fitted)) if not name.startswith("set_")}
    assert missing == set()
    for name in vars(theirs):
        if name.endswith("_"):
            assert (
                np.shape(getattr(fitted, name)) == np.shape(getattr(theirs, name)) or name == "lower_bounds_"
            )


def _pair(covariance_type, **options):
    """Return both libraries' mixtures from the same start, not regularized."""
    start = random_parameters(4, 2, covariance_type, seed=3, spread=2.0)
    precisions = {
        "full": np.linalg.inv,
        "tied": np.linalg.inv,
        "diag": np.reciprocal,
        "spherical": np.reciprocal,
    }[covariance_type](start.covariances)
    shared = {
        "covariance_type": covariance_type,
        "weights_init": start.weights,
        "reg_covar": 0.0,
        "means_init": start.means + 3.0,
        "precisions_init": precisions,
        **options,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", sklearn.exceptions.ConvergenceWarning)
        return (
            sklearn.mixture.GaussianMixture(4, **shared).fit(X),
            GaussianMixture(4, acceleration=None, **shared).fit(X),
        )


@pytest.mark.parametrize("covariance_type", TYPES)
@pytest.mark.parametrize("steps", [1, 5])
def test_steps_from_the_same_start_are_those_of_scikit_learn(covariance_type, steps):
    theirs, ours = _pair(covariance_type, max_iter=steps, tol=0.0)
    for name in ("weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_"):
        assert np.allclose(getattr(ours, name), getattr(theirs, name), rtol=1e-9, atol=1e-11), name
    assert ours.n_iter_ == theirs.n_iter_ == steps
    assert ours.lower_bounds_[:-1] == pytest.approx(theirs.lower_bounds_[1:], rel=1e-12)
    assert ours.lower_bound_ == pytest.approx(theirs.score(X), rel=1e-12)
    for method in ("predict_proba", "score_samples"):
        assert np.allclose(getattr(ours, method)(X), getattr(theirs, method)(X), rtol=1e-9, atol=1e-12)
    assert np.array_equal(ours.predict(X), theirs.predict(X))
    for method in ("score", "aic", "bic"):
        assert getattr(ours, method)(X) == pytest.approx(getattr(theirs, method)(X), rel=1e-12)


@pytest.mark.parametrize("covariance_type", TYPES)
def test_whole_fits_end_where_those_of_scikit_learn_end(covariance_type):
    theirs, ours = _pair(covariance_type, max_iter=5000, tol=1e-10)
    assert ours.converged_
    assert ours.score(X) == pytest.approx(theirs.score(X), abs=1e-7)
    assert np.allclose(ours.means_, theirs.means_, atol=1e-3)


@pytest.mark.parametrize("covariance_type", TYPES)
def test_defaults_find_no_lower_likelihood_than_scikit_learn(covariance_type):
    for seed in range(3):
        theirs = sklearn.mixture.GaussianMixture(4, covariance_type=covariance_type, random_state=seed).fit(X)
        ours = GaussianMixture(4, covariance_type=covariance_type, random_state=seed).fit(X)
        assert ours.score(X) > theirs.score(X) - 1e-3


def test_reg_covar_has_the_unit_of_scikit_learn():
    scaled = X * 100.0
    ours = GaussianMixture(1, reg_covar=50.0).fit(scaled)
    assert np.allclose(ours.covariances_[0], np.cov(scaled.T, bias=True) + 50.0 * np.eye(2))
    constant = GaussianMixture(1, reg_covar=0.25).fit(np.ones((5, 2)))
    assert np.allclose(constant.covariances_[0], 0.25 * np.eye(2))


def test_fit_predict_is_fit_and_predict(fitted):
    assert np.array_equal(GaussianMixture(4, random_state=0).fit_predict(X), fitted.predict(X))
    assert np.array_equal(fitted.predict(X), fitted.predict_proba(X).argmax(axis=1))
    assert fitted.predict(X).dtype == np.intp


def test_the_bound_belongs_to_the_fitted_parameters():
    mixture = GaussianMixture(4, random_state=0, reg_covar=0.0).fit(X)
    assert mixture.lower_bound_ == mixture.lower_bounds_[-1] == pytest.approx(mixture.score(X), rel=1e-12)
    assert len(mixture.lower_bounds_) == mixture.n_iter_


def test_sample_weight_is_repetition():
    weight = np.random.default_rng(0).integers(0, 4, len(X))
    weighted = GaussianMixture(4, random_state=0, tol=1e-8).fit(X, sample_weight=weight)
    copies = np.repeat(X, weight, axis=0)
    repeated = GaussianMixture(4, random_state=0, tol=1e-8).fit(copies)
    assert np.allclose(weighted.means_, repeated.means_, atol=1e-5)
    for criterion in ("aic", "bic", "icl", "score"):
        expected = pytest.approx(getattr(repeated, criterion)(copies), rel=1e-6)
        assert getattr(weighted, criterion)(X, sample_weight=weight) == expected


def test_icl_charges_for_overlap(fitted):
    shares = fitted.predict_proba(X)
    entropy = -np.sum(shares * np.log(np.maximum(shares, 1e-300)))
    assert fitted.icl(X) == pytest.approx(fitted.bic(X) + 2 * entropy)
    parameters = fitted._parameters()
    assert fitted.bic(X) == bic(Samples.of(X), parameters)
    assert fitted.icl(X) == icl(Samples.of(X), parameters)


def test_float32_is_fitted_as_it_is(fitted):
    single = GaussianMixture(4, random_state=0).fit(X.astype(np.float32))
    assert np.allclose(np.sort(single.weights_), np.sort(fitted.weights_), atol=1e-3)
    for name in ("weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_"):
        assert getattr(single, name).dtype == np.float32, name
        assert getattr(fitted, name).dtype == np.float64, name
    assert single.score(X.astype(np.float32)) == pytest.approx(fitted.score(X), abs=1e-4)


@pytest.mark.parametrize("covariance_type", TYPES)
def test_precisions_are_the_inverses(covariance_type):
    mixture = GaussianMixture(4, covariance_type=covariance_type, random_state=0).fit(X)
    if covariance_type in ("full", "tied"):
        assert np.allclose(mixture.precisions_ @ mixture.covariances_, np.eye(2))
        assert np.allclose(np.tril(mixture.precisions_cholesky_, -1), 0.0)
        product = mixture.precisions_cholesky_ @ np.swapaxes(mixture.precisions_cholesky_, -1, -2)
    else:
        assert np.allclose(mixture.precisions_ * mixture.covariances_, 1.0)
        product = mixture.precisions_cholesky_**2
    assert np.allclose(product, mixture.precisions_)


@pytest.mark.parametrize("covariance_type", TYPES)
def test_samples_drawn_have_the_moments_of_the_mixture(covariance_type):
    mixture = GaussianMixture(4, covariance_type=covariance_type, random_state=0).fit(X)
    drawn, labels = mixture.sample(20000)
    assert drawn.shape == (20000, 2)
    assert (np.diff(labels) >= 0).all()
    spread = mixture._parameters().spread_covariances()
    for k in range(4):
        rows = drawn[labels == k]
        assert len(rows) / 20000 == pytest.approx(mixture.weights_[k], abs=0.015)
        assert rows.mean(axis=0) == pytest.approx(mixture.means_[k], abs=0.1)
        assert np.cov(rows.T) == pytest.approx(spread[k], abs=0.1 * spread[k].max())
    assert np.array_equal(mixture.sample(5)[0], mixture.sample(5)[0])
    with pytest.raises(ValueError, match="Invalid value for 'n_samples'"):
        mixture.sample(0)


@pytest.mark.parametrize("init", ["short_runs", "kmeans", "k-means++", "random", "random_from_data"])
def test_every_start_leads_to_a_fit(init):
    mixture = GaussianMixture(4, init_params=init, n_init=3, random_state=0, max_iter=1000).fit(X)
    assert mixture.converged_
    # Random responsibilities begin at a saddle, where a step gains next to nothing: tol ends such fits early.
    gain = 0.001 if init == "random" else 0.1
    assert mixture.score(X) > GaussianMixture(1).fit(X).score(X) + gain


def test_more_starts_are_never_worse():
    noise = draw(random_parameters(6, 2, seed=8, spread=2.0), 400)[0]
    one = GaussianMixture(6, init_params="random_from_data", random_state=0, tol=1e-6, max_iter=2000).fit(
        noise
    )
    many = clone(one).set_params(n_init=10).fit(noise)
    assert many.lower_bound_ > one.lower_bound_


def test_a_start_may_be_given_in_part():
    means = np.array([X[k == LABELS].mean(axis=0) for k in range(4)])
    exact = GaussianMixture(4, means_init=means, random_state=0).fit(X)
    # Components keep the numbers that the user gave them.
    assert np.mean(exact.predict(X) == LABELS) > 0.9
    start = GaussianMixture(4, means_init=means, weights_init=[0.1, 0.2, 0.3, 0.4], max_iter=0).fit(X)
    assert start.means_.tolist() == means.tolist()
    assert start.weights_ == pytest.approx([0.1, 0.2, 0.3, 0.4])
    precise = GaussianMixture(4, precisions_init=[np.eye(2) * 4.0] * 4, max_iter=0).fit(X)
    assert np.allclose(precise.covariances_, np.eye(2) / 4.0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weights_init": [0.5, 0.5, 0.5]}, r"'weights' should have the shape of \(2,\)"),
        ({"weights_init": [1.5, -0.5]}, r"'weights' should be in the range \[0, 1\]"),
        ({"weights_init": [0.2, 0.2]}, r"'weights' should be normalized"),
        ({"means_init": [[0.0, 0.0]]}, r"'means' should have the shape of \(2, 2\)"),
        ({"means_init": [[0.0, 0.0], [np.nan, 0.0]]}, "'means' holds NaN"),
        ({"precisions_init": np.ones((2, 2))}, "'full precision' should have the shape of"),
        (
            {"precisions_init": [[[1, 2], [2, 1]]] * 2},
            "'full precision' should be symmetric, positive-definite",
        ),
        (
            {"precisions_init": [[[1, 2], [0, 9]]] * 2},
            "'full precision' should be symmetric, positive-definite",
        ),
        (
            {"precisions_init": [0.0, 1.0], "covariance_type": "spherical"},
            "'spherical precision' should be positive",
        ),
        ({"n_components": 0}, "n_components"),
        (
            {"n_components": 401},
            "Expected n_samples >= n_components but got n_components = 401, n_samples = 400",
        ),
        ({"covariance_type": "round"}, "covariance_type"),
        ({"tol": -1.0}, "tol"),
        ({"reg_covar": -1.0}, "reg_covar"),
        ({"max_iter": -1}, "max_iter"),
        ({"n_init": 0}, "n_init"),
        ({"init_params": "best"}, "init_params"),
        ({"acceleration": "anderson"}, "acceleration"),
        ({"n_jobs": 0}, "n_jobs is 0"),
        ({"verbose_interval": 0}, "verbose_interval"),
    ],
)
def test_what_is_not_allowed(options, message):
    with pytest.raises(ValueError, match=message):
        GaussianMixture(**{"n_components": 2, **options}).fit(X)


def test_nan_and_infinity_are_located(fitted):
    wrong = X.copy()
    wrong[7, 1] = np.nan
    with pytest.raises(ValueError, match=r"NaN or infinite, the first at row 7, column 1"):
        GaussianMixture().fit(wrong)
    wrong[3, 0] = np.inf
    for method in (fitted.predict, fitted.predict_proba, fitted.score_samples, fitted.score, fitted.bic):
        with pytest.raises(ValueError, match=r"row 3, column 0 \(inf\)"):
            method(wrong)


def test_a_mixture_must_be_fitted_first():
    for call in (
        lambda m: m.predict(X),
        lambda m: m.sample(),
        lambda m: m.icl(X),
        lambda m: m.save("never.npz"),
    ):
        with pytest.raises(sklearn.exceptions.NotFittedError):
            call(GaussianMixture())


def test_stopping_early_warns_in_both_languages():
    for category in (ConvergenceWarning, sklearn.exceptions.ConvergenceWarning):
        with pytest.warns(category, match="not converged"):
            GaussianMixture(2, init_params="random", max_iter=2, tol=0.0, random_state=0).fit(overlapping())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # No step was asked for: the start is what is wanted.
        start = GaussianMixture(2, max_iter=0, random_state=0).fit(X)
    assert not start.converged_
    assert start.n_iter_ == 0


def test_a_collapse_is_reported():
    with pytest.warns(CollapseWarning):
        mixture = GaussianMixture(3, random_state=0).fit(
            np.repeat([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]], 10, axis=0)
        )
    assert "held at reg_covar" in mixture.repairs_[0]


def test_warm_start_goes_on_where_the_last_fit_ended():
    data = overlapping()
    options = {"init_params": "random", "random_state": 0, "tol": 0.0, "acceleration": None, "reg_covar": 0.0}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        whole = GaussianMixture(2, max_iter=6, **options).fit(data)
        parts = GaussianMixture(2, max_iter=3, warm_start=True, **options).fit(data)
        middle = parts.lower_bound_
        parts.fit(data)
    assert parts.lower_bound_ > middle
    assert np.allclose(parts.means_, whole.means_, rtol=1e-12)
    with pytest.raises(DataError, match="warm_start cannot continue"):
        parts.set_params(n_components=3).fit(data)
    assert parts.set_params(n_components=3, warm_start=False, max_iter=1000, tol=1e-3).fit(data).converged_


def test_verbose_prints_what_scikit_learn_prints(capsys):
    GaussianMixture(
        2,
        random_state=0,
        init_params="random",
        n_init=2,
        verbose=1,
        verbose_interval=2,
        max_iter=500,
        tol=1e-6,
    ).fit(overlapping())
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Initialization 0"
    assert "  Iteration 2" in lines
    assert lines[-1] == "Initialization converged."
    assert "Initialization 1" in lines
    GaussianMixture(2, random_state=0, verbose=2, verbose_interval=1).fit(X)
    assert "change" in capsys.readouterr().out
    GaussianMixture(2, random_state=0).fit(X)
    assert capsys.readouterr().out == ""


def test_acceleration_saves_steps():
    options = {"random_state": 0, "init_params": "kmeans", "tol": 1e-9, "max_iter": 10000}
    plain = GaussianMixture(2, acceleration=None, **options).fit(overlapping())
    fast = GaussianMixture(2, **options).fit(overlapping())
    assert 2 * fast.n_iter_ < plain.n_iter_
    assert fast.lower_bound_ > plain.lower_bound_ - 1e-6


@pytest.mark.parametrize("covariance_type", TYPES)
def test_a_saved_mixture_is_the_same_mixture(covariance_type, tmp_path):
    path = tmp_path / "mixture.npz"
    options = {
        "random_state": np.random.RandomState(3),
        "weights_init": np.full(4, 0.25),
        "n_init": np.int64(2),
    }
    mixture = GaussianMixture(4, covariance_type=covariance_type, **options).fit(X)
    mixture.save(path)
    again = GaussianMixture.load(path)
    assert np.array_equal(again.predict_proba(X), mixture.predict_proba(X))
    for name, value in vars(mixture).items():
        if name.endswith("_"):
            assert np.array_equal(getattr(again, name), value), name
    assert again.get_params()["n_init"] == 2
    assert again.get_params()["random_state"] is None
    assert again.set_params(warm_start=True).fit(X).converged_
    with np.load(path, allow_pickle=False) as data:
        assert int(data["schema"]) == 1


@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
def test_names_of_features_are_kept(tmp_path):
    mixture = GaussianMixture(2, random_state=0).fit(X)
    mixture.feature_names_in_ = np.array(["height", "weight"], dtype=object)
    mixture.save(tmp_path / "named.npz")
    again = GaussianMixture.load(tmp_path / "named.npz")
    assert again.feature_names_in_.tolist() == ["height", "weight"]
    assert again.n_features_in_ == 2
    with pytest.raises(ValueError, match="3 features"):
        again.predict(np.ones((2, 3)))


def test_files_that_are_no_mixture_are_refused(fitted, tmp_path):
    parameters = fitted._parameters()
    parameters.save(tmp_path / "photo.npz")
    with pytest.raises(ModelError, match=r"not one that GaussianMixture\.save has written"):
        GaussianMixture.load(tmp_path / "photo.npz")
    parameters.save(
        tmp_path / "newer.npz", schema=np.array(99), settings=np.array("{}"), fitted=np.array("{}")
    )
    with pytest.raises(ModelError, match=r"written by a newer version \(schema 99"):
        GaussianMixture.load(tmp_path / "newer.npz")
    with pytest.raises(ModelError, match="no such file"):
        GaussianMixture.load(tmp_path / "absent.npz")


def test_it_works_among_scikit_learn_s_tools(fitted):
    assert np.array_equal(pickle.loads(pickle.dumps(fitted)).predict(X), fitted.predict(X))
    labels = make_pipeline(StandardScaler(), GaussianMixture(4, random_state=0)).fit_predict(X)
    assert len(np.unique(labels)) == 4
    search = GridSearchCV(GaussianMixture(random_state=0), {"n_components": [1, 4]}, cv=3).fit(X)
    assert search.best_params_ == {"n_components": 4}


def test_parameters_set_by_hand_serve_for_prediction(fitted):
    """scikit-learn's users make mixtures without fitting: what counts is the attributes."""
    by_hand = GaussianMixture(4)
    by_hand.weights_, by_hand.means_ = fitted.weights_, fitted.means_
    by_hand.covariances_, by_hand.n_features_in_ = fitted.covariances_, 2
    assert np.array_equal(by_hand.predict(X), fitted.predict(X))


def test_what_a_user_puts_in_the_place_of_a_fitted_array_counts(fitted):
    single = clone(fitted).fit(X.astype(np.float32))
    before = single.score(X)
    single.means_ = single.means_ + 1.0
    assert single.score(X) < before - 0.1
    assert single.score(X + 1.0) == pytest.approx(before, abs=1e-5)


def test_a_float32_fit_is_saved_as_exactly_as_it_is_computed(tmp_path):
    single = GaussianMixture(4, random_state=0).fit(X.astype(np.float32))
    single.save(tmp_path / "single.npz")
    again = GaussianMixture.load(tmp_path / "single.npz")
    assert again.means_.dtype == np.float32
    assert np.array_equal(again.predict_proba(X), single.predict_proba(X))


def test_the_number_of_parameters_has_scikit_learns_private_name(fitted):
    theirs = sklearn.mixture.GaussianMixture(4, random_state=0).fit(X)
    assert fitted._n_parameters() == theirs._n_parameters() == 23


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("weights", np.array([0.5, np.nan, 0.25, 0.25]), "weights holds NaN"),
        ("weights", np.array([1.5, -0.5, 0.0, 0.0]), "must not be negative"),
        ("weights", np.full(4, 0.5), "must sum to 1"),
        ("means", np.zeros((3, 2)), "do not fit"),
        ("means", np.zeros(4), "2 dimensions are needed"),
        ("covariances", np.zeros((4, 2, 2)), "not positive"),
        ("covariances", -np.stack([np.eye(2)] * 4), "not positive"),
        ("covariance_type", np.array("oval"), "covariance_type is 'oval'"),
        ("schema", np.array(99), "newer version"),
        ("schema", np.array("one"), "not a model that GaussianMixture.save has written"),
        ("settings", np.array("{"), "not a model that GaussianMixture.save has written"),
        ("settings", np.array('{"colour": 3}'), "unexpected keyword"),
        ("settings", np.array('{"n_components": -4}'), "n_components"),
        ("settings", np.array('{"n_components": 3}'), "settings are not those of its parameters"),
        ("fitted", np.array('{"n_iter_": "many"}'), "invalid literal"),
        ("fitted", np.array('{"surprise_": 1}'), "surprise_"),
        ("fitted", np.array("[1, 2]"), "not a model that GaussianMixture.save has written"),
        ("fitted", np.array('{"n_features_in_": 7}'), "settings are not those of its parameters"),
        ("dtype", np.array("complex"), "dtype"),
    ],
)
def test_a_damaged_file_is_refused_by_name(fitted, tmp_path, field, value, reason):
    fitted.save(tmp_path / "good.npz")
    with np.load(tmp_path / "good.npz") as data:
        arrays = dict(data) | {field: value}
    np.savez(tmp_path / "bad.npz", **arrays)
    with pytest.raises(ModelError, match=rf"bad\.npz: .*{reason}"):
        GaussianMixture.load(tmp_path / "bad.npz")
