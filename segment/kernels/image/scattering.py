"""The two pointwise steps between the Fourier transforms of a scattering network, fused and vectorized."""

import math

import numpy as np

from segment.kernels.compile import kernel


@kernel(fastmath=("contract", "nsz"))
def filter_spectra(spectra, filters, factor, filtered):
    """Multiply spectra by filters and fold the aliases: filtering and subsampling by `factor` in one.

    Dividing by `factor`^2 makes the inverse transform the subsampled signal.

    spectra  IN   (n, size, size) complex64
    filters  IN   (n_filters, size, size) float32 (real in Fourier space)
    factor   IN   int, a divisor of size
    filtered OUT  (n, n_filters, size // factor, size // factor) complex64
    """
    n, size, _ = spectra.shape
    n_filters = filters.shape[0]
    folded = size // factor
    scale = np.float32(1.0 / (factor * factor))
    for i in range(n):
        for f in range(n_filters):
            for a in range(folded):
                target = filtered[i, f, a]
                for b in range(folded):
                    target[b] = 0
                for s in range(factor):
                    row = spectra[i, a + s * folded]
                    gains = filters[f, a + s * folded]
                    for q in range(factor):
                        for b in range(folded):
                            target[b] += row[q * folded + b] * gains[q * folded + b]
                for b in range(folded):
                    target[b] *= scale


@kernel(fastmath=("contract", "nsz"))
def modulus(values, absolute):
    """Write the modulus of complex values.

    values   IN   (n,) complex64
    absolute OUT  (n,) float32
    """
    for i in range(values.size):
        real = values[i].real
        imaginary = values[i].imag
        absolute[i] = math.sqrt(real * real + imaginary * imaginary)
