"""The report: what is in the page, what happens when a section fails, and that nothing is fetched."""

import json
import re
import time
import warnings
from concurrent.futures import ProcessPoolExecutor
from html.parser import HTMLParser
from itertools import pairwise
from multiprocessing import active_children, get_context

import numpy as np
import pytest
from click.testing import CliRunner

from segment.cli import main
from segment.errors import DataError, SegmentWarning
from segment.report import build
from segment.report import sections as rooms
from segment.report.blocks import Section, embedded_photo
from segment.report.build import make_section, section_names, typeset, write_report
from segment.report.replays import View
from segment.report.settings import Settings
from segment.report.stills import last_frame


class Page(HTMLParser):
    """Every tag of a page with its attributes, and the headings' levels."""

    def __init__(self, text):
        super().__init__()
        self.tags = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def report(small_report):
    return small_report


@pytest.fixture(scope="module")
def text(report):
    return report.page.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(text):
    return Page(text)


def test_the_page_needs_nothing_else(text, page):
    for tag, attributes in page.tags:
        for key in ("src", "href", "poster", "data", "action"):
            if key in attributes:
                assert re.match(r"data:|#", attributes[key]), (tag, attributes[key][:60])
    assert "url(" not in text
    assert "@import" not in text
    assert "default-src 'none'" in text
    assert len(text) < 15e6


def test_every_link_within_the_page_arrives(page):
    places = {attributes["id"] for _, attributes in page.tags if "id" in attributes}
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(places)
    for attributes in page.all("a"):
        assert attributes["href"].removeprefix("#") in places
    for attributes in page.all("label"):
        assert attributes["for"] in places


def test_the_page_is_built_for_everyone(page):
    assert page.all("html") == [{"lang": "en"}]
    assert all(attributes.get("alt") for attributes in page.all("img"))
    assert len(page.all("main")) == len(page.all("nav")) == len(page.all("h1")) == 1
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h[1-6]", tag)]
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert len(page.all("figcaption")) == len(page.all("figure"))
    assert len(page.all("caption")) == len(page.all("table"))
    sliders = page.all("input")
    labeled = {attributes["for"] for attributes in page.all("label")}
    assert sliders
    assert all(slider["id"] in labeled for slider in sliders)


def test_figures_and_tables_are_numbered_in_order(text):
    for what in ("Figure", "Table"):
        numbers = [int(number) for number in re.findall(rf"<b>{what} (\d+)\.</b>", text)]
        assert numbers == list(range(1, len(numbers) + 1))
        assert len(numbers) >= 4


def test_files_stand_beside_the_page(report):
    folder = report.page.parent
    for name in ("mouse_clusters", "five_points", "photo_tile"):
        for suffix in ("png", "pdf", "svg"):
            assert (folder / "figures" / f"{name}.{suffix}").stat().st_size > 1000
    assert (folder / "tables" / "mouse.tex").exists()
    record = json.loads((folder / "report.json").read_text())
    assert record["sections"]["mouse"]["passed"] is True
    assert record["sections"]["photos"]["photos"]["tile"]["n_components"] >= 2
    assert record["versions"]["numpy"] == np.__version__
    assert not report.failures
    assert not report.surprises


@pytest.mark.parametrize(
    ("text", "typeset_text"),
    [
        ("at most 1.0e-06", "at most 1.0 \N{MULTIPLICATION SIGN} 10⁻⁶"),
        ("7.6e\N{MINUS SIGN}01", "7.6 \N{MULTIPLICATION SIGN} 10⁻¹"),
        ("less than 1e-09 nats, -3.5", "less than 1 \N{MULTIPLICATION SIGN} 10⁻⁹ nats, \N{MINUS SIGN}3.5"),
        ("0.0e+00", "0.0"),
        ("2e+12", "2 \N{MULTIPLICATION SIGN} 10¹²"),
        ("#4e3712 and #1e-05 in IMG-1e5.png", "#4e3712 and #1e-05 in IMG-1e5.png"),
    ],
)
def test_numbers_are_set_as_in_print(text, typeset_text):
    assert typeset(text) == typeset_text


