"""Segmentations in notebooks: HTML, PNG, tables and arrays."""

import base64
import io
import re
import sys

import numpy as np
import pytest
import tifffile
from photos import noisy
from PIL import Image

import segment
from segment.errors import DataError
from segment.photo import Photo
from segment.photo.tiles.fit import segment_tiles

IMAGE, _ = noisy()


@pytest.fixture(scope="module")
def found():
    return segment.segment_photo(IMAGE, n_components=3, smooth="none")


def pictures(page):
    codes = re.findall(r'src="data:image/png;base64,([^"]+)"', page)
    return [np.asarray(Image.open(io.BytesIO(base64.b64decode(code)))) for code in codes]


def test_the_page_shows_photo_segmented_and_palette(found):
    page = found._repr_html_()
    photo, segmented = pictures(page)
    assert np.array_equal(photo, IMAGE)
    assert np.array_equal(segmented, found.palette[found.label_map])
    for color in found.palette:
        assert page.count("background:#{:02x}{:02x}{:02x}".format(*color)) == 1
    assert page.count("33.3%") == 3
    assert "photo: 60 x 48, 3 components" in page


def test_names_are_escaped_and_large_photos_reduced():
    image = np.kron(IMAGE, np.ones((20, 20, 1), np.uint8))
    photo = Photo(image, name="<b>&")
    result = segment.segment_photo(photo, n_components=2, smooth="none")
    page = result._repr_html_()
    assert "&lt;b&gt;&amp;: 1200 x 960" in page
    assert [picture.shape for picture in pictures(page)] == [(336, 420, 3)] * 2


def test_many_labels_are_cut_short():
    rng = np.random.default_rng(0)
    palette = rng.integers(0, 256, (40, 3)).astype(np.uint8)
    result = segment.segment_photo(palette[None].repeat(4, axis=0), palette=np.unique(palette, axis=0))
    assert "and 16 of smaller area" in result._repr_html_()
    assert result._repr_html_().count("<code>") == 24


def test_transparent_and_left_out_pixels_are_as_in_the_outputs():
    alpha = np.full((48, 60, 1), 255, np.uint8)
    alpha[:10] = 0
    weight = np.ones((48, 60))
    weight[-10:] = 0
    result = segment.segment_photo(np.dstack([IMAGE, alpha]), n_components=2, sample_weight=weight)
    photo, segmented = pictures(result._repr_html_())
    assert (photo[:10] == 255).all()
    assert (segmented[:10] == 255).all()
    assert np.array_equal(segmented[-10:], IMAGE[-10:])


def test_the_png_holds_both_and_the_palette(found):
    sheet = np.asarray(Image.open(io.BytesIO(found._repr_png_())))
    assert sheet.shape == (48 + 8 + 36, 128, 3)
    assert np.array_equal(sheet[:48, :60], IMAGE)
    assert np.array_equal(sheet[:48, 68:], found.palette[found.label_map])
    strip = sheet[60]
    assert np.array_equal(strip[[5, 64, 120]], found.palette)


def test_labels_as_a_table(found, monkeypatch):
    pytest.importorskip("pandas")
    table = found.to_dataframe()
    assert table.index.tolist() == [0, 1, 2]
    assert table[["red", "green", "blue"]].to_numpy().tolist() == found.palette.tolist()
    assert table["share"].sum() == pytest.approx(1)
    assert table["color"][0] == "#{:02x}{:02x}{:02x}".format(*found.palette[0])
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(DataError, match=r"needs pandas: pip install 'segment-em\[notebook\]'"):
        found.to_dataframe()


def test_labels_as_an_array(found, monkeypatch):
    pytest.importorskip("xarray")
    labels = found.to_xarray()
    assert labels.dims == ("y", "x")
    assert np.array_equal(labels.values, found.label_map)
    assert labels.sel(y=3, x=59).item() == found.label_map[3, 59]
    assert len(labels.attrs["flag_meanings"].split()) == len(labels.attrs["flag_values"]) == 3
    monkeypatch.setitem(sys.modules, "xarray", None)
    with pytest.raises(DataError, match=r"needs xarray: pip install 'segment-em\[notebook\]'"):
        found.to_xarray()


def test_regions_have_the_same_and_work_as_the_command_does():
    regions = segment.segment_regions(IMAGE, n_regions=3)
    assert "3 regions" in regions._repr_html_()
    assert regions._repr_png_().startswith(b"\x89PNG")
    assert segment.segment_regions(IMAGE, scale=1.0).n_labels == 1


def test_a_photo_that_is_read_by_tiles_shows_its_labels(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.kron(IMAGE, np.ones((2, 2, 1), np.uint8)), tile=(32, 32), photometric="rgb")
    with segment_tiles(path, fitting={"n_components": 2}, folder=tmp_path) as found:
        (segmented,) = pictures(found._repr_html_())
        assert segmented.shape == (96, 120, 3)
        assert {tuple(c) for c in segmented.reshape(-1, 3).tolist()} == {
            tuple(c) for c in found.palette.tolist()
        }
        assert found._repr_png_().startswith(b"\x89PNG")
        if "xarray" in sys.modules:
            with pytest.raises(DataError, match="lie in a file"):
                found.to_xarray()
