"""Every text has its translation, with the same places, numbers and terms; pages differ in words only."""

import csv
import json
import pickle
import re
from string import Formatter

import pytest
from click.testing import CliRunner
from wording import PACKAGE, constants, f_strings, has_entry, page_texts, texts

from segment import style
from segment.cli import main
from segment.lab import EXPERIMENTS
from segment.report.build import SCRIPT_WORDS, typeset, write_report
from segment.report.settings import Settings
from segment.words import LANGUAGES, catalog, glossary, language, say, shown, speaking

MODULES = [
    *sorted((PACKAGE / "lab").glob("*.py")),
    *sorted((PACKAGE / "report").glob("*.py")),
    PACKAGE / "photo" / "draw.py",
    PACKAGE / "digits" / "draw.py",
    PACKAGE / "digits" / "write.py",
]
SAID_ELSEWHERE = [PACKAGE / "digits" / "cluster.py"]
OTHERS = [name for name in LANGUAGES if name != "en"]

pytestmark = pytest.mark.parametrize("name", OTHERS)


def _places(text):
    return sorted((field, spec) for _, field, spec, _ in Formatter().parse(text) if field is not None)


def _marks(text):
    return sorted(re.findall(r"</?\w+|\\\w+", text))


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_all_that_a_module_says_is_translated(module, name):
    assert [text for text in sorted(texts(module)) if not has_entry(text, name)] == []
    assert list(f_strings(module)) == [], "a text with places is made by say()"


def test_all_that_the_page_says_is_translated(name):
    said = page_texts() | set(SCRIPT_WORDS.values())
    assert len(said) > 20
    assert [text for text in sorted(said) if not has_entry(text, name)] == []


def test_no_translation_is_left_over(name):
    said = {text for path in (*MODULES, *SAID_ELSEWHERE) for text in constants(path)} | page_texts()
    assert sorted(set(catalog(name)) - said) == []


def test_places_numbers_and_marks_are_the_same(name):
    for english, text in catalog(name).items():
        assert text.strip(), english
        assert _places(english) == _places(text), english
        assert _marks(english) == _marks(text), english
        numbers = re.findall(r"\d+(?:\.\d+)?", re.sub(r"\{[^}]*\}", "", english))
        missing = [number for number in numbers if number not in re.sub(r"\{[^}]*\}", "", text)]
        assert missing == [], english


def test_one_term_for_one_thing(name):
    for english, text in catalog(name).items():
        words = re.sub(r"\{[^}]*\}", "", english)
        for term, translation in glossary(name).items():
            if re.search(rf"\b{term}s?\b", words, re.IGNORECASE):
                assert translation in text, (term, english)


def test_no_text_stands_in_two_parts_of_a_catalog(name):
    parts = json.loads((PACKAGE / "words" / f"{name}.json").read_text(encoding="utf-8"))["texts"]
    assert sum(map(len, parts.values())) == len(catalog(name))


def test_signs_between_chinese_ones_are_chinese(name):
    pages = [(PACKAGE / "report" / "page" / f"theory.{name}.html").read_text(encoding="utf-8")]
    for text in (*catalog(name).values(), *pages):
        assert not re.search("[\u4e00-\u9fff][,;:?!.](?!\\d)|[,;:?!][\u4e00-\u9fff]", text), text


def test_the_page_on_em_has_the_same_formulas_and_headings(name):
    def marks(file):
        page = (PACKAGE / "report" / "page" / file).read_text(encoding="utf-8")
        return re.findall(r"<math.*?</math>|</?(?:h3|dl|dt|dd|b|p)\b", page, re.DOTALL)

    assert marks("theory.html") == marks(f"theory.{name}.html")


def test_places_are_looked_up_too(name):
    text = say("{name} (cm)", name=say("{what}, {who}", what="mean", who="men"))
    assert text == "mean, men (cm)"
    assert json.dumps(text) == '"mean, men (cm)"'
    for each in (text, pickle.loads(pickle.dumps(text))):
        with speaking(name):
            assert not re.search("mean|men", shown(each))
        assert shown(each) == "mean, men (cm)"
    assert language() == "en"


