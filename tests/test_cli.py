"""The frame of the command line: help, completion, the table of commands."""

import sys
import types
from pathlib import Path

import click
import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from segment.cli import COMMANDS, main

ROOT = Path(__file__).resolve().parent.parent

# Their help explains the choices in their order, without repeating the names.
IN_ORDER = {
    *(("photo", "--covariance"), ("photo", "--color-space"), ("photo", "--smooth"), ("photo", "--detail")),
    *(("digits", "--covariance"), ("digits", "--features"), ("digits", "--split")),
}


def _commands(command, path, context):
    yield path, command
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            yield from _commands(command.get_command(context, name), (*path, name), context)


TREE = list(_commands(main, (), click.Context(main)))
OPTIONS = [
    pytest.param(" ".join(path), option, id=" ".join((*path, option.opts[-1])))
    for path, command in TREE
    for option in command.params
    if isinstance(option, click.Option)
]


def test_the_walk_finds_every_command():
    found = {path[0] for path, _ in TREE if path}
    assert found == set(COMMANDS) >= {"photo", "digits", "digits-predict", "lab", "report", "datasets"}
    assert len(OPTIONS) > 50


@pytest.mark.parametrize(("command", "option"), OPTIONS)
def test_every_option_and_choice_is_explained(command, option):
    assert option.help
    if isinstance(option.type, click.Choice) and (command, option.opts[-1]) not in IN_ORDER:
        unexplained = [choice for choice in option.type.choices if choice not in option.help]
        assert not unexplained


def test_every_command_says_what_it_does():
    assert not [path for path, command in TREE if not command.help]


def complete(*arguments, incomplete=""):
    """Return what the shell would be told to offer: (kind, value)."""
    shell = ShellComplete(main, {}, "segment", "_SEGMENT_COMPLETE")
    return [(item.type, item.value) for item in shell.get_completions(list(arguments), incomplete)]


@pytest.mark.parametrize(
    "arguments",
    [
        ("photo",),
        ("photo", "a.png"),
        ("photo", "--model"),
        ("digits-predict",),
        ("digits-predict", "model.npz"),
        ("digits-predict", "model.npz", "a.png"),
        ("digits", "--data"),
        ("digits", "--save-model"),
        ("report", "--photos"),
        ("report", "--data"),
        ("table",),
        ("table", "--checkpoint"),
        *((name, "-o") for name in ("photo", "digits", "lab", "report", "table")),
        *([("video",), ("video", "--model"), ("video", "--region")] if "video" in COMMANDS else []),
    ],
    ids=" ".join,
)
def test_files_are_completed_where_files_are_taken(arguments):
    assert complete(*arguments, incomplete="pi") == [("file", "pi")]


def test_names_and_choices_are_completed():
    assert [value for _, value in complete(incomplete="di")] == ["digits", "digits-predict"]
    assert ("plain", "--method") in complete("photo", incomplete="--me")
    assert complete("photo", "--method", incomplete="r") == [("plain", "regions")]
    assert complete("lab", incomplete="mou") == [("plain", "mouse")]
    assert ("plain", "mnist") in complete("datasets", "verify")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_lines_of_the_readme_switch_completion_on(shell):
    assert f"_SEGMENT_COMPLETE={shell}_source segment" in (ROOT / "README.md").read_text(encoding="utf-8")
    told = CliRunner().invoke(
        main, prog_name="segment", env={"_SEGMENT_COMPLETE": f"{shell}_source"}, standalone_mode=False
    )
    assert told.exit_code == 0
    assert "_SEGMENT_COMPLETE" in told.stdout


def test_a_command_is_a_module_and_a_line_of_the_table(monkeypatch):
    toy = types.ModuleType("segment.cli.toy")

    @click.command()
    @click.argument("name")
    def greet(name):
        """Greet."""
        click.echo(f"hello {name}")

    toy.greet = greet
    monkeypatch.setitem(sys.modules, "segment.cli.toy", toy)
    monkeypatch.setitem(COMMANDS, "greet", ("segment.cli.toy:greet", "Greet whoever is there."))
    runner = CliRunner()
    assert "Greet whoever is there." in runner.invoke(main, ["--help"]).stdout
    assert runner.invoke(main, ["greet", "moth"]).stdout == "hello moth\n"
    assert ("plain", "greet") in complete(incomplete="gr")
    assert runner.invoke(main, ["greet"]).exit_code == 2
