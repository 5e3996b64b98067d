"""Pictures of digits as people have them: every depth, turned, transparent, sheets, pages, or none."""

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from segment.digits.new_images import read_new_images
from segment.errors import DatasetError


def written(text, size=(60, 80)):
    """Draw dark text on white paper."""
    page = Image.new("L", size, 255)
    ImageDraw.Draw(page).text((12, 8), text, 0, font=ImageFont.load_default(48))
    return page


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
    with pytest.raises(DatasetError, match="no digit: ink covers most"):
        frame(Image.fromarray(noise))


def test_a_sheet_is_read_in_rows(frame):
    sheet = Image.new("L", (400, 220), 255)
    for i in range(10):
        sheet.paste(written(str(i)), (10 + 75 * (i % 5), 10 + 100 * (i // 5) + 3 * (i % 2)))
    found = frame(sheet)
    assert len(found) == 10
    for i in range(10):
        assert np.abs(found[i] - frame(written(str(i)))[0].astype(float)).mean() < 1, i


def test_every_page_is_read(tmp_path):
    pages = [written(text) for text in "731"]
    pages[0].save(tmp_path / "pages.tif", save_all=True, append_images=pages[1:])
    found = read_new_images(tmp_path / "pages.tif")
    assert found.pages.tolist() == [0, 1, 2]
    assert (found.n_pages, found.is_cut) == (3, True)
