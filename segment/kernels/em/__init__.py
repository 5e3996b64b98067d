"""Kernels of the E-step: densities, responsibilities, moments."""
