"""Standard output and error that may be closed, full, without a reader or unable to spell a name."""

from __future__ import annotations

import codecs
import errno
import io
import os
import sys
from typing import Any, NoReturn

from segment.cli.common import EXIT_FAILED, say_error


class _Stream(io.FileIO):
    """A descriptor without a buffer: a failure comes where something is written, none at the very end."""

    def write(self, data: Any) -> int:
        rest = memoryview(data)
        size = len(rest)
        try:
            while len(rest):
                rest = rest[super().write(rest) or 0 :]
        except OSError as error:
            self.fail(error)
        return size

    def fail(self, error: OSError) -> None:
        """Standard error that cannot be written: the exit code alone has to tell."""


class _Results(_Stream):
    """Standard output: results that cannot be written end the program, and it says so."""

    def fail(self, error: OSError) -> NoReturn:
        if error.errno == errno.EPIPE:
            # The reader has gone (`| head`): not an error, and nothing more can be said.
            sys.exit(0)
        why = "it is closed" if error.errno == errno.EBADF else error.strerror
        say_error(
            f"standard output: cannot be written ({why}), so what was asked for is lost; "
            "send it to a file or program that takes it"
        )
        sys.exit(EXIT_FAILED)


class _Escaping(io.TextIOWrapper):
    """Text as UTF-8 of which only ASCII is used, since the terminal's encoding has nothing else.

    Its own encoding is not named ASCII: click takes that for a mistake and writes UTF-8.
    """

    def write(self, text: str) -> int:
        super().write(text.encode("ascii", "backslashreplace").decode("ascii"))
        return len(text)


def guard_streams() -> None:
    """Make sure that there are standard streams, and that they fail clearly."""
    if sys.stdin is None:
        _occupy(0, os.O_RDONLY)
        sys.stdin = io.TextIOWrapper(io.FileIO(0, closefd=False))
    if sys.stderr is None:
        _occupy(2, os.O_WRONLY)
    if sys.stdout is None:
        # A descriptor that refuses writing, so that results asked for and lost are an error.
        _occupy(1, os.O_RDONLY)
    # Whoever has put another stream in the place of the first one wants to keep it.
    if sys.stdout is sys.__stdout__:
        sys.stdout = _guarded(sys.stdout, _Results(1, "wb", closefd=False))
    if sys.stderr is sys.__stderr__:
        sys.stderr = _guarded(sys.stderr, _Stream(2, "wb", closefd=False))


def _guarded(stream: Any, raw: _Stream) -> Any:
    encoding = getattr(stream, "encoding", None) or "utf-8"
    is_ascii = codecs.lookup(encoding).name == "ascii"
    if stream is not None and stream.isatty() and not is_ascii:
        # Windows writes to its console in a way of its own.
        stream.reconfigure(errors="backslashreplace")
        return stream
    wrapper, encoding = (_Escaping, "utf-8") if is_ascii else (io.TextIOWrapper, encoding)
    return wrapper(raw, encoding, errors="backslashreplace", write_through=True)


def _occupy(descriptor: int, mode: int) -> None:
    """Open nothing there, before a file that is written gets the number of a standard stream."""
    nowhere = os.open(os.devnull, mode)
    if nowhere != descriptor:
        os.dup2(nowhere, descriptor)
        os.close(nowhere)
