"""Arcs smoothed to cubic Bezier curves, each once, whoever draws it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from segment.photo.vectors.arcs import Topology


@dataclass(frozen=True, eq=False)
class Curves:
    """The arcs of a topology as curves; junctions and the border of the photo stay where they are.

    Attributes
    ----------
    origins : (A, 2) float64 ndarray
        x and y where each arc begins.
    controls : (S, 3, 2) float64 ndarray
        First handle, second handle and end of each piece, arc after arc. The handles of a straight piece
        are its ends.
    pieces : (A + 1,) int64 ndarray
        Number of the first piece of each arc.
    """

    origins: np.ndarray
    controls: np.ndarray
    pieces: np.ndarray

    def along(self, half_arc: int) -> tuple[np.ndarray, np.ndarray]:
        """Return start (2,) and pieces (n, 3, 2) of an arc in one of its directions."""
        arc = half_arc // 2
        pieces = self.controls[self.pieces[arc] : self.pieces[arc + 1]]
        if half_arc % 2 == 0:
            return self.origins[arc], pieces
        ends = np.concatenate([self.origins[arc : arc + 1], pieces[:, 2]])
        back = np.stack([pieces[:, 1], pieces[:, 0], ends[:-1]], axis=1)
        return ends[-1], back[::-1]


def smooth(topology: Topology, tolerance: float) -> Curves:
    """Fit curves to the arcs of a topology.

    Parameters
    ----------
    topology : Topology
    tolerance : float
        Most pixels between a curve and the middles of the sides of pixels that it stands for; 0 keeps the
        sides of the pixels.

    Returns
    -------
    Curves
    """
    from segment.kernels.image.curves import fit_curves

    points, starts = topology.points, topology.starts
    lengths = np.abs(np.diff(points, axis=0)).sum(axis=1)
    lengths = np.append(lengths, 0)
    lengths[starts[1:] - 1] = 0
    sides = np.add.reduceat(lengths, starts[:-1])
    is_loop = loops(topology)
    controls = np.empty((int(sides.sum()) + topology.n_arcs, 3, 2))
    pieces = np.empty(topology.n_arcs + 1, dtype=np.int64)
    fit_curves(
        points, starts, topology.is_frame, is_loop, float(tolerance), int(sides.max()) + 2, controls, pieces
    )
    origins = points[starts[:-1]].astype(np.float64)
    moved = is_loop & ~topology.is_frame & (tolerance > 0)
    # A loop begins in the middle of its first side, which is where it ends.
    origins[moved] = controls[pieces[1:][moved] - 1, 2]
    return Curves(origins, controls[: pieces[-1]].copy(), pieces)


def loops(topology: Topology) -> np.ndarray:
    """Return which arcs run around and meet no other, (A,) bool."""
    ends = np.stack([topology.points[topology.starts[:-1]], topology.points[topology.starts[1:] - 1]])
    keys = ends[:, :, 1].astype(np.int64) * (topology.shape[1] + 1) + ends[:, :, 0]
    _, which, counts = np.unique(keys, return_inverse=True, return_counts=True)
    return (keys[0] == keys[1]) & (counts[which.reshape(keys.shape)[0]] == 2)
