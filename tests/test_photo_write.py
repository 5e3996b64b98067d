"""Outputs: every kind, read back, says what the segmentation says."""

import json
import re

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from photos import noisy
from PIL import Image

from segment.errors import DataError, OutputError
from segment.photo import Photo, PhotoModel, segment_photo
from segment.photo.draw import boundaries, draw_overlay, draw_palette, draw_sheet
from segment.photo.outputs import DEFAULT, kinds_of, parse_kinds
from segment.photo.outputs.files import existing_outputs, write_outputs
from segment.photo.png import write_png
from segment.photo.segmentation import Segmentation, palette_of

IMAGE, _ = noisy()
KINDS = kinds_of("colors")


@pytest.fixture(scope="module")
def opaque():
    return segment_photo(IMAGE, n_components=3)


@pytest.fixture(scope="module")
def transparent():
    alpha = np.full(IMAGE.shape[:2], 255, np.uint8)
    alpha[5:15, 5:15] = 0
    return segment_photo(np.dstack([IMAGE, alpha]), n_components=3)


def written(segmentation, tmp_path, kind):
    return write_outputs(segmentation, tmp_path / "flag", [kind])


@pytest.mark.parametrize("which", ["opaque", "transparent"])
def test_segmented_is_indexed_in_mean_colors(which, request, tmp_path):
    segmentation = request.getfixturevalue(which)
    (path,) = written(segmentation, tmp_path, "segmented")
    image = Image.open(path)
    assert image.mode == "P"
    pixels = np.asarray(image.convert("RGBA"))
    kept = segmentation.label_map >= 0
    assert np.array_equal(pixels[kept, :3], segmentation.palette[segmentation.label_map[kept]])
    assert np.array_equal(pixels[:, :, 3] == 255, kept)


@pytest.mark.parametrize("which", ["opaque", "transparent"])
def test_the_index_of_labels_is_the_label(which, request, tmp_path):
    segmentation = request.getfixturevalue(which)
    (path,) = written(segmentation, tmp_path, "labels")
    indices = np.asarray(Image.open(path)).astype(int)
    indices[indices == 255] = -1
    assert np.array_equal(indices, segmentation.label_map)


def test_more_labels_than_an_index_holds_become_a_tiff_and_full_color(tmp_path):
    label_map = np.arange(300, dtype=np.int32).reshape(15, 20)
    label_map[0, 0] = -1
    palette = np.random.default_rng(0).integers(0, 256, (300, 3)).astype(np.uint8)
    alpha = np.ones((15, 20))
    alpha[0, 0] = 0
    photo = Photo(np.zeros((15, 20, 3), np.uint8), alpha, opacity=alpha)
    many = Segmentation(photo, label_map, palette, np.full(300, 1 / 300))
    (labels,) = written(many, tmp_path, "labels")
    assert labels.suffix == ".tif"
    found = tifffile.imread(labels)
    assert found.dtype == np.uint16
    assert found[0, 0] == 65535
    assert np.array_equal(found.ravel()[1:], label_map.ravel()[1:])
    (segmented,) = written(many, tmp_path, "segmented")
    pixels = np.asarray(Image.open(segmented))
    assert pixels[0, 0, 3] == 0
    assert np.array_equal(pixels.reshape(-1, 4)[1:, :3], palette[1:])


def test_masks_part_the_photo(opaque, tmp_path):
    paths = written(opaque, tmp_path, "masks")
    assert [path.name for path in paths] == [f"flag_mask_{k:02d}.png" for k in range(3)]
    masks = np.stack([np.asarray(Image.open(path).convert("L")) for path in paths])
    assert np.array_equal(masks.argmax(axis=0), opaque.label_map)
    assert (masks.sum(axis=0, dtype=int) == 255).all()


def test_soft_is_one_float32_page_a_component(opaque, tmp_path):
    (path,) = written(opaque, tmp_path, "soft")
    maps = tifffile.imread(path)
    assert maps.dtype == np.float32
    assert np.array_equal(np.moveaxis(maps, 0, 2), opaque.responsibilities())


