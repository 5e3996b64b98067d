"""The one place that decides how kernels are compiled.

Numba's on-disk cache keys a kernel by its own file; it does not notice an edit in another file. A
kernel file is therefore self-contained: it calls no kernel of another file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

import numba


def _compile(options: dict[str, Any], function: Callable[..., Any]) -> Any:
    if function.__name__.startswith("_"):
        # A part of a kernel is stored inside the kernels that call it.
        return numba.njit(**options)(function)
    try:
        dispatcher = numba.njit(cache=True, **options)(function)
    except RuntimeError:
        # No folder that the cache could be written to: compile afresh in every process.
        return numba.njit(**options)(function)
    if not numba.config.DISABLE_JIT:
        _forgive_full_disk(dispatcher._cache)
    return dispatcher


def _forgive_full_disk(cache: Any) -> None:
    """Let a disk that fills up cost the cached kernel, not the run. Numba has no public hook for it."""
    save = cache.save_overload

    def save_if_possible(*arguments: Any) -> None:
        with suppress(OSError):
            save(*arguments)

    cache.save_overload = save_if_possible


def kernel(
    function: Callable[..., Any] | None = None,
    *,
    fastmath: Iterable[str] = (),
    inline: bool = False,
) -> Any:
    """Compile a function without the GIL; cache it on disk unless its name starts with an underscore.

    Parameters
    ----------
    fastmath : iterable of {"nsz", "arcp", "contract", "afn", "reassoc"}
        Named liberties that a measurement has justified. "nnan" and "ninf" are never allowed: log
        space needs both values.
    inline : bool
        Ask LLVM to inline the function into its callers, which keep their own liberties.
    """
    flags = set(fastmath)
    if forbidden := flags - {"nsz", "arcp", "contract", "afn", "reassoc"}:
        raise ValueError(f"fastmath flags {sorted(forbidden)} would break log space")
    options: dict[str, Any] = {"nogil": True, "fastmath": flags or False, "error_model": "numpy"}
    if inline:
        options["forceinline"] = True
    if function is not None:
        return _compile(options, function)
    return lambda inner: _compile(options, inner)
