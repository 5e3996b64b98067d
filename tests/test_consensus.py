"""Consensus on graphs of neighbors: every step against a slow one, and shapes that no center describes."""

import warnings

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score
from sklearn.utils.estimator_checks import check_estimator

from segment import ConsensusClustering, cluster_consensus
from segment.consensus import neighbors as neighbors_module
from segment.consensus.agreement import confidence, mutual_share, renamed
from segment.consensus.cluster import cluster_graphs, take
from segment.consensus.graph import information, links_between, neighbor_graph, normalized_eigenvectors
from segment.consensus.kmeans import cells_of, fit_centers, nearest_centers
from segment.consensus.members import Neighborhood, merged
from segment.consensus.neighbors import find_neighbors, nearest_neighbors
from segment.consensus.refinement import cut_spectrum, move_blocks, move_samples, told
from segment.consensus.stability import choose_n_clusters, rand_index
from segment.consensus.whitening import whiten_by_neighbors
from segment.errors import DataError, SegmentWarning


def rings(n=450, seed=0):
    """Three rings, one around the other: no center, and no Gaussian, describes them."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 3
    radius, angle = 1.0 + 1.5 * labels + rng.normal(0, 0.1, n), rng.uniform(0, 2 * np.pi, n)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1), labels


def random_graph(n=60, k=5, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3)).astype(np.float32)
    return neighbor_graph(nearest_neighbors(X, k, n_jobs=1))


def of_blobs(n=400, n_blobs=4, seed=0, distance=6.0):
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % n_blobs
    X = (rng.normal(size=(n_blobs, 5))[labels] * distance + rng.normal(size=(n, 5))).astype(np.float32)
    return Neighborhood.of([nearest_neighbors(X, 30, n_jobs=1)]), labels


# --- graphs -------------------------------------------------------------------------------------------


def test_views_side_by_side_are_added_up():
    views = [np.array([[1], [0], [1]], np.int32), np.array([[1], [2], [0]], np.int32)]
    graph = neighbor_graph(np.hstack(views))
    assert graph.toarray().tolist() == [[0, 3, 1], [3, 0, 2], [1, 2, 0]]
    assert graph.has_canonical_format or graph.nnz == 6


@pytest.mark.kernels
def test_links_are_the_edges_between_groups():
    graph, groups = random_graph(), np.random.default_rng(1).integers(0, 4, 60)
    is_in = np.eye(4)[groups]
    np.testing.assert_array_equal(links_between(graph, groups, 4), is_in.T @ graph.toarray() @ is_in)


def test_information_of_clusters_counted_by_hand():
    assert information(np.diag([5.0, 5.0, 5.0])) == pytest.approx(np.log(3))
    assert information(np.ones((4, 4))) == pytest.approx(0.0)
    assert information(np.array([[7.0]])) == 0.0
    # Edges stay with probability 3/4: log 2 less the entropy of (3/4, 1/4).
    assert information(np.array([[3.0, 1], [1, 3]])) == pytest.approx(
        np.log(2) + 0.75 * np.log(0.75) + 0.25 * np.log(0.25)
    )


def test_few_samples_get_the_same_eigenvectors_exactly():
    graph = random_graph(30)
    few, _ = normalized_eigenvectors(graph, 5, 0)
    many, vectors = normalized_eigenvectors(graph, 25, 0)
    assert many[:5] == pytest.approx(few, abs=1e-5)
    assert np.allclose(vectors.T @ vectors, np.eye(25), atol=1e-5)


# --- kernels ------------------------------------------------------------------------------------------


def slow_merge(links, n_left, power):
    """Merge the smallest group into the one of largest links / volume ** power, by the definition."""
    members = [[i] for i in range(len(links))]
    while len(members) > n_left:
        between = np.array([[links[np.ix_(a, b)].sum() for b in members] for a in members])
        volumes = between.sum(axis=1)
        smallest = int(np.argmin(volumes))
        pull = between[smallest] / volumes**power
        pull[smallest] = -1
        partner = int(np.argmax(pull))
        members[partner] = members[partner] + members[smallest]
        del members[smallest]
    groups = np.empty(len(links), int)
    for name, own in enumerate(sorted(members, key=min)):
        groups[own] = name
    return groups


@pytest.mark.kernels
@pytest.mark.parametrize("power", [0.5, 1.0])
def test_the_smallest_group_goes_where_it_is_linked_to_most(power):
    rng = np.random.default_rng(2)
    links = rng.random((15, 15)) ** 3
    links = links + links.T
    np.testing.assert_array_equal(merged(links, 4, power), slow_merge(links, 4, power))
    assert merged(links, 20, power).tolist() == list(range(15))


def slow_moves(graph, labels, n_clusters, order):
    """Move nodes one by one to the cluster of most information, computed afresh each time."""
    labels = labels.copy()
    while True:
        n_moved = 0
        for i in order:
            values = []
            for b in range(n_clusters):
                tried = labels.copy()
                tried[i] = b
                values.append(told(graph, tried, n_clusters))
            best = int(np.argmax(values))
            if values[best] > values[labels[i]] + 1e-9 and (labels == labels[i]).sum() > 1:
                labels[i] = best
                n_moved += 1
        if n_moved == 0:
            return labels


@pytest.mark.kernels
@pytest.mark.parametrize("seed", range(3))
def test_moves_are_those_of_most_information(seed):
    graph = random_graph(40, seed=seed)
    # A node may be linked to itself: blocks are.
    graph = csr_array(graph + csr_array(np.diag(np.arange(40) % 3).astype(np.float32)))
    labels = np.random.default_rng(seed).integers(0, 3, 40)
    moved = move_samples(graph, labels, 3, np.random.default_rng(seed))
    order = np.random.default_rng(seed).permutation(40)
    np.testing.assert_array_equal(moved, slow_moves(graph, labels, 3, order))
    assert told(graph, moved, 3) > told(graph, labels, 3)


@pytest.mark.kernels
def test_kmeans_finds_blobs_and_copes_with_copies():
    rng = np.random.default_rng(0)
    rows = (np.repeat(20 * np.eye(5), 40, axis=0) + rng.normal(size=(200, 5))).astype(np.float32)
    labels = nearest_centers(rows, fit_centers(rows, 5, np.random.default_rng(0)))
    assert mutual_share(labels, np.arange(200) // 40) == pytest.approx(1.0)
    copies = np.ones((30, 4), np.float32)
    assert set(cells_of(copies, 7, np.random.default_rng(0), max_rows=20)) == {0}


# --- whitening and neighbors --------------------------------------------------------------------------


def test_whitening_shrinks_what_varies_within_classes():
    rng = np.random.default_rng(0)
    labels = np.arange(600) % 3
    # Ten loud features of noise, ten quiet ones in which the classes stand apart.
    X = rng.normal(size=(600, 20)) * np.repeat([1.5, 0.2], 10)
    X[:, 10:] += rng.normal(size=(3, 10))[labels] * 0.5
    X = X.astype(np.float32)
    whitening = whiten_by_neighbors(X, n_jobs=1)
    white = whitening.apply(X)

    def purity(rows):
        return np.mean(labels[nearest_neighbors(rows, 5, n_jobs=1)] == labels[:, None])

    assert purity(X) < 0.85
    assert purity(white) > 0.95
    assert np.all(np.diff(white.var(axis=0)) <= 1e-4 * white.var())
    np.testing.assert_array_equal(whiten_by_neighbors(X, n_jobs=3).transform, whitening.transform)


def test_equal_rows_are_left_as_they_are():
    assert not whiten_by_neighbors(np.ones((9, 2), np.float32)).apply(np.ones((9, 2), np.float32)).any()


def test_very_many_samples_are_searched_exactly_where_there_is_no_other_way(monkeypatch):
    X = np.random.default_rng(0).normal(size=(300, 4)).astype(np.float32)
    expected = find_neighbors(X, 3)
    monkeypatch.setattr(neighbors_module, "MOST_EXACT", 200)
    monkeypatch.setattr(neighbors_module, "find_spec", lambda name: None)
    with pytest.warns(SegmentWarning, match=r"300 samples are found exactly.*'segment-em\[neighbors\]'"):
        assert np.array_equal(find_neighbors(X, 3), expected)


def test_the_approximate_search_finds_most_neighbors(monkeypatch):
    pytest.importorskip("pynndescent")
    X = np.random.default_rng(0).normal(size=(1500, 6)).astype(np.float32)
    exact = find_neighbors(X, 8)
    monkeypatch.setattr(neighbors_module, "MOST_EXACT", 200)
    found = find_neighbors(X, 8)
    assert found.shape == exact.shape
    assert not (found == np.arange(1500)[:, None]).any()
    assert np.mean([len(set(a) & set(b)) for a, b in zip(found, exact, strict=True)]) > 7.5
    np.testing.assert_array_equal(found, find_neighbors(X, 8))


def test_a_row_that_the_search_misses_loses_its_last_neighbor():
    found = neighbors_module._without_self(np.array([[0, 2, 1], [2, 0, 1], [0, 1, 3]]))
    assert found.tolist() == [[2, 1], [2, 0], [0, 1]]


# --- agreement ----------------------------------------------------------------------------------------


def test_measures_of_agreement_are_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    for _ in range(5):
        a, b = rng.integers(0, 4, 90), rng.integers(0, 4, 90)
        assert mutual_share(a, b) == pytest.approx(normalized_mutual_info_score(a, b))
        assert rand_index(a, b, 4) == pytest.approx(adjusted_rand_score(a, b))
    zeros = np.zeros(9, int)
    assert mutual_share(zeros, zeros) == rand_index(zeros, zeros, 1) == 1.0


def test_confidence_is_the_share_of_members_that_agree():
    labels = np.array([0, 0, 0, 1, 1, 1])
    members = np.array([[1, 1, 1, 0, 0, 0], [0, 0, 1, 1, 1, 1]])
    np.testing.assert_array_equal(renamed(members[0], labels, 2), labels)
    assert confidence(members, labels, 2).tolist() == [1, 1, 0.5, 1, 1, 1]


# --- the whole ----------------------------------------------------------------------------------------


def test_rings_are_found_the_same_with_any_number_of_threads():
    X, labels = rings()
    found = cluster_consensus(X, 3, n_members=40, n_jobs=1)
    assert adjusted_rand_score(labels, found.labels) > 0.99
    assert found.labels[:3].tolist() == [0, 1, 2]
    assert found.taken in found.candidates
    assert found.candidates[found.taken] == max(found.candidates.values())
    again = cluster_consensus(X, 3, n_members=40, n_jobs=3)
    assert found.labels.tobytes() == again.labels.tobytes()
    assert found.confidence.tobytes() == again.confidence.tobytes()
    assert found.candidates == again.candidates


def test_blocks_move_where_no_single_sample_would():
    graphs, labels = of_blobs(distance=3.0)
    rng = np.random.default_rng(0)
    # A third of a blob stands with another: its samples hold each other there.
    wrong = labels.copy()
    rows = graphs.rows[labels == 2]
    wrong[np.flatnonzero(labels == 2)[np.argsort(rows[:, 1])[:60]]] = 0
    moved = move_samples(graphs.near, wrong, 4, rng)
    by_blocks = move_blocks(graphs, moved, 4, rng)
    assert told(graphs.near, by_blocks, 4) >= told(graphs.near, moved, 4)
    assert adjusted_rand_score(labels, by_blocks) > 0.99
    assert adjusted_rand_score(labels, cut_spectrum(graphs, by_blocks, 4, rng)) > 0.99


def test_what_tells_most_is_taken_but_a_simpler_one_as_good_as_the_rounds_goes_before():
    rounds = {"consensus 1": 2.10, "consensus 1, cut": 2.08, "consensus 2": 2.05, "consensus 2, cut": 2.07}
    assert take(rounds, []) == ("consensus 1", pytest.approx(0.03))
    assert take(rounds | {"mixture": 2.08}, ["mixture"])[0] == "mixture"
    assert take(rounds | {"mixture": 2.06}, ["mixture"])[0] == "consensus 1"
    assert take(rounds | {"mixture": 2.20}, ["mixture"])[0] == "mixture"


def test_another_clustering_is_judged_with_the_rest():
    graphs, labels = of_blobs()
    found = cluster_graphs(graphs, 4, others={"mixture": labels}, n_members=10, n_jobs=1)
    assert "mixture" in found.candidates
    assert found.candidates["mixture"] >= max(found.candidates.values()) - found.spread
    assert found.taken == "mixture"
    assert adjusted_rand_score(labels, found.labels) == 1.0
    assert 0.9 < found.confidence.mean() <= 1


def test_the_number_of_clusters_is_found():
    graphs, _ = of_blobs()
    curve = choose_n_clusters(graphs, range(2, 8))
    assert curve.chosen == 4
    assert curve.sureness == 1.0
    assert curve.counts.tolist() == [2, 3, 4, 5, 6, 7]
    assert curve.stability[2] > 0.99
    found = cluster_consensus(rings(900)[0], n_members=20)
    assert found.n_clusters == found.curve.chosen == 3


def test_scikit_learn_finds_nothing_to_object_to():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = check_estimator(ConsensusClustering(n_members=8, n_jobs=1), on_fail="raise")
    assert sum(result["status"] == "passed" for result in results) > 30


def test_one_cluster_and_as_many_as_samples():
    X = np.random.default_rng(0).normal(size=(12, 3))
    assert not cluster_consensus(X, 1, n_members=4).labels.any()
    assert sorted(set(cluster_consensus(X, 12, n_members=4).labels)) <= list(range(12))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_clusters": 13}, "n_clusters is 13; allowed"),
        ({"n_clusters": "many"}, "n_clusters is 'many'"),
        ({"n_neighbors": 0}, "n_neighbors is 0"),
        ({"n_members": 0}, "n_members is 0"),
        ({"n_clusters": "auto"}, "choose the number|n_clusters"),
    ],
)
def test_what_cannot_be_clustered_is_said(options, message):
    X = np.random.default_rng(0).normal(size=(9, 3))
    with pytest.raises(DataError, match=message):
        cluster_consensus(X, **{"n_clusters": 2, **options})
