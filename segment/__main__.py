"""`python -m segment` and the console command."""

import codecs
import os
import sys

from segment.cli import main as cli
from segment.parallel import ONE_THREAD


def _escaped(error: UnicodeError) -> tuple[str, int]:
    """Replace what an encoding lacks by \\uXXXX, which JSON reads as the same character."""
    assert isinstance(error, UnicodeEncodeError)
    units = error.object[error.start : error.end].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[i : i + 2].hex()}" for i in range(0, len(units), 2)), error.end


def _print_any_name() -> None:
    """Let file names of any characters be printed, whatever the locale."""
    codecs.register_error("segment", _escaped)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="segment")


def main() -> None:
    """Run the command line under its own name, whatever the interpreter calls it."""
    # Before anything imports NumPy; worker processes inherit it.
    os.environ.update(ONE_THREAD)
    _print_any_name()
    try:
        cli(prog_name="segment")
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
