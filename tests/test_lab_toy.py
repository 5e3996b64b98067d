"""One experiment is one new file and one line of the table: it is listed, run, and in the report."""

import json
import sys
import types

import pytest
from click.testing import CliRunner

from segment import lab
from segment.cli import main

TOY = '''
"""A toy experiment: how likely is a fair coin?"""

from dataclasses import dataclass

from segment.lab.lesson import Lesson
from segment.lab.outcome import Column, Outcome, Picture, Table, close
from segment.style import new_figure, quiet_axes

LESSON = Lesson("A coin.", "Nothing.", "None.", "Count heads.", "The bar.", ("Bishop 2006",))


@dataclass(frozen=True, eq=False, kw_only=True)
class Toy(Outcome):
    share: float

    def record(self):
        return {"share": self.share}


def run(random_state=0):
    table = Table("toy", "A coin.", (Column("side"), Column("share", ".2f")), (("heads", 0.5),))
    checks = (close("share of heads", 0.5, 0.5, 0.0),)
    fields = {"tables": (table,), "checks": checks, "findings": ("It is fair.",)}
    return Toy(random_state=random_state, share=0.5, **fields)


def pictures(outcome):
    return (Picture("toy_coin", "A coin has two sides.", "A bar.", draw),)


def draw():
    figure = new_figure(4, 3)
    axes = figure.subplots()
    axes.bar([0], [0.5])
    quiet_axes(axes, "", "side", "share")
    return figure
'''


@pytest.fixture
def toy(monkeypatch):
    """Stand in for a new file in the package, and write the line of the table that a developer writes."""
    module = types.ModuleType("segment.lab.toy")
    monkeypatch.setitem(sys.modules, "segment.lab.toy", module)
    exec(TOY, module.__dict__)
    monkeypatch.setitem(lab.EXPERIMENTS, "toy", lab._experiment("toy", "A toy", "Is a coin fair?"))


@pytest.mark.usefixtures("toy")
def test_a_new_experiment_is_one_file_and_one_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def segment(*arguments):
        shown = CliRunner().invoke(main, arguments)
        assert shown.exit_code == 0, shown.output
        return shown

    assert "toy                Is a coin fair?" in segment("lab", "list").stdout
    assert "share of heads: expected 0.500, got 0.500  ok" in segment("lab", "toy", "-o", "lab").stderr
    assert json.loads((tmp_path / "lab" / "toy.json").read_text())["share"] == 0.5
    segment("report", "--only", "toy", "-o", "report", "--jobs", "1", "-q")
    page = (tmp_path / "report" / "index.html").read_text(encoding="utf-8")
    assert '<section id="toy"' in page
    assert "It is fair." in page
    assert "Count heads." in page
    assert '<a href="#ref-bishop-2006">Bishop 2006</a>' in page
    assert '<li id="ref-bishop-2006">Bishop, C. M. (2006)' in page
    assert (tmp_path / "report" / "figures" / "toy_coin.pdf").stat().st_size > 1000
