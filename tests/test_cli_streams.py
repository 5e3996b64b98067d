"""The ends of a run: standard streams that are closed, full or narrow; signals."""

import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(os.name == "nt", reason="shells and signals of POSIX")

SEGMENT = (sys.executable, "-m", "segment")
FULL = pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
ANSWERS = [("--version",), ("--help",), ("lab", "--help"), ("lab", "list"), ("lab", "list", "--json")]

# A program whose commands hold a file half-written until a signal comes, and warn.
PROGRAM = """
import logging, sys, time, warnings
import click
from segment.cli import main as cli
from segment.cli.common import reports_errors, shared_options
from segment.errors import SegmentWarning
from segment.output import atomic_path

def wait():
    with atomic_path("result.txt") as path:
        path.write_text("half")
        print("ready", flush=True)
        time.sleep(60)

def warn(quiet):
    warnings.warn("odd data", SegmentWarning)
    warnings.warn("old idiom", DeprecationWarning)
    warnings.warn("divided by zero", RuntimeWarning)
    logging.getLogger("library").warning("chatter")

cli.add_command(shared_options("quiet")(click.command("warn")(reports_errors(warn))))
cli.add_command(click.command("wait")(wait))
cli.add_command(click.command("wait-reporting")(reports_errors(wait)))
cli.get_command = lambda ctx, name: cli.commands[name]
from segment.__main__ import main
main()
"""


def run(*arguments, redirect="", **variables):
    """Run the program through a shell that redirects its streams."""
    return subprocess.run(
        ["sh", "-c", f'exec "$@" {redirect}', "sh", *SEGMENT, *arguments],
        capture_output=True,
        env={**os.environ, **variables},
        check=False,
    )


@pytest.mark.parametrize("arguments", ANSWERS, ids=" ".join)
@pytest.mark.parametrize(
    ("redirect", "reason"),
    [(">&-", "it is closed"), pytest.param(">/dev/full", os.strerror(errno.ENOSPC), marks=FULL)],
)
def test_an_answer_that_cannot_be_written_is_an_error(arguments, redirect, reason):
    shown = run(*arguments, redirect=redirect)
    assert shown.returncode == 1
    lines = shown.stderr.decode().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith(f"segment: error: standard output: cannot be written ({reason})")


@pytest.mark.parametrize("arguments", ANSWERS, ids=" ".join)
def test_a_reader_that_has_gone_is_no_error(arguments):
    reading, writing = os.pipe()
    os.close(reading)
    shown = subprocess.run([*SEGMENT, *arguments], stdout=writing, stderr=subprocess.PIPE, check=False)
    os.close(writing)
    assert (shown.returncode, shown.stderr) == (0, b"")


@pytest.mark.parametrize("redirect", ["2>&-", pytest.param("2>/dev/full", marks=FULL), "<&- 2>&-"])
@pytest.mark.parametrize(
    ("arguments", "code"),
    [(("--version",), 0), (("lab", "nope"), 2), (("--nope",), 2), (("photo", "absent.png"), 1)],
)
def test_the_exit_code_is_right_where_messages_cannot_be_written(arguments, code, redirect):
    shown = run(*arguments, redirect=redirect)
    assert (shown.returncode, shown.stderr) == (code, b"")


def test_results_that_nobody_asked_for_on_stdout_need_none(tmp_path):
    from PIL import Image

    Image.new("RGB", (4, 3), "navy").save(tmp_path / "navy.png")
    shown = run("photo", str(tmp_path / "navy.png"), "-o", str(tmp_path / "out"), redirect=">&- 2>&- <&-")
    assert shown.returncode == 0
    # No file that was written has got the number, and the messages, of a closed stream.
    assert json.loads((tmp_path / "out" / "navy.json").read_text())["n_components"] == 1


def test_json_that_is_lost_ends_a_batch(tmp_path):
    from PIL import Image

    for color in ("navy", "olive"):
        Image.new("RGB", (4, 3), color).save(tmp_path / f"{color}.png")
    out = tmp_path / "out"
    shown = run("photo", str(tmp_path), "-o", str(out), "--json", redirect=">&-")
    assert shown.returncode == 1
    assert shown.stderr.count(b"standard output: cannot be written") == 1
    assert not [name for name in os.listdir(out) if name.startswith(".")]


def test_standard_input_that_is_closed_is_empty():
    shown = run("photo", "-", redirect="<&-")
    assert shown.returncode == 1
    assert b"empty" in shown.stderr


NARROW = {"PYTHONIOENCODING": "ascii"}


def test_messages_are_escaped_where_the_encoding_is_ascii():
    shown = run("photo", "caf\u00e9.png", **NARROW)
    assert shown.stderr == rb"segment: error: caf\xe9.png: no such file" + b"\n"


@pytest.mark.parametrize("variables", [{}, NARROW, {"PYTHONIOENCODING": "latin-1"}])
def test_json_is_json_in_every_encoding(variables, tmp_path):
    from PIL import Image

    path = tmp_path / "caf\u00e9 \u2192.png"
    Image.new("RGB", (4, 3), "navy").save(path)
    shown = run("photo", str(path), "-o", str(tmp_path), "--save", "json", "--json", **variables)
    assert json.loads(shown.stdout)["input"] == str(path)


@pytest.mark.parametrize(
    "arguments",
    [
        ("photo", "a\n\x1b[31mb.png"),
        ("--a\n\x1b[31mb",),
        ("lab", "a\n\x1b[31mb"),
        ("digits-predict", "a\n\x1b[31mb", "x"),
    ],
)
def test_names_neither_color_nor_move(arguments):
    shown = run(*arguments)
    assert shown.returncode in (1, 2)
    assert b"\x1b" not in shown.stderr
    assert b"31mb" in shown.stderr


def _signalled(folder, command, number):
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, command], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(number)
        _, messages = process.communicate(timeout=60)
    return process.returncode, messages.decode()


@pytest.mark.parametrize("command", ["wait", "wait-reporting"])
def test_an_interrupt_exits_130_wherever_it_is_caught(command, tmp_path):
    code, messages = _signalled(tmp_path, command, signal.SIGINT)
    assert code == 130
    assert messages.strip() == "segment: interrupted; what was finished is kept, nothing is half-written"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_an_end_from_outside_leaves_nothing_half_written(name, tmp_path):
    number = getattr(signal, name)
    assert _signalled(tmp_path, "wait", number) == (128 + number, "")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("option", "told"), [((), "segment: warning: odd data\n"), (("-q",), "")])
def test_only_own_warnings_are_told_and_none_if_quiet(option, told):
    command = [sys.executable, "-c", PROGRAM, "warn", *option]
    shown = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (shown.returncode, shown.stderr) == (0, told)
