"""The written pages: what they name exists, what they list is complete, what they show runs."""

import doctest
import importlib
import importlib.util
import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from segment.cli import main
from segment.photo.colors import COLOR_SPACES

ROOT = Path(__file__).resolve().parent.parent
DECISIONS = ROOT / "docs" / "decisions"
DECIDED = [page for page in sorted(DECISIONS.glob("*.md")) if page.name != "README.md"]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def _decisions():
    spec = importlib.util.spec_from_file_location("decisions", ROOT / "scripts" / "decisions.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _broken_links(text, folder):
    """Return the relative links of a page that lead nowhere."""
    targets = re.findall(r"\]\(([^)\s]+)\)", text)
    return [t for t in targets if ":" not in t and not (folder / (t.partition("#")[0] or ".")).exists()]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    assert _broken_links(page.read_text(encoding="utf-8"), page.parent) == []


def test_a_broken_link_is_found():
    assert _broken_links("[a](README.md) [b](#here) [c](gone.md#x) [d](https://example.org)", ROOT) == [
        "gone.md#x"
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_named_files_exist(page):
    named = re.findall(r"`((?:segment|tests|scripts|docs)/[\w./-]+)", page.read_text(encoding="utf-8"))
    # A page that shows where something new goes calls it NAME.
    assert [name for name in named if "NAME" not in name and not (ROOT / name).exists()] == []


@pytest.mark.parametrize("page", DECIDED, ids=lambda page: page.stem)
def test_a_decision_has_a_question_an_answer_and_a_command(page):
    text = page.read_text(encoding="utf-8")
    question, answer = _decisions().opening(page)
    assert text.startswith("# ")
    assert question.endswith("?")
    assert answer
    assert not answer.startswith(("#", "|"))
    headings = [heading for heading in re.findall(r"^## (.*)$", text, re.MULTILINE)]
    assert any(heading.startswith("Tried") for heading in headings)
    assert headings[-1] == "Measured by"


def test_the_list_of_decisions_is_complete():
    written = (DECISIONS / "README.md").read_text(encoding="utf-8")
    assert written == _decisions().index(), "run: python scripts/decisions.py"


def _pointers():
    """Yield every page of decisions that the code names, and where."""
    for folder in ("segment", "scripts", "tests"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            for name in re.findall(r"docs/decisions/([\w-]+\.md)", path.read_text(encoding="utf-8")):
                yield path, name


def test_the_code_points_at_pages_that_exist():
    pointers = list(_pointers())
    assert pointers
    assert [(str(path), name) for path, name in pointers if not (DECISIONS / name).exists()] == []


def test_every_published_figure_is_cited(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    published = importlib.import_module("published")
    assert {row.reference for row in published.PUBLISHED} == set(published.REFERENCES)
    page = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    for measure in (published.BOUNDARY, published.ACCURACY):
        assert published.sentence(measure) in page
        assert published.cited(measure) in page
    for row in published.published(published.REGIONS):
        assert f"| {row.method}, {row.data}, published | {' | '.join(row.figures)} |" in page


def test_the_design_names_every_room():
    text = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")
    package = ROOT / "segment"
    folders = {path.parent.relative_to(package).as_posix() + "/" for path in package.rglob("*.py")} - {"./"}
    # A family may be a folder of modules; families are not rooms.
    rooms = {folder for folder in folders if not re.match(r"mixture/families/.", folder)}
    modules = {path.stem for path in package.glob("*.py")} - {"_version"}
    missing = [
        name for name in sorted(rooms | modules) if f"{name}`" not in text and f"{name}.py`" not in text
    ]
    assert not missing, f"give {missing} a place in docs/design.md"


def _shown(page):
    """Yield language and text of the blocks of a page."""
    return re.findall(r"^```(\w*)\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize(
    "page",
    [ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs" / "guide").glob("*.md"))],
    ids=lambda page: page.stem,
)
def test_what_a_page_shows_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("segment.photo.colors.COLOR_SPACES", dict(COLOR_SPACES))
    names = {}
    for language, text in _shown(page):
        if language == "python":
            exec(compile(text, f"{page.name}", "exec"), names)
        if language == "sh":
            for line in text.splitlines():
                program, *arguments = shlex.split(line)
                assert program == "segment"
                ended = CliRunner().invoke(main, arguments)
                assert ended.exit_code == 0, ended.output


@pytest.mark.parametrize(
    "name",
    [
        "segment.consensus.estimator",
        "segment.sequence.estimator",
        *(f"segment.mixture.estimators.{kind}" for kind in ("bayesian", "bernoulli", "gaussian")),
        *(f"segment.mixture.estimators.{kind}" for kind in ("multinomial", "poisson", "student")),
    ],
)
def test_the_examples_of_the_estimators_give_what_they_say(name):
    found = doctest.testmod(importlib.import_module(name))
    assert found.attempted >= 3
    assert found.failed == 0
