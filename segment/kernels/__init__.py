"""Numba kernels: arrays in, arrays out. They know nothing of the rooms above."""
