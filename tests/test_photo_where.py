"""Where a photo counts: masks, regions, ignored colors, in whole photos and in tiles."""

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from click.testing import CliRunner
from photos import FLAG, encoded, noisy
from PIL import Image

from segment.cli import main
from segment.errors import DataError, ImageError
from segment.photo.fit import segment_photo
from segment.photo.photo import Photo
from segment.photo.regions.segmentation import segment_regions
from segment.photo.tiles.fit import segment_tiles
from segment.photo.tiles.photo import Selection
from segment.photo.where import IgnoredColor, Where, chosen

IMAGE, _ = noisy()
INSIDE = np.zeros(IMAGE.shape[:2], bool)
INSIDE[6:40, 10:50] = True


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("flag.png").write_bytes(encoded(IMAGE))
    Image.fromarray(np.where(INSIDE, np.uint8(255), np.uint8(0))).save("mask.png")


def run(*arguments):
    result = CliRunner().invoke(main, ["photo", *map(str, arguments), "--force", "-o", "out"])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stderr


def labels():
    found = np.asarray(Image.open("out/flag_labels.png")).astype(int)
    return np.where(found == 255, -1, found)


SQUARE = {"type": "Polygon", "coordinates": [[[10, 6], [50, 6], [50, 40], [10, 40]]]}
SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 60 48">'
    '<rect x="10" y="6" width="40" height="34"/></svg>'
)


def _alpha(path):
    rgba = np.zeros((*IMAGE.shape[:2], 4), np.uint8)
    rgba[INSIDE, 3] = 255
    Image.fromarray(rgba).save(path)


MASKS = {
    "mask.png": lambda path: None,
    "bits.png": lambda path: Image.fromarray(INSIDE).save(path),
    "ones.png": lambda path: Image.fromarray(INSIDE.astype(np.uint8)).save(path),
    "alpha.png": _alpha,
    "square.geojson": lambda path: Path(path).write_text(json.dumps(SQUARE)),
    "square.svg": lambda path: Path(path).write_text(SVG),
    "deep.tif": lambda path: tifffile.imwrite(path, INSIDE.astype(np.uint16) * 65535),
}


@pytest.mark.parametrize("name", MASKS)
def test_every_kind_of_mask_is_the_same_mask(name):
    MASKS[name](name)
    photo = chosen(Photo.of(IMAGE), Where(name))
    assert np.array_equal(photo.weight, INSIDE)
    assert photo.reader["outside"] == {"mask": (~INSIDE).sum()}
    assert np.array_equal(photo.outside, ~INSIDE)


@pytest.mark.parametrize("method", ["colors", "regions"])
def test_what_is_outside_has_no_label_and_stays_as_it_was(method):
    options = ["-k", 2] if method == "colors" else ["--regions", 2]
    code, told = run("flag.png", "--mask", "mask.png", *options, "--save", "segmented,labels,overlay,json")
    assert code == 0, told
    assert np.array_equal(labels() < 0, ~INSIDE)
    assert set(labels()[INSIDE]) == {0, 1}
    segmented = np.asarray(Image.open("out/flag_segmented.png"))
    assert np.array_equal(segmented[~INSIDE], IMAGE[~INSIDE])
    assert len(np.unique(segmented[INSIDE], axis=0)) == 2
    overlay = np.asarray(Image.open("out/flag_overlay.png"))
    assert overlay.shape[2] == 3
    assert np.array_equal(overlay[:4], IMAGE[:4])
    facts = json.loads(Path("out/flag.json").read_text())
    assert facts["reader"]["outside"] == {"mask": int((~INSIDE).sum())}
    assert len(facts["options"]["where"]["mask_sha256"]) == 64


