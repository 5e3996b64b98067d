"""A photo in another process: opened there by its path, and the same file, or an error names the worker."""

from __future__ import annotations

import platform
import warnings
from functools import lru_cache
from typing import Any

from segment.errors import ImageError


@lru_cache(maxsize=2)
def reopened(photo_class: Any, source: str, selection: Any, stamps: tuple[tuple[int, int], ...]) -> Any:
    """Open a photo again in another process: once for all that is done with it there."""
    with warnings.catch_warnings():
        # What is to be warned of, the process that opened it first has said.
        warnings.simplefilter("ignore")
        try:
            photo = photo_class(source, selection)
        except ImageError as error:
            raise ImageError(
                f"{error}; {_this_worker()} must see the file under this path, as this program does"
            ) from error
    if photo.stamps != stamps:
        photo.close()
        raise ImageError(
            f"{source}: {_this_worker()} sees another file under this path, or it was changed while it was "
            "read; run again when all workers see the same"
        )
    return photo


def _this_worker() -> str:
    """Return what this process is called."""
    try:
        from distributed import get_worker

        return f"worker {get_worker().address} on {platform.node()}"
    except (ImportError, ValueError):
        return f"this process on {platform.node()}"
