"""What a user meets first: a light import, the version, commands that exist."""

import importlib.metadata
import os
import re
import resource
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest

import segment
from segment.cli import COMMANDS, main

ROOT = Path(__file__).resolve().parent.parent
HEAVY = {"numba", "sklearn", "matplotlib", "scipy", "skimage", "PIL", "pooch", "tifffile", "jinja2", "numpy"}

LOADED = "import sys; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
HELP = f"""
import sys
sys.argv = ["segment", *sys.argv[1:], "--help"]
from segment.__main__ import main
try:
    main()
except SystemExit as stop:
    assert stop.code == 0
{LOADED}
"""


def _python(code, *arguments, **variables):
    """Run code in a fresh interpreter; return its last line of output."""
    finished = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, **variables},
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout.splitlines()[-1]


def test_importing_the_package_loads_nothing_heavy():
    assert not HEAVY & set(_python(f"import segment; {LOADED}").split())


@pytest.mark.parametrize("command", [(), *((name,) for name in COMMANDS)])
def test_asking_for_help_loads_nothing_heavy(command):
    assert not HEAVY & set(_python(HELP, *command).split())


def test_help_loads_nothing_that_only_a_run_needs():
    assert not {"logging", "secrets", "hashlib"} & set(_python(HELP).split())


@pytest.mark.parametrize("code", ["import segment", HELP])
def test_import_and_help_take_less_than_a_third_of_a_second(code):
    """Processor time, so that a busy machine does not decide."""

    def seconds():
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        _python(code + ("\nprint()" if code == "import segment" else ""))
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    assert min(seconds() for _ in range(3)) < 0.3


def test_the_version_is_one():
    assert segment.__version__ == importlib.metadata.version("segment-em")
    finished = subprocess.run(
        [sys.executable, "-m", "segment", "--version"], capture_output=True, text=True, check=True
    )
    assert finished.stdout.strip() == f"segment, version {segment.__version__}"


def test_every_public_name_is_there():
    assert set(dir(segment)) == set(segment.__all__)
    for name in segment.__all__:
        assert getattr(segment, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'segment_video'"):
        _ = segment.segment_video


def test_a_command_that_does_not_exist_is_a_usage_error():
    finished = subprocess.run(
        [sys.executable, "-m", "segment", "paint"], capture_output=True, text=True, check=False
    )
    assert finished.returncode == 2
    assert "No such command 'paint'" in finished.stderr


# --- what the README says ------------------------------------------------------------------------------


README = (ROOT / "README.md").read_text(encoding="utf-8")


def _blocks(*languages):
    # All blocks are matched, so that the end of one is never taken for the beginning of another.
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)
    return [text for language, text in blocks if language in languages]


def _shell_lines():
    for block in _blocks("", "sh", "bash", "console", "shell"):
        yield from (line.partition("#")[0].strip() for line in block.splitlines() if line.strip())


LINES = list(_shell_lines())


def test_the_readme_names_commands():
    assert any(line.endswith("scripts/demo") for line in LINES)
    assert any(line.endswith("scripts/test") for line in LINES)


@pytest.mark.parametrize("line", [line for line in LINES if "scripts/" in line])
def test_scripts_of_the_readme_exist_and_run_everywhere(line):
    words = shlex.split(line)
    path = ROOT / next(word for word in words if word.startswith("scripts/"))
    assert path.is_file()
    assert os.access(path, os.X_OK)
    first = path.read_text(encoding="utf-8").splitlines()[0]
    assert first == "#!/usr/bin/env python3", "a script that Python can run where there is no shell"


@pytest.mark.parametrize(
    "line", [line for line in LINES if line.removeprefix(".venv/bin/").startswith("segment ")]
)
def test_commands_of_the_readme_exist(line):
    """Every command, subcommand and option is one that the program knows."""
    words = shlex.split(line)[1:]
    command, context = main, click.Context(main, info_name="segment")
    while words and isinstance(command, click.Group) and not words[0].startswith("-"):
        found = command.get_command(context, words[0])
        assert found is not None, f"no command {words[0]!r}"
        command, words = found, words[1:]
    known = {
        option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)
    }
    used = {word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)}
    assert used <= known | {"--help", "-h", "--version"}


@pytest.mark.parametrize("block", _blocks("python"))
def test_python_of_the_readme_is_python(block):
    compile(block, "README.md", "exec")
    for name in re.findall(r"from segment import (.*)", block):
        assert set(name.replace(" ", "").split(",")) <= set(segment.__all__)
    for name in re.findall(r"\bsegment\.(\w+)", block):
        assert name in segment.__all__


# --- what others read of the project -------------------------------------------------------------------


def test_the_citation_names_this_version():
    """The fields that CFF 1.2.0 asks for, and a version that is kept."""
    text = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    fields = dict(re.findall(r"^([\w-]+):[ \t]*(.*)$", text, flags=re.MULTILINE))
    assert {"cff-version", "message", "title", "authors"} <= set(fields)
    assert fields["cff-version"] == "1.2.0"
    assert fields["version"] == segment.__version__


def test_the_hooks_before_a_commit_are_the_checks_of_this_project():
    text = (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    entries = re.findall(r"entry: (ruff check|ruff format|mypy)", text)
    assert entries == ["ruff check", "ruff format", "mypy"]


FOLDERS = {".ci", "datasets", "docs", "outputs", "scripts", "segment", "tests"}
PAGES = {"CHANGELOG.md", "CITATION.cff", "CONTRIBUTING.md", "LICENSE", "README.md"}
TOP = FOLDERS | PAGES | {".gitignore", ".pre-commit-config.yaml", "pyproject.toml"}


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="what is kept is asked of git: no checkout")
def test_nothing_large_and_nothing_stray_is_kept():
    command = ["git", "-c", "safe.directory=*", "ls-files", "-z"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    kept = [name for name in listed.stdout.split("\0") if (ROOT / name).is_file()]
    assert len(kept) > 100
    assert {name.partition("/")[0] for name in kept} <= TOP
    assert [name for name in kept if (ROOT / name).stat().st_size > 500_000] == []
