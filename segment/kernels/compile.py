"""The one place that decides how kernels are compiled.

Numba's on-disk cache keys a kernel by its own file; it does not notice an edit in another file. A
kernel file is therefore self-contained: it calls no kernel of another file.
"""

from __future__ import annotations

import glob
import shutil
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numba
from numba.core import event
from numba.core.runtime import rtsys
from numba.core.sigutils import normalize_signature


def _compile(options: dict[str, Any], function: Callable[..., Any]) -> Any:
    if function.__name__.startswith("_"):
        # A part of a kernel is stored inside the kernels that call it.
        part = numba.njit(no_cpython_wrapper=True, **options)(function)
        return part if numba.config.DISABLE_JIT else _without_way_in(part)
    try:
        dispatcher = numba.njit(cache=True, **options)(function)
    except RuntimeError:
        # No folder that the cache could be written to: compile afresh in every process.
        return numba.njit(**options)(function)
    if not numba.config.DISABLE_JIT:
        _forgive(dispatcher._cache)
    return dispatcher


def _without_way_in(part: Any) -> Any:
    """Refuse calls from Python: they would jump to a wrapper that was not made, to save its compilation."""

    def refuse(*_: Any, **__: Any) -> None:
        raise TypeError(f"{part.__name__} is a part of kernels: only a kernel can call it")

    def add_overload(compiled: Any) -> None:
        part.overloads[tuple(compiled.signature.args)] = compiled

    part._compile_for_args, part.add_overload = refuse, add_overload
    return part


def _forgive(cache: Any) -> None:
    """Let a damaged cache or a full disk cost a compilation, not the run. Numba has no public hook for it."""
    # Of the inside of Numba: where it is called otherwise, its public counterpart serves.
    load, save = getattr(cache, "_load_overload", cache.load_overload), cache.save_overload

    def load_if_sound(signature: Any, context: Any) -> Any:
        try:
            # Its public counterpart first imports all that Numba compiles with, and SciPy's linear algebra:
            # twice what importing Numba takes. Code that is there already needs the run-time alone.
            rtsys.initialize(context)
            found = load(signature, context)
        except Exception:  # whatever unpickling damaged bytes may raise
            found = None
            _discard(cache)
        # Two processes that save different signatures at once may leave one's code under the other's name.
        if found is not None and tuple(found.signature.args) != normalize_signature(signature)[0]:
            found = None
            _discard(cache)
        return found

    def save_if_possible(*arguments: Any) -> None:
        try:
            save(*arguments)
        except OSError as error:
            if not isinstance(error, IsADirectoryError):
                return
        except Exception:  # a damaged index, which is read before it is written
            pass
        else:
            return
        _discard(cache)
        with suppress(OSError):
            save(*arguments)

    cache.load_overload, cache.save_overload = load_if_sound, save_if_possible


def _discard(cache: Any) -> None:
    """Remove what a kernel has in the cache, folders in the place of its files too."""
    index = Path(cache._cache_file._index_path)
    for path in [index, *index.parent.glob(glob.escape(index.stem) + ".*.nbc")]:
        with suppress(OSError):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)


class _Watcher(event.Listener):
    """Tells of each kernel whose compilation begins; its parts are compiled within."""

    def __init__(self, notify: Callable[[str], None]) -> None:
        self._notify = notify

    def on_start(self, event: Any) -> None:
        function = event.data["dispatcher"].py_func
        if function.__module__.startswith("segment.") and not function.__name__.startswith("_"):
            self._notify(function.__name__)

    def on_end(self, event: Any) -> None:
        pass


def watch_compilation(notify: Callable[[str], None]) -> None:
    """Call `notify` with the name of each kernel that is compiled from now on, as it begins."""
    event.register("numba:compile", _Watcher(notify))


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
    # Nothing calls kernels from C.
    options["no_cfunc_wrapper"] = True
    if inline:
        options["forceinline"] = True
    if function is not None:
        return _compile(options, function)
    return lambda inner: _compile(options, inner)
