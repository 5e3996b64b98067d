"""The scores on label maps small enough to count by hand, and people against people on BSDS500."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.io import loadmat
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import maximum_bipartite_matching

from segment.errors import DataError, DatasetError
from segment.kernels.regions.matching import match_near
from segment.photo.evaluation import (
    ContingencyTable,
    boundary_counts,
    boundary_map,
    bsds500_names,
    hierarchy_scores,
    load_bsds500,
    region_scores,
    summarize_boundaries,
    summarize_regions,
    thinned_boundary,
)

HALVES = np.array([[0, 0, 1, 1]] * 2)
ROWS = np.array([[0] * 4, [1] * 4])
WHOLE = np.zeros((2, 4), dtype=int)

label_maps = hnp.arrays(np.int32, (5, 6), elements=st.integers(0, 3))


def test_a_label_map_agrees_with_itself():
    scores = region_scores(HALVES, [HALVES])
    assert scores.covering == 1
    assert scores.rand_index == 1
    assert scores.variation == 0


def test_halves_against_rows_counted_by_hand():
    # Every region shares 2 of 6 pixels with every segment; of 28 pairs, 4 are together in both maps,
    # 12 in each, so 12 + 12 - 2 * 4 = 16 disagree; both entropies are one bit, nothing is mutual.
    scores = region_scores(HALVES, [ROWS])
    assert scores.covering == pytest.approx(1 / 3)
    assert scores.rand_index == pytest.approx(1 - 16 / 28)
    assert scores.variation == pytest.approx(2)


def test_one_region_against_two_annotators():
    # Against halves: overlap 4 / 8, 16 of 28 pairs are wrongly together, one bit; against itself: 1, 1, 0.
    scores = region_scores(WHOLE, [HALVES, WHOLE])
    assert scores.covering == pytest.approx(0.75)
    assert scores.rand_index == pytest.approx((1 - 16 / 28 + 1) / 2)
    assert scores.variation == pytest.approx(0.5)


def brute_force(first, second):
    """Covering, Rand index and variation of information by their definitions, pair by pair."""
    x, y = first.ravel(), second.ravel()
    covering = 0.0
    for label in set(y):
        a = set(np.flatnonzero(y == label))
        best = max(len(a & b) / len(a | b) for b in (set(np.flatnonzero(x == k)) for k in set(x)))
        covering += best * len(a)
    pairs = [(i, j) for i in range(len(x)) for j in range(i)]
    agree = sum((x[i] == x[j]) == (y[i] == y[j]) for i, j in pairs)
    conditional = 0.0
    for i in range(len(x)):
        both = ((x == x[i]) & (y == y[i])).sum()
        conditional -= np.log2(both / (x == x[i]).sum()) + np.log2(both / (y == y[i]).sum())
    return covering / len(x), agree / len(pairs), conditional / len(x)


@given(label_maps, label_maps)
@settings(max_examples=40, deadline=None)
def test_scores_are_those_of_their_definitions(first, second):
    scores = region_scores(first, [second])
    covering, rand_index, variation = brute_force(first, second)
    assert scores.covering == pytest.approx(covering)
    assert scores.rand_index == pytest.approx(rand_index)
    assert scores.variation == pytest.approx(variation, abs=1e-9)


@given(label_maps, st.permutations(range(4)))
@settings(max_examples=30, deadline=None)
def test_names_of_labels_do_not_matter(label_map, names):
    renamed = np.array(names)[label_map]
    assert np.allclose(region_scores(label_map, [HALF_MAP]), region_scores(renamed, [HALF_MAP]))


HALF_MAP = (np.arange(30).reshape(5, 6) // 15).astype(np.int32)


def test_cuts_of_a_hierarchy_score_as_their_label_maps():
    leaves = np.arange(8).reshape(2, 4)
    merges = np.array([[0, 1], [4, 5], [0, 4], [2, 3], [2, 6], [2, 7], [0, 2]])
    levels = np.array([0.1, 0.1, 0.2, 0.3, 0.3, 0.4, 0.9])
    annotations = [HALVES, ROWS]
    cuts = hierarchy_scores(
        ContingencyTable.of(leaves, annotations), merges, levels, np.array([0.0, 0.25, 0.5, 1.0])
    )
    middle = np.array([[0, 0, 1, 2], [0, 0, 3, 4]])
    for cut, label_map in zip(cuts, [leaves, middle, HALVES, WHOLE], strict=True):
        assert np.allclose(cut, region_scores(label_map, annotations))


def test_ods_takes_one_scale_and_ois_each_image_its_own():
    # Two images, two scales; areas 10 and 30: covering at scale 0 is (9 + 6) / 40, at scale 1 (2 + 24) / 40.
    scores = [
        [(9, 10, 0.9, 1.0), (2, 10, 0.5, 3.0)],
        [(6, 30, 0.4, 2.0), (24, 30, 0.8, 1.0)],
    ]
    summary = summarize_regions(scores)
    assert summary["covering"] == (pytest.approx(26 / 40), pytest.approx(33 / 40), 1)
    assert summary["rand_index"] == (pytest.approx(0.65), pytest.approx(0.85), 0)
    assert summary["variation"] == (pytest.approx(1.5), pytest.approx(1.0), 0)


def test_the_boundary_lies_on_the_upper_left_side():
    assert boundary_map(HALVES).tolist() == [[False, True, False, False]] * 2
    assert not boundary_map(WHOLE).any()


@pytest.mark.kernels
@settings(deadline=None)
@given(
    near=hnp.arrays(np.bool_, st.tuples(st.integers(1, 9), st.integers(1, 9))), seed=st.integers(0, 2**32 - 1)
)
def test_the_matching_is_as_large_as_any_whatever_is_tried_first(near, seed):
    owner, partners = np.nonzero(near)
    starts = np.searchsorted(owner, np.arange(len(near) + 1))
    order = np.random.default_rng(seed).permutation(len(owner))
    match, taken = np.empty(len(near), dtype=np.int64), np.empty(near.shape[1], dtype=np.int64)
    match_near(starts, partners, order, owner, match, taken)
    rows = np.flatnonzero(match >= 0)
    assert near[rows, match[rows]].all()
    np.testing.assert_array_equal(taken[match[rows]], rows)
    largest = maximum_bipartite_matching(csr_matrix(near), perm_type="column")
    assert len(rows) == (taken >= 0).sum() == (largest >= 0).sum()


@pytest.mark.kernels
def test_a_long_chain_of_matches_is_shifted_by_one():
    n = 1000
    owner, partners = np.repeat(np.arange(n), 2), (np.repeat(np.arange(n), 2) + np.tile([0, 1], n)) % n
    greedy_first = np.flatnonzero((partners != 0) & (partners == owner + 1))
    order = np.concatenate([greedy_first, np.setdiff1d(np.arange(2 * n), greedy_first)])
    starts = np.arange(0, 2 * n + 1, 2)
    cut = partners[-2:].copy()
    partners[-2:] = cut.max()  # the last row has one partner, which its neighbor has taken
    match, taken = np.empty(n, dtype=np.int64), np.empty(n, dtype=np.int64)
    match_near(starts, partners, order, owner, match, taken)
    np.testing.assert_array_equal(match, np.arange(n))


def test_boundaries_match_one_to_one_within_the_tolerance():
    # 100 x 100: the tolerance is .0075 * 141 = 1.06 pixels. Two drawn lines beside one wanted line: only
    # one of them can be matched to it.
    def lines(*columns):
        return np.searchsorted(columns, np.arange(100)) * np.ones((100, 1), dtype=int)

    assert boundary_counts(lines(50), [lines(51)]) == (100, 100, 100, 100)
    assert boundary_counts(lines(50), [lines(53)]) == (0, 100, 0, 100)
    counts = boundary_counts(lines(50, 52), [lines(51)])
    assert counts.drawn == 200
    assert counts.drawn_matched == counts.wanted_matched == 100
    summary = summarize_boundaries([[counts, boundary_counts(lines(51), [lines(51)])]])
    assert summary.ods == pytest.approx(1)
    assert summary.scale == 1


def test_a_map_without_boundary_scores_zero():
    assert summarize_boundaries([[boundary_counts(WHOLE, [HALVES])]]).ods == 0


def test_shapes_must_agree():
    with pytest.raises(DataError, match="shape"):
        region_scores(HALVES, [np.zeros((3, 3), dtype=int)])
    with pytest.raises(DataError, match="no annotation"):
        region_scores(HALVES, [])


def test_a_missing_split_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("SEGMENT_DATASETS", str(tmp_path))
    with pytest.raises(DatasetError, match="SEGMENT_DATASETS"):
        bsds500_names("val")


def test_people_agree_as_published(need_dataset):
    """Arbelaez et al. publish .72 covering, .88 Rand index, 1.17 bits for people on the test split."""
    need_dataset("bsds500")
    scores = []
    for annotated in load_bsds500("val", bsds500_names("val")[::3]):
        for i, drawn in enumerate(annotated.annotations):
            others = annotated.annotations[:i] + annotated.annotations[i + 1 :]
            scores.append([region_scores(drawn, others)])
    summary = summarize_regions(scores)
    assert summary["covering"].ods == pytest.approx(0.72, abs=0.03)
    assert summary["rand_index"].ods == pytest.approx(0.88, abs=0.02)
    assert summary["variation"].ods == pytest.approx(1.17, abs=0.08)


def test_thinned_boundaries_are_those_that_the_benchmark_stores(need_dataset):
    folder = need_dataset("bsds500")
    name = bsds500_names("val")[0]
    stored = loadmat(folder / "groundTruth" / "val" / f"{name}.mat")["groundTruth"][0]
    (annotated,) = load_bsds500("val", [name])
    for annotation, cell in zip(annotated.annotations, stored, strict=True):
        assert np.array_equal(thinned_boundary(annotation), cell["Boundaries"][0, 0] == 1)