def test_whole_photos_and_tiles_agree():
    weights = np.where(INSIDE, np.arange(60) * 4, 0).astype(np.uint8)
    Image.fromarray(weights).save("mask.png")
    where = Where("mask.png", (5, 3, 40, 30), (IgnoredColor(tuple(FLAG[1].tolist()), 6.0),))
    whole = segment_photo(chosen(Photo.of(IMAGE), where), n_components=2, smooth="none")
    tifffile.imwrite("flag.tif", IMAGE, tile=(16, 16), photometric="rgb")
    selection = Selection(where=where)
    with segment_tiles("flag.tif", selection=selection, fitting={"n_components": 2}, smooth="none") as tiled:
        assert np.array_equal(tiled.store.labels(0, 48), whole.label_map)
        assert tiled.photo.reader["outside"] == whole.photo.reader["outside"]
        assert tiled.parameters.weights == pytest.approx(whole.parameters.weights)
    outside = whole.photo.reader["outside"]
    assert outside["mask"] == (weights == 0).sum()
    assert sum(outside.values()) == (whole.label_map < 0).sum()


def test_a_gray_mask_weighs():
    image = np.repeat(np.array([[0, 0, 0], [200, 200, 200]], np.uint8), 30, axis=0)[None].repeat(8, 0)
    Image.fromarray(np.where(np.arange(60) < 30, 200, 50).astype(np.uint8)[None].repeat(8, 0)).save("m.png")
    found = segment_photo(chosen(Photo.of(image), Where("m.png")), n_components=2, smooth="none")
    assert found.parameters.weights == pytest.approx([0.8, 0.2])


def test_a_region_and_a_mask_through_the_command_line_by_tiles():
    code, told = run(
        "flag.png",
        "-k",
        2,
        "--mask",
        "mask.png",
        "--region",
        "0,0,30,48",
        "--level",
        0,
        "--save",
        "labels,json",
    )
    assert code == 0, told
    inside = INSIDE.copy()
    inside[:, 30:] = False
    found = tifffile.imread("out/flag_labels.tif")
    assert np.array_equal(found != 255, inside)
    outside = json.loads(Path("out/flag.json").read_text())["reader"]["outside"]
    assert outside == {"mask": int((~INSIDE).sum()), "region": int((INSIDE & ~inside).sum())}


def test_regions_are_counted_where_the_photo_counts():
    stripes, names = noisy(
        np.array([[200, 0, 0], [0, 200, 0], [0, 0, 200], [200, 200, 0]], np.uint8), width=120
    )
    photo = chosen(Photo.of(stripes), Where(region=(0, 0, 60, 48)))
    found = segment_regions(photo, n_regions=2)
    assert found.n_labels == 2
    assert (found.label_map[:, 60:] == -1).all()
    assert np.mean((found.label_map[:, :60] == found.label_map[0, 0]) == (names[:, :60] == 0)) > 0.98
    # The mask does not change where boundaries are seen: the tree is that of the whole photo.
    assert np.array_equal(found.tree.leaves, segment_regions(stripes, n_regions=2).tree.leaves)


def test_ignored_colors():
    exact = IgnoredColor.parse("#ce1126")
    assert exact == IgnoredColor((206, 17, 38), 0.0)
    image = np.array([[[206, 17, 38], [206, 17, 39], [0, 0, 0]]], np.uint8)
    assert exact.matches(image).tolist() == [[True, False, False]]
    assert IgnoredColor.parse("#ce1126~2").matches(image).tolist() == [[True, True, False]]
    # In Lab, white and black are 100 apart.
    black = np.zeros((1, 1, 3), np.uint8)
    assert not IgnoredColor.parse("white ~ 99.9").matches(black).any()
    assert IgnoredColor.parse("white~100.1").matches(black).all()
    for text in ("nocolor", "#12", "white~x", "white~-1", "white~nan"):
        with pytest.raises(DataError, match=r"color|tolerance"):
            IgnoredColor.parse(text)


