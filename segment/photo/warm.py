"""Load code while the photo is still being decoded, and tell whether kernels must be compiled."""

from __future__ import annotations

import threading
from pathlib import Path


def load_in_background() -> threading.Thread:
    """Start to import the fitting code: decoding a photo releases the interpreter for it."""
    thread = threading.Thread(target=_load, daemon=True)
    thread.start()
    return thread


def _load() -> None:
    import gc
    import importlib

    # Loading code makes hundreds of thousands of objects that stay: there is no garbage to look for.
    gc.disable()
    try:
        import numpy as np

        importlib.import_module("segment.photo.fit")
        from segment.photo.colors import to_features

        # The first kernel that is called costs what all share.
        to_features(np.zeros((1, 3), dtype=np.uint8), "lab", n_jobs=1)
    finally:
        gc.freeze()
        gc.enable()


def compilation_notice() -> str | None:
    """Return what to tell a person who would wait for kernels to be compiled; None if they are cached."""
    from segment.kernels.em import narrow
    from segment.kernels.image import guided

    for kernel in (narrow.accumulate_full_3, guided.label_rows):
        folder = getattr(kernel, "stats", None) and kernel.stats.cache_path
        if not folder:
            return (
                "compiling kernels (some seconds, every time: set NUMBA_CACHE_DIR to a folder to keep them)"
            )
        module = kernel.__module__.rpartition(".")[2]
        if not any(Path(folder).glob(f"{module}.{kernel.__name__}-*.nbi")):
            return "compiling kernels (once, some seconds) ..."
    return None
