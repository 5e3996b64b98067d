"""Kernels of images: colors, filters, transforms, small regions of a label map."""
