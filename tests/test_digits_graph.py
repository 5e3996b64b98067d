"""The neighbor graph: exactness, whitening, the cut, the vote, and a block that only the graph moves."""

from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segment.consensus import neighbors
from segment.consensus.graph import (
    neighbor_graph,
    normalized_cut,
    normalized_eigenvectors,
    support,
    vote,
)
from segment.consensus.neighbors import nearest_neighbors
from segment.digits.graph import refine, whiten
from segment.errors import DataError


def brute_force(X, k):
    distances = ((X[:, None].astype(float) - X[None].astype(float)) ** 2).sum(axis=2)
    np.fill_diagonal(distances, np.inf)
    return np.sort(distances, axis=1)[:, :k], distances


@pytest.mark.kernels
@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 10_000),
    st.integers(12, 400),
    st.integers(1, 100),
    st.booleans(),
    st.sampled_from([9, 768]),
)
def test_neighbors_are_the_nearest(seed, n, d, grouped, most_rows):
    rng = np.random.default_rng(seed)
    X = (rng.normal(size=(n, d)) * np.linspace(2, 0.3, d)).astype(np.float32)
    groups = rng.integers(0, 4, n) if grouped else None
    with mock.patch.object(neighbors, "MOST_ROWS", most_rows):
        found = nearest_neighbors(X, 10, groups=groups, n_jobs=1)
    expected, distances = brute_force(X, 10)
    rows = np.arange(n)[:, None]
    assert not (found == rows).any()
    assert all(len(set(row)) == 10 for row in found.tolist())
    # By distance: what differs by rounding may come in either order.
    np.testing.assert_allclose(distances[rows, found], expected, rtol=1e-4)


@pytest.mark.kernels
@pytest.mark.parametrize("most_rows", [9, 768])
@pytest.mark.parametrize("span", [1, 4])
def test_of_equally_near_rows_the_first_are_neighbors(most_rows, span):
    rng = np.random.default_rng(0)
    X, groups = rng.integers(0, span, (60, 3)).astype(np.float32), rng.integers(0, 3, 60)
    _, distances = brute_force(X, 5)
    with mock.patch.object(neighbors, "MOST_ROWS", most_rows):
        for order in (None, groups):
            found = nearest_neighbors(X, 5, groups=order, n_jobs=1)
            np.testing.assert_array_equal(found, np.argsort(distances, axis=1, kind="stable")[:, :5])


def test_who_has_fewer_neighbors_than_asked_lacks_the_others():
    assert nearest_neighbors(np.arange(3, dtype=np.float32)[:, None], 3).tolist() == [
        [1, 2, -1],
        [0, 2, -1],
        [1, 0, -1],
    ]


def test_neighbors_do_not_depend_on_the_number_of_threads():
    X = np.random.default_rng(0).normal(size=(2000, 30)).astype(np.float32)
    np.testing.assert_array_equal(nearest_neighbors(X, 5, n_jobs=1), nearest_neighbors(X, 5, n_jobs=3))


@pytest.mark.parametrize("n_blocks", [1, 2, 4, 16, 64])
def test_every_two_blocks_meet_once_and_none_meets_two_at_a_time(n_blocks):
    rounds = list(neighbors.meetings(n_blocks))
    for pairs in rounds[1:]:
        assert len({block for pair in pairs for block in pair}) == 2 * len(pairs) == n_blocks
    met = sorted(tuple(sorted(pair)) for pairs in rounds for pair in pairs)
    assert met == [(a, b) for a in range(n_blocks) for b in range(a, n_blocks)]


def test_the_graph_counts_mutual_neighbors_twice():
    graph = neighbor_graph(np.array([[1], [0], [1]], np.int32)).toarray()
    assert graph.tolist() == [[0, 2, 0], [2, 0, 1], [0, 1, 0]]


def test_a_cut_counted_by_hand():
    graph = neighbor_graph(np.array([[1], [0], [1], [2]], np.int32))
    # Edges 0-1 (2), 1-2 (1), 2-3 (1); {0, 1} has volume 5, {2, 3} has 3, one edge between them.
    assert normalized_cut(graph, np.array([0, 0, 1, 1]), 2) == pytest.approx(1 / 5 + 1 / 3)
    assert normalized_cut(graph, np.zeros(4, int), 2) == pytest.approx(0.0)


