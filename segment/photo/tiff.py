"""TIFF files that Pillow cannot read: 16-bit colors and any number of bands."""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from segment.errors import ImageError


def is_tiff(data: bytes) -> bool:
    """Tell whether the file begins as a TIFF or BigTIFF does."""
    return data[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def read_tiff(data: bytes, source: str, check_size: Any) -> tuple[np.ndarray, dict[str, Any]] | None:
    """Read the first image of a TIFF that needs more than Pillow.

    Parameters
    ----------
    data : bytes
    source : str
        Named in errors.
    check_size : callable
        Called with width and height before anything is decoded.

    Returns
    -------
    (array (M, N, D), facts) or None
        None where Pillow serves: up to four channels of 8 bits, and gray. `facts` has "bands" (bool),
        "alpha" (bool: the last channel is one) and "orientation" (1 .. 8, still to be applied).

    Raises
    ------
    ImageError
        If the file is damaged, or compressed in a way that cannot be read.
    """
    import tifffile

    try:
        with tifffile.TiffFile(io.BytesIO(data)) as file:
            page: Any = file.pages[0]
            kind = page.photometric.name if hasattr(page.photometric, "name") else str(page.photometric)
            extra = len(page.extrasamples)
            samples, bits = int(page.samplesperpixel), page.bitspersample
            # Bands that are no colors: more channels than the photometric kind has, and no single alpha.
            colors = {"RGB": 3, "MINISBLACK": 1, "MINISWHITE": 1, "PALETTE": 1, "SEPARATED": 4}.get(kind, 3)
            has_alpha = extra == 1 and samples == colors + 1 and page.extrasamples[0] in (1, 2)
            bands = samples != colors + has_alpha
            if not bands and (bits == 8 or samples == 1 or kind not in ("RGB", "MINISBLACK")):
                return None
            check_size(page.imagewidth, page.imagelength)
            array = page.asarray()
            axes = page.axes
            tag = page.tags.get(274)
            orientation = int(tag.value) if tag is not None else 1
    except ImageError:
        raise
    except Exception as error:
        # A damaged TIFF makes tifffile fail in ways of every kind.
        hint = (
            "save it without compression" if "imagecodecs" in str(error) else "try another copy of the file"
        )
        raise ImageError(f"{source}: cannot read this TIFF ({error}); {hint}") from error
    if axes.startswith("S"):
        array = np.moveaxis(array, 0, -1)
    if array.ndim != 3:
        raise ImageError(f"{source}: the TIFF holds an array of shape {array.shape}; a flat image is needed")
    return array, {"bands": bands, "alpha": has_alpha, "orientation": orientation}