def test_the_curve_of_icl_says_how_many_samples_a_photo_counts_as():
    from segment import segment_photo
    from segment.photo.draw import draw_sheet

    pixels = np.random.default_rng(0).integers(0, 255, (12, 12, 3), dtype=np.uint8)
    sheet = draw_sheet(segment_photo(pixels, n_components=2), {1: 3.0, 2: 1.0, 3: 2.0}, "noise")
    labels = [axes.get_ylabel() for axes in sheet.get_axes()]
    assert "ICL (photo counted\nas 2\N{NO-BREAK SPACE}000 samples)" in labels


def test_replays_hold_every_iteration(text):
    data = json.loads(re.search(r'<script type="application/json">(.*?)</script>', text, re.DOTALL)[1])
    kmeans, em = data["panels"]
    assert len(data["points"]) == 490
    for panel in (kmeans, em):
        assert len(panel["steps"]) == len(panel["values"]) > 3
        for step in panel["steps"]:
            assert all(97 <= sum(shares) <= 103 for shares in step["shares"])
    assert em["values"] == sorted(em["values"])
    assert kmeans["values"] == sorted(kmeans["values"], reverse=True)


def test_ellipses_are_at_two_standard_deviations():
    from segment.mixture import Parameters

    X = np.array([[0.0, 0.0], [10.0, 5.0]])
    view = View(X)
    upright = Parameters(np.ones(1), np.array([[5.0, 2.5]]), np.array([[[4.0, 0.0], [0.0, 1.0]]]))
    (x, y, across, along, angle) = view.ellipses(upright)[0]
    width, height = view.size()
    assert abs(x - width / 2) <= 1
    assert abs(y - height / 2) <= 1
    assert across == pytest.approx(2 * 2 * view.scale, abs=0.1)
    assert along == pytest.approx(2 * 1 * view.scale, abs=0.1)
    assert angle % 180 == pytest.approx(0.0, abs=0.1)


def test_the_last_frame_mixes_colors_and_ends_the_curve():
    panel = {
        "title": "EM",
        "curve": "value",
        "values": [0, 1, 2],
        "steps": [
            {"shares": [[100, 0], [100, 0]], "centers": [[0, 0], [9, 9]], "moved": [[0, 0]]},
            {"shares": [[100, 0], [50, 50]], "centers": [[1, 2], [3, 4]], "moved": [[5, 6]]},
        ],
    }
    data = {"size": [10, 10], "points": [[1, 1], [5, 6]], "colors": ["#000000", "#ffffff"], "panels": [panel]}
    (still,) = last_frame(data)
    assert still.dots == (("#000000", "M1 1h0"), ("#808080", "M5 6h0"))
    assert still.marks == ((1, 2), (3, 4))
    assert (still.rings, still.ellipses, still.value) == ("M5 6h0", (), 2)
    assert still.line == "6.0,88.0 160.0,54.0 314.0,20.0"


def test_palettes_show_their_colors(text, report):
    photos = next(section for section in report.sections if section.name == "photos")
    (palette,) = [block for block in photos.blocks if block.kind == "palette"]
    assert len(palette.colors) >= 2
    for code, share in palette.colors:
        assert re.fullmatch(r"#[0-9a-f]{6}", code)
        assert f'<span class="swatch" style="background: {code}"></span>{code}' in text
        assert share.endswith("%")


