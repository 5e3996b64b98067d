"""Undo the row filters of a PNG: 16-bit colors, which Pillow cuts down to 8 bits."""

from segment.kernels.compile import kernel


@kernel
def unfilter(rows, step):
    """Undo the filters in place (PNG specification, section 9); return False if one is unknown.

    rows INOUT (height, 1 + bytes a row) uint8, the first byte of each naming its filter; step: bytes a pixel.
    """
    height, width = rows.shape
    for y in range(height):
        kind = rows[y, 0]
        if kind > 4:
            return False
        for x in range(1, width):
            left = int(rows[y, x - step]) if x > step else 0
            above = int(rows[y - 1, x]) if y > 0 else 0
            corner = int(rows[y - 1, x - step]) if y > 0 and x > step else 0
            guess = 0
            if kind == 1:
                guess = left
            elif kind == 2:
                guess = above
            elif kind == 3:
                guess = (left + above) // 2
            elif kind == 4:
                estimate = left + above - corner
                to_left, to_above = abs(estimate - left), abs(estimate - above)
                to_corner = abs(estimate - corner)
                if to_left <= to_above and to_left <= to_corner:
                    guess = left
                elif to_above <= to_corner:
                    guess = above
                else:
                    guess = corner
            rows[y, x] = (int(rows[y, x]) + guess) & 255
    return True