def test_what_no_catalog_has_stays_english(name):
    with speaking(name):
        assert shown("no text of ours") == "no text of ours"
        assert shown(say("{n} of nothing", n=3)) == "3 of nothing"


def test_numbers_are_set_as_in_print_between_chinese_signs(name):
    assert typeset("\u4e3a-1/2\uff0c\u6216-30.5") == "\u4e3a\u22121/2\uff0c\u6216\u221230.5"
    assert typeset("\u5dee1e-09\u4ee5\u5185") == "\u5dee1 \u00d7 10\u207b\u2079\u4ee5\u5185"


def _english(text):
    """Return runs of three and more English words."""
    return re.findall(r"\b[a-z]{2,} [a-z]{1,} [a-z]{2,}\b", text)


@pytest.fixture(scope="module")
def reports(tmp_path_factory, small_report):
    found = {"en": small_report}
    for each in OTHERS:
        folder = tmp_path_factory.mktemp(each)
        found[each] = write_report(Settings(folder, language=each), only=("em", "five-points"))
    return found


def _cells(folder):
    files = sorted((folder / "tables").glob("five_points*.csv"))
    assert files
    return [list(csv.reader(path.open(encoding="utf-8"))) for path in files]


def test_an_experiment_comes_out_in_the_language_with_the_same_numbers(reports, name):
    english, other = (_cells(reports[each].page.parent) for each in ("en", name))
    for one, two in zip(english, other, strict=True):
        assert one[0] != two[0]
        assert one[1:] == two[1:]
    latex = (reports[name].page.parent / "tables" / "five_points_parameters.tex").read_text(encoding="utf-8")
    assert not _english(latex)


def test_a_page_speaks_one_language(reports, name):
    page = reports[name].page.read_text(encoding="utf-8")
    assert f'<html lang="{LANGUAGES[name]}">' in page
    body = page[page.index("<body>") : page.index('<section id="references"')]
    visible = re.sub(r"<script.*?</script>|<math.*?</math>|data:[^\"]*", "", body, flags=re.DOTALL)
    attributes = re.findall(r'(?:alt|aria-label)="([^"]*)"', visible)
    assert _english(re.sub(r"<[^>]*>", " ", visible)) == []
    assert [text for text in attributes if _english(text)] == []


def test_json_stays_english(reports, name):
    english, other = (
        json.loads((reports[each].page.parent / "five-points.json").read_text(encoding="utf-8"))
        for each in ("en", name)
    )
    assert english == other


@pytest.mark.parametrize("font", [True, False])
def test_figures_speak_what_a_font_can_draw(font, name, monkeypatch):
    from matplotlib.text import Text

    if font and style.font_for(name) is None:
        pytest.skip(f"no font here has the signs of {name}")
    if not font:
        monkeypatch.setattr(style, "font_for", lambda name: None)
    with speaking(name):
        with style.drawing():
            figure = style.new_figure(2, 2)
            axes = style.quiet_axes(figure.subplots(), "responsibility", "iteration")
            axes.plot([0, 1], label="observed information")
            axes.legend()
            style.speak(figure)
        assert language() == name
    said = {text.get_text() for text in figure.findobj(Text)}
    english = {"responsibility", "iteration", "observed information"}
    with speaking(name if font else "en"):
        assert {shown(text) for text in english} <= said


def test_a_missing_font_is_told(name, monkeypatch):
    monkeypatch.setattr(style, "font_for", lambda name: None)
    result = CliRunner().invoke(main, ["lab", "list", "--lang", name])
    assert result.exit_code == 0, result.output
    assert "fonts-noto-cjk" in result.stderr


def test_the_list_of_experiments_speaks_too(name):
    result = CliRunner().invoke(main, ["lab", "list", "--lang", name])
    assert result.exit_code == 0
    assert not _english(result.stdout)
    assert len(result.stdout.splitlines()) == len(EXPERIMENTS)
