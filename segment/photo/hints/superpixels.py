"""Superpixels, and a random walk among them that ends at hints or at what colors say."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# Pixels of the working size between two markers of the watershed.
_STEP = 10

# In Lab: how far colors of neighbors may differ before a walk hardly crosses between them.
_CONTRAST = 11.0

# How fast a walk ends within a superpixel, by its colors, a pixel.
_ENDING = 0.005

# A walk that enters a superpixel with a hint ends there.
_CERTAIN = 1e3

# No superpixel is cut off.
_LEAST_LINK = 1e-6


@dataclass(frozen=True, eq=False)
class Superpixels:
    """A photo in small pieces of one color.

    Attributes
    ----------
    labels : (m, n) int32 ndarray
    sizes : (S,) float64 ndarray
    means : (S, 3) float64 ndarray
        In Lab.
    ends : (E, 2) int64 ndarray
        Pieces that touch.
    links : (E,) float64 ndarray
        Length of the border times the likeness of both sides.
    """

    labels: np.ndarray
    sizes: np.ndarray
    means: np.ndarray
    ends: np.ndarray
    links: np.ndarray

    @classmethod
    def of(cls, lab: np.ndarray) -> Superpixels:
        """Cut an image, (m, n, 3) Lab, along its gradient."""
        return cls.measured(lab, _basins(lab))

    @classmethod
    def measured(cls, lab: np.ndarray, labels: np.ndarray) -> Superpixels:
        """Measure the pieces of an image, (m, n, 3) Lab, that a label map (m, n) int32 from 0 cuts."""
        n = int(labels.max()) + 1
        flat = labels.ravel()
        sizes = np.bincount(flat, minlength=n).astype(np.float64)
        sums = [np.bincount(flat, band.ravel(), n) for band in np.moveaxis(lab, 2, 0)]
        means = np.stack(sums, axis=1) / sizes[:, None]
        a = np.concatenate([labels[:, :-1].ravel(), labels[:-1].ravel()]).astype(np.int64)
        b = np.concatenate([labels[:, 1:].ravel(), labels[1:].ravel()]).astype(np.int64)
        keys, lengths = np.unique((np.minimum(a, b) * n + np.maximum(a, b))[a != b], return_counts=True)
        ends = np.stack([keys // n, keys % n], axis=1)
        distances = np.square(means[ends[:, 0]] - means[ends[:, 1]]).sum(axis=1)
        links = lengths * np.exp(-distances / (2 * _CONTRAST**2)) + _LEAST_LINK
        return cls(labels, sizes, means, ends, links)

    def walk(self, prior: np.ndarray, hints: np.ndarray) -> np.ndarray:
        """Return the probability that a random walk from each superpixel ends in each class, (S, C) float64.

        Parameters
        ----------
        prior : (S, C) float64 ndarray
            Where a walk ends that ends by the colors of a superpixel.
        hints : (S, C) float64 ndarray
            Pixels with a hint of each class.

        References
        ----------
        .. [1] Grady (2005), "Multilabel random walker image segmentation using prior models", CVPR.
        """
        from scipy.sparse import coo_matrix, diags
        from scipy.sparse.linalg import splu

        n = len(self.sizes)
        a, b = self.ends.T
        links = coo_matrix((np.tile(self.links, 2), (np.append(a, b), np.append(b, a))), (n, n)).tocsr()
        hinted = hints.sum(axis=1)
        ending = _ENDING * self.sizes
        stop = ending + _CERTAIN * (hinted > 0)
        given = ending[:, None] * prior + _CERTAIN * hints / np.maximum(hinted, 1)[:, None]
        system = diags(np.asarray(links.sum(axis=1)).ravel() + stop) - links
        found = np.clip(splu(system.tocsc()).solve(given), 0, 1)
        return found / found.sum(axis=1, keepdims=True)


def _basins(lab: np.ndarray) -> np.ndarray:
    """Flood the gradient of an image from markers on a grid."""
    from scipy.ndimage import gaussian_filter, sobel
    from skimage.segmentation import watershed

    smooth = gaussian_filter(lab, (1, 1, 0))
    slope = np.sqrt(sum(np.square(sobel(smooth, axis)).sum(axis=2) for axis in (0, 1)))
    markers = np.zeros(slope.shape, dtype=np.int32)
    rows, columns = (np.arange(min(_STEP // 2, size // 2), size, _STEP) for size in slope.shape)
    numbers = np.arange(1, len(rows) * len(columns) + 1, dtype=np.int32)
    markers[np.ix_(rows, columns)] = numbers.reshape(len(rows), len(columns))
    return (watershed(slope, markers) - 1).astype(np.int32)
