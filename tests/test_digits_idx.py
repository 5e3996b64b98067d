"""The IDX reader: everything the format defines, and ten ways for a file to be wrong."""

import gzip
import struct
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from segment.digits.digit_set import load_digits
from segment.digits.idx import IDX_TYPES, looks_like_idx, read_idx
from segment.errors import DatasetError


def idx_bytes(array):
    """Encode an array as IDX; written from the format's description, not from the reader."""
    codes = {"uint8": 8, "int8": 9, "int16": 11, "int32": 12, "float32": 13, "float64": 14}
    header = bytes([0, 0, codes[array.dtype.name], array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.astype(array.dtype.newbyteorder(">")).tobytes()


@pytest.fixture
def file(tmp_path):
    def write(data, name="train-images-idx3-ubyte"):
        path = tmp_path / name
        path.write_bytes(data)
        return path

    return write


@given(
    st.sampled_from(["u1", "i1", "i2", "i4", "f4", "f8"]).flatmap(
        lambda kind: arrays.arrays(kind, arrays.array_shapes(max_dims=4, max_side=4))
    ),
    st.booleans(),
)
def test_every_type_and_rank_comes_back(tmp_path_factory, array, zipped):
    path = tmp_path_factory.mktemp("idx") / "file"
    path.write_bytes(gzip.compress(idx_bytes(array)) if zipped else idx_bytes(array))
    found = read_idx(path)
    assert found.dtype == array.dtype
    np.testing.assert_array_equal(found, array)
    assert looks_like_idx(path)


def test_a_file_spelled_out_by_hand(file):
    path = file(
        bytes([0, 0, 0x0B, 2, 0, 0, 0, 2, 0, 0, 0, 3]) + bytes([0, 1, 0, 2, 1, 0, 255, 255, 0, 0, 0, 5])
    )
    assert read_idx(path).tolist() == [[1, 2, 256], [-1, 0, 5]]


IMAGES = idx_bytes(np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "begins with nothing"),
        (b"\0\0", "no IDX file"),
        (b"PK\x03\x04" + IMAGES[4:], "begins with 50 4b 03 04, expected 00 00"),
        (b"\0\1" + IMAGES[2:], "no IDX file"),
        (b"\0\0\x0a\x03" + IMAGES[4:], "type 0x0a is not defined; the format allows 0x08"),
        (b"\0\0\x08\0", "rank 0"),
        (IMAGES[:10], "truncated in its header: 10 bytes, expected 16"),
        (IMAGES[:-1], r"truncated: 33 bytes, expected 34 for uint8 of shape \(2, 3, 3\)"),
        (IMAGES + b"\0", "too long: more than 34 bytes, expected 34"),
        (bytes([0, 0, 8, 200]) + struct.pack(">I", 1) * 200 + b"1", "rank 200; at most 32"),
        (gzip.compress(IMAGES, mtime=0)[:-9], "gzip stream is damaged or truncated"),
        (b"\x1f\x8b" + IMAGES, "gzip stream is damaged"),
        (struct.pack(">BBBB3I", 0, 0, 8, 3, 2**32 - 1, 2**32 - 1, 2**32 - 1), "truncated"),
    ],
)
def test_a_corrupted_file_is_named_with_what_was_expected(file, data, said):
    path = file(data)
    with pytest.raises(DatasetError, match=said) as error:
        read_idx(path)
    assert str(path) in str(error.value)


def test_a_gzip_bomb_is_read_no_further_than_its_header_says(file):
    path = file(gzip.compress(IMAGES + bytes(300_000_000), 1))
    tracemalloc.start()
    with pytest.raises(DatasetError, match="too long"):
        read_idx(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20_000_000


def test_a_header_that_claims_too_much_takes_no_memory(file):
    path = file(struct.pack(">BBBB3I", 0, 0, 8, 3, 60_000, 1_000, 1_000) + b"few")
    with pytest.raises(DatasetError, match="truncated: 19 bytes, expected 60000000016"):
        read_idx(path)


def test_a_file_without_an_image_is_named(file):
    path = file(idx_bytes(np.zeros((0, 28, 28), np.uint8)))
    with pytest.raises(DatasetError, match="holds no image"):
        load_digits(str(path))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DatasetError, match=r"nowhere.*cannot be read"):
        read_idx(tmp_path / "nowhere")


def test_the_format_has_six_types():
    assert sorted(IDX_TYPES) == [8, 9, 11, 12, 13, 14]


def test_fewer_labels_than_images_are_counted(file):
    images = file(IMAGES)
    file(idx_bytes(np.zeros(3, np.uint8)), "train-labels-idx1-ubyte")
    with pytest.raises(DatasetError, match=r"train-labels-idx1-ubyte: 3 labels, but .* holds 2 images"):
        load_digits(str(images.parent))
