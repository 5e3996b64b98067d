"""From channels to leaves, and from leaves to the region adjacency graph that is merged."""

from __future__ import annotations

import numpy as np

from segment.kernels.regions import arcs as measures
from segment.kernels.regions import merging as kernels
from segment.kernels.regions.merging import Graph, Quadratic
from segment.photo.regions.channels import Channels
from segment.photo.regions.cost import FEATURES, GRADIENT_NAMES, INSIDE_NAMES, STEP_NAMES
from segment.photo.specks import join_small

# The landscape whose basins are the leaves.
_LANDSCAPE = {"color2": 1.0, "color4": 0.5, "light1": 1.0, "light3": 0.5, "texture4": 0.3}
_LANDSCAPE_BLUR = 1.5
_SMALLEST_LEAF = 60

# Steps are measured between points this many sigmas from the boundary on both sides.
_STEP_SIGMAS = 1.5


def find_leaves(channels: Channels) -> np.ndarray:
    """Return the basins of the gradient as a label map, (M, N) int32 from 0, each of 60 pixels or more.

    An image of fewer pixels is one leaf.
    """
    from scipy.ndimage import gaussian_filter
    from skimage.segmentation import watershed

    shape = channels.lab.shape[:2]
    landscape = np.zeros(shape, dtype=np.float32)
    for name, weight in _LANDSCAPE.items():
        channel = channels.gradients[name]
        landscape += weight * _enlarged(channel.magnitude(), channel.shift, shape)
    # Padded, since no minimum is looked for in less than three rows; a flat image has none: one leaf.
    padded = np.pad(gaussian_filter(landscape, _LANDSCAPE_BLUR), 1, mode="edge")
    basins = np.maximum(watershed(padded)[1:-1, 1:-1].astype(np.int32) - 1, 0)
    sizes = np.bincount(basins.ravel()).astype(np.float64)
    sums = np.stack(
        [np.bincount(basins.ravel(), band.ravel()) for band in channels.lab.transpose(2, 0, 1)], 1
    )
    _, target = np.unique(join_small(basins, sizes, sums, _SMALLEST_LEAF), return_inverse=True)
    return target.astype(np.int32)[basins]


def _enlarged(field: np.ndarray, shift: int, shape: tuple[int, ...]) -> np.ndarray:
    """Interpolate a coarse field, whose values belong to the centers of 2**shift pixels, to all pixels."""
    for axis, size in enumerate(shape):
        if shift:
            place = (np.arange(size) + 0.5) / 2**shift - 0.5
            place = np.clip(place, 0, field.shape[axis] - 1)
            low = place.astype(np.int64)
            high = np.minimum(low + 1, field.shape[axis] - 1)
            part = np.expand_dims((place - low).astype(np.float32), 1 - axis)
            field = field.take(low, axis) * (1 - part) + field.take(high, axis) * part
    return field


def build_graph(channels: Channels, leaves: np.ndarray) -> Graph:
    """Measure all leaves and all arcs between them; priors and modes are zero until `add_prior`.

    Parameters
    ----------
    channels : Channels
    leaves : (M, N) int32 ndarray
    """
    n_leaves = int(leaves.max()) + 1
    regions, boxes = np.zeros((n_leaves, kernels.REGION_COLUMNS)), np.zeros((n_leaves, 4))
    kernels.sum_regions(leaves, channels.lab, channels.color, channels.texture, regions, boxes)
    for column, name in enumerate(INSIDE_NAMES):
        channel = channels.gradients[name]
        measures.sum_inside(leaves, channel.magnitude(), channel.shift, kernels.INSIDE + column, regions)
    regions[:, kernels.LEAVES] = 1
    ends, arc_of, points = _find_arcs(leaves, n_leaves)
    arcs = _measure_arcs(channels, leaves, ends, arc_of, points)
    graph = Graph(ends, arcs, regions, boxes, np.array(leaves.shape, dtype=np.float64))
    _add_leaf_contrasts(graph)
    return graph


