"""From images to the features that are clustered: pixels, deskewed pixels or scattering, then PCA.

Everything is computed block by block in float32; PCA is fitted on at most `PCA_ROWS` rows, so that the
matrix of all raw features (70 000 x 2 032 for MNIST) never exists.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from segment.digits.normalize import FRAME
from segment.digits.scattering import N_SCALES, SIZE, scatter
from segment.errors import DataError
from segment.kernels.image.warp import warp_affine
from segment.parallel import block_ranges, map_blocks, single_threaded_blas

PCA_ROWS = 20_000
# So many images stand side by side in the scattering's kernels, and their spectra in the cache.
BLOCK_ROWS = 96
PRODUCT_COLUMNS = 128
# A spread below this (in pixels squared) is a stroke of no width: dividing by it would blow up noise.
MIN_VARIANCE = 0.3
# Of the largest variance; below it, axes of few images come from singular values, at several times the
# cost.
FAINT_AXIS = 1e-6
# The numbers below (powers and bounds of the scaling) were found on MNIST with the accuracy in view.
HEIGHT_POWER, HEIGHT_BOUNDS = 0.7, (0.7, 1.4)
WIDTH_POWER, WIDTH_BOUNDS = 0.5, (0.55, 1.6)


@dataclass(frozen=True)
class Geometry:
    """Second-order geometry of the ink of each image, in pixels.

    Attributes
    ----------
    centers : (n, 2) float64 ndarray, center of mass (row, column)
    slants : (n,) float64 ndarray, columns a row that the ink leans to the right
    spreads : (n, 2) float64 ndarray, standard deviation of the upright ink along rows and columns
    """

    centers: np.ndarray
    slants: np.ndarray
    spreads: np.ndarray


def measure(images: np.ndarray, is_slanted: bool = False) -> Geometry:
    """Measure center, slant and spread of every image (a blank one gets the frame's center).

    With `is_slanted`, ink is taken as it stands: its slant is given as 0.
    """
    n, height, width = images.shape
    rows, columns = np.arange(height), np.arange(width)
    ink = images.astype(np.float32)
    # Whole numbers below 2^24: exact in float32.
    ones_and_columns = np.stack([np.ones(width), columns], axis=1).astype(np.float32)
    lines = (ink.reshape(-1, width) @ ones_and_columns).reshape(n, height, 2).astype(np.float64)
    profile_y, profile_x = lines[:, :, 0], ink.sum(axis=1).astype(np.float64)
    mass = profile_y.sum(axis=1)
    blank = mass == 0
    mass[blank] = 1.0
    y = np.where(blank, rows.mean(), profile_y @ rows / mass)
    x = np.where(blank, columns.mean(), profile_x @ columns / mass)
    from_y, from_x = rows - y[:, None], columns - x[:, None]
    yy = np.maximum((profile_y * from_y**2).sum(axis=1) / mass, MIN_VARIANCE)
    xx = (profile_x * from_x**2).sum(axis=1) / mass
    xy = (from_y * (lines[:, :, 1] - x[:, None] * profile_y)).sum(axis=1) / mass
    slants = np.zeros(n) if is_slanted else xy / yy
    spreads = np.sqrt(np.stack([yy, np.maximum(xx - xy * slants, MIN_VARIANCE)], axis=1))
    return Geometry(np.stack([y, x], axis=1), slants, spreads)


def _pixels(images: np.ndarray, typical_spread: np.ndarray) -> np.ndarray:
    return images.reshape(len(images), -1).astype(np.float32) / np.float32(255)


def _warp(images: np.ndarray, geometry: Geometry, scales: np.ndarray, size: int) -> np.ndarray:
    """Set the ink upright in the middle of a (size, size) frame, enlarged by 1 / scales (row, column)."""
    matrices = np.zeros((len(images), 2, 2))
    matrices[:, 0, 0], matrices[:, 1, 1] = scales[:, 0], scales[:, 1]
    matrices[:, 1, 0] = geometry.slants * scales[:, 0]
    offsets = geometry.centers - matrices.sum(axis=2) * ((size - 1) / 2)
    warped = np.empty((len(images), size, size), np.float32)
    warp_affine(images, matrices, offsets, warped)
    return warped


def _deskew(images: np.ndarray, typical_spread: np.ndarray) -> np.ndarray:
    upright = _warp(images, measure(images), np.ones((len(images), 2)), FRAME)
    return upright.reshape(len(images), -1)


def _scattering(
    images: np.ndarray, typical_spread: np.ndarray, *, n_scales: int = N_SCALES, is_slanted: bool = False
) -> np.ndarray:
    geometry = measure(images, is_slanted)
    relative = geometry.spreads / typical_spread
    scales = np.stack(
        [
            np.clip(relative[:, 0] ** HEIGHT_POWER, *HEIGHT_BOUNDS),
            np.clip(relative[:, 1] ** WIDTH_POWER, *WIDTH_BOUNDS),
        ],
        axis=1,
    )
    coefficients = scatter(_warp(images, geometry, scales, SIZE), n_scales)
    # The root makes the spread of a coefficient depend less on its mean. Order 0 may be -1e-9.
    return np.sqrt(np.maximum(coefficients, 0, out=coefficients), out=coefficients)


RAW_FEATURES: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "scattering": _scattering,
    "slanted scattering": partial(_scattering, is_slanted=True),
    "fine scattering": partial(_scattering, n_scales=2),
    "fine slanted scattering": partial(_scattering, n_scales=2, is_slanted=True),
    "deskew": _deskew,
    "pixels": _pixels,
}
# Features of ink as it stands: its typical spread is measured so.
SLANTED = {"slanted scattering", "fine slanted scattering"}


def count_raw(kind: str) -> int:
    """Return the number of raw features of a kind."""
    return RAW_FEATURES[kind](np.zeros((1, FRAME, FRAME), np.uint8), np.ones(2)).shape[1]


@dataclass(frozen=True)
class FeatureModel:
    """A fitted map from images to features; `transform` applies it to images it has not seen.

    Attributes
    ----------
    kind : str
        A key of `RAW_FEATURES`.
    typical_spread : (2,) float64 ndarray
        Median spread of the ink along rows and columns, which scattering scales towards.
    mean : (n_raw,) float32 ndarray
    components : (n_features, n_raw) float32 ndarray
        Principal axes, strongest first; not whitened.
    explained : float
        Share of the variance that the components keep.
    """

    kind: str
    typical_spread: np.ndarray
    mean: np.ndarray
    components: np.ndarray
    explained: float

    def transform(
        self,
        images: np.ndarray,
        n_jobs: int | None = None,
        progress: Callable[[float], None] = lambda share: None,
    ) -> np.ndarray:
        """Return the (n, n_features) float32 features of (n, 28, 28) uint8 `images`."""
        features = np.empty((len(images), len(self.components)), np.float32)

        def fill(block: tuple[int, int]) -> None:
            rows = slice(*block)
            features[rows] = self.project(RAW_FEATURES[self.kind](images[rows], self.typical_spread))

        with single_threaded_blas():
            _map_with_progress(fill, block_ranges(len(images), BLOCK_ROWS), n_jobs, progress)
        return features

    def project(self, raw: np.ndarray) -> np.ndarray:
        """Return the features of raw features."""
        return (raw - self.mean) @ self.components.T


def fit_features(
    images: np.ndarray,
    kind: str = "scattering",
    n_components: int = 200,
    *,
    n_jobs: int | None = None,
    progress: Callable[[float], None] = lambda share: None,
) -> tuple[FeatureModel, np.ndarray]:
    """Fit the map from images to features (typical spread, mean, principal axes) and apply it to them.

    Parameters
    ----------
    images : (n, 28, 28) uint8 ndarray
    kind : str
        A key of `RAW_FEATURES`: "scattering", "deskew", "pixels" or one of the further views.
    n_components : int
        Number of principal components; no more than there are images or raw features are kept.
    progress : callable
        Called with the share of the images that are done.

    Returns
    -------
    model : FeatureModel
    features : (n, n_components) float32 ndarray

    Raises
    ------
    DataError
        If `kind` or `n_components` is not one of the allowed values.
    """
    if kind not in RAW_FEATURES:
        raise DataError(f"features {kind!r}; allowed are {', '.join(RAW_FEATURES)}")
    if n_components < 1:
        raise DataError(f"{n_components} principal components; allowed are 1, 2, 3, ...")
    typical_spread = _typical_spread(images, kind in SLANTED, n_jobs)
    # A fixed draw: the features then depend on the images alone and serve every seed.
    order = np.random.default_rng(0).permutation(len(images))
    fitted, others = np.sort(order[:PCA_ROWS]), np.sort(order[PCA_ROWS:])
    first = len(fitted) / len(images)
    raw = np.empty((len(fitted), count_raw(kind)), np.float32)

    def describe(block: tuple[int, int]) -> np.ndarray:
        rows = slice(*block)
        raw[rows] = RAW_FEATURES[kind](images[fitted[rows]], typical_spread)
        return raw[rows].sum(axis=0, dtype=np.float64)

    blocks = block_ranges(len(fitted), BLOCK_ROWS)
    with single_threaded_blas():
        sums = _map_with_progress(describe, blocks, n_jobs, lambda share: progress(share * first))
    mean = (np.sum(sums, axis=0) / len(fitted)).astype(np.float32)
    # In place: no larger matrix is held in a run.
    raw -= mean
    with single_threaded_blas():
        components, explained = _principal_axes(raw, n_components, n_jobs)
    model = FeatureModel(kind, typical_spread, mean, components, explained)
    features = np.empty((len(images), len(components)), np.float32)

    def project(block: tuple[int, int]) -> None:
        features[fitted[slice(*block)]] = raw[slice(*block)] @ components.T

    map_blocks(project, block_ranges(len(fitted), 10 * BLOCK_ROWS), n_jobs)
    features[others] = model.transform(
        images[others], n_jobs, lambda share: progress(first + share * (1 - first))
    )
    return model, features


def _map_with_progress(
    function: Callable, blocks: list[tuple[int, int]], n_jobs: int | None, progress: Callable[[float], None]
) -> list:
    done = itertools.count(1)

    def counted(block: tuple[int, int]) -> np.ndarray | None:
        result = function(block)
        progress(next(done) / len(blocks))
        return result

    return map_blocks(counted, blocks, n_jobs)


def _typical_spread(images: np.ndarray, is_slanted: bool, n_jobs: int | None) -> np.ndarray:
    blocks = block_ranges(len(images), 50 * BLOCK_ROWS)
    spreads = map_blocks(lambda block: measure(images[slice(*block)], is_slanted).spreads, blocks, n_jobs)
    return np.median(np.concatenate(spreads), axis=0)


def _principal_axes(centered: np.ndarray, n_components: int, n_jobs: int | None) -> tuple[np.ndarray, float]:
    """Return the axes of the largest variance, strongest first, and the share of the variance they keep."""
    from scipy.linalg import eigh

    n, d = centered.shape
    kept = min(n_components, n, d)
    if n > d:
        covariance = _upper_product(centered, n_jobs)
        total = float(np.trace(covariance, dtype=np.float64))
        variances, vectors = eigh(covariance, lower=False, subset_by_index=[d - kept, d - 1])
        axes = np.ascontiguousarray(vectors[:, ::-1].T)
    else:
        axes, variances, total = _axes_of_few(centered, kept)
    # An axis has no sign of its own: its largest entry is made positive.
    largest = np.abs(axes).argmax(axis=1)
    axes *= np.where(axes[np.arange(kept), largest] < 0, np.float32(-1), np.float32(1))[:, None]
    return axes, float(variances.sum(dtype=np.float64) / total) if total > 0 else 1.0


def _axes_of_few(centered: np.ndarray, kept: int) -> tuple[np.ndarray, np.ndarray, float]:
    """Return axes, their variances and the sum of all, for fewer images than raw features."""
    from scipy.linalg import eigh, svd

    n = len(centered)
    products = centered.astype(np.float64) @ centered.T.astype(np.float64)
    variances, left = eigh(products, subset_by_index=[n - kept, n - 1])
    if variances[0] > FAINT_AXIS * variances[-1]:
        axes = (left[:, ::-1].T @ centered) / np.sqrt(variances[::-1, None])
        return axes.astype(np.float32), variances[::-1], float(np.trace(products))
    # An axis that images hardly reach is no more than rounding in their products.
    _, roots, axes = svd(centered, full_matrices=False)
    return axes[:kept], roots[:kept] ** 2, float((roots**2).sum(dtype=np.float64))


def _upper_product(X: np.ndarray, n_jobs: int | None) -> np.ndarray:
    """Return X.T @ X, of which only the upper triangle is filled (whole blocks of it)."""
    d = X.shape[1]
    product = np.zeros((d, d), X.dtype)

    def fill(block: tuple[int, int]) -> None:
        product[slice(*block), block[0] :] = X[:, slice(*block)].T @ X[:, block[0] :]

    map_blocks(fill, block_ranges(d, PRODUCT_COLUMNS), n_jobs)
    return product
