"""How large a photo is, from the beginning of its file."""

from __future__ import annotations

from pathlib import Path

from segment.photo.tiles import npy, zarr


def is_tiled_format(source: str) -> bool:
    """Tell whether a file is of a format that is only read by tiles: zarr, .npy."""
    path = Path(source)
    try:
        return zarr.recognizes(path) or npy.recognizes(path)
    except (OSError, ValueError):
        return False


def n_pixels_of(source: str, *, tiff_only: bool = False) -> int:
    """Return the number of pixels that a file declares; 0 where it cannot be told, or is not looked for."""
    from segment.photo.tiles import tiff

    try:
        if tiff.recognizes(Path(source)):
            import tifffile

            with tifffile.TiffFile(source) as file:
                page = file.pages[0]
                return int(page.imagewidth) * int(page.imagelength)
        if tiff_only:
            return 0
        from PIL import Image

        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            with Image.open(source) as image:
                return image.width * image.height
        finally:
            Image.MAX_IMAGE_PIXELS = limit
    except Exception:
        # What is wrong with the file, whoever reads it will say.
        return 0