def test_a_failed_section_is_told_and_the_others_come_out(tmp_path, monkeypatch):
    def fail(settings):
        raise ZeroDivisionError("by <zero>")

    monkeypatch.setitem(rooms.SECTIONS, "mouse", ("The mouse", fail))
    found = write_report(Settings(tmp_path), only=("em", "mouse"))
    assert [section.name for section in found.failures] == ["mouse"]
    text = found.page.read_text(encoding="utf-8")
    assert "This section failed: ZeroDivisionError: by &lt;zero&gt;" in text
    assert "The E-step" in text
    assert json.loads((tmp_path / "report.json").read_text())["sections"]["mouse"]["error"]


def test_a_user_error_is_told_without_its_class(tmp_path):
    section, seconds = make_section("photos", Settings(tmp_path, photos=(str(tmp_path / "none.jpg"),)))
    assert "none.jpg" in section.error
    assert "Error:" not in section.error
    assert seconds >= 0


def test_sections_keep_the_order_of_the_page():
    assert section_names(["mouse", "em"]) == ["em", "mouse"]
    assert section_names([])[0] == "em"
    assert section_names([])[-2:] == ["photos", "digits"]
    with pytest.raises(DataError, match="no section mice; allowed are em, heights"):
        section_names(["mice"])


def test_the_command_says_section_by_section(tmp_path):
    arguments = ["report", "--only", "five-points,em", "-o", str(tmp_path), "--jobs", "1"]
    shown = CliRunner().invoke(main, [*arguments, "--json"])
    assert shown.exit_code == 0
    assert "[2/2] Five points by hand" in shown.stderr
    assert set(json.loads(shown.stdout)) == {"em", "five-points", "speed", "references", "page"}
    quiet = ["report", "--only", "em", "-o", str(tmp_path), "--jobs", "1", "-q"]
    assert CliRunner().invoke(main, quiet).stderr == ""


def test_the_command_fails_as_its_sections_do(tmp_path):
    missing = ["--photos", str(tmp_path / "none.jpg"), "-o", str(tmp_path), "--jobs", "1"]
    some = CliRunner().invoke(main, ["report", "--only", "em,photos", *missing])
    assert some.exit_code == 3
    assert "Photos: " in some.stderr
    assert CliRunner().invoke(main, ["report", "--only", "photos", *missing]).exit_code == 1
    unknown = CliRunner().invoke(main, ["report", "--only", "mice", "-o", str(tmp_path)])
    assert unknown.exit_code == 1
    assert "no section mice" in unknown.stderr


def test_the_same_seed_gives_the_same_page_and_figures(tmp_path, report):
    """Only the table of seconds may differ; processes side by side change nothing."""
    again = write_report(Settings(tmp_path), only=("em", "mouse"), n_processes=2)
    first, second = report.page.parent, again.page.parent
    figures = sorted(path.name for path in (second / "figures").iterdir())
    assert len(figures) == 9
    for name in figures:
        assert (first / "figures" / name).read_bytes() == (second / "figures" / name).read_bytes()
    before, after = (
        re.search(r'<section id="mouse".*?</section>', each.page.read_text(encoding="utf-8"), re.DOTALL)[0]
        for each in (report, again)
    )
    assert re.sub(r"(Figure|Table) \d+", "", before) == re.sub(r"(Figure|Table) \d+", "", after)


def _photo(path, pixels):
    from PIL import Image

    Image.fromarray(np.asarray(pixels, np.uint8)).save(path)
    return str(path)


