"""The report's page in a real browser: it moves, by keyboard too, on a phone, in the dark, for everyone."""

import re
import shutil

import pytest

PATH = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(
    PATH is None, reason="no Chromium or Chrome on this machine to open the page in"
)


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # As root, as in a container, Chromium starts without its sandbox only; the page is our own.
        browser = playwright.chromium.launch(executable_path=PATH, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser, small_report):
    """Return a function that opens the page; at the end nothing may have been said on the console."""
    messages, contexts = [], []

    def open_page(**options):
        # The page forbids scripts that are not its own; the accessibility check is one.
        context = browser.new_context(bypass_csp=options.pop("bypass_csp", False), **options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: messages.append(message.text))
        page.on("pageerror", lambda error: messages.append(str(error)))
        page.on(
            "request",
            lambda request: (
                messages.append(request.url) if not request.url.startswith(("file:", "data:")) else None
            ),
        )
        page.goto(small_report.page.as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert messages == []


def test_the_page_opens_and_formulas_have_a_size(open_page):
    page = open_page()
    assert page.title() == "Mixtures and EM: a report"
    heights = page.eval_on_selector_all("math", "nodes => nodes.map(n => n.getBoundingClientRect().height)")
    assert len(heights) > 8
    assert min(heights) > 5


def test_the_replay_slider_changes_the_picture_by_keyboard(open_page):
    page = open_page()
    slider = page.locator("#mouse-replay input")
    last = int(slider.get_attribute("max"))
    assert slider.input_value() == str(last)

    def seen():
        return page.eval_on_selector(
            "#mouse-replay", "f => [...f.querySelectorAll('circle, ellipse')].map(n => n.outerHTML).join()"
        )

    at_the_end = seen()
    slider.focus()
    page.keyboard.press("Home")
    at_the_start = seen()
    assert at_the_start != at_the_end
    assert f"iteration 0 of {last}" in slider.get_attribute("aria-valuetext")
    page.keyboard.press("ArrowRight")
    assert slider.input_value() == "1"
    assert seen() not in (at_the_start, at_the_end)
    page.keyboard.press("End")
    assert seen() == at_the_end


def test_the_replay_plays_and_pauses(open_page):
    from playwright.sync_api import expect

    page = open_page()
    button = page.locator("#mouse-replay .play")
    button.focus()
    page.keyboard.press("Enter")
    assert button.get_attribute("aria-label") == "Pause"
    expect(page.locator("#mouse-replay input")).to_have_value(re.compile("^[2-9]$"))
    page.keyboard.press("Enter")
    assert button.get_attribute("aria-label") == "Play"
    stopped = page.locator("#mouse-replay input").input_value()
    page.wait_for_timeout(600)
    assert page.locator("#mouse-replay input").input_value() == stopped


def test_before_and_after_by_keyboard(open_page):
    page = open_page()
    slider = page.locator("#photo-tile-compare input")
    slider.focus()
    page.keyboard.press("Home")
    over = "document.querySelector('#photo-tile-compare .over')"
    assert "100%" in page.evaluate(f"getComputedStyle({over}).clipPath")
    hidden = page.locator("#photo-tile-compare .stack").screenshot()
    page.keyboard.press("End")
    assert slider.input_value() == "100"
    assert page.locator("#photo-tile-compare .stack").screenshot() != hidden


def test_the_k_slider_shows_one_image_at_a_time(open_page):
    page = open_page()
    figure = page.locator("#photo-tile-series")
    figure.locator("input").focus()
    page.keyboard.press("Home")
    assert figure.locator(".frame:visible").count() == 1
    assert figure.locator("output").inner_text() == "2 colors"
    page.keyboard.press("End")
    assert figure.locator("output").inner_text() == "8 colors"
    assert figure.locator(".frame:visible img").get_attribute("alt") == "tile in 8 colors"


@pytest.mark.parametrize("width", [320, 390, 1280])
def test_no_page_is_wider_than_its_screen(open_page, width):
    page = open_page(viewport={"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_dark_page_is_dark_and_paper_is_white(open_page):
    page = open_page(color_scheme="dark")
    color = "getComputedStyle(document.body).backgroundColor"
    assert max(map(int, page.evaluate(color)[4:-1].split(","))) < 60
    page.emulate_media(media="print")
    assert page.evaluate(color) == "rgb(255, 255, 255)"
    assert page.locator(".controls").first.is_hidden()
    assert page.locator("nav").is_hidden()


@pytest.mark.parametrize("width", [390, 1400])
def test_a_figure_is_enlarged_by_keyboard_and_closed(open_page, width):
    page = open_page(viewport={"width": width, "height": 800})
    button = page.locator("#five_points .enlarge")
    number = re.match(r"Enlarge: (Figure \d+)\.", button.get_attribute("aria-label"))
    assert number
    button.focus()
    page.keyboard.press("Enter")
    dialog = page.locator("dialog")
    assert dialog.get_attribute("aria-label").startswith(number[1])
    small = page.locator("#five_points .paper img").bounding_box()["width"]
    large = dialog.locator("img").bounding_box()["width"]
    assert large > 1.5 * small if width == 390 else large >= small
    page.keyboard.press("Escape")
    assert not dialog.is_visible()
    assert button.evaluate("node => node === document.activeElement")
    page.locator("#five_points .paper img").click()
    assert dialog.is_visible()
    dialog.locator(".close").click()
    assert not dialog.is_visible()


def test_without_scripts_a_replay_shows_its_last_frame(open_page):
    page = open_page(java_script_enabled=False)
    assert page.locator("#mouse-replay .panel").count() == 2
    boxes = [ellipse.bounding_box() for ellipse in page.locator("#mouse-replay ellipse").all()]
    assert len(boxes) == 3
    assert all(box["width"] > 10 for box in boxes)
    assert not page.locator("#mouse-replay .play").is_visible()


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
def test_axe_finds_nothing(open_page, scheme, width):
    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="axe-playwright-python is absent"
    )
    page = open_page(color_scheme=scheme, viewport={"width": width, "height": 800}, bypass_csp=True)
    found = axe.Axe().run(page).response
    assert [(each["id"], each["nodes"][0]["html"]) for each in found["violations"]] == []
    assert len(found["passes"]) > 20
