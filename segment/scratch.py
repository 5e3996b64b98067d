"""Scratch files that a killed program leaves behind are removed by the next one that makes its own.

A file is locked while its program lives; the system lets go of the lock however the program ends.
"""

from __future__ import annotations

import os
import tempfile
import time
import weakref
from pathlib import Path

PREFIX = "segment-"
SUFFIX = ".rows"

# A file so young may be one that another program has made, and not locked yet.
_YOUNG = 60.0


class Scratch:
    """A temporary file, removed when it is closed or forgotten.

    Attributes
    ----------
    path : str
    """

    def __init__(self) -> None:
        remove_left_behind()
        handle, self.path = tempfile.mkstemp(prefix=PREFIX, suffix=SUFFIX)
        _lock(handle)
        self._finish = weakref.finalize(self, _remove, self.path, handle, os.getpid())

    def close(self) -> None:
        """Remove the file."""
        self._finish()


def _remove(path: str, handle: int, owner: int) -> None:
    # A forked process inherits the finalizer, not the file.
    if os.getpid() == owner:
        os.close(handle)
        Path(path).unlink(missing_ok=True)


def _lock(handle: int) -> bool:
    """Lock a file for this process; return whether nobody else has."""
    try:
        import fcntl
    except ImportError:
        # Windows removes no file that is open, and so needs no lock.
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def remove_left_behind() -> None:
    """Remove the scratch files of programs that are no more."""
    for path in Path(tempfile.gettempdir()).glob(f"{PREFIX}*{SUFFIX}"):
        try:
            if time.time() - path.stat().st_mtime < _YOUNG:
                continue
            handle = os.open(path, os.O_RDWR | getattr(os, "O_NOFOLLOW", 0))
            try:
                if _lock(handle):
                    path.unlink()
            finally:
                os.close(handle)
        except OSError:
            # Of another user, or gone by now.
            continue
