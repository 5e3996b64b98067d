"""Windowed scattering of order 0 to 2: stable to small deformations, and it keeps what a blur would lose."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from segment.kernels.image.scattering import average, filtered_modulus, transform

SIZE = 32
N_SCALES = 3
N_ANGLES = 6
# Of the spectrum of a wavelet, whose largest value is near 1: less than what rounding adds.
NEGLIGIBLE = 1e-9


def count_features(n_scales: int = N_SCALES) -> int:
    """Return the number of coefficients: channels of order 0, 1 and 2, times averages of each."""
    pairs = n_scales * (n_scales - 1) // 2
    return (1 + n_scales * N_ANGLES + pairs * N_ANGLES**2) * (SIZE // 2**n_scales) ** 2


@dataclass(frozen=True)
class Bank:
    """Filters in Fourier space (real, since a Morlet wavelet is Hermitian) and weights of averages.

    Attributes
    ----------
    wavelets : dict
        (scale j, subsampling r) -> (N_ANGLES, SIZE // r, SIZE // r) float32, bit-reversed.
    averages : dict
        Subsampling r -> (SIZE // 2**n_scales, SIZE // r) float32: Gaussian averages and subsampling in one.
    turns : dict
        Subsampling r -> cosines and sines of a Fourier transform, (SIZE // r // 2,) float32 each.
    """

    wavelets: dict[tuple[int, int], np.ndarray]
    averages: dict[int, np.ndarray]
    turns: dict[int, tuple[np.ndarray, np.ndarray]]


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
        spectra[np.abs(spectra) < NEGLIGIBLE] = 0
        for level in range(scale + 1):
            factor = 2**level
            size = SIZE // factor
            folded = spectra.reshape(N_ANGLES, factor, size, factor, size).sum((1, 3))
            order = bit_reversed(size)
            wavelets[scale, factor] = folded[:, order[:, None], order].astype(np.float32)
    factors = [2**level for level in range(n_scales)]
    averages = {
        factor: gaussian_average(SIZE // factor, factor, n_scales).astype(np.float32) for factor in factors
    }
    angles = {factor: 2 * np.pi * np.arange(SIZE // factor // 2) / (SIZE // factor) for factor in factors}
    turns = {
        factor: (np.cos(angle).astype(np.float32), np.sin(angle).astype(np.float32))
        for factor, angle in angles.items()
    }
    return Bank(wavelets, averages, turns)


def bit_reversed(size: int) -> np.ndarray:
    """Return 0 ... size - 1 in the order of their bits reversed; `size` is a power of two."""
    order = np.zeros(1, np.int64)
    while len(order) < size:
        order = np.concatenate([2 * order, 2 * order + 1])
    return order


def scatter(images: np.ndarray, n_scales: int = N_SCALES) -> np.ndarray:
    """Compute the scattering coefficients of a block of images.

    Wavelets are Morlet with sigma 0.8 * 2^j, frequency 3 pi / 4 / 2^j and slant 4 / 6, j < n_scales and six
    angles; averages are Gaussian with sigma 0.4 * 2^n_scales, every 2^n_scales pixels. Order 1: |x * w1|;
    order 2: ||x * w1| * w2| for growing scales only, since the others carry almost no energy. A signal
    filtered at scale j is subsampled by 2^j.

    Parameters
    ----------
    images : (n, 32, 32) float32 ndarray
        Fastest for some tens of images at a time.
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
    bank, n = filter_bank(n_scales), len(images)
    # Images last; a column more than is used.
    signals = np.zeros((1, SIZE, SIZE + 1, n), np.float32)
    signals[0, :, :SIZE] = np.moveaxis(images, 0, -1)
    channels = [_averages(signals, 1, bank)]
    spectra = _spectra(signals[0], 1, bank)
    for first in range(n_scales):
        waves = _waves(spectra, first, 1, bank)
        channels.append(_averages(waves, 2**first, bank))
        if first == n_scales - 1:
            break
        finer: list[list[np.ndarray]] = [[] for _ in range(first + 1, n_scales)]
        for wave in waves:
            inner = _spectra(wave, 2**first, bank)
            for second, found in enumerate(finer, start=first + 1):
                found.append(_averages(_waves(inner, second, 2**first, bank), 2**second, bank))
        channels += [averages for found in finer for averages in found]
    return np.concatenate([channel.reshape(-1, n) for channel in channels]).T


def _spectra(signals: np.ndarray, factor: int, bank: Bank) -> np.ndarray:
    """Return the spectra of signals (size, size + 1, n) that were subsampled by `factor`."""
    spectra = np.stack([signals, np.zeros_like(signals)])
    transform(spectra, *bank.turns[factor])
    return spectra


def _waves(spectra: np.ndarray, scale: int, factor: int, bank: Bank) -> np.ndarray:
    """Return |x * w| of all angles of a scale, subsampled by `2**scale` where x was by `factor`."""
    size = SIZE // 2**scale
    waves = np.empty((N_ANGLES, size, size + 1, spectra.shape[-1]), np.float32)
    filtered_modulus(spectra, bank.wavelets[scale, factor], *bank.turns[2**scale], waves)
    return waves


def _averages(waves: np.ndarray, factor: int, bank: Bank) -> np.ndarray:
    weights = bank.averages[factor]
    averages = np.empty((len(waves), len(weights), len(weights), waves.shape[-1]), np.float32)
    average(waves, weights, averages)
    return averages
