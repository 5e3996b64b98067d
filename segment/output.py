"""Writing results so that nothing is ever half-written, and naming the versions that made them."""

from __future__ import annotations

import base64
import json
import math
import os
import re
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

from segment._version import __version__
from segment.errors import OutputError

_SPECIAL = (
    (stat.S_ISFIFO, "named pipe"),
    (stat.S_ISCHR, "device"),
    (stat.S_ISBLK, "device"),
    (stat.S_ISSOCK, "socket"),
)
_SURROGATE = re.compile("[\ud800-\udfff]")


def refuse_special_file(path: str | os.PathLike[str]) -> None:
    """Raise an OSError for pipes and devices: opening one may wait for ever.

    Raises
    ------
    OSError
        Without `errno`; its text says what it is.
    """
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        # Whoever opens it learns why, in the words of the system.
        return
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        kind = next((name for is_kind, name in _SPECIAL if is_kind(mode)), "special file")
        raise OSError(f"it is a {kind}, not a file")


@contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path beside `path` that becomes `path` on success and vanishes on failure.

    Parameters
    ----------
    path : path-like
        Where the output shall stand. Missing folders are made. The temporary name keeps the suffix,
        since writers choose their format by it.

    Raises
    ------
    OutputError
        If the folder cannot be made or written to, or the disk is full.
    """
    path = Path(path)
    # Names may have 255 bytes, up to four of them a character: the temporary one keeps the beginning.
    temporary = path.with_name(f".{path.stem[:40]}.{os.urandom(4).hex()}{path.suffix}")
    try:
        try:
            # Renaming onto a device would replace it.
            refuse_special_file(path)
            path.parent.mkdir(parents=True, exist_ok=True)
            yield temporary
            os.replace(temporary, path)
        except OutputError:
            raise
        except OSError as error:
            reason = error.strerror or str(error)
            raise OutputError(
                f"{path}: cannot be written ({reason}); choose a folder you may write to, with space left"
            ) from error
    finally:
        # A read-only file system refuses even to remove what is not there.
        with suppress(OSError):
            temporary.unlink()


@contextmanager
def atomic_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path for a folder beside `path`, which it becomes on success, as in `atomic_path`."""
    path = Path(path)
    temporary = path.with_name(f".{path.stem[:40]}.{os.urandom(4).hex()}{path.suffix}")
    former = temporary.with_name(f"{temporary.name}.former")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        if path.exists():
            os.replace(path, former)
        os.replace(temporary, path)
    except OutputError:
        raise
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(
            f"{path}: cannot be written ({reason}); choose a folder you may write to, with space left"
        ) from error
    finally:
        if former.exists() and not path.exists():
            os.replace(former, path)
        for leftover in (temporary, former):
            shutil.rmtree(leftover, ignore_errors=True)


# Size and time of a file.
Stamp = tuple[int, int]


def stamp_of(path: str | os.PathLike[str]) -> Stamp:
    """Return what tells that a file has changed: its size in bytes and time in ns; zeros if it is gone."""
    try:
        status = os.stat(path)
    except OSError:
        return 0, 0
    return status.st_size, status.st_mtime_ns


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write `text` as UTF-8, atomically."""
    with atomic_path(path) as temporary:
        # Names of files that are no UTF-8 come as surrogates, which UTF-8 cannot hold.
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")


def to_plain(value: Any) -> Any:
    """Turn arrays, numpy scalars, paths and non-finite numbers into what JSON knows."""
    if isinstance(value, dict):
        return {str(key): to_plain(item) for key, item in value.items()}
    if hasattr(value, "tolist"):
        return to_plain(value.tolist())
    if isinstance(value, (list, tuple)):
        return [to_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    return value


def json_text(value: Any, indent: int | None = 2, *, ensure_ascii: bool = False) -> str:
    """Serialize `value` as strict JSON (no NaN), in the order given; lone surrogates are escaped."""
    text = json.dumps(to_plain(value), indent=indent, ensure_ascii=ensure_ascii, allow_nan=False)
    return _SURROGATE.sub(lambda found: f"\\u{ord(found.group()):04x}", text)


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Write `value` as strict, readable JSON, atomically."""
    write_text(path, json_text(value) + "\n")


def data_uri(data: bytes, kind: str) -> str:
    """Return an image file ("png", "jpeg") as a data URI, to be embedded in a page."""
    return f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"


def versions() -> dict[str, str]:
    """Return the versions of this package and of the libraries that its numbers depend on."""
    return dict(_installed())


@cache
def _installed() -> tuple[tuple[str, str], ...]:
    """Look the versions up, once: a batch says them with every photo."""
    from importlib.metadata import PackageNotFoundError, version

    found = {"segment": __version__}
    for name in ("numpy", "numba", "scipy", "scikit-learn", "scikit-image", "pillow", "matplotlib"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return tuple(found.items())
