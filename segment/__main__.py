"""`python -m segment` and the console command."""

import sys

from segment.cli import main as cli


def main() -> None:
    """Run the command line under its own name, whatever the interpreter calls it."""
    try:
        cli(prog_name="segment")
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
