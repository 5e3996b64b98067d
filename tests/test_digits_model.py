"""Models of digits that were damaged are refused by name, never applied."""

import numpy as np
import pytest

from segment.digits.cluster import cluster_digits
from segment.digits.digit_set import load_digits
from segment.digits.model import load_model
from segment.digits.normalize import to_frame
from segment.digits.settings import DigitSettings
from segment.errors import ModelError
from segment.mixture.expectation import score_samples


@pytest.fixture(scope="module")
def arrays(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    settings = DigitSettings(features="pixels", n_features=6, n_init=2, refine="none")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("segment.digits.cache.cache_folder", lambda: folder / "features")
        cluster_digits(load_digits("digits").limited(300), settings, n_jobs=1).model.save(folder / "m.npz")
    load_model(folder / "m.npz")
    with np.load(folder / "m.npz") as stored:
        return dict(stored)


DAMAGES = {
    "groups": [np.full(10, 99), np.full(10, -1), np.zeros(3, int), np.zeros(10), np.array(["x"] * 10)],
    "mapping": [
        np.full(10, 99),
        np.r_[99, 1:10],
        np.arange(10) - 5,
        np.zeros(0, int),
        np.arange(10) * 0.5,
        np.array(3),
    ],
    "weights": [np.full(10, np.nan), np.r_[-1.0, 2.0, np.zeros(8)]],
    "features_kind": [np.array("edges"), np.array(3)],
    "features_mean": [np.full(784, np.nan, np.float32), np.zeros(5, np.float32)],
    "features_components": [np.zeros((6, 5), np.float32), np.zeros((2, 784), np.float32)],
    "features_typical_spread": [np.zeros(2), np.ones(3), np.array([np.inf, 1])],
    "n_classes": [np.array(5), np.array(-1), np.array(10.0), np.full(2, 10)],
    "faint": [np.array(np.nan), np.ones(2), np.array("low")],
    "features_explained": [np.array(np.nan), np.ones(2), np.array("much")],
}


@pytest.mark.parametrize(("name", "i"), [(name, i) for name, bad in DAMAGES.items() for i in range(len(bad))])
def test_a_damaged_field_is_refused(arrays, tmp_path, name, i):
    np.savez(tmp_path / "bad.npz", **(arrays | {name: DAMAGES[name][i]}))
    with pytest.raises(ModelError, match=r"bad\.npz"):
        load_model(tmp_path / "bad.npz")


def test_what_is_no_digit_is_told_from_the_digits_fitted(arrays, tmp_path):
    np.savez(tmp_path / "m.npz", **arrays)
    model = load_model(tmp_path / "m.npz")
    digits = to_frame(load_digits("digits").limited(300).images)
    clusters, probabilities, is_like = model.recognize(digits, 1)
    assert np.count_nonzero(~is_like) == 1
    densities = score_samples(model.features.transform(digits, 1), model.parameters)
    np.testing.assert_array_equal(is_like, densities >= model.faint)
    assert not is_like[densities.argmin()]
    for mine, plain in zip((clusters, probabilities), model.predict(digits, 1), strict=True):
        np.testing.assert_array_equal(mine, plain)


def test_a_model_of_an_earlier_version_doubts_nothing(arrays, tmp_path):
    np.savez(tmp_path / "old.npz", **{k: v for k, v in arrays.items() if k not in ("faint", "n_classes")})
    old = load_model(tmp_path / "old.npz")
    assert old.recognize(np.full((1, 28, 28), 255, np.uint8), 1)[2].all()
    old.save(tmp_path / "again.npz")
    assert load_model(tmp_path / "again.npz").faint == old.faint
