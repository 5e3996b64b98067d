"""`segment photo --method regions` from the command line, and what it writes."""

import json
import re
import shutil

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from segment.cli import main
from segment.errors import DataError
from segment.photo.regions.edits import Edits, apply_edits, fingerprint
from segment.photo.regions.segmentation import DETAILS, segment_regions
from segment.photo.regions.tree import RegionTree

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A photo of three areas, and all outputs of its regions."""
    folder = tmp_path_factory.mktemp("regions")
    image = np.zeros((90, 120, 3))
    image[:, :50] = 200, 60, 40
    image[:40, 50:] = 40, 120, 200
    image[40:, 50:] = 60, 180, 70
    image += np.random.default_rng(0).normal(0, 6, image.shape)
    Image.fromarray(np.clip(image, 0, 255).astype(np.uint8)).save(folder / "flag.png")
    result = run(folder, "--regions", "3", "--save", "all", "--json")
    assert result.exit_code == 0, result.output
    return folder


def run(folder, *options):
    arguments = ["photo", str(folder / "flag.png"), "--method", "regions", "-o", str(folder), *options]
    return CliRunner().invoke(main, arguments)


def test_every_output_is_there_and_agrees(folder):
    facts = json.loads((folder / "flag.json").read_text())
    assert facts["method"] == "regions"
    assert facts["n_regions"] == 3
    assert {name.rsplit("/", 1)[1] for name in facts["outputs"]} == {
        "flag_segmented.png",
        "flag_labels.png",
        "flag_overlay.png",
        "flag_mask_00.png",
        "flag_mask_01.png",
        "flag_mask_02.png",
        "flag_palette.png",
        "flag_palette.json",
        "flag_palette.css",
        "flag_palette.gpl",
        "flag_sheet.png",
        "flag_measurements.csv",
        "flag.svg",
        "flag.geojson",
        "flag_coco.json",
        "flag_labelme.json",
        "flag_paint.pdf",
        "flag_paint.svg",
        "flag_contours.png",
        "flag_tree.npz",
        "flag_levels.html",
        "flag.json",
    }
    tree = RegionTree.load(folder / "flag_tree.npz")
    assert np.array_equal(np.asarray(Image.open(folder / "flag_labels.png")), tree.cut(n_regions=3))
    contours = np.asarray(Image.open(folder / "flag_contours.png"))
    assert contours.dtype == np.uint16
    assert np.allclose(contours / 65535, tree.contour_map(), atol=1e-5)


def test_the_same_run_writes_the_same_bytes(folder, tmp_path):
    assert run(folder, "--regions", "3", "--save", "contours,tree,levels", "-o", str(tmp_path)).exit_code == 0
    for name in ("flag_contours.png", "flag_tree.npz", "flag_levels.html"):
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes()


def test_more_detail_is_more_regions(folder):
    image = np.asarray(Image.open(folder / "flag.png"))
    counts = [segment_regions(image, scale=DETAILS[name]).n_labels for name in ("low", "medium", "high")]
    assert counts == sorted(counts)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--regions", "3", "--scale", "0.5"), "--regions and --scale"),
        (("--scale", "0"), "--scale"),
        (("--regions", "3", "--edits", "edits.json"), "--regions and --edits"),
        (("--components", "4"), "--components does not go with --method regions"),
        (("--save", "soft"), "'soft' is no output"),
        (("--method", "colors", "--detail", "low"), "--detail does not go with --method colors"),
    ],
)
def test_options_that_contradict_are_usage_errors(folder, options, message):
    result = run(folder, *options)
    assert result.exit_code == 2
    assert message in result.output


def test_transparent_pixels_have_no_region():
    image = np.full((40, 60, 4), 255, dtype=np.uint8)
    image[:, :20, :3] = 200, 30, 30
    image[10:30, 30:50, 3] = 0
    segmentation = segment_regions(image, n_regions=3)
    assert (segmentation.label_map[10:30, 30:50] == -1).all()
    assert (segmentation.label_map >= 0).sum() == 40 * 60 - 400
    assert np.array_equal(np.unique(segmentation.label_map), np.arange(-1, segmentation.n_labels))


@pytest.fixture(scope="module")
def page(folder):
    """The page of levels, opened in a browser."""
    if CHROMIUM is None:
        pytest.skip("no Chromium or Chrome on this machine to open the page in")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 900, "height": 900})
        messages = []
        page.on("console", lambda message: messages.append(message.text))
        page.on("pageerror", lambda error: messages.append(str(error)))
        page.goto((folder / "flag_levels.html").as_uri())
        yield page
        assert messages == []
        browser.close()


@pytest.fixture
def fresh(page):
    """The same page, as it is when it is opened."""
    page.reload()
    page.wait_for_function("document.getElementById('count').textContent === '3 regions'")
    return page


def click(page, x, y):
    """Click a pixel of the photo, which is 120 wide."""
    box = page.locator("#view").bounding_box()
    page.mouse.click(box["x"] + (x + 0.5) * box["width"] / 120, box["y"] + (y + 0.5) * box["height"] / 90)


def saved(page, button, path):
    with page.expect_download() as download:
        page.click(button)
    download.value.save_as(path)
    return path


def test_the_slider_of_the_levels_page_redraws_the_photo(fresh):
    before = fresh.evaluate("document.getElementById('view').toDataURL()")
    fresh.locator("#regions").press("ArrowLeft")
    assert fresh.inner_text("#count") == "2 regions"
    assert fresh.evaluate("document.getElementById('view').toDataURL()") != before


def test_regions_are_merged_and_split_by_click_and_the_command_does_it_again(fresh, folder, tmp_path):
    click(fresh, 10, 10)
    click(fresh, 80, 60)
    assert fresh.inner_text("#count") == "2 regions"
    assert fresh.inner_text("#status") == "Merged."
    fresh.keyboard.press("s")
    click(fresh, 90, 10)
    assert fresh.inner_text("#count") == "3 regions"
    edits = saved(fresh, "#save-edits", tmp_path / "edits.json")
    merge, split = json.loads(edits.read_text())["edits"]
    # A browser may round the place of a click.
    assert np.abs(np.array(merge["merge"]) - [[10, 10], [80, 60]]).max() <= 1
    assert np.abs(np.array(split["split"]) - [[90, 10]]).max() <= 1
    exported = np.asarray(Image.open(saved(fresh, "#save-labels", tmp_path / "page.png")))
    result = run(folder, "--edits", str(edits), "--save", "labels,json", "-o", str(tmp_path))
    assert result.exit_code == 0, result.output
    labels = np.asarray(Image.open(tmp_path / "flag_labels.png"))
    assert np.array_equal(exported, labels)
    assert labels[10, 10] == labels[60, 80] == 0
    assert sorted(np.unique(labels[:38, 54:])) == [1, 2]
    facts = json.loads((tmp_path / "flag.json").read_text())
    assert (facts["n_regions"], facts["n_edits"]) == (3, 2)


def test_an_edit_is_undone_and_what_cannot_be_done_is_said(fresh):
    assert fresh.is_disabled("#undo")
    click(fresh, 10, 10)
    click(fresh, 12, 80)
    assert fresh.inner_text("#status") == "Both clicks are in one region: there is nothing to merge."
    click(fresh, 10, 10)
    click(fresh, 100, 80)
    fresh.keyboard.press("Control+z")
    assert fresh.inner_text("#count") == "3 regions"
    assert fresh.is_disabled("#undo")


def test_the_keyboard_does_what_clicks_do(fresh):
    fresh.focus("#view")
    fresh.keyboard.press("Enter")
    for _ in range(4):
        fresh.keyboard.press("ArrowLeft")
    fresh.keyboard.press("Enter")
    assert fresh.inner_text("#count") == "2 regions"


def test_the_saved_svg_shows_the_label_map(fresh, folder, tmp_path):
    svg = saved(fresh, "#save-svg", tmp_path / "page.svg").read_text()
    labels = np.asarray(Image.open(folder / "flag_labels.png"))
    paths = re.findall(r'id="region-(\d+)".*? d="([^"]*)"', svg)
    assert [int(name) for name, _ in paths] == [0, 1, 2]
    for name, path in paths:
        assert abs(signed_area(path)) == (labels == int(name)).sum()


def signed_area(path):
    """Return the area of closed paths of steps along the axes: holes run the other way round."""
    area = x = y = 0
    for letter, numbers in re.findall(r"([Mhvz])([-\d ]*)", path):
        if letter == "M":
            start = x, y = tuple(map(int, numbers.split()))
        elif letter == "z":
            area, x, y = area + x * start[1] - start[0] * y, *start
        else:
            dx, dy = (int(numbers), 0) if letter == "h" else (0, int(numbers))
            area, x, y = area + x * (y + dy) - (x + dx) * y, x + dx, y + dy
    return area / 2


def test_transparent_pixels_are_in_no_region_of_the_page(fresh, folder, tmp_path):
    image = Image.open(folder / "flag.png").convert("RGBA")
    image.paste((0, 0, 0, 0), (0, 0, 40, 90))
    image.save(tmp_path / "flag.png")
    result = run(tmp_path, "--regions", "3", "--save", "labels,levels", "-o", str(tmp_path))
    assert result.exit_code == 0, result.output
    fresh.goto((tmp_path / "flag_levels.html").as_uri())
    fresh.wait_for_function("document.getElementById('count').textContent === '3 regions'")
    exported = np.asarray(Image.open(saved(fresh, "#save-labels", tmp_path / "page.png")))
    assert np.array_equal(exported, np.asarray(Image.open(tmp_path / "flag_labels.png")))
    assert (exported[:, :40] == 255).all()
    click(fresh, 10, 10)
    assert fresh.inner_text("#status") == "There is no region: the photo is transparent here."
    fresh.goto((folder / "flag_levels.html").as_uri())


def test_the_page_is_accessible(fresh):
    from axe_playwright_python.sync_playwright import Axe

    assert Axe().run(fresh).response["violations"] == []


SMALL = RegionTree(
    np.array([[0, 0, 1, 1], [0, 0, 2, 3]], dtype=np.int32),
    np.array([[2, 3], [1, 2], [0, 1]], dtype=np.int32),
    np.array([0.2, 0.4, 0.8]),
)


def edited(n_regions, *steps):
    known = fingerprint(*SMALL.coarsest(100))
    return apply_edits(SMALL, Edits("edits.json", known, n_regions, steps)).tolist()


def test_edits_by_hand():
    assert edited(2) == [[0, 0, 1, 1], [0, 0, 1, 1]]
    # The two that were merged last: leaf 1 above, leaves 2 and 3 below.
    assert edited(2, ((3, 0),)) == [[0, 0, 1, 1], [0, 0, 2, 2]]
    assert edited(2, ((3, 0),), ((3, 1),)) == [[0, 0, 1, 1], [0, 0, 2, 3]]
    # What was merged by hand is taken apart again, not what the hierarchy merged.
    assert edited(3, ((0, 0), (2, 0)), ((2, 0),)) == [[0, 0, 1, 1], [0, 0, 2, 2]]
    assert edited(4, ((0, 0), (3, 1))) == [[0, 0, 1, 1], [0, 0, 2, 0]]
    assert edited(1) == [[0] * 4] * 2


@pytest.mark.parametrize(
    ("n_regions", "steps", "message"),
    [
        (2, [((0, 0), (1, 1))], "edit 1: both points lie in one region"),
        (2, [((3, 0),), ((3, 0),)], "edit 2: the region is one of the smallest"),
        (2, [((4, 0),)], r"edit 1: the point \(4, 0\) lies outside of the photo of 4 x 2 pixels"),
    ],
)
def test_edits_that_cannot_be_done_are_named(n_regions, steps, message):
    with pytest.raises(DataError, match=message):
        edited(n_regions, *steps)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1, 2]", "does not say"),
        ("{", "no edits of regions"),
        ('{"format": "segment region edits", "tree": 1}', "tree is no text"),
        ('{"format": "segment region edits", "tree": "a", "n_regions": 0}', "n_regions is 0; 1 to 100"),
        (
            '{"format": "segment region edits", "tree": "a", "n_regions": 2, "edits": [{"merge": [[1, 2]]}]}',
            "edit 1: a merge needs 2",
        ),
        (
            '{"format": "segment region edits", "tree": "a", "n_regions": 2, "edits": [{"cut": []}]}',
            "edit 1 is neither",
        ),
        ('{"format": "segment region edits", "tree": "a", "n_regions": 2, "edits": []}', "another photo"),
    ],
)
def test_a_file_that_holds_no_edits_of_this_photo_is_refused(folder, tmp_path, text, message):
    path = tmp_path / "edits.json"
    path.write_text(text)
    result = run(folder, "--edits", str(path), "-o", str(tmp_path / "out"))
    assert result.exit_code == 1
    assert message in result.output
    assert "edits.json" in result.output
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())


def test_edits_that_are_missing_are_named(folder, tmp_path):
    result = run(folder, "--edits", str(tmp_path / "none.json"), "-o", str(tmp_path))
    assert result.exit_code == 1
    assert "none.json: No such file" in result.output
