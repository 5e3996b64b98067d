"""Scratch files that a killed program leaves behind are removed by the next one that makes its own.

A file is locked while its program lives; the system lets go of the lock however the program ends.
"""

from __future__ import annotations

import mmap
import os
import tempfile
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt

from segment.errors import OutputError

PREFIX = "segment-"
SUFFIX = ".rows"

# A file so young may be one that another program has made, and not locked yet.
_YOUNG = 60.0

# Seconds after which the pages of mapped files are let go of again.
_PAUSE = 0.005


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

    def reserve(self, size: int) -> None:
        """Make the file so many bytes long, all of them zero.

        Raises
        ------
        OutputError
            If there is no space for them: what is mapped and finds none would end the program.
        """
        try:
            with open(self.path, "r+b") as stream:
                if hasattr(os, "posix_fallocate"):
                    os.posix_fallocate(stream.fileno(), 0, size)
                else:
                    stream.truncate(size)
        except OSError as error:
            raise OutputError(
                f"{os.path.dirname(self.path)}: a temporary file of {size / 1e9:.2f} GB cannot be kept there "
                f"({error.strerror}); name a folder with more space in TMPDIR"
            ) from error

    @contextmanager
    def mapped(self, shape: tuple[int, ...], dtype: npt.DTypeLike) -> Iterator[np.ndarray]:
        """Yield the file, which is long enough, as an array that takes hardly any memory."""
        with open(self.path, "r+b") as stream:
            # Closed with the last array that looks at it.
            pages = mmap.mmap(stream.fileno(), 0)
        with letting_go(pages):
            yield np.frombuffer(pages, dtype, int(np.prod(shape))).reshape(shape)

    def close(self) -> None:
        """Remove the file."""
        self._finish()


@contextmanager
def letting_go(pages: mmap.mmap) -> Iterator[None]:
    """Again and again let the system have the pages of a mapped file, which stay in it, while this lasts."""
    if not hasattr(mmap, "MADV_DONTNEED"):
        yield
        return
    done = threading.Event()

    def let_go() -> None:
        while not done.wait(_PAUSE):
            pages.madvise(mmap.MADV_DONTNEED)

    thread = threading.Thread(target=let_go, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


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