def _find_arcs(leaves: np.ndarray, n_leaves: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the pairs of touching leaves (E, 2), and for each boundary point its arc and its two pixels."""
    M, N = leaves.shape
    here, there = [], []
    index = np.arange(M * N).reshape(M, N)
    for before, after in ((index[:, :-1], index[:, 1:]), (index[:-1], index[1:])):
        differ = leaves.flat[before] != leaves.flat[after]
        here.append(before[differ])
        there.append(after[differ])
    p, q = np.concatenate(here), np.concatenate(there)
    a, b = leaves.flat[p].astype(np.int64), leaves.flat[q].astype(np.int64)
    keys, arc_of = np.unique(np.minimum(a, b) * n_leaves + np.maximum(a, b), return_inverse=True)
    ends = np.stack([keys // n_leaves, keys % n_leaves], axis=1)
    points = np.stack([p // N, p % N, q // N, q % N], axis=1)
    return ends, arc_of, points


def _measure_arcs(
    channels: Channels, leaves: np.ndarray, ends: np.ndarray, arc_of: np.ndarray, points: np.ndarray
) -> np.ndarray:
    # One row a column of the arcs' table: each measure fills contiguous memory.
    table = np.zeros((kernels.ARC_COLUMNS, len(ends)))
    table[kernels.LENGTH] = np.bincount(arc_of, minlength=len(ends))
    normals = np.empty((len(points), 2))
    measures.find_normals(leaves, ends, arc_of, points, normals, table[kernels.JUNCTION])
    place = (arc_of, points, normals)
    for i, name in enumerate(GRADIENT_NAMES):
        channel = channels.gradients[name]
        sums = (table[kernels.STEEPEST + i], table[kernels.NORMAL + i])
        measures.sum_gradient(channel.tensor, channel.shift, not channel.is_posterior, *place, *sums)
    for i, name in enumerate(STEP_NAMES):
        channel = channels.gradients[name]
        distance = _STEP_SIGMAS * channel.sigma
        measures.sum_step(channel.level, channel.shift, distance, *place, table[kernels.STEP + i])
    return np.ascontiguousarray(table.T)


def _add_leaf_contrasts(graph: Graph) -> None:
    """Keep how the two leaves beside each boundary point differ."""
    length = graph.arcs[:, kernels.LENGTH]
    features = np.zeros((len(graph.arcs), len(FEATURES)))
    kernels.arc_features(graph, len(graph.regions), features)
    start = FEATURES.index("color")
    graph.arcs[:, kernels.LEAF : kernels.LEAF + 4] = features[:, start : start + 4] * length[:, None]


def add_prior(graph: Graph, probability: np.ndarray) -> None:
    """Write the leaf model's boundary probabilities (E,) into the arcs, and the modes that follow from them.

    The modes are the smoothest functions on the graph whose links are strong where a boundary is
    improbable: what lies far apart in them is separated by boundaries all around.

    References
    ----------
    .. [1] Shi & Malik (2000), "Normalized cuts and image segmentation", IEEE TPAMI 22(8), 888-905.
    """
    length = graph.arcs[:, kernels.LENGTH]
    graph.arcs[:, kernels.PRIOR] = probability * length
    graph.arcs[:, kernels.PRIOR + 1] = np.square(probability) * length
    links = np.square(np.maximum(1 - probability, 1e-3)) * length
    modes = _slow_modes(graph.ends, links, len(graph.regions))
    columns = slice(kernels.MODE, kernels.MODE + modes.shape[1])
    graph.regions[:, columns] = modes * graph.regions[:, :1]


def _slow_modes(ends: np.ndarray, links: np.ndarray, n: int) -> np.ndarray:
    from scipy.linalg import eigh
    from scipy.sparse import coo_matrix, diags, identity
    from scipy.sparse.linalg import eigsh

    wanted = min(kernels.MODES, n - 1)
    if wanted < 1:
        return np.zeros((n, 0))
    a, b = ends.T
    matrix = coo_matrix((np.tile(links, 2), (np.append(a, b), np.append(b, a))), (n, n)).tocsc()
    degree = np.asarray(matrix.sum(axis=1)).ravel() + 1e-6
    scale = diags(1 / np.sqrt(degree))
    laplacian = (identity(n) - scale @ matrix @ scale).tocsc()
    if n <= 3 * kernels.MODES:
        values, vectors = eigh(laplacian.toarray())
    else:
        rng = np.random.default_rng(0)
        start = np.sqrt(degree) + 0.1 * rng.standard_normal(n)
        values, vectors = eigsh(laplacian, wanted + 1, sigma=-1e-2, tol=1e-3, v0=start, rng=rng)
    order = np.argsort(values, kind="stable")[1 : wanted + 1]
    stretch = np.sqrt(degree.sum() / np.maximum(values[order], 1e-4))
    return vectors[:, order] * stretch / np.sqrt(degree)[:, None]


def leaf_log_odds(graph: Graph, leaf: Quadratic) -> np.ndarray:
    """Return the leaf model's log odds of a boundary on each arc, (E,) float64."""
    features = np.zeros((len(graph.arcs), len(FEATURES)))
    kernels.arc_features(graph, len(graph.regions), features)
    log_odds = np.empty(len(features))
    kernels.arc_costs(features, leaf, log_odds)
    return log_odds
