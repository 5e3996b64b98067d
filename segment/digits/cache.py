"""Features on disk, by the content of the images: a second run, say with another K, starts at once."""

from __future__ import annotations

import hashlib
import os
import zipfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from segment.consensus.whitening import Whitening
from segment.digits.features import FeatureModel, fit_features
from segment.digits.views import View, fit_view, view_neighbors
from segment.errors import OutputError
from segment.output import atomic_path, versions

# To be raised whenever the same images would give other features.
FORMAT = 5
# Two sets: the features of each, and its four views.
KEPT_FILES = 10
_NEEDED = {"kind", "typical_spread", "mean", "components", "explained"}


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
    stored = _read(path)
    if stored is not None:
        return _feature_model(stored), stored["features"]
    model, features = fit_features(images, kind, n_components, n_jobs=n_jobs, progress=progress)
    _write(path, asdict(model) | {"features": features})
    return model, features


def cached_view(
    images: np.ndarray,
    kind: str,
    n_components: int,
    *,
    known: tuple[FeatureModel, np.ndarray] | None = None,
    n_jobs: int | None = None,
    progress: Callable[[float], None] = lambda share: None,
) -> tuple[View, np.ndarray, np.ndarray]:
    """Return a view, the whitened features and the neighbors of every image, computed at most once.

    Parameters
    ----------
    known : FeatureModel and its features, optional
        What `fit_features` returns for the same images.
    """
    path = cache_folder() / f"{_key(images, f'view of {kind}', n_components)}.npz"
    stored = _read(path)
    if stored is not None:
        whitening = Whitening(stored["whitening_mean"], stored["whitening_transform"])
        return View(_feature_model(stored), whitening), stored["white"], stored["neighbors"]
    view, white = fit_view(images, kind, n_components, known=known, n_jobs=n_jobs, progress=progress)
    neighbors = view_neighbors(white, n_jobs)
    arrays = {f"whitening_{name}": value for name, value in asdict(view.whitening).items()}
    _write(path, asdict(view.features) | arrays | {"white": white, "neighbors": neighbors})
    return view, white, neighbors


def cache_folder() -> Path:
    """Return the folder of cached features."""
    import pooch

    return Path(pooch.os_cache("segment")) / "features"


def _key(images: np.ndarray, kind: str, n_components: int) -> str:
    digest = hashlib.sha256(f"{FORMAT} {kind} {n_components} {images.shape} {versions()}".encode())
    digest.update(np.ascontiguousarray(images).data)
    return digest.hexdigest()[:32]


def _read(path: Path) -> dict[str, np.ndarray] | None:
    """Return what is stored, or None."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = dict(stored)
        os.utime(path)
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile):
        return None
    return arrays if set(arrays) >= _NEEDED else None


def _feature_model(stored: dict[str, np.ndarray]) -> FeatureModel:
    return FeatureModel(
        str(stored["kind"]),
        stored["typical_spread"],
        stored["mean"],
        stored["components"],
        float(stored["explained"]),
    )


def _write(path: Path, arrays: dict[str, Any]) -> None:
    """Store arrays, if they can be; drop what was used longest ago."""
    try:
        with atomic_path(path) as temporary, open(temporary, "wb") as stream:
            np.savez(stream, **arrays)
        _prune(path.parent)
    except OutputError:
        pass


def _prune(folder: Path) -> None:
    by_use = sorted(folder.glob("*.npz"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in by_use[KEPT_FILES:]:
        path.unlink(missing_ok=True)
