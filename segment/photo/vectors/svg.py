"""A segmentation as an SVG drawing: a group a color, curves that neighbors share."""

from __future__ import annotations

from dataclasses import dataclass, replace
from xml.sax.saxutils import escape

import numpy as np

from segment.photo.colors import hex_code
from segment.photo.vectors.arcs import trace
from segment.photo.vectors.curves import smooth
from segment.photo.vectors.paths import path_data

# Where two areas meet, renderers mix the colors of both with what lies below: a bright hairline. So the area
# that is painted first gets a line of its color along the border, half of which the other area covers. It is
# as wide at every scale: two pixels of the screen, so that one lies below whatever the other area leaves
# (docs/decisions/svg-seams.md).
_SEAM = 'fill="none" stroke-width="2" vector-effect="non-scaling-stroke"'


def svg_text(
    label_map: np.ndarray,
    palette: np.ndarray,
    *,
    title: str,
    tolerance: float,
    nesting: list[np.ndarray] | None = None,
) -> str:
    """Draw a label map as SVG.

    Parameters
    ----------
    label_map : (M, N) int32 ndarray
        Below 0 where nothing is drawn.
    palette : (K, 3) uint8 ndarray
    title : str
    tolerance : float
        See `segment.photo.vectors.curves.smooth`.
    nesting : list of (K,) int ndarray, optional
        Coarser and coarser groups of the labels: a number for each, equal numbers are one group.

    Returns
    -------
    str
        A document with a group (`g`) for each label that has pixels.
    """
    topology = trace(label_map)
    shares = np.bincount(topology.labels[topology.areas[topology.areas >= 0]], minlength=len(palette))
    shares = shares / max(1, shares.sum())
    tree = _Part(list(range(len(palette)))).split(nesting or [])
    ranks = np.empty(len(palette), dtype=np.int64)
    ranks[tree.leaves()] = np.arange(len(palette))
    paths = path_data(topology, smooth(topology, tolerance), ranks)
    groups = {}
    for label, (area, seam) in enumerate(zip(paths.areas, paths.seams, strict=True)):
        code = hex_code(palette[label])
        lines = [f'<path d="{area}"/>', *([f'<path {_SEAM} stroke="{code}" d="{seam}"/>'] if seam else [])]
        name = f"<title>{code}, {shares[label]:.1%}</title>"
        if area:
            groups[label] = "\n".join([f'<g id="label-{label}" fill="{code}">{name}', *lines, "</g>"])
    height, width = label_map.shape
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}" stroke-linejoin="round">\n'
        f"<title>{escape(_printable(title))}</title>\n{tree.text(groups)}\n</svg>\n"
    )


@dataclass(frozen=True)
class _Part:
    """Some labels, and the parts that they are grouped into; none for a single label."""

    labels: list[int]
    name: str = ""
    parts: tuple[_Part, ...] = ()

    def split(self, nesting: list[np.ndarray]) -> _Part:
        """Group the labels by the coarsest of some nestings that tells them apart, and so on."""
        if len(self.labels) == 1:
            return self
        if not nesting:
            return replace(self, parts=tuple(_Part([label]) for label in self.labels))
        *finer, coarsest = nesting
        members: dict[int, list[int]] = {}
        for label in self.labels:
            members.setdefault(int(coarsest[label]), []).append(label)
        if len(members) == 1:
            return self.split(finer)
        of = int(coarsest.max()) + 1
        return replace(
            self,
            parts=tuple(
                _Part(labels, f"part-{number}-of-{of}").split(finer) for number, labels in members.items()
            ),
        )

    def leaves(self) -> list[int]:
        """Return the labels in the order in which they are painted."""
        return [label for part in self.parts for label in part.leaves()] if self.parts else self.labels

    def text(self, groups: dict[int, str]) -> str:
        """Return the groups of labels, within those of the parts that have several."""
        if not self.parts:
            return groups.get(self.labels[0], "")
        inner = "\n".join(text for part in self.parts if (text := part.text(groups)))
        return f'<g id="{self.name}">\n{inner}\n</g>' if self.name and inner else inner


def _printable(text: str) -> str:
    """Return a text without what XML cannot hold: names of files may have control characters."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
