"""`segment lab` from the command line."""

import json

import pytest
from click.testing import CliRunner

from segment.cli import main
from segment.errors import DataError
from segment.lab import EXPERIMENTS, Experiment


def run(*arguments):
    return CliRunner().invoke(main, ["lab", *map(str, arguments)])


def test_list_names_every_experiment():
    shown = run("list")
    assert shown.exit_code == 0
    assert [line.split()[0] for line in shown.stdout.splitlines()] == list(EXPERIMENTS)
    assert [item["name"] for item in json.loads(run("list", "--json").stdout)] == list(EXPERIMENTS)


def test_an_experiment_writes_figures_tables_and_json(tmp_path):
    shown = run("five-points", "peppered-moths", "-o", tmp_path, "--format", "svg,png", "--seed", 3, "--json")
    assert shown.exit_code == 0
    names = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert {
        "five-points.json",
        "figures/five_points.svg",
        "figures/five_points.png",
        "tables/five_points_parameters.csv",
        "tables/five_points_parameters.tex",
        "peppered-moths.json",
    } <= names
    assert not [name for name in names if name.endswith(".pdf")]
    on_stdout = json.loads(shown.stdout)
    assert on_stdout["five-points"]["passed"] is True
    written = json.loads((tmp_path / "peppered-moths.json").read_text())
    assert written["random_state"] == 3
    assert written["versions"]["segment"]
    assert len(written["frequencies"]) == len(written["log_likelihood"])


def test_the_summary_says_what_was_expected_and_what_came_out(tmp_path):
    shown = run("five-points", "-o", tmp_path)
    assert shown.stdout == ""
    assert "x = 1: expected 0.982 within 0.0005, got 0.982  ok" in shown.stderr


def test_the_same_command_writes_the_same_bytes(tmp_path):
    def files(folder):
        shown = run("five-points", "--quiet", "-o", folder, "--format", "svg")
        assert (shown.exit_code, shown.stderr) == (0, "")
        return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}

    assert files(tmp_path / "a") == files(tmp_path / "b")


@pytest.mark.parametrize(
    "arguments", [(), ("mice",), ("mouse", "--format", "gif"), ("mouse", "--format", ",")]
)
def test_usage_errors(arguments):
    shown = run(*arguments)
    assert shown.exit_code == 2
    assert "Traceback" not in shown.output


def _replaced(monkeypatch, name, function):
    class Odd(Experiment):
        def run(self, random_state=0):
            return function(super().run(random_state))

    monkeypatch.setitem(EXPERIMENTS, name, Odd(*EXPERIMENTS[name]))


def _fail(outcome):
    raise DataError("no luck; try another seed")


def _surprise(outcome):
    from dataclasses import replace

    return replace(outcome, checks=(outcome.checks[0]._replace(passed=False),))


def test_a_failed_experiment_leaves_the_others(tmp_path, monkeypatch):
    _replaced(monkeypatch, "five-points", _fail)
    shown = run("five-points", "peppered-moths", "-o", tmp_path)
    assert shown.exit_code == 3
    assert "five-points: no luck; try another seed" in shown.stderr
    assert (tmp_path / "peppered-moths.json").exists()
    assert run("five-points", "-o", tmp_path).exit_code == 1


def test_what_comes_out_otherwise_is_told(tmp_path, monkeypatch):
    _replaced(monkeypatch, "five-points", _surprise)
    shown = run("five-points", "-o", tmp_path)
    assert shown.exit_code == 3
    assert "NOT AS EXPECTED" in shown.stderr


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    shown = run("five-points", "-o", tmp_path / "file")
    assert shown.exit_code == 1
    assert "cannot be written" in shown.stderr
    assert "Traceback" not in shown.output
