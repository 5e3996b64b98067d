"""A scattering network's transforms, filters and averages, side by side for the images of a block.

Images are the last axis: every inner loop is one over images, which LLVM turns into vectors. Spectra stand in
bit-reversed order, in which filters are given too: no value is moved for order's sake, and frequencies that
subsampling lays upon each other are neighbors. Rows have one column more than is used, since columns at a
power of two from one another would share few places of the cache (docs/decisions/digit-features.md).
"""

import math

import numpy as np

from segment.kernels.compile import kernel

_FUSED = ("contract", "nsz")


@kernel(fastmath=_FUSED)
def _part(real, imaginary, a, b, cos, sin):
    """Take sum and turned difference of two rows: a step of the forward transform."""
    for i in range(real.shape[1]):
        x = real[a, i] - real[b, i]
        y = imaginary[a, i] - imaginary[b, i]
        real[a, i] += real[b, i]
        imaginary[a, i] += imaginary[b, i]
        real[b, i] = x * cos + y * sin
        imaginary[b, i] = y * cos - x * sin


@kernel(fastmath=_FUSED)
def _join(real, imaginary, a, b, cos, sin):
    """Undo `_part`, up to a factor of two."""
    for i in range(real.shape[1]):
        x = real[b, i] * cos - imaginary[b, i] * sin
        y = imaginary[b, i] * cos + real[b, i] * sin
        real[b, i] = real[a, i] - x
        imaginary[b, i] = imaginary[a, i] - y
        real[a, i] += x
        imaginary[a, i] += y


@kernel
def transform(spectra, cosines, sines):
    """Transform signals (Fourier, two axes) in their place, radix 2.

    spectra         INOUT (2, size, size + 1, n) float32: real and imaginary parts, size a power of two; comes
                          out bit-reversed; the last column is not used
    cosines, sines  IN    (size // 2,) float32, of 2 pi k / size
    """
    _, size, pitch, n = spectra.shape
    real, imaginary = spectra[0].reshape(size * pitch, n), spectra[1].reshape(size * pitch, n)
    for step, across in ((1, pitch), (pitch, 1)):
        for line in range(size):
            half = size // 2
            while half > 0:
                for k in range(half):
                    turn = k * (len(cosines) // half)
                    for start in range(k, size, 2 * half):
                        a = line * across + start * step
                        _part(real, imaginary, a, a + half * step, cosines[turn], sines[turn])
                half //= 2


@kernel
def _transform_back(spectrum, cosines, sines):
    """Undo a forward transform of bit-reversed order, times size^2; spectrum INOUT (2, size, size + 1, n)."""
    _, size, pitch, n = spectrum.shape
    real, imaginary = spectrum[0].reshape(size * pitch, n), spectrum[1].reshape(size * pitch, n)
    for step, across in ((1, pitch), (pitch, 1)):
        for line in range(size):
            half = 1
            while half < size:
                for k in range(half):
                    turn = k * (len(cosines) // half)
                    for start in range(k, size, 2 * half):
                        a = line * across + start * step
                        _join(real, imaginary, a, a + half * step, cosines[turn], sines[turn])
                half *= 2


@kernel(fastmath=_FUSED)
def _add_scaled(values, factor, total):
    for i in range(len(total)):
        total[i] += factor * values[i]


@kernel(fastmath=_FUSED)
def _modulus(real, imaginary, absolute):
    for i in range(len(absolute)):
        absolute[i] = math.sqrt(real[i] * real[i] + imaginary[i] * imaginary[i])


@kernel
def filtered_modulus(spectra, filters, cosines, sines, waves):
    """Filter signals, subsample them and take the modulus.

    spectra         IN   (2, size, size + 1, n) float32, of `transform`
    filters         IN   (n_filters, size, size) float32: real spectra, bit-reversed; where they are 0,
                         nothing is computed
    cosines, sines  IN   of `transform`
    waves           OUT  (n_filters, folded, folded + 1, n) float32, of signals of which every
                         (size // folded)th sample is kept; the last column unused
    """
    size = spectra.shape[1]
    n_filters, folded, pitch, n = waves.shape
    factor = size // folded
    # Of the inverse transform, and of the mean over frequencies that become one.
    scale = np.float32(1.0 / size**2)
    product = np.empty((2, folded, pitch, n), np.float32)
    for f in range(n_filters):
        product[:] = 0.0
        for row in range(size):
            for column in range(size):
                gain = filters[f, row, column] * scale
                if gain != 0.0:
                    for part in range(2):
                        total = product[part, row // factor, column // factor]
                        _add_scaled(spectra[part, row, column], gain, total)
        _transform_back(product, cosines, sines)
        for row in range(folded):
            for column in range(folded):
                _modulus(product[0, row, column], product[1, row, column], waves[f, row, column])


@kernel
def average(waves, weights, averages):
    """Average signals along both axes, with the same weights.

    waves     IN   (n_waves, size, size + 1, n) float32; the last column unused
    weights   IN   (n_averages, size) float32
    averages  OUT  (n_waves, n_averages, n_averages, n) float32
    """
    n_averages, size = weights.shape
    rows = np.empty((size, waves.shape[3]), np.float32)
    averages[:] = 0.0
    for f in range(len(waves)):
        for p in range(n_averages):
            rows[:] = 0.0
            for row in range(size):
                for column in range(size):
                    _add_scaled(waves[f, row, column], weights[p, row], rows[column])
            for q in range(n_averages):
                for column in range(size):
                    _add_scaled(rows[column], weights[q, column], averages[f, p, q])
