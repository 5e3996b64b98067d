"""Make the private environment of this checkout, from nothing but Python and a package index.

`scripts/demo`, `scripts/test` and the other scripts call `enter()` first: it creates `.venv`, installs the
checkout and the extras asked for, and goes on in that environment. A stamp remembers what is installed, so
the second call costs nothing.
"""

import hashlib
import os
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def enter(*extras: str) -> None:
    """Run the calling script again inside `.venv`, with the given extras installed; return once inside."""
    environment = ROOT / ".venv"
    python = environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    project = (ROOT / "pyproject.toml").read_bytes()
    for extra in extras:
        stamp = environment / f".installed-{extra}"
        wanted = hashlib.sha256(project + str(ROOT).encode()).hexdigest()
        if not python.exists():
            _make(environment)
        if not stamp.exists() or stamp.read_text() != wanted:
            _install(python, extra)
            stamp.write_text(wanted)
    if Path(sys.prefix).resolve() != environment.resolve():
        sys.exit(_run([str(python), *sys.argv]))


def _make(environment: Path) -> None:
    if sys.version_info < (3, 11):
        sys.exit(f"Python {sys.version.split()[0]} is too old; 3.11 or newer is needed")
    print(f"Making a private environment in {environment.relative_to(ROOT)} (once) ...", flush=True)
    venv.EnvBuilder(with_pip=True).create(environment)


def _install(python: Path, extra: str) -> None:
    print(f"Installing segment and what it needs ({extra}; once, about a minute) ...", flush=True)
    command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--editable"]
    target = f"{ROOT}[{extra}]" if extra != "run" else str(ROOT)
    if _run([*command, target]) != 0:
        sys.exit("The installation failed; is there network access to a package index?")


def _run(command: list[str]) -> int:
    try:
        return subprocess.run(command, check=False).returncode
    except KeyboardInterrupt:
        return 130