def test_palettes_agree_in_every_format(opaque, tmp_path):
    png, as_json, css, gpl = written(opaque, tmp_path, "palette")
    colors = json.loads(as_json.read_text())["colors"]
    codes = ["#{:02x}{:02x}{:02x}".format(*color) for color in opaque.palette.tolist()]
    assert [color["hex"] for color in colors] == codes
    assert [color["share"] for color in colors] == pytest.approx(opaque.shares.tolist())
    assert re.findall(r"--color-(\d): (#\w{6});", css.read_text()) == [
        (str(k), c) for k, c in enumerate(codes)
    ]
    lines = gpl.read_text().splitlines()
    assert lines[0] == "GIMP Palette"
    assert [[int(v) for v in line.split()[:3]] for line in lines[4:]] == opaque.palette.tolist()
    shown = {tuple(color) for color in np.asarray(Image.open(png).convert("RGB")).reshape(-1, 3).tolist()}
    assert {tuple(color) for color in opaque.palette.tolist()} <= shown


def test_the_overlay_is_the_photo_but_for_lines(opaque, tmp_path):
    (path,) = written(opaque, tmp_path, "overlay")
    pixels = np.asarray(Image.open(path))
    lines = boundaries(opaque.label_map)
    assert (pixels[lines] == (255, 221, 0)).all()
    changed = (pixels != IMAGE).any(axis=2)
    assert changed[lines].mean() > 0.9
    assert changed.mean() < 0.2


def test_a_transparent_photo_has_a_transparent_overlay(transparent, tmp_path):
    (path,) = written(transparent, tmp_path, "overlay")
    assert np.array_equal(np.asarray(Image.open(path))[:, :, 3] > 0, transparent.photo.counts)


def test_boundaries_lie_between_labels_and_grow_with_the_photo():
    labels = np.repeat([0, 1], 4)[None].repeat(8, axis=0)
    assert np.flatnonzero(boundaries(labels).any(axis=0)).tolist() == [3]
    assert np.flatnonzero(boundaries(labels, 2).any(axis=0)).tolist() == [2, 3]
    assert np.flatnonzero(boundaries(labels, 3).any(axis=0)).tolist() == [2, 3, 4]
    assert not boundaries(np.zeros((5, 5), int)).any()
    large = np.repeat([0, 1], 1500)[None].repeat(3000, axis=0).astype(np.int32)
    overlay = draw_overlay(np.zeros((3000, 3000, 3), np.uint8), large)
    assert (overlay[1500] == (255, 221, 0)).all(axis=1).sum() == 4


@pytest.mark.parametrize("selection", [None, {1: 5.0, 2: 4.0, 3: 3.0}])
def test_the_sheet_shows_photo_result_palette_and_curve(opaque, selection, tmp_path):
    figure = draw_sheet(opaque, selection, "flag")
    titles = [axes.get_title() for part in figure.subfigs for axes in part.axes]
    assert titles[:4] == ["photo", "mean colors", "boundaries", "palette"]
    assert titles[4:] == (["number of components: 3 has the smallest ICL"] if selection else [])
    (path,) = written(opaque, tmp_path, "sheet")
    assert Image.open(path).width > 1000


def test_the_sheet_shows_transparent_parts_white(transparent):
    figure = draw_sheet(transparent)
    photo, _, overlay = (axes.images[0].get_array() for axes in figure.subfigs[0].axes)
    gone = transparent.label_map < 0
    assert (photo[gone] == 255).all()
    assert np.array_equal(photo[~gone], IMAGE[~gone])
    assert overlay.shape == photo.shape


def test_the_model_comes_back(opaque, tmp_path):
    (path,) = written(opaque, tmp_path, "model")
    model = PhotoModel.load(path)
    assert model.color_space == "lab"
    assert np.array_equal(model.parameters.covariances, opaque.parameters.covariances)


def test_the_same_segmentation_gives_the_same_bytes(opaque, tmp_path):
    for kind in KINDS[:-1]:
        once = [path.read_bytes() for path in written(opaque, tmp_path / "a", kind)]
        again = [path.read_bytes() for path in written(opaque, tmp_path / "b", kind)]
        assert once == again


def test_kinds_are_parsed_and_wrong_ones_named():
    assert parse_kinds("json, segmented") == ("segmented", "json")
    assert parse_kinds("all") == KINDS
    assert parse_kinds(",".join(DEFAULT)) == DEFAULT
    with pytest.raises(
        DataError, match="'picture' is no output of colors; allowed are all, or some of segmented,"
    ):
        parse_kinds("picture")
    with pytest.raises(DataError, match="no output is named"):
        parse_kinds(" , ")