def test_a_photo_of_few_colors_or_a_broken_one_leaves_the_others(tmp_path):
    stripes = np.zeros((6, 8, 3))
    stripes[:, 4:] = (200, 30, 30)
    stripes[:, 6:] = (30, 30, 200)
    photos = (
        _photo(tmp_path / "dot.png", [[[1, 2, 3]]]),
        _photo(tmp_path / "stripes.png", stripes),
        str(tmp_path / "none.jpg"),
        str(tmp_path / "broken.png"),
    )
    (tmp_path / "broken.png").write_bytes(b"no photo")
    shown = CliRunner().invoke(
        main,
        ["report", "-q", "--only", "photos", "--json", "-o", str(tmp_path / "out"), "--jobs", "1"]
        + [word for photo in photos for word in ("--photos", photo)],
    )
    assert shown.exit_code == 3
    told = shown.stderr.splitlines()
    assert len(told) == 2
    assert all(line.startswith("segment: error: Photos: ") for line in told)
    assert {name for name in ("none.jpg", "broken.png") for line in told if name in line} == {
        "none.jpg",
        "broken.png",
    }
    record = json.loads(shown.stdout)["photos"]
    assert set(record["photos"]) == {"dot", "stripes"}
    assert record["error"] is None
    assert len(record["problems"]) == 2
    page = Page((tmp_path / "out" / "index.html").read_text(encoding="utf-8"))
    assert {attributes.get("id") for _, attributes in page.tags} >= {"photo-stripes-series", "photo-dot"}
    assert "photo-dot-series" not in {attributes.get("id") for _, attributes in page.tags}
    assert len([a for _, a in page.tags if a.get("role") == "alert"]) == 2


def test_the_axis_of_icl_is_explained(text):
    assert "counts as 2000 samples at most" in text
    assert "the photo counted as 2000 samples" in text


def _digit_folder(folder, labeled):
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = np.kron(digits.images[:150], np.ones((3, 3))).clip(0, 16) * 15
    labels = {"labels": digits.target[:150]} if labeled else {}
    np.savez(folder / "few.npz", images=images.astype(np.uint8), **labels)
    return str(folder / "few.npz")


def test_digits_without_labels_promise_no_scores(tmp_path):
    section, _ = make_section("digits", Settings(tmp_path, data=_digit_folder(tmp_path, labeled=False)))
    assert section.error is None
    assert not [block for block in section.blocks if hasattr(block, "table")]
    captions = " ".join(block.caption for block in section.blocks if hasattr(block, "caption"))
    assert "wrong" not in captions
    assert "abels" not in section.blocks[0].paragraphs[0]
    assert "no labels" in section.blocks[1].sentences[0]
    assert not (tmp_path / "tables").exists()


def test_warnings_are_told_by_section_unless_quiet(tmp_path, monkeypatch):
    def warn(settings):
        warnings.warn("odd data", SegmentWarning, stacklevel=1)
        warnings.warn("old idiom", DeprecationWarning, stacklevel=1)
        return Section("mouse", "The mouse")

    monkeypatch.setitem(rooms.SECTIONS, "mouse", ("The mouse", warn))
    arguments = ["report", "--only", "mouse", "-o", str(tmp_path), "--jobs", "1"]
    told = CliRunner().invoke(main, arguments).stderr
    assert "segment: warning: The mouse: odd data" in told
    assert "old idiom" not in told
    quiet = ["report", "--only", "em", "-o", str(tmp_path), "--jobs", "1", "-q"]
    assert CliRunner().invoke(main, quiet).stderr == ""


def test_photos_are_embedded_reduced():
    pixels = np.zeros((300, 900, 3), np.uint8)
    shown = embedded_photo(pixels, "black", 450)
    assert (shown.width, shown.height) == (450, 150)
    assert shown.uri.startswith("data:image/jpeg;base64,")
    flat = embedded_photo(pixels, "black", 2000, few_colors=True)
    assert (flat.width, flat.height) == (900, 300)
    assert flat.uri.startswith("data:image/png;base64,")


def test_workers_end_when_the_report_is_broken_off():
    pool = ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=build._end_when_told)
    asleep = [pool.submit(time.sleep, 600) for _ in range(2)]
    while not asleep[0].running():
        time.sleep(0.05)
    workers = active_children()
    pool.shutdown(wait=False, cancel_futures=True)
    build._end_workers()
    assert workers
    # The pool's own thread may have collected a dead worker and not have said so yet.
    deadline = time.monotonic() + 30
    while any(worker.is_alive() for worker in workers) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(worker.is_alive() for worker in workers)
