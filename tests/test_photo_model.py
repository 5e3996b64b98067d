"""Models of photos as files: what is damaged is refused by name, before any photo is labelled by it."""

import os
import zipfile

import numpy as np
import pytest

from segment.archive import write_archive
from segment.errors import ModelError
from segment.mixture.families.gaussian.parameters import Parameters
from segment.photo.model import PhotoModel

GOOD = {
    "weights": np.array([0.25, 0.75]),
    "means": np.arange(6.0).reshape(2, 3),
    "covariances": np.stack([np.eye(3)] * 2),
    "covariance_type": np.array("full"),
    "color_space": np.array("lab"),
    "photo_schema": np.array(1),
}


def test_a_model_comes_back(tmp_path):
    model = PhotoModel(Parameters(GOOD["weights"], GOOD["means"], GOOD["covariances"]), "lab")
    model.save(tmp_path / "m.npz")
    loaded = PhotoModel.load(tmp_path / "m.npz")
    assert loaded.color_space == "lab"
    assert np.array_equal(loaded.parameters.means, GOOD["means"])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"weights": np.array([np.nan, 1.0])}, "weights holds NaN"),
        ({"weights": np.array([-0.5, 1.5])}, "weights must not be negative"),
        ({"weights": np.array([0.5, 0.2])}, "must sum to 1"),
        ({"weights": np.ones(1)}, "do not fit"),
        ({"weights": None}, "weights is missing"),
        ({"means": GOOD["means"] + np.inf}, "means holds NaN"),
        ({"covariances": -GOOD["covariances"]}, "not positive"),
        ({"covariances": np.ones((2, 3))}, "covariances have shape"),
        ({"covariance_type": np.array("round")}, "round"),
        ({"color_space": np.array("hsv")}, "not of photos"),
        ({"color_space": None}, "not of photos"),
        ({"photo_schema": None}, "not of photos"),
        ({"photo_schema": np.array("one")}, "photo_schema is one"),
        ({"photo_schema": np.array([1, 2])}, "photo_schema is"),
        ({"photo_schema": np.array(99)}, "newer version"),
        ({"means": np.zeros((2, 2)), "covariances": np.stack([np.eye(2)] * 2)}, "2 features; colors in lab"),
    ],
)
def test_a_damaged_model_is_refused_by_name(tmp_path, change, reason):
    arrays = {name: value for name, value in (GOOD | change).items() if value is not None}
    write_archive(tmp_path / "bad.npz", arrays)
    with pytest.raises(ModelError, match=rf"bad\.npz: .*{reason}"):
        PhotoModel.load(tmp_path / "bad.npz")


def test_other_files_are_refused_at_once(tmp_path):
    np.save(tmp_path / "array.npy", np.ones(3))
    os.mkfifo(tmp_path / "pipe.npz")
    with zipfile.ZipFile(tmp_path / "text.npz", "w") as archive:
        archive.writestr("weights", "no array")
    for name, reason in (
        ("array.npy", "one array"),
        ("pipe.npz", "named pipe"),
        ("text.npz", "weights is of"),
    ):
        with pytest.raises(ModelError, match=f"{name}: not a model .*{reason}"):
            PhotoModel.load(tmp_path / name)


def test_flipped_bits_in_compressed_arrays_are_found(tmp_path):
    write_archive(
        tmp_path / "m.npz", GOOD | {"means": np.random.default_rng(0).random((2, 3))}, compressed=True
    )
    content = bytearray((tmp_path / "m.npz").read_bytes())
    content[60:200] = bytes(140)
    (tmp_path / "m.npz").write_bytes(content)
    with pytest.raises(ModelError, match=r"m\.npz: not a model"):
        PhotoModel.load(tmp_path / "m.npz")
