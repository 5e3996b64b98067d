"""`python -m segment` and the console command."""

import io
import os
import signal
import sys

EXIT_INTERRUPTED = 130


def main() -> None:
    """Run the command line under its own name, whatever the interpreter calls it."""
    # An exception, so that half-written files are removed on the way out.
    for name in ("SIGTERM", "SIGHUP"):
        if hasattr(signal, name) and signal.getsignal(getattr(signal, name)) == signal.SIG_DFL:
            signal.signal(getattr(signal, name), _end)
    try:
        code = _run()
    except KeyboardInterrupt:
        code = EXIT_INTERRUPTED
    finally:
        # What is left is the interpreter's own end, which has nothing to say.
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.exit(code)


def _end(number: int, _: object) -> None:
    sys.exit(128 + number)


def _run() -> int:
    """Run the command; return its exit code. All imports are here, where an interrupt is caught."""
    from segment.parallel import ONE_THREAD

    # Before anything imports NumPy; worker processes inherit it.
    os.environ.update(ONE_THREAD)

    import click

    from segment.cli import main as cli
    from segment.cli.common import say, say_interrupted
    from segment.cli.streams import guard_streams

    guard_streams()
    try:
        return cli.main(prog_name="segment", standalone_mode=False) or 0
    except click.ClickException as error:
        text = io.StringIO()
        error.show(text)
        for line in text.getvalue().splitlines():
            say(line.expandtabs(4))
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        say_interrupted()
        return EXIT_INTERRUPTED


if __name__ == "__main__":
    main()
