"""`python -m segment` and the console command."""

import os
import sys

from segment.cli import main as cli
from segment.parallel import ONE_THREAD


def main() -> None:
    """Run the command line under its own name, whatever the interpreter calls it."""
    # Before anything imports NumPy; worker processes inherit it.
    os.environ.update(ONE_THREAD)
    try:
        cli(prog_name="segment")
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
