"""Bilinear affine resampling of a block of small images."""

import math

import numpy as np

from segment.kernels.compile import kernel


@kernel
def warp_affine(images, matrices, offsets, warped):
    """Sample each image at `matrix @ (row, column) + offset` of every output pixel; 0 outside.

    images   IN   (n, height, width) uint8
    matrices IN   (n, 2, 2) float64
    offsets  IN   (n, 2) float64
    warped   OUT  (n, out_height, out_width) float32, in units of 1/255 of the input's
    """
    n, height, width = images.shape
    _, out_height, out_width = warped.shape
    for i in range(n):
        for row in range(out_height):
            for column in range(out_width):
                y = matrices[i, 0, 0] * row + matrices[i, 0, 1] * column + offsets[i, 0]
                x = matrices[i, 1, 0] * row + matrices[i, 1, 1] * column + offsets[i, 1]
                top = math.floor(y)
                left = math.floor(x)
                value = 0.0
                for step_y in range(2):
                    source_y = top + step_y
                    if source_y < 0 or source_y >= height:
                        continue
                    weight_y = 1.0 - abs(y - source_y)
                    for step_x in range(2):
                        source_x = left + step_x
                        if source_x >= 0 and source_x < width:
                            value += weight_y * (1.0 - abs(x - source_x)) * images[i, source_y, source_x]
                warped[i, row, column] = np.float32(value / 255.0)
