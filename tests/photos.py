"""Small photos that the tests of segment.photo share."""

import io
import struct
import zlib

import numpy as np
from PIL import Image

FLAG = np.array([[206, 17, 38], [255, 255, 255], [0, 35, 149]], np.uint8)


def noisy(colors=FLAG, height=48, width=60, spread=4.0, seed=0):
    """Vertical stripes of some colors with normal noise, (height, width, 3) uint8, and their labels."""
    labels = np.repeat(np.arange(len(colors)), -(-width // len(colors)))[:width]
    labels = np.broadcast_to(labels, (height, width))
    noise = np.random.default_rng(seed).normal(0, spread, (height, width, 3))
    image = np.clip(np.rint(np.asarray(colors)[labels] + noise), 0, 255).astype(np.uint8)
    return image, labels


def encoded(image, format="PNG", **options):
    """Return an array or a Pillow image as the content of a file."""
    image = image if isinstance(image, Image.Image) else Image.fromarray(image)
    buffer = io.BytesIO()
    image.save(buffer, format=format, **options)
    return buffer.getvalue()


def png_chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png16(image, filters=None):
    """Encode (M, N, channels) uint16 as a 16-bit PNG; `filters` gives each row's filter (0 .. 4)."""
    height, width, channels = image.shape
    step = 2 * channels
    rows = image.astype(">u2").reshape(height, -1).view(np.uint8).astype(int)
    lines = []
    for y in range(height):
        kind = 0 if filters is None else filters[y % len(filters)]
        row, above = rows[y], rows[y - 1] if y else np.zeros_like(rows[y])
        left = np.concatenate([np.zeros(step, int), row[:-step]])
        corner = np.concatenate([np.zeros(step, int), above[:-step]])
        guess = [0, left, above, (left + above) // 2, _paeth(left, above, corner)][kind]
        lines.append(bytes([kind]) + ((row - guess) % 256).astype(np.uint8).tobytes())
    color = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    header = struct.pack(">IIBBBBB", width, height, 16, color, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + png_chunk(b"IHDR", header)
        + png_chunk(b"IDAT", zlib.compress(b"".join(lines)))
        + png_chunk(b"IEND", b"")
    )


def _paeth(left, above, corner):
    estimate = left + above - corner
    a, b, c = abs(estimate - left), abs(estimate - above), abs(estimate - corner)
    return np.where((a <= b) & (a <= c), left, np.where(b <= c, above, corner))
