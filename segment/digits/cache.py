"""Features on disk, by the content of the images: a second run, say with another K, starts at once."""

from __future__ import annotations

import hashlib
import os
import zipfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np

from segment.digits.features import FeatureModel, fit_features
from segment.errors import OutputError
from segment.output import atomic_path, versions

# To be raised whenever the same images would give other features.
FORMAT = 2
KEPT_FILES = 8


def cached_features(
    images: np.ndarray,
    kind: str,
    n_components: int,
    *,
    n_jobs: int | None = None,
    progress: Callable[[float], None] = lambda share: None,
) -> tuple[FeatureModel, np.ndarray]:
    """Return what `fit_features` returns, from the cache where it has been computed before.

    The cache lies in the user's cache folder and keeps the `KEPT_FILES` files used last. Where it cannot be
    read or written, everything works without it.
    """
    path = cache_folder() / f"{_key(images, kind, n_components)}.npz"
    try:
        return _read(path)
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile):
        pass
    model, features = fit_features(images, kind, n_components, n_jobs=n_jobs, progress=progress)
    try:
        with atomic_path(path) as temporary, open(temporary, "wb") as stream:
            np.savez(stream, features=features, **asdict(model))
        _prune(path.parent)
    except OutputError:
        pass
    return model, features


def cache_folder() -> Path:
    """Return the folder of cached features."""
    import pooch

    return Path(pooch.os_cache("segment")) / "features"


def _key(images: np.ndarray, kind: str, n_components: int) -> str:
    digest = hashlib.sha256(f"{FORMAT} {kind} {n_components} {images.shape} {versions()}".encode())
    digest.update(np.ascontiguousarray(images).data)
    return digest.hexdigest()[:32]


def _read(path: Path) -> tuple[FeatureModel, np.ndarray]:
    with np.load(path, allow_pickle=False) as stored:
        arrays = dict(stored)
    features = arrays.pop("features")
    model = FeatureModel(kind=str(arrays.pop("kind")), explained=float(arrays.pop("explained")), **arrays)
    os.utime(path)
    return model, features


def _prune(folder: Path) -> None:
    by_use = sorted(folder.glob("*.npz"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in by_use[KEPT_FILES:]:
        path.unlink(missing_ok=True)