def test_support_is_the_share_of_like_neighbors():
    graph = neighbor_graph(np.array([[1], [0], [1], [2]], np.int32))
    assert support(graph, np.array([0, 0, 1, 1]), 2) == pytest.approx([1, 2 / 3, 1 / 2, 1])


def test_the_vote_turns_a_lonely_label():
    ring = (np.arange(30)[:, None] + [1, 2, -1, -2]) % 30
    labels = np.repeat([0, 1], 15).astype(np.int32)
    labels[7] = 1
    voted = vote(neighbor_graph(ring.astype(np.int32)), labels, 2)
    assert voted.tolist() == [0] * 15 + [1] * 15


def test_whitening_gives_unit_spread_within_clusters():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 6000)
    X = rng.normal(size=(6000, 4)) * [3, 1, 0.5, 0.2] + 8 * rng.normal(size=(3, 4))[labels]
    white = whiten(X.astype(np.float32), labels).astype(float)
    within = sum(np.cov(white[labels == k].T) * (labels == k).sum() for k in range(3)) / 6000
    values = np.linalg.eigvalsh(within)
    assert values.max() <= 1.01
    total = np.var(white, axis=0)
    assert np.all(np.diff(total) <= 1e-6)
    assert white.mean(axis=0) == pytest.approx(np.zeros(4), abs=1e-3)


def test_eigenvectors_of_separate_blocks_have_value_one():
    neighbors = np.concatenate([(np.arange(20)[:, None] + [1, 2, 3]) % 20 + 20 * block for block in range(3)])
    values, vectors = normalized_eigenvectors(neighbor_graph(neighbors.astype(np.int32)), 4, 0)
    assert values[:3] == pytest.approx([1, 1, 1], abs=1e-5)
    assert values[3] < 0.99
    assert vectors.shape == (60, 4)


def test_the_graph_moves_a_block_that_the_mixture_gave_away():
    """Two bent classes: a straight first labeling cuts both; the graph follows their shapes."""
    rng = np.random.default_rng(0)
    angle = np.tile(np.linspace(0, np.pi, 400), 2)
    truth = np.repeat([0, 1], 400)
    moons = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    moons[truth == 1] = [1.0, 0.2] - moons[truth == 1]
    X = (moons + rng.normal(scale=0.06, size=moons.shape)).astype(np.float32)
    first = (X[:, 1] < 0.1).astype(np.int64)
    assert 0.75 < np.mean(first == truth) < 0.95
    found = refine(X, first, 2)
    agreed = np.mean(found.labels == truth)
    assert max(agreed, 1 - agreed) > 0.99
    assert found.cut < 0.05
    again = refine(X, first, 2, n_jobs=1)
    np.testing.assert_array_equal(again.labels, found.labels)


def test_one_cluster_and_too_few_samples():
    X = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
    assert not refine(X, np.zeros(40, int), 1).labels.any()
    with pytest.raises(DataError, match=r"9 samples are too few .* --refine none"):
        refine(X[:9], np.zeros(9, int), 2)


def test_equal_images_have_no_scale_to_whiten_by():
    assert not whiten(np.ones((20, 3), np.float32), np.arange(20) % 2).any()


def test_what_lanczos_does_hangs_not_on_chance(monkeypatch):
    import scipy.sparse.linalg

    solve, drawn = scipy.sparse.linalg.eigsh, []

    def watched_solve(*arguments, rng, **options):
        drawn.append(rng.random())
        return solve(*arguments, rng=rng, **options)

    monkeypatch.setattr(scipy.sparse.linalg, "eigsh", watched_solve)
    X = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32)
    for _ in range(2):
        refine(X, np.arange(60) % 3, 3, random_state=0)
    assert drawn[0] == drawn[1]


def test_a_cut_from_labels_that_name_no_sample_of_a_cluster_still_finds_all():
    corners = np.random.default_rng(0).normal(scale=0.1, size=(90, 2)) + 9 * np.arange(3).repeat(30)[:, None]
    found = refine(corners.astype(np.float32), np.zeros(90, int), 3)
    assert [len(set(found.labels[part].tolist())) for part in np.split(np.arange(90), 3)] == [1, 1, 1]
    assert len(set(found.labels.tolist())) == 3


def test_only_the_axes_asked_for_are_whitened():
    X, labels = np.random.default_rng(0).normal(size=(50, 5)).astype(np.float32), np.arange(50) % 3
    assert whiten(X, labels, axes=2) == pytest.approx(whiten(X, labels)[:, :2], abs=1e-6)
