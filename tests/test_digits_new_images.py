"""Pictures of digits as people have them: every depth, turned, transparent, sheets, pages, or none."""

import numpy as np
import pytest
import skimage.data
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import gaussian_filter
from test_digits_idx import idx_bytes

from segment.digits.new_images import read_new_images
from segment.digits.sheet import Piece, _join, separation
from segment.errors import DatasetError


def written(text, size=(60, 80)):
    """Draw dark text on white paper."""
    page = Image.new("L", size, 255)
    ImageDraw.Draw(page).text((12, 8), text, 0, font=ImageFont.load_default(48))
    return page


def sheet_of_ten():
    sheet = Image.new("L", (400, 220), 255)
    for i in range(10):
        sheet.paste(written(str(i)), (10 + 75 * (i % 5), 10 + 100 * (i // 5) + 3 * (i % 2)))
    return sheet


@pytest.fixture
def frame(tmp_path):
    def read(picture, name="one.png", **options):
        picture.save(tmp_path / name, **options)
        return read_new_images(tmp_path / name).images

    return read


def test_every_depth_shows_the_same_digit(frame):
    page = written("7")
    wanted = frame(page)
    gray = np.asarray(page)
    assert wanted.shape == (1, 28, 28)
    np.testing.assert_array_equal(frame(Image.fromarray(gray.astype(np.uint16) * 257)), wanted)
    np.testing.assert_array_equal(frame(Image.fromarray(gray.astype(np.float32) / 255), "f.tif"), wanted)
    np.testing.assert_array_equal(frame(Image.fromarray(gray.astype(np.float32)), "f.tif"), wanted)


def test_a_turned_picture_is_set_upright(frame):
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = written("7").transpose(Image.Transpose.ROTATE_90)
    np.testing.assert_array_equal(frame(turned, exif=exif), frame(written("7")))


@pytest.mark.parametrize("ink", [0, 255])
def test_ink_of_any_color_on_nothing_is_ink(frame, ink):
    page = written("7")
    alpha = Image.fromarray(255 - np.asarray(page))
    picture = Image.merge("LA", (Image.new("L", page.size, ink), alpha))
    np.testing.assert_allclose(frame(picture).astype(int), frame(page), atol=8)


@pytest.mark.parametrize(
    "picture",
    [
        Image.new("L", (50, 50), 255),
        Image.new("L", (1, 1), 0),
        Image.new("L", (28, 28), 0),
        Image.new("RGBA", (50, 50), (9, 9, 9, 0)),
    ],
)
def test_without_ink_there_is_no_digit(frame, picture):
    with pytest.raises(DatasetError, match=r"one\.png: no ink"):
        frame(picture)


def test_a_photo_is_no_digit(frame):
    noise = np.random.default_rng(0).integers(0, 255, (120, 90)).astype(np.uint8)
    noise[0] = noise[-1] = noise[:, 0] = noise[:, -1] = 0
    with pytest.raises(DatasetError, match="no digits: ink covers 72%"):
        frame(Image.fromarray(noise))


@pytest.mark.parametrize("name", ["astronaut", "cat", "coins", "moon", "text"])
def test_a_photo_that_falls_into_pieces_is_not_cut_into_digits(frame, name):
    with pytest.raises(DatasetError, match="many grays, as photos have"):
        frame(Image.fromarray(getattr(skimage.data, name)()))


@pytest.mark.parametrize("change", ["blurred", "pencil", "shaded", "grainy"])
def test_writing_in_a_poor_light_is_no_photo(frame, change):
    gray = np.asarray(sheet_of_ten()).astype(float)
    rng = np.random.default_rng(0)
    changed = {
        "blurred": gaussian_filter(gray, 3),
        "pencil": 255 - 0.4 * (255 - gray) + 4 * rng.normal(size=gray.shape),
        "shaded": gray - 40 * np.linspace(0, 1, gray.shape[1]),
        "grainy": gray + 12 * rng.normal(size=gray.shape),
    }[change]
    found = frame(Image.fromarray(np.clip(changed, 0, 255).astype(np.uint8)))
    assert len(found) == 10


def test_a_thin_stroke_does_not_fade(frame):
    """A circle of one pixel on a large sheet: shrunk by itself it would be a shade of gray."""
    page = Image.new("L", (900, 1200), 255)
    ImageDraw.Draw(page).ellipse((150, 200, 750, 1000), outline=0, width=1)
    (zero,) = frame(page)
    assert zero.max() > 200
    assert 40 < np.count_nonzero(zero > 127) < 160
    assert zero[14, 14] == 0


@pytest.mark.parametrize("depth", [10, 12, 14])
def test_scans_of_less_than_16_bits_are_as_bright_as_others(frame, depth):
    page = np.asarray(written("7")).astype(np.float64)
    deep = np.rint(page * ((2**depth - 1) / 255)).astype(np.uint16)
    np.testing.assert_allclose(frame(Image.fromarray(deep)).astype(int), frame(written("7")), atol=2)


def test_joining_is_one_pass_whatever_the_order():
    """A column of bars within a digit's height is one digit; a thousand scattered ones join nothing."""
    bars = [Piece(top, top + 3, 0, 20, (top,)) for top in (16, 0, 8, 4, 12)]
    (joined,) = _join(bars, 20.0)
    assert (joined[:4], sorted(joined.parts)) == ((0, 19, 0, 20), [0, 4, 8, 12, 16])
    far = [Piece(100 * i, 100 * i + 20, 0, 20, (i,)) for i in range(1000)]
    assert _join(far, 20.0) == far


def test_more_pieces_than_a_page_has_are_refused(frame):
    page = np.full((200, 200), 255, np.uint8)
    page[2:-2:4, 2:-2:4] = 0
    with pytest.raises(DatasetError, match="2401 pieces of ink"):
        frame(Image.fromarray(page))


def test_separation_is_that_of_the_best_threshold():
    gray = np.random.default_rng(0).integers(0, 9, (20, 20)).astype(np.uint8)
    shares = []
    for threshold in range(8):
        low, high = gray[gray <= threshold], gray[gray > threshold]
        parted = low.size * (low.mean() - gray.mean()) ** 2 + high.size * (high.mean() - gray.mean()) ** 2
        shares.append(parted / gray.size / gray.var())
    assert separation(gray) == pytest.approx(max(shares))


def test_blank_images_among_others_are_marked(tmp_path):
    images = np.zeros((3, 28, 28), np.uint8)
    images[0, 4:24, 10:14] = images[2, 4:24, 10:14] = 255
    (tmp_path / "some.idx").write_bytes(idx_bytes(images))
    assert read_new_images(tmp_path / "some.idx").has_ink.tolist() == [True, False, True]
    (tmp_path / "none.idx").write_bytes(idx_bytes(images[1:2]))
    with pytest.raises(DatasetError, match=r"none\.idx: no ink"):
        read_new_images(tmp_path / "none.idx")
    pages = [written("7"), Image.new("L", (60, 80), 255)]
    pages[0].save(tmp_path / "pages.tif", save_all=True, append_images=pages[1:])
    assert read_new_images(tmp_path / "pages.tif").has_ink.tolist() == [True, False]


def test_a_sheet_is_read_in_rows(frame):
    found = frame(sheet_of_ten())
    assert len(found) == 10
    for i in range(10):
        assert np.abs(found[i] - frame(written(str(i)))[0].astype(float)).mean() < 1, i


def test_every_page_is_read(tmp_path):
    pages = [written(text) for text in "731"]
    pages[0].save(tmp_path / "pages.tif", save_all=True, append_images=pages[1:])
    found = read_new_images(tmp_path / "pages.tif")
    assert found.pages.tolist() == [0, 1, 2]
    assert (found.n_pages, found.is_cut) == (3, True)
