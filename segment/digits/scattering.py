"""Windowed scattering of order 0 to 2: stable to small deformations, and it keeps what a blur would lose."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from segment.kernels.image.scattering import filter_spectra, modulus

SIZE = 32
N_SCALES = 3
N_ANGLES = 6


def count_features(n_scales: int = N_SCALES) -> int:
    """Return the number of coefficients: channels of order 0, 1 and 2, times averages of each."""
    pairs = n_scales * (n_scales - 1) // 2
    return (1 + n_scales * N_ANGLES + pairs * N_ANGLES**2) * (SIZE // 2**n_scales) ** 2


@dataclass(frozen=True)
class Bank:
    """Filters in Fourier space (real, since a Morlet wavelet is Hermitian) and low-pass matrices.

    Attributes
    ----------
    wavelets : dict
        (scale j, subsampling r) -> (N_ANGLES, SIZE // r, SIZE // r) float32.
    low_pass : dict
        Subsampling r -> ((SIZE // r)**2, (SIZE // 2**n_scales)**2) float32: Gaussian average and subsampling
        in one product.
    """

    wavelets: dict[tuple[int, int], np.ndarray]
    low_pass: dict[int, np.ndarray]


def gabor(size: int, sigma: float, angle: float, frequency: float, slant: float) -> np.ndarray:
    """Return a periodic Gabor function: a Gaussian, `1 / slant` times longer across, times a plane wave."""
    cos, sin = np.cos(angle), np.sin(angle)
    turn = np.array([[cos, -sin], [sin, cos]])
    curvature = turn @ np.diag([1.0, slant**2]) @ turn.T / (2 * sigma**2)
    total = np.zeros((size, size), complex)
    # Copies two periods away still matter for the widest wavelet at the accuracy of float32.
    for shift_y in range(-2, 3):
        for shift_x in range(-2, 3):
            y, x = np.mgrid[:size, :size] + np.array([shift_y, shift_x])[:, None, None] * size
            decay = curvature[0, 0] * y * y + 2 * curvature[0, 1] * y * x + curvature[1, 1] * x * x
            total += np.exp(-decay + 1j * frequency * (y * cos + x * sin))
    return total * slant / (2 * np.pi * sigma**2)


def morlet(size: int, scale: int, angle_index: int) -> np.ndarray:
    """Return a Morlet wavelet: a Gabor function corrected to zero mean, (size, size) complex128."""
    shape = 0.8 * 2**scale, (N_ANGLES // 2 - 1 - angle_index) * np.pi / N_ANGLES
    wave = gabor(size, *shape, 0.75 * np.pi / 2**scale, 4 / N_ANGLES)
    envelope = gabor(size, *shape, 0.0, 4 / N_ANGLES)
    return wave - wave.sum() / envelope.sum() * envelope


def gaussian_average(size: int, factor: int, n_scales: int = N_SCALES) -> np.ndarray:
    """Return the periodic Gaussian averages, every 2**n_scales pixels, of a signal subsampled by `factor`."""
    sigma = 0.8 * 2 ** (n_scales - 1)
    distance = np.arange(size) * factor - np.arange(0, size * factor, 2**n_scales)[:, None]
    shifts = np.arange(-1, 2)[:, None, None] * size * factor
    weights = np.exp(-0.5 * ((distance + shifts) / sigma) ** 2).sum(axis=0)
    return weights / weights.sum(axis=1, keepdims=True)


@lru_cache
def filter_bank(n_scales: int = N_SCALES) -> Bank:
    """Build the filters once."""
    wavelets = {}
    for scale in range(n_scales):
        spectra = np.array([np.fft.fft2(morlet(SIZE, scale, angle)).real for angle in range(N_ANGLES)])
        for level in range(scale + 1):
            factor = 2**level
            folded = spectra.reshape(N_ANGLES, factor, SIZE // factor, factor, SIZE // factor).sum((1, 3))
            wavelets[scale, factor] = np.ascontiguousarray(folded, np.float32)
    low_pass = {}
    for factor in (2**level for level in range(n_scales)):
        average = gaussian_average(SIZE // factor, factor, n_scales)
        low_pass[factor] = np.ascontiguousarray(np.kron(average, average).T, np.float32)
    return Bank(wavelets, low_pass)


def scatter(images: np.ndarray, n_scales: int = N_SCALES) -> np.ndarray:
    """Compute the scattering coefficients of a block of images.

    Wavelets are Morlet with sigma 0.8 * 2^j, frequency 3 pi / 4 / 2^j and slant 4 / 6, j < n_scales and six
    angles; averages are Gaussian with sigma 0.4 * 2^n_scales, every 2^n_scales pixels. Order 1: |x * w1|;
    order 2: ||x * w1| * w2| for growing scales only, since the others carry almost no energy. A signal
    filtered at scale j is subsampled by 2^j.

    Parameters
    ----------
    images : (n, 32, 32) float32 ndarray
    n_scales : int
        3 averages over strokes; 2 tells finer where they are.

    Returns
    -------
    (n, count_features(n_scales)) float32 ndarray
        Channels of averages: order 0, then for each first wavelet scale its order 1 and order 2.

    References
    ----------
    .. [1] Bruna & Mallat (2013), "Invariant scattering convolution networks", IEEE PAMI 35(8), 1872-1886.
    """
    from scipy import fft

    bank, n = filter_bank(n_scales), len(images)
    channels = [_average(images, 1, bank)]
    spectra = fft.fft2(images)
    for first in range(n_scales):
        factor = 2**first
        waves = _filtered_modulus(spectra, bank.wavelets[first, 1], factor)
        channels.append(_average(waves, factor, bank))
        if first == n_scales - 1:
            break
        inner = fft.fft2(waves.reshape(-1, *waves.shape[2:]))
        for second in range(first + 1, n_scales):
            step = 2 ** (second - first)
            finer = _filtered_modulus(inner, bank.wavelets[second, factor], step)
            channels.append(_average(finer, 2**second, bank))
    return np.concatenate([channel.reshape(n, -1) for channel in channels], axis=1)


def _filtered_modulus(spectra: np.ndarray, wavelets: np.ndarray, factor: int) -> np.ndarray:
    """Return |x * w|, subsampled by `factor`, of spectra and wavelets: (n, n_wavelets, m, m) float32."""
    from scipy import fft

    size = spectra.shape[-1] // factor
    filtered = np.empty((len(spectra), len(wavelets), size, size), np.complex64)
    filter_spectra(spectra, wavelets, factor, filtered)
    waves = fft.ifft2(filtered, overwrite_x=True)
    absolute = np.empty(waves.shape, np.float32)
    modulus(waves.reshape(-1), absolute.reshape(-1))
    return absolute


def _average(waves: np.ndarray, factor: int, bank: Bank) -> np.ndarray:
    return waves.reshape(-1, (SIZE // factor) ** 2) @ bank.low_pass[factor]