def test_existing_outputs_are_found_by_kind(opaque, tmp_path):
    stem = tmp_path / "flag"
    assert existing_outputs(stem, KINDS) == []
    paths = write_outputs(opaque, stem, KINDS)
    assert set(existing_outputs(stem, KINDS)) == set(paths)
    assert existing_outputs(stem, ["masks"]) == [p for p in paths if "_mask_" in p.name]
    assert existing_outputs(tmp_path / "fla", KINDS) == []


def test_a_failed_write_leaves_nothing(opaque, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="cannot be written"):
        write_outputs(opaque, tmp_path / "file" / "flag", ["segmented"])
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 30), st.integers(1, 30), st.integers(1, 256), st.integers(0, 999))
def test_indexed_png_of_any_depth_comes_back(tmp_path_factory, height, width, n_colors, seed):
    rng = np.random.default_rng(seed)
    indices = rng.integers(0, n_colors, (height, width)).astype(np.uint8)
    palette = rng.integers(0, 256, (n_colors, 3)).astype(np.uint8)
    path = tmp_path_factory.mktemp("png") / "a.png"
    write_png(path, indices, palette)
    image = Image.open(path)
    assert np.array_equal(np.asarray(image), indices)
    assert np.array_equal(np.asarray(image.convert("RGB")), palette[indices])


@pytest.mark.parametrize("shape", [(7, 9), (7, 9, 3), (7, 9, 4), (900, 800, 3)])
def test_png_of_any_kind_comes_back_whatever_the_threads(shape, tmp_path):
    image = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    write_png(tmp_path / "one.png", image, n_jobs=1)
    write_png(tmp_path / "two.png", image, n_jobs=2)
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    assert np.array_equal(np.asarray(Image.open(tmp_path / "one.png")), image)


def test_16_bit_gray_png_comes_back(tmp_path):
    image = np.random.default_rng(0).integers(0, 65536, (40, 30)).astype(np.uint16)
    write_png(tmp_path / "a.png", image)
    assert np.array_equal(np.asarray(Image.open(tmp_path / "a.png")), image)


def test_palette_and_shares_by_hand():
    labels = np.array([[0, 0], [2, -1]], np.int32)
    colors = np.array([[[10, 20, 30], [20, 40, 60]], [[5, 6, 7], [99, 99, 99]]], np.uint8)
    palette, shares = palette_of(colors, labels, 3)
    assert palette.tolist() == [[15, 30, 45], [0, 0, 0], [5, 6, 7]]
    assert shares.tolist() == pytest.approx([2 / 3, 0, 1 / 3])


def test_the_swatch_grows_with_the_palette():
    few = draw_palette(np.zeros((2, 3), np.uint8), np.array([1.0, 0.0]))
    many = draw_palette(np.zeros((4, 3), np.uint8), np.full(4, 0.25))
    assert many.height - few.height == 2 * 56
    assert many.width == few.width


def of_many_labels(n):
    label_map = np.arange(n, dtype=np.int32).reshape(1, n).repeat(2, axis=0)
    palette = np.random.default_rng(0).integers(0, 256, (n, 3)).astype(np.uint8)
    return Segmentation(Photo(np.zeros((2, n, 3), np.uint8)), label_map, palette, np.full(n, 1 / n))


def test_the_pictures_of_many_labels_stay_readable():
    many = of_many_labels(300)
    picture = draw_palette(many.palette, many.shares)
    assert max(picture.size) < 4000
    shown = {color for _, color in picture.getcolors(2**24)}
    assert {tuple(color) for color in many.palette.tolist()} <= shown
    (axes,) = draw_sheet(many).subfigs[1].axes
    assert len(axes.patches) == 300
    assert len(axes.texts) == 0


def test_masks_sort_by_label_past_a_hundred(tmp_path):
    paths = written(of_many_labels(101), tmp_path, "masks")
    assert [paths[0].name, paths[100].name] == ["flag_mask_000.png", "flag_mask_100.png"]
    assert sorted(paths) == paths
