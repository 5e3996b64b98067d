"""Models of digits that were damaged are refused by name, never applied."""

import numpy as np
import pytest

from segment.digits.cluster import DigitSettings, cluster_digits
from segment.digits.digit_set import load_digits
from segment.digits.model import load_model
from segment.errors import ModelError


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
    "mapping": [np.full(10, 99), np.arange(10) - 5, np.zeros(0, int), np.arange(10) * 0.5, np.array(3)],
    "weights": [np.full(10, np.nan), np.r_[-1.0, 2.0, np.zeros(8)]],
    "features_kind": [np.array("edges"), np.array(3)],
    "features_mean": [np.full(784, np.nan, np.float32), np.zeros(5, np.float32)],
    "features_components": [np.zeros((6, 5), np.float32), np.zeros((2, 784), np.float32)],
    "features_typical_spread": [np.zeros(2), np.ones(3), np.array([np.inf, 1])],
    "features_explained": [np.array(np.nan), np.ones(2), np.array("much")],
}


@pytest.mark.parametrize(("name", "i"), [(name, i) for name, bad in DAMAGES.items() for i in range(len(bad))])
def test_a_damaged_field_is_refused(arrays, tmp_path, name, i):
    np.savez(tmp_path / "bad.npz", **(arrays | {name: DAMAGES[name][i]}))
    with pytest.raises(ModelError, match=r"bad\.npz"):
        load_model(tmp_path / "bad.npz")
