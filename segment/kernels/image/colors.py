"""Count the distinct colors of 8-bit photos in a table of all 2^24, and convert colors.

The table is 64 MiB whatever the photo, and no sort is needed (docs/decisions/color-kernels.md).
"""

import numpy as np

from segment.kernels.compile import kernel

TABLE_SIZE = 1 << 24


@kernel
def count_colors(colors, table):
    """Count colors. colors IN (n, 3) uint8; table INOUT (2^24,), by 65536 red + 256 green + blue."""
    for i in range(colors.shape[0]):
        key = (np.int64(colors[i, 0]) << 16) | (np.int64(colors[i, 1]) << 8) | np.int64(colors[i, 2])
        table[key] += 1


@kernel
def count_some_colors(colors, counts, table):
    """As `count_colors`, for the pixels where counts IN (n,) bool is True."""
    for i in range(colors.shape[0]):
        if counts[i]:
            key = (np.int64(colors[i, 0]) << 16) | (np.int64(colors[i, 1]) << 8) | np.int64(colors[i, 2])
            table[key] += 1


@kernel
def add_weights(colors, weights, table):
    """Add up weights by color. colors IN (n, 3) uint8; weights IN (n,) float32; table INOUT float64."""
    for i in range(colors.shape[0]):
        key = (np.int64(colors[i, 0]) << 16) | (np.int64(colors[i, 1]) << 8) | np.int64(colors[i, 2])
        table[key] += weights[i]


@kernel
def list_colors(table, colors, counts):
    """List the colors counted, in the order of the table.

    table IN (2^24,) int32, int64 or float64; colors OUT (m, 3) uint8; counts OUT (m,) float64.
    """
    n = 0
    for key in range(table.size):
        if table[key]:
            colors[n, 0] = key >> 16
            colors[n, 1] = (key >> 8) & 255
            colors[n, 2] = key & 255
            counts[n] = table[key]
            n += 1


@kernel
def look_up(colors, table, out):
    """Write the table's entry for each color. colors IN (n, 3) uint8; table IN (2^24,); out OUT (n,)."""
    for i in range(colors.shape[0]):
        key = (np.int64(colors[i, 0]) << 16) | (np.int64(colors[i, 1]) << 8) | np.int64(colors[i, 2])
        out[i] = table[key]


@kernel
def sum_by_label(colors, labels, sums, counts):
    """Add up colors by label.

    colors IN (n, 3) uint8; labels IN (n,) int32, below 0 ignored; sums INOUT (K, 3), counts INOUT (K,) int64.
    """
    for i in range(colors.shape[0]):
        k = labels[i]
        if k >= 0:
            counts[k] += 1
            sums[k, 0] += colors[i, 0]
            sums[k, 1] += colors[i, 1]
            sums[k, 2] += colors[i, 2]


@kernel
def _cube_root(x):
    """Cube root of x >= 0 to an ulp or two: a guess from the exponent's bits, then Halley's iteration."""
    if x <= 0.0:
        return 0.0
    y = np.int64(np.float64(x).view(np.int64) // 3 + 0x2A9F7893782DA1CE).view(np.float64)
    for _ in range(3):
        cube = y * y * y
        y = y * (cube + 2.0 * x) / (2.0 * cube + x)
    return y


@kernel
def opponent_colors(linear, cones, threshold, slope, constant, opponents, offset, out):
    """Convert linear light to lightness and two opponent colors, as Lab and Oklab do.

    Parameters
    ----------
    linear : IN (n, 3) float64
    cones : IN (3, 3) float64
        From linear light to three responses.
    threshold, slope, constant : float
        A response becomes its cube root above the threshold, slope * response + constant below.
    opponents : IN (3, 3) float64
        From compressed responses to colors.
    offset : float
        Added to the first.
    out : OUT (n, 3) float32 or float64
    """
    compressed = np.empty(3)
    for i in range(linear.shape[0]):
        for c in range(3):
            t = cones[c, 0] * linear[i, 0] + cones[c, 1] * linear[i, 1] + cones[c, 2] * linear[i, 2]
            compressed[c] = _cube_root(t) if t > threshold else slope * t + constant
        for c in range(3):
            value = opponents[c, 0] * compressed[0] + opponents[c, 1] * compressed[1]
            out[i, c] = value + opponents[c, 2] * compressed[2] + (offset if c == 0 else 0.0)
