"""The hierarchy of regions: trees cut by hand, merging against a slow oracle, odd images."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter
from skimage.measure import label

from segment.errors import DataError, ImageError, ModelError
from segment.kernels.regions import merging as kernels
from segment.kernels.regions.arcs import ALIKE, NEAR, refine_pixels
from segment.kernels.regions.linkage import average_linkage, fill_heights
from segment.kernels.regions.merging import Graph, Quadratic
from segment.mixture import Parameters
from segment.photo.photo import Photo
from segment.photo.regions.channels import COLOR_BINS, TEXTURE_BINS, Channel, Channels, smoothed_tensor
from segment.photo.regions.cost import (
    FEATURES,
    GRADIENT_NAMES,
    INSIDE_NAMES,
    STEP_NAMES,
    MergeCost,
    shipped_cost,
)
from segment.photo.regions.graph import build_graph
from segment.photo.regions.hierarchy import Hierarchy, agreed, find_region_tree
from segment.photo.regions.sizes import resized, to_lab, working_shapes
from segment.photo.regions.tree import RegionTree

LEAVES = np.array([[0, 0, 1], [2, 3, 3], [2, 3, 3]], dtype=np.int32)
TREE = RegionTree(LEAVES, np.array([[0, 1], [3, 2], [0, 3]], dtype=np.int32), np.array([0.2, 0.5, 0.8]))


def painted(shape=(60, 80), noise=4):
    """Three flat areas with a little noise: left, upper right, lower right."""
    image = np.zeros((*shape, 3))
    image[:, : shape[1] // 2] = 200, 60, 40
    image[: shape[0] // 2, shape[1] // 2 :] = 40, 120, 200
    image[shape[0] // 2 :, shape[1] // 2 :] = 60, 180, 70
    image += np.random.default_rng(0).normal(0, noise, image.shape)
    return np.clip(image, 0, 255).astype(np.uint8)


def same_partition(one, other):
    pairs = set(zip(one.ravel().tolist(), other.ravel().tolist(), strict=True))
    return len(pairs) == len(np.unique(one)) == len(np.unique(other))


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ({"scale": 0.1}, [[1, 1, 3], [2, 0, 0], [2, 0, 0]]),
        ({"scale": 0.2}, [[1, 1, 1], [2, 0, 0], [2, 0, 0]]),
        ({"n_regions": 2}, [[1, 1, 1], [0, 0, 0], [0, 0, 0]]),
        ({"n_regions": 1}, [[0] * 3] * 3),
        ({"scale": 1.0}, [[0] * 3] * 3),
        ({"n_regions": 99}, [[1, 1, 3], [2, 0, 0], [2, 0, 0]]),
    ],
)
def test_cuts_are_numbered_from_the_largest_region(how, expected):
    cut = TREE.cut(**how)
    assert cut.dtype == np.int32
    assert cut.tolist() == expected


@pytest.mark.parametrize(
    "how", [{}, {"scale": 0.5, "n_regions": 2}, {"scale": 0}, {"scale": 1.5}, {"n_regions": 0}]
)
def test_a_cut_that_makes_no_sense_is_refused(how):
    with pytest.raises(DataError):
        TREE.cut(**how)


def test_contours_carry_the_level_at_which_neighbors_join():
    # Leaf 0 | 1 join at .2, 2 | 3 at .5, everything else at .8.
    expected = [[0.8, 0.8, 0.8], [0.5, 0.0, 0.0], [0.5, 0.0, 0.0]]
    expected[0][1] = 0.8  # right neighbor joins at .2, lower one at .8: the stronger counts
    assert np.allclose(TREE.contour_map(), expected)


def test_a_saved_tree_is_the_same_tree(tmp_path):
    TREE.save(tmp_path / "tree.npz")
    loaded = RegionTree.load(tmp_path / "tree.npz")
    for name in ("leaves", "merges", "levels"):
        assert np.array_equal(getattr(loaded, name), getattr(TREE, name))


def test_a_file_that_is_no_tree_is_refused(tmp_path):
    (tmp_path / "x.npz").write_bytes(b"nothing")
    np.savez(tmp_path / "y.npz", other=1)
    for name in ("x.npz", "y.npz"):
        with pytest.raises(ModelError, match=rf"{name}: not a region tree"):
            RegionTree.load(tmp_path / name)
    with pytest.raises(ModelError, match=r"z\.npz: no such file"):
        RegionTree.load(tmp_path / "z.npz")


def test_equal_trees_are_equal_bytes(tmp_path, monkeypatch):
    TREE.save(tmp_path / "a.npz")
    monkeypatch.setattr("time.time", lambda: 2e9)
    TREE.save(tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"leaves": TREE.leaves[0]}, "leaves has shape"),
        ({"leaves": TREE.leaves + 0.5}, "leaves is of type float64"),
        ({"leaves": TREE.leaves - 1}, "leaves are not labelled 0 to 3"),
        ({"leaves": np.minimum(TREE.leaves, 2)}, "leaves are not labelled"),
        ({"leaves": np.zeros((0, 4), np.int32)}, "no pixel"),
        ({"merges": TREE.merges[:1]}, r"merges have shape \(1, 2\); \(3, 2\) is needed"),
        ({"merges": np.array([[0, 1], [2, 1], [0, 2]])}, "merge of 1 into 2"),
        ({"merges": np.array([[0, 1], [2, 2], [0, 2]])}, "merge of 2 into 2"),
        ({"merges": np.array([[0, 1], [2, 99], [0, 2]])}, "merge of 99 into 2"),
        ({"levels": TREE.levels[::-1]}, "levels are not rising"),
        ({"levels": TREE.levels + 1}, "levels are not rising within"),
        ({"levels": TREE.levels * np.nan}, "levels holds NaN"),
    ],
)
def test_a_damaged_tree_is_refused_by_name(tmp_path, change, reason):
    arrays = {"leaves": TREE.leaves, "merges": TREE.merges, "levels": TREE.levels} | change
    np.savez(tmp_path / "bad.npz", **arrays)
    with pytest.raises(ModelError, match=rf"bad\.npz: not a region tree .*{reason}.*RegionTree\.save"):
        RegionTree.load(tmp_path / "bad.npz")


def test_painted_areas_are_found():
    label_map = find_region_tree(painted()).cut(n_regions=3)
    truth = np.zeros((60, 80), dtype=int)
    truth[:30, 40:] = 1
    truth[30:, 40:] = 2
    agreement = max(
        (np.take(order, label_map) == truth).mean()
        for order in ([0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0])
    )
    assert agreement > 0.97


def test_cuts_are_nested():
    tree = find_region_tree(painted(noise=40))
    fine, coarse = tree.cut(n_regions=6), tree.cut(n_regions=3)
    assert len(np.unique(fine)) == 6
    assert all(len(np.unique(coarse[fine == k])) == 1 for k in range(6))


def test_same_seed_same_tree_whatever_the_threads():
    image = painted(noise=30)
    one, two = (
        find_region_tree(image, random_state=3, n_jobs=1),
        find_region_tree(image, random_state=3, n_jobs=2),
    )
    assert np.array_equal(one.leaves, two.leaves)
    assert np.array_equal(one.merges, two.merges)
    assert np.array_equal(one.levels, two.levels)


@pytest.mark.parametrize(
    "image",
    [
        np.full((40, 50, 3), 77, dtype=np.uint8),
        np.zeros((1, 1, 3), dtype=np.uint8),
        np.arange(12, dtype=np.uint8).reshape(2, 2, 3),
        np.arange(300, dtype=np.uint16).reshape(1, 100, 3) * 200,
        np.arange(200, dtype=np.uint8).reshape(200, 1),
        painted()[..., 0],
        painted().astype(np.uint16) * 257,
        np.dstack([painted(), np.tile(np.arange(80, dtype=np.uint8) * 3, (60, 1))]),
    ],
    ids=["one color", "1 x 1", "2 x 2", "1 x N", "N x 1", "gray", "16 bit", "alpha"],
)
def test_odd_images_become_trees(image):
    tree = find_region_tree(image)
    assert tree.leaves.shape == image.shape[:2]
    assert (tree.cut(n_regions=1) == 0).all()
    assert np.array_equal(np.unique(tree.leaves), np.arange(tree.n_leaves))
    assert (np.diff(tree.levels) >= 0).all()
    assert tree.contour_map().shape == image.shape[:2]


def test_depth_and_gray_do_not_matter():
    image = painted()
    deep = image.astype(np.uint16) * 257
    assert np.allclose(to_lab(Photo.of(image)), to_lab(Photo.of(deep)), atol=1e-3)
    assert np.allclose(to_lab(Photo.of(image[..., 0]))[..., 1:], 0, atol=1e-2)


def test_what_is_transparent_is_white():
    image = np.dstack([painted(), np.full((60, 80), 255, dtype=np.uint8)])
    image[:, 40:, 3] = 0
    lab = to_lab(Photo.of(image))
    assert np.allclose(lab[:, 40:], [100, 0, 0], atol=1e-4)
    assert lab[:, :40, 0].max() < 80


def test_a_large_photo_is_refined_at_full_size():
    # A disc of 700 pixels: the hierarchy is found at a third of the size, its edge at full size.
    y, x = np.mgrid[:1201, :901]
    disc = np.hypot(y - 600, x - 450) < 350
    image = np.where(disc[..., None], np.uint8([210, 80, 50]), np.uint8([40, 110, 160]))
    tree = find_region_tree(image)
    label_map = tree.cut(n_regions=2)
    assert label_map.shape == disc.shape
    assert (
        len(np.unique(tree.leaves))
        == tree.n_leaves
        == label(tree.leaves, background=-1, connectivity=1).max()
    )
    assert (label_map != disc).mean() < 0.0005


@pytest.mark.kernels
@pytest.mark.parametrize("shape", [(10, 18), (17, 13)])
def test_refined_pixels_are_those_that_their_neighbors_vote_for(shape):
    rng = np.random.default_rng(shape)
    leaves = rng.integers(0, 4, (5, 6)).astype(np.int32)
    working = np.sqrt(rng.dirichlet(np.ones(4), leaves.shape)).astype(np.float32)
    rows, columns = (axis.ravel() for axis in np.indices(shape))
    step = np.array([5 / shape[0], 6 / shape[1]])
    shares = np.sqrt(rng.dirichlet(np.ones(4), len(rows)))
    found = np.empty(len(rows), dtype=np.int32)
    refine_pixels(rows, columns, shares, step, working, leaves, found)
    i, j = np.indices(leaves.shape)
    for y, x, share, leaf in zip(rows, columns, shares, found, strict=True):
        down, right = (y + 0.5) * step[0], (x + 0.5) * step[1]
        near = np.maximum(abs(i - int(down)), abs(j - int(right))) <= 1
        squared = (down - i - 0.5) ** 2 + (right - j - 0.5) ** 2
        hellinger = 0.5 * np.square(working - share).sum(axis=2)
        votes = np.bincount(leaves[near], np.exp(-squared / NEAR - hellinger / ALIKE)[near])
        assert votes[leaf] == pytest.approx(votes.max(), rel=1e-5)


def test_working_sizes_enlarge_small_photos_and_reduce_large_ones():
    assert working_shapes((321, 481)) == [(433, 649), (273, 409)]
    assert working_shapes((1, 1)) == [(1, 1), (1, 1)]
    for shape in working_shapes((3000, 4000)):
        assert shape[1] / shape[0] == pytest.approx(4 / 3, rel=0.01)
        assert shape[0] * shape[1] < 300_000


@pytest.mark.parametrize("shape", [(17, 9), (60, 80), (433, 649)])
def test_another_size_keeps_flat_colors_and_what_lies_where(shape):
    image = np.empty((60, 80, 4), dtype=np.uint8)
    image[:, :40], image[:, 40:] = (250, 0, 120, 255), (0, 90, 255, 51)
    photo = resized(Photo.of(image), shape)
    assert photo.shape == shape
    colors = photo.pixels / (255 if photo.pixels.dtype == np.uint8 else 1)
    third = shape[1] // 3
    assert np.allclose(colors[:, :third], np.array([250, 0, 120]) / 255, atol=0.02)
    assert np.allclose(colors[:, -third:], np.array([0, 90, 255]) / 255, atol=0.02)
    assert np.allclose(photo.opacity[:, -third:], 0.2, atol=0.02)


@st.composite
def trees(draw):
    n = draw(st.integers(2, 12))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    alive, merges = list(range(n)), []
    while len(alive) > 1:
        kept, joined = rng.choice(alive, 2, replace=False)
        merges.append((kept, joined))
        alive.remove(joined)
    return np.array(merges), np.sort(rng.random(n - 1)), rng


@pytest.mark.kernels
@settings(deadline=None)
@given(trees())
def test_average_linkage_of_the_heights_of_a_tree_is_that_tree(drawn):
    merges, levels, rng = drawn
    n = len(merges) + 1
    heights = np.zeros((n, n))
    fill_heights(merges, levels, heights)
    touching, areas = ~np.eye(n, dtype=bool), rng.integers(1, 50, n).astype(float)
    found, found_levels = np.empty((n - 1, 2), dtype=np.int64), np.empty(n - 1)
    average_linkage(heights.copy(), touching, areas, found, found_levels)
    assert np.allclose(found_levels, levels)
    again = np.zeros((n, n))
    fill_heights(found, found_levels, again)
    assert np.allclose(again, heights)


@pytest.mark.kernels
@settings(deadline=None)
@given(n=st.integers(2, 10), seed=st.integers(0, 2**32 - 1))
def test_linkage_merges_the_touching_regions_of_least_mean_distance(n, seed):
    rng = np.random.default_rng(seed)
    distances = rng.random((n, n))
    distances += distances.T
    touching = rng.random((n, n)) < 0.3
    touching |= np.eye(n, k=1, dtype=bool)  # a chain, so that all hang together
    touching = (touching | touching.T) & ~np.eye(n, dtype=bool)
    areas = rng.integers(1, 9, n)
    merges, levels = np.empty((n - 1, 2), dtype=np.int64), np.empty(n - 1)
    average_linkage(distances.copy(), touching.copy(), areas.astype(float), merges, levels)
    regions = {a: [a] for a in range(n)}
    for (kept, joined), level in zip(merges, levels, strict=True):
        means = {}
        for a, b in combinations(regions, 2):
            pair = np.ix_(regions[a], regions[b])
            if touching[pair].any():
                means[frozenset((a, b))] = np.average(
                    distances[pair], weights=np.outer(areas[regions[a]], areas[regions[b]])
                )
        assert level == pytest.approx(min(means.values()))
        assert means[frozenset((kept, joined))] == pytest.approx(level)
        regions[kept] += regions.pop(joined)


def test_hierarchies_of_two_sizes_meet_in_the_middle():
    # Leaves 0 | 1 | 2 from left to right. One joins 0 and 1 first, the other, twice as large and with its
    # leaves numbered the other way, 1 and 2.
    ends = np.array([[0, 1], [1, 2]])
    one = Hierarchy(np.array([[0, 1, 2]]), ends, np.array([[0, 1], [0, 2]]), np.array([0.2, 0.6]))
    leaves = np.repeat(np.repeat([[2, 1, 0]], 2, axis=0), 2, axis=1)
    other = Hierarchy(leaves, ends, np.array([[0, 1], [0, 2]]), np.array([0.3, 0.8]))
    merges, levels = agreed([one, other])
    # 0 and 1 lie at (.2 + .8) / 2, 1 and 2 at (.6 + .3) / 2, 0 and 2 at (.6 + .8) / 2.
    assert merges.tolist() == [[1, 2], [0, 1]]
    assert np.allclose(levels, [0.45, (0.5 + 0.7) / 2])


@pytest.mark.parametrize("image", [np.zeros((4, 4, 3), dtype=np.int32), np.zeros((0, 4, 3), dtype=np.uint8)])
def test_arrays_that_are_no_image_are_refused(image):
    with pytest.raises(ImageError):
        find_region_tree(image)


SHIFTS = {
    "color2": 0,
    "color4": 1,
    "color8": 2,
    "color16": 2,
    "texture4": 1,
    "texture8": 2,
    "texture16": 2,
    "light1": 0,
    "light3": 0,
    "light6": 1,
    "tint3": 0,
    "tint6": 1,
}


def small_graph(shape=(24, 30), block=6):
    """Random channels over leaves that are squares: small enough for kernels that are not compiled."""
    rng = np.random.default_rng(0)

    def posteriors(shift, n):
        return rng.dirichlet(np.ones(n), [-(-size // 2**shift) for size in shape]).astype(np.float32)

    def channel(name, shift):
        level = posteriors(shift, 4)
        slope = rng.normal(size=(*level.shape[:2], 2)).astype(np.float32)
        tensor = np.stack([slope[..., 0] ** 2, slope[..., 0] * slope[..., 1], slope[..., 1] ** 2], axis=2)
        return Channel(tensor, level, shift, 2.0, name.startswith(("color", "texture")))

    lab = rng.normal(50, 20, (*shape, 3)).astype(np.float32)
    gradients = {name: channel(name, shift) for name, shift in SHIFTS.items()}
    colors = Parameters(np.ones(1), np.zeros((1, 3)), np.ones((1, 3)), "diag")
    channels = Channels(lab, posteriors(0, COLOR_BINS), posteriors(1, TEXTURE_BINS), gradients, colors)
    y, x = np.indices(shape)
    leaves = (y // block * (shape[1] // block) + x // block).astype(np.int32)
    return leaves, build_graph(channels, leaves), channels


def by_mean_color():
    n, linear = len(FEATURES), np.zeros(len(FEATURES))
    products = np.zeros((n, n))
    linear[FEATURES.index("mean")] = 1
    linear[FEATURES.index("area_small")] = 0.5
    linear[FEATURES.index("steepest_light3")] = 0.7
    # Only the lower triangle counts.
    products[FEATURES.index("shared_small"), FEATURES.index("mean")] = -0.3
    products[FEATURES.index("mean"), FEATURES.index("shared_small")] = 99
    return Quadratic(np.full(n, 0.1), np.full(n, 2.0), linear, products, 0.25)


def slow_cost(features, quadratic):
    z = np.clip((features - quadratic.mean) * quadratic.scale, -kernels.FARTHEST, kernels.FARTHEST)
    return np.array(
        [quadratic.bias + row @ quadratic.linear + row @ np.tril(quadratic.products) @ row for row in z]
    )


@pytest.mark.kernels
def test_merging_is_that_of_a_slow_oracle():
    """Merge by rebuilding the graph from its label map after every step and searching all arcs."""
    leaves, graph, channels = small_graph()
    quadratic, n = by_mean_color(), len(graph.regions)
    merges, costs = np.empty((n - 1, 2), dtype=np.int64), np.empty(n - 1)
    copied = Graph(*(part.copy() for part in graph))
    assert kernels.merge_until(copied, quadratic, n, 1, merges, costs) == n - 1
    label_map = leaves.copy()
    for (kept, joined), cost in zip(merges, costs, strict=True):
        labels, compact = np.unique(label_map, return_inverse=True)
        now = build_graph(channels, compact.reshape(leaves.shape).astype(np.int32))
        features = np.zeros((len(now.arcs), len(FEATURES)))
        kernels.arc_features(now, len(labels), features)
        expected = slow_cost(features, quadratic)
        assert cost == pytest.approx(expected.min(), abs=1e-4)
        assert {kept, joined} == set(labels[now.ends[expected.argmin()]])
        label_map[label_map == joined] = kept


@pytest.mark.kernels
@pytest.mark.parametrize("is_posterior", [True, False])
def test_tensors_are_those_of_plain_filters(is_posterior):
    fields = np.random.default_rng(0).dirichlet(np.ones(3), (9, 11)).astype(np.float32)
    channel = smoothed_tensor(fields, 1.5, 0, is_posterior=is_posterior)
    options = {"mode": "reflect", "radius": 5}
    expected = 0
    for field in np.moveaxis(fields.astype(np.float64), 2, 0):
        level = gaussian_filter(field, 1.5, **options)
        slopes = [1.5 * gaussian_filter(field, 1.5, order=order, **options) for order in ((0, 1), (1, 0))]
        products = np.stack([slopes[0] ** 2, slopes[0] * slopes[1], slopes[1] ** 2], axis=2)
        expected = (
            expected + products / ((level + 1e-3) if is_posterior else np.full_like(level, 400.0))[..., None]
        )
    assert np.allclose(channel.tensor, expected, rtol=1e-3, atol=1e-6)
    assert np.allclose(channel.level.sum(axis=2), 1, atol=1e-5)


@pytest.mark.kernels
def test_sums_of_regions_and_arcs_are_complete():
    leaves, graph, channels = small_graph()
    assert graph.regions[:, kernels.AREA].sum() == leaves.size
    assert np.allclose(graph.regions[:, kernels.COLOR : kernels.TEXTURE].sum(), leaves.size)
    differ = (leaves[:, 1:] != leaves[:, :-1]).sum() + (leaves[1:] != leaves[:-1]).sum()
    assert graph.arcs[:, kernels.LENGTH].sum() == differ
    inside = leaves == 0
    assert np.allclose(
        graph.regions[0, kernels.LAB : kernels.LAB + 3], channels.lab[inside].sum(axis=0), rtol=1e-4
    )
    # No gradient along the normal exceeds the steepest.
    steepest = graph.arcs[:, kernels.STEEPEST : kernels.NORMAL]
    along = graph.arcs[:, kernels.NORMAL : kernels.STEP]
    assert (along <= steepest * (1 + 1e-6)).all()


def test_the_shipped_cost_survives_its_own_file():
    cost = shipped_cost()
    again = MergeCost.from_plain(cost.to_plain())
    for name in ("leaf", "merge"):
        for one, other in zip(getattr(cost, name), getattr(again, name), strict=True):
            assert np.allclose(one, other, rtol=1e-4)


def test_a_cost_for_other_features_is_refused():
    plain = shipped_cost().to_plain()
    with pytest.raises(ModelError, match="train_regions"):
        MergeCost.from_plain({**plain, "features": plain["features"][1:]})


@pytest.mark.kernels
def test_features_stand_in_the_order_of_their_names():
    leaves, graph, _ = small_graph()
    features = np.zeros((len(graph.arcs), len(FEATURES)))
    kernels.arc_features(graph, len(graph.regions), features)
    got = dict(zip(FEATURES, features.T, strict=True))
    areas = graph.regions[:, kernels.AREA]
    swapped = areas[graph.ends[:, 0]] > areas[graph.ends[:, 1]]
    ends = np.where(swapped[:, None], graph.ends[:, ::-1], graph.ends)
    sides = {side: graph.regions[ends[:, i]] for i, side in enumerate(("small", "large"))}
    arcs = graph.arcs / graph.arcs[:, [kernels.LENGTH]]
    expected = {f"steepest_{name}": arcs[:, kernels.STEEPEST + i] for i, name in enumerate(GRADIENT_NAMES)}
    expected |= {f"normal_{name}": arcs[:, kernels.NORMAL + i] for i, name in enumerate(GRADIENT_NAMES)}
    expected |= {f"step_{name}": arcs[:, kernels.STEP + i] for i, name in enumerate(STEP_NAMES)}
    expected |= {"junction": arcs[:, kernels.JUNCTION], "prior": arcs[:, kernels.PRIOR]}
    expected |= {f"leaf_{name}": got[name] for name in ("color", "texture", "lab", "mean")}
    means = {side: rows / rows[:, [kernels.AREA]] for side, rows in sides.items()}
    for side, mean in means.items():
        expected[f"area_{side}"] = np.log2(sides[side][:, kernels.AREA] / leaves.size) / 8
        expected[f"row_{side}"] = mean[:, kernels.PLACE]
        expected[f"off_center_{side}"] = abs(mean[:, kernels.PLACE + 1] - 0.5)
        expected |= {f"{axis}_{side}": mean[:, kernels.LAB + d] for d, axis in enumerate("Lab")}
        expected |= {
            f"inside_{name}_{side}": mean[:, kernels.INSIDE + i] for i, name in enumerate(INSIDE_NAMES)
        }
        expected[f"leaves_{side}"] = np.log2(sides[side][:, kernels.LEAVES])
    expected["row_difference"] = expected["row_small"] - expected["row_large"]
    expected["light"] = abs(expected["L_small"] - expected["L_large"]) / 20
    expected["length"] = np.log2(graph.arcs[:, kernels.LENGTH] / np.sqrt(sides["small"][:, kernels.AREA])) / 4
    expected["n_regions"] = np.full(len(arcs), np.log2(len(graph.regions)))
    assert len(expected) > 55
    for name, values in expected.items():
        assert np.allclose(got[name], values), name
