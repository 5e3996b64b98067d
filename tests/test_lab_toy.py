"""One experiment is one new file and one line of the table: it is listed, run, and in the report."""

import json
import subprocess
import sys

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


# A process that has looked at no table yet. The new file stands outside of the package here; the
# line of the table is the one that a developer writes.
COMMANDS = """
import sys, types
import segment.lab as lab
toy = types.ModuleType("segment.lab.toy")
sys.modules["segment.lab.toy"] = toy
exec(open("toy.py").read(), toy.__dict__)
lab.EXPERIMENTS["toy"] = lab._experiment("toy", "A toy", "Is a coin fair?")
from segment.cli import main
for command in ("lab list", "lab toy -o lab", "report --only toy -o report --jobs 1 -q"):
    main(command.split(), prog_name="segment", standalone_mode=False)
"""


def test_a_new_experiment_is_one_file_and_one_line(tmp_path):
    (tmp_path / "toy.py").write_text(TOY)
    command = [sys.executable, "-c", COMMANDS]
    shown = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "toy                Is a coin fair?" in shown.stdout
    assert "share of heads: expected 0.500, got 0.500  ok" in shown.stderr
    assert json.loads((tmp_path / "lab" / "toy.json").read_text())["share"] == 0.5
    page = (tmp_path / "report" / "index.html").read_text(encoding="utf-8")
    assert '<section id="toy"' in page
    assert "It is fair." in page
    assert "Count heads." in page
    assert '<a href="#ref-bishop-2006">Bishop 2006</a>' in page
    assert '<li id="ref-bishop-2006">Bishop, C. M. (2006)' in page
    assert (tmp_path / "report" / "figures" / "toy_coin.pdf").stat().st_size > 1000
