"""Sets of digits from folders, IDX files, .npz and the bundled set; MNIST's frame for foreign images."""

import gzip

import numpy as np
import pytest
from PIL import Image
from test_digits_idx import idx_bytes

from segment import datasets
from segment.digits.digit_set import DigitSet, load_digits
from segment.digits.new_images import read_new_images
from segment.digits.normalize import ink_on_dark, normalize, to_frame
from segment.errors import DatasetError

TRAIN = np.arange(4 * 5 * 5, dtype=np.uint8).reshape(4, 5, 5)
TEST = np.full((2, 5, 5), 7, np.uint8)


@pytest.fixture
def folder(tmp_path):
    for name, array in {
        "train-images-idx3-ubyte": TRAIN,
        "train-labels-idx1-ubyte": np.array([3, 1, 4, 1], np.uint8),
        "t10k-images-idx3-ubyte": TEST,
        "t10k-labels-idx1-ubyte": np.array([5, 9], np.uint8),
    }.items():
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress(idx_bytes(array)))
    return tmp_path


def test_a_folder_is_read_train_first(folder):
    found = load_digits(str(folder))
    np.testing.assert_array_equal(found.images, np.concatenate([TRAIN, TEST]))
    assert found.labels.tolist() == [3, 1, 4, 1, 5, 9]
    assert found.n_train == 4


def test_without_labels_there_are_none(folder):
    for path in folder.glob("*labels*"):
        path.unlink()
    found = load_digits(str(folder))
    assert found.labels is None
    assert len(found.images) == 6


def test_labels_of_one_part_only_are_no_labels(folder):
    (folder / "t10k-labels-idx1-ubyte.gz").unlink()
    assert load_digits(str(folder)).labels is None


def test_other_names_are_told_apart_by_rank(tmp_path):
    (tmp_path / "pictures").write_bytes(idx_bytes(TRAIN))
    (tmp_path / "classes").write_bytes(idx_bytes(np.arange(4, dtype=np.uint8)))
    found = load_digits(str(tmp_path))
    assert found.labels.tolist() == [0, 1, 2, 3]
    assert found.n_train == 4
    (tmp_path / "more").write_bytes(idx_bytes(TEST))
    with pytest.raises(DatasetError, match="can be told apart"):
        load_digits(str(tmp_path))


def test_a_single_file_and_an_npz(tmp_path):
    (tmp_path / "digits.idx").write_bytes(idx_bytes(TRAIN))
    assert load_digits(str(tmp_path / "digits.idx")).labels is None
    np.savez(tmp_path / "set.npz", images=TRAIN / 99.0, labels=np.array([0.0, 1, 2, 2]))
    found = load_digits(str(tmp_path / "set.npz"))
    assert found.images.max() == 255
    assert found.labels.tolist() == [0, 1, 2, 2]


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"pictures": TRAIN}, "expected images"),
        ({"images": TRAIN, "labels": np.arange(3)}, r"labels of shape \(3,\), expected \(4,\)"),
        ({"images": TRAIN, "labels": np.array([0, 1, 2, 0.5])}, "expected whole numbers"),
        ({"images": TRAIN, "labels": np.array([0, 1, 2, -1])}, "expected whole numbers"),
        ({"images": TRAIN, "labels": np.array(list("abcd"))}, "labels of type <U1, expected whole numbers"),
        ({"images": TRAIN, "labels": np.array([0, 1, 2, np.nan])}, "expected whole numbers"),
        ({"images": TRAIN, "labels": np.array([0, 1, 2, 1e300])}, "expected whole numbers from 0 to 10000"),
        ({"images": np.full((4, 5, 5), "x")}, "images of type <U1"),
        ({"images": np.full((4, 5, 5), 1j)}, "images of type complex128"),
        ({"images": np.array(5)}, r"expected \(n, rows, columns\)"),
        ({"images": TRAIN, "labels": np.array(3)}, r"labels of shape \(1,\), expected \(4,\)"),
        ({"images": TRAIN[0]}, r"expected \(n, rows, columns\)"),
        ({"images": TRAIN[:0]}, "holds no image"),
        ({"images": np.full((1, 2, 2), np.nan)}, "non-finite"),
    ],
)
def test_a_bad_npz_says_what_is_expected(tmp_path, arrays, said):
    np.savez(tmp_path / "set.npz", **arrays)
    with pytest.raises(DatasetError, match=said):
        load_digits(str(tmp_path / "set.npz"))


def test_a_file_that_is_no_npz_and_a_name_that_is_nothing(tmp_path):
    (tmp_path / "set.npz").write_bytes(b"not a zip")
    with pytest.raises(DatasetError, match="no readable"):
        load_digits(str(tmp_path / "set.npz"))
    with pytest.raises(DatasetError, match="allowed are digits, mnist, fashion-mnist, kmnist, a folder"):
        load_digits("nothing")
    with pytest.raises(DatasetError, match="holds no IDX files"):
        load_digits(str(tmp_path))


