"""Scores: the ends of the scale, hand-counted tables, more or fewer clusters than classes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

from segment.digits.scores import match_clusters, score


def test_a_permuted_perfect_clustering_scores_one():
    labels = np.repeat(np.arange(10), 7)
    renamed = np.array([3, 1, 4, 0, 5, 9, 2, 6, 8, 7])
    found = score(labels, renamed[labels], 10)
    assert (found.accuracy, found.purity, found.nmi, found.ari) == pytest.approx((1, 1, 1, 1))
    assert found.mapping[renamed].tolist() == list(range(10))
    assert found.recall.tolist() == found.precision.tolist() == [1.0] * 10


def test_random_clusters_score_about_a_tenth():
    rng = np.random.default_rng(0)
    labels, clusters = rng.integers(0, 10, (2, 20_000))
    found = score(labels, clusters, 10)
    # The best of 10! matchings gains a few standard deviations of 0.002.
    assert 0.1 < found.accuracy < 0.12
    assert abs(found.ari) < 0.002


def test_a_table_counted_by_hand():
    labels = np.array([0, 0, 0, 1, 1, 2, 2, 2])
    clusters = np.array([1, 1, 0, 0, 0, 2, 2, 1])
    found = score(labels, clusters, 3)
    assert found.mapping.tolist() == [1, 0, 2]
    assert found.accuracy == pytest.approx(6 / 8)
    assert found.recall == pytest.approx([2 / 3, 1, 2 / 3])
    assert found.precision == pytest.approx([2 / 3, 2 / 3, 1])
    assert found.confusion.tolist() == [[2, 1, 0, 0], [0, 2, 0, 0], [1, 0, 2, 0]]


def test_more_clusters_than_classes_leave_some_over():
    labels = np.array([0, 0, 0, 1, 1, 1])
    clusters = np.array([0, 0, 1, 2, 2, 3])
    found = score(labels, clusters, 4)
    assert found.mapping.tolist() == [0, -1, 1, -1]
    assert found.accuracy == pytest.approx(4 / 6)
    assert found.purity == 1.0
    assert found.confusion.tolist() == [[2, 0, 1], [0, 2, 1]]


def test_one_cluster_for_all_classes():
    labels = np.array([0, 1, 1, 2])
    found = score(labels, np.zeros(4, int), 1)
    assert found.mapping.tolist() == [1]
    assert found.accuracy == 0.5
    assert found.recall[[0, 1, 2]].tolist() == [0, 1, 0]
    assert np.isnan(found.precision[[0, 2]]).all()


def test_a_matching_found_elsewhere_is_kept():
    found = score(np.array([0, 1]), np.array([1, 0]), 2, np.array([0, 1]))
    assert found.accuracy == 0.0


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 5)), min_size=1, max_size=60))
def test_counts_add_up_and_matching_beats_any_greedy_choice(pairs):
    labels, clusters = np.array(pairs).T
    found = score(labels, clusters, 6)
    assert found.confusion.sum() == len(pairs)
    assert found.accuracy <= found.purity
    used = found.mapping[found.mapping >= 0]
    assert len(set(used.tolist())) == len(used)
    # One cluster and its majority class is a matching too.
    largest = max(np.bincount(labels[clusters == k]).max() for k in set(clusters.tolist()))
    assert found.accuracy * len(pairs) >= largest - 1e-9


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=40))
def test_information_and_rand_index_are_those_of_scikit_learn(pairs):
    labels, clusters = np.array(pairs).T
    found = score(labels, clusters, 4)
    assert found.nmi == pytest.approx(normalized_mutual_info_score(labels, clusters), abs=1e-12)
    assert found.ari == pytest.approx(adjusted_rand_score(labels, clusters), abs=1e-12)


def test_the_matching_is_the_best_of_all():
    from itertools import permutations

    rng = np.random.default_rng(3)
    labels, clusters = rng.integers(0, 5, (2, 80))
    mapping = match_clusters(labels, clusters, 5)
    best = max(np.mean(np.array(order)[clusters] == labels) for order in permutations(range(5)))
    assert np.mean(mapping[clusters] == labels) == pytest.approx(best)