def test_transparent_pixels_stay_transparent_under_a_mask():
    rgba = np.dstack([IMAGE, np.full(IMAGE.shape[:2], 255, np.uint8)])
    rgba[:, :20, 3] = 0
    photo = chosen(Photo.of(rgba), Where("mask.png"))
    assert photo.reader["outside"] == {"transparent": 48 * 20, "mask": int((~INSIDE[:, 20:]).sum())}
    assert not photo.outside[:, :20].any()
    Path("flag.png").write_bytes(encoded(rgba))
    assert run("flag.png", "--mask", "mask.png", "-k", 2, "--save", "segmented")[0] == 0
    found = np.asarray(Image.open("out/flag_segmented.png"))
    assert np.array_equal(found[:, :, 3] == 0, rgba[:, :, 3] == 0)
    assert np.array_equal(found[:, 50:, :3], IMAGE[:, 50:])


def _save(name, array):
    Image.fromarray(array).save(name)
    return name


@pytest.mark.parametrize("tiles", [(), ("--level", "0")])
@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (lambda: ["--mask", _save("m.png", np.ones((9, 9), np.uint8))], 1, "the mask has 9 x 9 pixels"),
        (lambda: ["--mask", _save("m.png", np.zeros((48, 60), np.uint8))], 1, "m.png: the mask is empty"),
        (lambda: ["--mask", "gone.png"], 2, "does not exist"),
        (lambda: ["--region", "0,0,61,48"], 1, "reaches out of the photo, which has 60 x 48 pixels"),
        (lambda: ["--region", "1,2,3"], 2, "four numbers"),
        (lambda: ["--region", "-1,2,3,4"], 2, "at least 0"),
        (lambda: ["--ignore", "nocolor"], 2, "'nocolor' is no color"),
        (lambda: ["--ignore", "white~900"], 1, "all 2880 pixels are left out (ignore 2880)"),
    ],
)  # fmt: skip
def test_what_cannot_be(options, code, message, tiles):
    found, told = run("flag.png", "-k", 2, *options(), *tiles, *(("--save", "labels") if tiles else ()))
    assert (found, message in told) == (code, True), told


@pytest.mark.parametrize("region", [(-1, 0, 5, 5), (0, 0, 0, 5), (50, 40, 11, 5), (50, 40, 5, 9)])
def test_a_region_that_reaches_out_of_the_photo(region):
    with pytest.raises(ImageError, match="reaches out of the photo, which has 60 x 48 pixels"):
        chosen(Photo.of(IMAGE), Where(region=region))


def test_polygons_that_cannot_be():
    Path("far.geojson").write_text(
        json.dumps({"type": "Polygon", "coordinates": [[[90, 0], [99, 0], [99, 9]]]})
    )
    Path("line.geojson").write_text(json.dumps({"type": "LineString", "coordinates": [[0, 0], [9, 9]]}))
    cases = {"far.geojson": "polygon 1 lies outside the photo", "line.geojson": "a mask needs areas"}
    for name, message in cases.items():
        with pytest.raises(ImageError, match=message):
            chosen(Photo.of(IMAGE), Where(name))


def test_bands_have_no_colors_to_ignore():
    with pytest.raises(ImageError, match="holds bands, not colors"):
        chosen(Photo.of(np.zeros((4, 4, 2), np.uint8)), Where(ignored=(IgnoredColor((0, 0, 0)),)))


def test_a_mask_is_never_replaced_and_is_part_of_what_was_asked():
    Path("flag_overlay.png").write_bytes(Path("mask.png").read_bytes())
    result = CliRunner().invoke(
        main, ["photo", "flag.png", "--mask", "flag_overlay.png", "-o", ".", "--force"]
    )
    assert (result.exit_code, "would replace an input" in result.stderr) == (1, True)
    arguments = ["photo", "flag.png", "--mask", "mask.png", "-k", "2", "-o", "b", "--skip-existing"]
    assert CliRunner().invoke(main, arguments).exit_code == 0
    assert "done already" in CliRunner().invoke(main, arguments).stderr
    Image.fromarray(np.where(INSIDE, np.uint8(255), np.uint8(0)).T.copy().T[::-1]).save("mask.png")
    assert "done already" not in CliRunner().invoke(main, arguments).stderr
