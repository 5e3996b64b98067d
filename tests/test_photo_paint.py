"""Pages to paint by numbers: every area has its number, to be read, and the legend says what it means."""

import itertools
import json
import re
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from photos import encoded, noisy

from segment.cli import main
from segment.photo.vectors.arcs import trace
from segment.photo.vectors.numbers import LED, SMALLEST, place_numbers, radius_of
from segment.photo.vectors.paint import paint_page

PALETTE = np.array([[0, 0, 0], [255, 0, 0], [0, 160, 0], [255, 255, 255]], np.uint8)
PAGE = {"title": "flag", "paper": "a4", "tolerance": 0.5, "min_area": 1}
SCALE = 2.0


def squares():
    """A square of one label, a line of another, and a speck of a third."""
    labels = np.zeros((60, 80), np.int32)
    labels[10:41, 10:41] = 1
    labels[50, 5:75] = 2
    labels[20, 60] = 3
    return labels


def test_numbers_stand_at_the_widest_place_or_are_led_out():
    around, square, speck, line = place_numbers(trace(squares()), ["1", "2", "3", "4"], SCALE)
    assert (around.text, around.anchor) == ("1", None)
    assert (square.text, square.x, square.y, square.anchor) == ("2", 25.5, 25.5, None)
    assert square.size >= SMALLEST
    for number, anchor in ((speck, (60.5, 20.5)), (line, None)):
        assert number.size == LED
        assert number.anchor == anchor or (anchor is None and number.anchor[1] == 50.5)
        assert squares()[int(number.y), int(number.x)] == 0
    assert [speck.text, line.text] == ["4", "3"]


def test_numbers_overlap_neither_each_other_nor_a_border():
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 4, (12, 16)).astype(np.int32).repeat(12, axis=0).repeat(12, axis=1)
    labels[60, :] = 0
    numbers = place_numbers(trace(labels), ["1", "22", "333", "4"], SCALE)
    boxes = []
    for number in numbers:
        # The digits themselves, without the room around them.
        half = 0.5 * number.size / SCALE * np.array([0.64 * len(number.text), 0.74])
        boxes.append((np.array([number.x, number.y]) - half, np.array([number.x, number.y]) + half))
        (left, top), (right, bottom) = boxes[-1]
        covered = labels[int(top) : int(np.ceil(bottom)), int(left) : int(np.ceil(right))]
        assert len(np.unique(covered)) == 1
    for (low, high), (other_low, other_high) in itertools.combinations(boxes, 2):
        assert (low >= other_high).any() or (other_low >= high).any()


def test_a_page_has_a_number_in_every_area_and_a_legend():
    labels = squares()
    figure = paint_page(labels, PALETTE, **PAGE)
    drawing, legend, preview = figure.axes
    inside = [text for text in drawing.texts if text.get_fontsize() != LED]
    for text in inside:
        x, y = text.get_position()
        assert int(text.get_text()) == labels[int(y), int(x)] + 1
    assert sorted(text.get_text() for text in drawing.texts) == ["1", "2", "3", "4"]
    said = [text.get_text() for text in legend.texts]
    counts = np.bincount(labels.ravel())
    assert said[:2] == ["1", f"#000000\n{counts[0] / labels.size:.1%}"]
    assert said[-1] == "#ffffff\n< 0.1%"
    assert np.array_equal(preview.images[0].get_array(), PALETTE[labels])
    assert figure.texts[0].get_text() == "flag: 4 colors"


def test_small_areas_join_a_neighbor_and_numbers_have_no_gaps():
    figure = paint_page(squares(), PALETTE, **PAGE | {"min_area": 2})
    assert sorted(text.get_text() for text in figure.axes[0].texts) == ["1", "2", "3"]
    # A page is 190 mm wide within its margins, so that 6 square millimeters are a pixel here, and 70 a line.
    assert len(paint_page(squares(), PALETTE, **PAGE | {"min_area": None}).axes[0].texts) == 4
    assert len(paint_page(squares(), PALETTE, **PAGE | {"min_area": 100}).axes[0].texts) == 2


@pytest.mark.parametrize("shape", [(1, 1), (3, 900), (900, 3)])
def test_photos_of_any_shape_have_a_page(shape):
    figure = paint_page(np.zeros(shape, np.int32), PALETTE, **PAGE)
    (drawing, *_) = figure.axes
    left, bottom, width, height = drawing.get_position().bounds
    assert min(left, bottom, 1 - left - width, 1 - bottom - height) > 0
    assert [text.get_text() for text in drawing.texts] == ["1"]


def test_a_legend_of_many_colors_stays_on_the_page():
    labels = np.arange(400, dtype=np.int32).reshape(20, 20).repeat(4, axis=0).repeat(4, axis=1)
    palette = np.random.default_rng(0).integers(0, 256, (400, 3)).astype(np.uint8)
    legend = paint_page(labels, palette, **PAGE).axes[1]
    assert legend.get_position().y0 > 0
    bottoms = [patch.get_y() + patch.get_height() for patch in legend.patches]
    rights = [patch.get_x() + patch.get_width() for patch in legend.patches]
    assert max(bottoms) <= legend.get_ylim()[0]
    assert max(rights) <= 150


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run `segment photo` in an empty folder with a photo in it."""
    monkeypatch.chdir(tmp_path)
    Path("flag.png").write_bytes(encoded(noisy()[0]))

    def call(*arguments):
        result = CliRunner().invoke(main, ["photo", "flag.png", "--smooth", "none", *map(str, arguments)])
        assert "Traceback" not in result.stderr
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.exit_code, result.stderr

    return call


def test_the_command_writes_the_same_pages_twice_on_the_paper_asked_for(run):
    pages = {}
    for folder, paper, size in (
        ("a", "a4", (595, 842)),
        ("b", "letter", (612, 792)),
        ("c", "a4", (595, 842)),
    ):
        options = ("-k", 3, "--save", "paint,json", "--paper", paper, "-o", folder)
        assert run(*options)[0] == 0
        pages[folder] = [Path(folder, f"flag_paint.{suffix}").read_bytes() for suffix in ("pdf", "svg")]
        box = re.search(rb"/MediaBox \[ 0 0 ([\d.]+) ([\d.]+) \]", pages[folder][0])
        assert sorted(round(float(side)) for side in box.groups()) == sorted(size)
        assert json.loads(Path(folder, "flag.json").read_text())["settings"] == {
            "paint": {"tolerance": 0.5, "min_area": None, "paper": paper}
        }
    assert pages["a"] == pages["c"]
    assert b"CreationDate" not in pages["a"][0]


def test_paper_is_for_pages_only(run):
    code, told = run("-k", 3, "--save", "svg", "--paper", "letter")
    assert (code, "--paper changes no output that is asked for; it is for --save paint" in told) == (2, True)
    assert run("-k", 3, "--save", "paint", "--paper", "a5")[0] == 2


def test_room_for_a_number_grows_with_its_digits():
    assert radius_of("1", 10) < radius_of("12", 10) < radius_of("123", 10)
    assert radius_of("12", 20) == pytest.approx(2 * radius_of("12", 10))
