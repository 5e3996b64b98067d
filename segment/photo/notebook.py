"""Segmentations in notebooks: how they show themselves, and what other libraries take them as."""

from __future__ import annotations

import html
import io
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np

from segment.errors import DataError
from segment.output import data_uri
from segment.photo.colors import hex_code

if TYPE_CHECKING:
    from segment.photo.photo import Photo

EXTRA = "pip install 'segment-em[notebook]'"

# Pictures are reduced to so many pixels on their longer side.
_SIDE = 420
# More colors than this many are not all listed.
_LISTED = 24
_STRIP, _GAP = 36, 8


class InNotebooks(ABC):
    """What a segmentation is in a notebook; it has the attributes of `Segmentation`."""

    photo: Photo
    label_map: np.ndarray
    palette: np.ndarray
    shares: np.ndarray

    @abstractmethod
    def found(self) -> str:
        """Say in a few words what was found."""

    def _views(self, step: int) -> list[tuple[str, np.ndarray]]:
        """Return every n-th pixel of the photo and of the photo in the colors of its labels, with names."""
        part = slice(None, None, step), slice(None, None, step)
        shown, labels = self.photo.display[part], self._labels(step)
        colors = self._colors()[labels]
        outside = self.photo.outside
        if outside is not None:
            colors[outside[part]] = shown[outside[part]]
        photo = shown.copy()
        if self.photo.shown is not None:
            photo[~self.photo.shown[part]] = 255
        return [("photo", photo), ("segmented", colors)]

    def _colors(self) -> np.ndarray:
        """Return the color of each label, and white for none."""
        return np.vstack([self.palette, np.full((1, 3), 255, np.uint8)])

    def _labels(self, step: int) -> np.ndarray:
        """Return every n-th label in both directions."""
        return self.label_map[::step, ::step]

    def _pictures(self) -> list[tuple[str, Any]]:
        """Return the views as small Pillow images."""
        from PIL import Image

        views = self._views(max(1, max(self.photo.shape) // (2 * _SIDE)))
        images = [(name, Image.fromarray(np.ascontiguousarray(view))) for name, view in views]
        for _, image in images:
            image.thumbnail((_SIDE, _SIDE), Image.Resampling.LANCZOS)
        return images

    def _repr_html_(self) -> str:
        """Show photo, segmented photo and palette."""
        figures = "".join(
            f'<figure style="margin:0"><img alt="{name}" src="{data_uri(_png(image), "png")}" '
            f'style="display:block;max-width:100%"><figcaption>{name}</figcaption></figure>'
            for name, image in self._pictures()
        )
        order = np.argsort(-self.shares, kind="stable")[:_LISTED]
        rows = "".join(
            f'<tr><td style="text-align:right">{k}</td>'
            f'<td><span style="display:inline-block;width:4em;height:1.2em;vertical-align:middle;'
            f'background:{hex_code(self.palette[k])};border:1px solid #8888"></span></td>'
            f"<td><code>{hex_code(self.palette[k])}</code></td>"
            f'<td style="text-align:right">{self.shares[k]:.1%}</td></tr>'
            for k in sorted(order.tolist())
        )
        more = len(self.palette) - len(order)
        rest = f"<p>and {more} of smaller area</p>" if more else ""
        height, width = self.photo.shape
        head = f"{html.escape(self.photo.name)}: {width} x {height}, {html.escape(self.found())}"
        return (
            f'<div style="display:flex;flex-wrap:wrap;gap:1em;align-items:flex-start">{figures}<div><table>'
            f"<thead><tr><th>label</th><th></th><th>color</th><th>share</th></tr></thead>"
            f"<tbody>{rows}</tbody></table>{rest}</div></div><p>{head}</p>"
        )

    def _repr_png_(self) -> bytes:
        """Draw photo and segmented photo side by side, below them the palette by share."""
        from PIL import Image

        images = [image for _, image in self._pictures()]
        width = sum(image.width for image in images) + _GAP * (len(images) - 1)
        height = max(image.height for image in images)
        sheet = Image.new("RGB", (width, height + _GAP + _STRIP), "white")
        left = 0
        for image in images:
            sheet.paste(image, (left, 0))
            left += image.width + _GAP
        ends = np.rint(np.cumsum(self.shares) * width).astype(int)
        for start, end, color in zip([0, *ends], ends, self.palette.tolist(), strict=False):
            sheet.paste(tuple(color), (int(start), height + _GAP, int(end), height + _GAP + _STRIP))
        return _png(sheet)

    def to_dataframe(self) -> Any:
        """Return the labels as a table.

        Returns
        -------
        pandas.DataFrame
            A row a label: `color` (#rrggbb), `red`, `green`, `blue` (0 to 255), `share` of the area; the
            index is the label.

        Raises
        ------
        DataError
            If pandas is not installed.
        """
        pandas = _library("pandas")
        red, green, blue = self.palette.T
        columns = {
            "color": [hex_code(color) for color in self.palette],
            "red": red,
            "green": green,
            "blue": blue,
            "share": self.shares,
        }
        return pandas.DataFrame(columns, index=pandas.RangeIndex(len(self.palette), name="label"))

    def to_xarray(self) -> Any:
        """Return the label map with its colors.

        Returns
        -------
        xarray.DataArray
            int32 over `y` and `x`, the pixels' numbers; -1 where there is no label. `flag_values` and
            `flag_meanings` hold labels and colors, as the CF conventions have it, `shares` the areas.

        Raises
        ------
        DataError
            If xarray is not installed, or the photo was read by tiles, whose labels are not in memory.
        """
        xarray = _library("xarray")
        if self.label_map.shape != self.photo.shape:
            raise DataError(
                "the labels of a photo that is read by tiles lie in a file: read them from `store`"
            )
        height, width = self.photo.shape
        attributes = {
            "source": self.photo.source,
            "flag_values": np.arange(len(self.palette), dtype=np.int32),
            "flag_meanings": " ".join(hex_code(color) for color in self.palette),
            "shares": self.shares,
        }
        axes = {"y": np.arange(height), "x": np.arange(width)}
        return xarray.DataArray(self.label_map, axes, ("y", "x"), "label", attributes)


def _png(image: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def _library(name: str) -> Any:
    import importlib

    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise DataError(f"this needs {name}: {EXTRA}") from error
