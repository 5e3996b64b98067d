"""Curves as the text of SVG paths."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from segment.photo.vectors.arcs import Topology
from segment.photo.vectors.curves import Curves

# Coordinates are written to hundredths of a pixel; neighbors round the same points, so that nothing gapes.
_PARTS = 100


@dataclass(frozen=True)
class Paths:
    """Paths of each label, "" for a label of no pixel.

    Attributes
    ----------
    areas : list of str
        Areas and their holes. The rings of an area and of its holes run in opposite directions: any fill rule
        leaves the holes out.
    seams : list of str
        Arcs to the labels that are painted later.
    """

    areas: list[str]
    seams: list[str]


def path_data(topology: Topology, curves: Curves, ranks: np.ndarray) -> Paths:
    """Return the paths of each label.

    Parameters
    ----------
    topology : Topology
    curves : Curves
        Of its arcs.
    ranks : (K,) int ndarray
        When each label is painted.
    """
    texts = _half_arc_texts(topology, curves)
    areas: list[list[str]] = [[] for _ in ranks]
    labels = topology.labels[topology.ring_areas].tolist()
    half_arcs, ring_starts = topology.half_arcs.tolist(), topology.ring_starts.tolist()
    for ring, label in enumerate(labels):
        members = half_arcs[ring_starts[ring] : ring_starts[ring + 1]]
        areas[label].append(_moved(curves.along(members[0])[0]))
        areas[label] += [texts[half_arc] for half_arc in members]
        areas[label].append("z")
    seams: list[list[str]] = [[] for _ in ranks]
    inner = np.flatnonzero((topology.sides >= 0).all(axis=1))
    sides = topology.labels[topology.sides[inner]]
    for arc, (left, right) in zip(inner.tolist(), sides.tolist(), strict=True):
        seams[left if ranks[left] < ranks[right] else right] += [_moved(curves.origins[arc]), texts[2 * arc]]
    return Paths(*(["".join(parts) for parts in lists] for lists in (areas, seams)))


def _half_arc_texts(topology: Topology, curves: Curves) -> list[str]:
    """Return the commands along each arc, forward and backward, from a start that is known."""
    pieces = curves.pieces.tolist()
    ends = _hundredths(curves.controls[:, 2])
    froms = np.empty_like(ends)
    froms[1:] = ends[:-1]
    froms[curves.pieces[:-1]] = _hundredths(curves.origins)
    first, second = _hundredths(curves.controls[:, 0]), _hundredths(curves.controls[:, 1])
    straight = (curves.controls[:, 1] == curves.controls[:, 2]).all(axis=1).tolist()
    forward = _commands(np.stack([first - froms, second - froms, ends - froms], axis=1), straight)
    backward = _commands(np.stack([second - ends, first - ends, froms - ends], axis=1), straight)
    texts = []
    for arc in range(topology.n_arcs):
        part = slice(pieces[arc], pieces[arc + 1])
        texts += ["".join(forward[part]), "".join(backward[part][::-1])]
    return texts


def _hundredths(values: np.ndarray) -> np.ndarray:
    return np.rint(values * _PARTS).astype(np.int64)


def _commands(steps: np.ndarray, straight: list[bool]) -> list[str]:
    """Return a relative command for each piece: steps (S, 3, 2) to both handles and the end."""
    return [
        _line(step[4], step[5]) if is_straight else "c" + _joined(step)
        for step, is_straight in zip(steps.reshape(-1, 6).tolist(), straight, strict=True)
    ]


def _line(x: int, y: int) -> str:
    if y == 0:
        return "h" + _number(x)
    return "v" + _number(y) if x == 0 else "l" + _joined([x, y])


def _moved(point: np.ndarray) -> str:
    return "M" + _joined(_hundredths(point).tolist())


def _joined(values: list[int]) -> str:
    """Join numbers; a minus parts them too."""
    texts = [_number(value) for value in values]
    return texts[0] + "".join(text if text[0] == "-" else " " + text for text in texts[1:])


@cache
def _number(hundredths: int) -> str:
    """Return a number of hundredths as short as it can be written."""
    text = f"{abs(hundredths) / _PARTS:.2f}".rstrip("0").rstrip(".")
    text = text[1:] if text.startswith("0.") else text
    return "-" + text if hundredths < 0 else text