def test_without_mnist_the_bundled_digits_serve(tmp_path, monkeypatch):
    monkeypatch.setenv("SEGMENT_DATASETS", str(tmp_path))
    offline = datasets.Dataset("mnist", "MNIST", ("http://127.0.0.1:9/",), datasets.DATASETS["mnist"].files)
    monkeypatch.setitem(datasets.DATASETS, "mnist", offline)
    found = load_digits()
    assert (found.name, found.images.shape) == ("digits", (1797, 8, 8))
    assert found.images.max() == 255


def test_a_damaged_mnist_is_not_passed_over(tmp_path, monkeypatch):
    monkeypatch.setenv("SEGMENT_DATASETS", str(tmp_path))
    (tmp_path / "mnist").mkdir()
    for file in datasets.DATASETS["mnist"].files:
        (tmp_path / "mnist" / file.name).write_bytes(b"\0\0")
    with pytest.raises(DatasetError, match="no IDX file"):
        load_digits()


def test_a_limit_keeps_every_class_of_a_sorted_file():
    images = np.zeros((100, 2, 2), np.uint8)
    digits = DigitSet("sorted", images, np.repeat(np.arange(10), 10), 80, "")
    few = digits.limited(20)
    assert np.bincount(few.labels).tolist() == [2] * 10
    assert few.n_train == 16
    assert digits.limited(500) is digits


def test_dark_ink_on_paper_is_inverted(tmp_path):
    np.savez(tmp_path / "set.npz", images=255 - TRAIN)
    np.testing.assert_array_equal(load_digits(str(tmp_path / "set.npz")).images, TRAIN)


def stroke(height, width, top, left):
    image = np.zeros((height, width), np.uint8)
    image[top : top + height // 2, left : left + width // 8] = 200
    return image


def test_foreign_images_are_scaled_to_the_box_and_centered_by_mass():
    frame = normalize(stroke(80, 96, 3, 60))
    rows, columns = np.nonzero(frame)
    assert frame.shape == (28, 28)
    assert rows.max() - rows.min() + 1 == 20
    # The stroke is 40 x 12: 20 x 6 in the box.
    assert columns.max() - columns.min() + 1 == 6
    assert abs(np.average(rows, weights=frame[rows, columns]) - 13.5) <= 0.5
    assert abs(np.average(columns, weights=frame[rows, columns]) - 13.5) <= 0.5


def test_a_blank_image_stays_blank():
    assert not normalize(np.zeros((40, 30), np.uint8)).any()
    assert not ink_on_dark(np.full((9, 9), 255, np.uint8)).any()


def test_images_in_the_frame_are_left_alone():
    images = np.random.default_rng(0).integers(0, 255, (3, 28, 28), dtype=np.uint8)
    assert to_frame(images) is images


def test_paper_that_is_not_white_is_ground_all_the_same():
    image = np.full((50, 50), 230, np.uint8)
    image[::7, ::5] = 222
    image[10:40, 20:26] = 20
    ink = ink_on_dark(image)
    assert ink[20, 22] == 255
    assert ink[0, 0] == 0
    assert not ink[:5].any()


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "1"])
@pytest.mark.parametrize("inverted", [False, True])
def test_a_picture_of_any_mode_becomes_the_same_digit(tmp_path, mode, inverted):
    drawn = np.where(stroke(64, 64, 10, 20) > 0, 255, 0).astype(np.uint8)
    picture = Image.fromarray(drawn if inverted else 255 - drawn).convert(mode)
    picture.save(tmp_path / "one.png")
    found = read_new_images(tmp_path / "one.png")
    assert found.images.shape == (1, 28, 28)
    np.testing.assert_array_equal(found.images[0] > 99, normalize(drawn) > 99)


def test_ink_on_a_transparent_ground_is_seen(tmp_path):
    drawn = stroke(64, 64, 10, 20)
    pixels = np.zeros((64, 64, 4), np.uint8)
    pixels[..., 3] = np.where(drawn > 0, 255, 0)
    Image.fromarray(pixels).save(tmp_path / "one.png")
    np.testing.assert_array_equal(read_new_images(tmp_path / "one.png").images[0] > 0, normalize(drawn) > 0)


def test_what_is_no_image_is_named(tmp_path):
    (tmp_path / "text.png").write_text("hello")
    (tmp_path / "labels.idx").write_bytes(idx_bytes(np.arange(5, dtype=np.uint8)))
    for name, said in {"text.png": "no image file", "labels.idx": "expected", "none.png": "No such"}.items():
        with pytest.raises(DatasetError, match=said) as error:
            read_new_images(tmp_path / name)
        assert name in str(error.value)
