"""Archives of named arrays: equal bytes, and every damaged field refused by name."""

import numpy as np
import pytest

from segment.archive import Field, read_archive, write_archive
from segment.errors import ModelError

FIELDS = {"counts": Field("i", 1), "values": Field("f", 2), "name": Field("U", 0), "any": Field("fi", None)}
GOOD = {
    "counts": np.arange(3),
    "values": np.ones((2, 2)),
    "name": np.array("one"),
    "any": np.zeros((1, 2, 3)),
    "more": np.arange(2),
}


def _read(path):
    return read_archive(path, "thing", "give another", FIELDS)


def test_arrays_come_back_and_equal_arrays_are_equal_bytes(tmp_path):
    for name in ("a.npz", "b.npz"):
        write_archive(tmp_path / name, GOOD)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    found = _read(tmp_path / "a.npz")
    assert set(found) == set(GOOD)
    for name, value in GOOD.items():
        np.testing.assert_array_equal(found[name], value)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"counts": None}, "counts is missing"),
        ({"counts": np.arange(3.0)}, "counts is of type float64"),
        ({"counts": np.arange(4).reshape(2, 2)}, r"counts has shape \(2, 2\); 1 dimensions are needed"),
        ({"values": np.array([[np.nan]])}, "values holds NaN or infinity"),
        ({"any": np.array([np.inf])}, "any holds NaN or infinity"),
    ],
)
def test_a_wrong_field_is_named(tmp_path, change, reason):
    changed = {name: value for name, value in (GOOD | change).items() if value is not None}
    write_archive(tmp_path / "wrong.npz", changed)
    with pytest.raises(ModelError, match=rf"wrong\.npz: not a thing .*{reason}.*give another"):
        _read(tmp_path / "wrong.npz")


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04 broken"])
def test_damaged_files_are_refused(tmp_path, content):
    (tmp_path / "x.npz").write_bytes(content)
    with pytest.raises(ModelError, match=r"x\.npz: not a thing"):
        _read(tmp_path / "x.npz")


def test_other_files_are_refused(tmp_path):
    np.save(tmp_path / "x.npy", np.ones(3))
    with pytest.raises(ModelError, match="one array, not named ones"):
        _read(tmp_path / "x.npy")
    np.savez(tmp_path / "o.npz", values=np.array([{}], dtype=object))
    with pytest.raises(ModelError, match=r"o\.npz: not a thing"):
        _read(tmp_path / "o.npz")
    with pytest.raises(ModelError, match="no such file"):
        _read(tmp_path / "missing.npz")
    with pytest.raises(ModelError, match="not a thing"):
        _read(tmp_path)
