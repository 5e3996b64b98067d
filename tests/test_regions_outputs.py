"""`segment photo --method regions` from the command line, and what it writes."""

import json
import shutil

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from segment.cli import main
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


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium or Chrome on this machine to open the page in")
def test_the_slider_of_the_levels_page_redraws_the_photo(folder):
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        messages = []
        page.on("console", lambda message: messages.append(message.text))
        page.on("pageerror", lambda error: messages.append(str(error)))
        page.goto((folder / "flag_levels.html").as_uri())
        page.wait_for_function("document.getElementById('count').textContent === '3 regions'")
        before = page.evaluate("document.getElementById('view').toDataURL()")
        page.locator("#regions").press("ArrowLeft")
        assert page.inner_text("#count") == "2 regions"
        assert page.evaluate("document.getElementById('view').toDataURL()") != before
        assert messages == []
        browser.close()
