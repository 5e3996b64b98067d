"""Merging components: hand-computed toys, and shapes that no single Gaussian has."""

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segment.errors import DataError
from segment.mixture import Samples, fit_mixture, responsibilities
from segment.mixture.merging import (
    MERGE_METHODS,
    elbow,
    majority,
    merge_components,
    merged_entropies,
    posterior_overlap,
)

# Components 0 and 2 share their samples, 1 and 3 share theirs.
PAIRS = np.array(
    [[0.5, 0.0, 0.5, 0.0]] * 3
    + [[0.4, 0.0, 0.6, 0.0]] * 2
    + [[0.0, 0.7, 0.0, 0.3]] * 2
    + [[0.0, 0.4, 0.0, 0.6]] * 2
    + [[0.49, 0.01, 0.5, 0.0]]
)


@pytest.mark.parametrize("method", MERGE_METHODS)
def test_components_that_share_samples_are_merged(method):
    merging = merge_components(PAIRS, 2, method)
    assert merging.groups.tolist() == [0, 1, 0, 1]
    assert np.allclose(merging.merge(PAIRS)[0], [1.0, 0.0])
    assert np.allclose(merging.merge(PAIRS).sum(axis=1), 1.0)


@pytest.mark.parametrize("method", MERGE_METHODS)
@pytest.mark.parametrize("n_clusters", [1, 3, 4])
def test_the_number_of_clusters_is_as_asked(method, n_clusters):
    merging = merge_components(PAIRS, n_clusters, method)
    assert merging.n_clusters == n_clusters
    assert merging.groups[0] == 0


def test_overlap_is_the_cosine_of_the_columns():
    T = np.array([[1.0, 0.0], [0.5, 0.5]])
    # Columns (1, .5) and (0, .5): products .25, lengths sqrt(1.25) and .5.
    assert posterior_overlap(T, np.ones(2))[0, 1] == pytest.approx(0.25 / (np.sqrt(1.25) * 0.5))


def test_an_empty_component_overlaps_with_nothing():
    T = np.array([[1.0, 0.0, 0.0], [0.5, 0.5, 0.0]])
    overlap = posterior_overlap(T, np.ones(2))
    assert overlap[2].tolist() == [0.0, 0.0, 1.0]
    for method in MERGE_METHODS:
        assert merge_components(T, 2, method).n_clusters == 2


def test_demp_score_is_the_misclassification_probability():
    # Rows 1 and 2 are assigned to 0; component 1 has .4 + .1 of its 1.5 there.
    T = np.array([[0.6, 0.4], [0.9, 0.1], [0.0, 1.0]])
    step = merge_components(T, 1, "demp").steps[0]
    assert (step.first, step.second) == (0, 1)
    assert step.score == pytest.approx(0.5 / 1.5)


def test_entropy_score_is_the_entropy_lost():
    T = np.array([[0.5, 0.5, 0.0], [0.25, 0.0, 0.75]])
    steps = merge_components(T, 1, "entropy").steps
    assert (steps[0].first, steps[0].second) == (0, 1)
    assert steps[0].score == pytest.approx(np.log(2))
    # What is left: row 2 with (.25, .75).
    assert steps[1].score == pytest.approx(-0.25 * np.log(0.25) - 0.75 * np.log(0.75))


@pytest.mark.parametrize("method", MERGE_METHODS)
def test_an_integer_weight_equals_repetition(method):
    rng = np.random.default_rng(0)
    T = rng.dirichlet(np.full(6, 0.3), 40)
    weight = rng.integers(1, 4, 40)
    weighted = merge_components(T, 3, method, sample_weight=weight)
    repeated = merge_components(np.repeat(T, weight, axis=0), 3, method)
    assert weighted.groups.tolist() == repeated.groups.tolist()
    assert [s.score for s in weighted.steps] == pytest.approx([s.score for s in repeated.steps])


@given(st.integers(0, 1000), st.integers(2, 7))
def test_entropy_updates_equal_a_fresh_computation(seed, n_components):
    """The incremental scores must pick what brute force over all pairs picks, at every step."""
    T = np.random.default_rng(seed).dirichlet(np.full(n_components, 0.4), 30)
    columns = {i: T[:, i] for i in range(n_components)}

    def entropy(parts):
        stacked = np.array(list(parts))
        return -np.sum(stacked * np.log(np.where(stacked > 0, stacked, 1.0)))

    for step in merge_components(T, 1, "entropy").steps:
        before = entropy(columns.values())
        gains = {}
        for a in columns:
            for b in columns:
                if a < b:
                    rest = [columns[c] for c in columns if c not in (a, b)]
                    gains[a, b] = before - entropy([*rest, columns[a] + columns[b]])
        assert step.score == pytest.approx(max(gains.values()), abs=1e-9)
        assert gains[step.first, step.second] == pytest.approx(max(gains.values()), abs=1e-9)
        columns[step.first] = columns[step.first] + columns.pop(step.second)


@pytest.mark.parametrize(("method", "n_clusters"), [("nearest", 2), ("demp", 0), ("overlap", 5)])
def test_bad_requests_name_what_is_allowed(method, n_clusters):
    with pytest.raises(DataError, match="allowed are"):
        merge_components(PAIRS, n_clusters, method)


def test_faint_links_do_not_outweigh_strong_ones():
    """Two rings of ten components, each linked to its neighbors, and a faint link to every other one."""
    n = 10
    ring = np.eye(n) * 8 + np.roll(np.eye(n), 1, axis=0) + np.roll(np.eye(n), -1, axis=0)
    T = np.kron(np.eye(2), np.repeat(ring, 20, axis=0)) + 0.15
    T /= T.sum(axis=1, keepdims=True)
    assert merge_components(T, 2).groups.tolist() == [0] * n + [1] * n


def clustering(labels, order=(0, 1, 2)):
    return np.eye(3)[np.argsort(order)[np.asarray(labels)]]


def test_a_majority_outvotes_what_each_clustering_gets_wrong():
    truth = np.arange(60) % 3
    clusterings = []
    for i, order in enumerate([(0, 1, 2), (2, 0, 1), (1, 0, 2), (0, 2, 1), (2, 1, 0)]):
        labels = truth.copy()
        labels[4 * i : 4 * i + 4] = (labels[4 * i : 4 * i + 4] + 1) % 3
        clusterings.append(clustering(labels, order))
    labels, reference = majority(clusterings)
    names = clusterings[reference].argmax(axis=1)[-3:]
    assert labels.tolist() == names[truth].tolist()


def test_clusterings_that_are_wrong_as_a_whole_are_outvoted_though_they_are_more():
    """Two right ones agree; three put two classes together and cut the third one, each elsewhere."""
    truth = np.repeat([0, 1, 2], 30)
    wrong = [np.where(truth < 2, 0, 1 + (np.roll(np.arange(90), shift) % 30 < 15)) for shift in (0, 8, 19)]
    labels, reference = majority([clustering(z) for z in (*wrong, truth, truth)])
    assert reference >= 3
    assert labels.tolist() == truth.tolist()


def test_one_clustering_is_its_own_majority():
    labels, reference = majority([clustering([0, 2, 1, 1])])
    assert (labels.tolist(), reference) == ([0, 2, 1, 1], 0)


def test_a_threshold_ends_the_merging():
    # The scores of PAIRS are far apart: like components first, then what shares nothing.
    for method, threshold in (("demp", 0.1), ("entropy", 0.5), ("overlap", 0.1)):
        merging = merge_components(PAIRS, None, method, threshold=threshold)
        assert merging.groups.tolist() == [0, 1, 0, 1], method
        assert len(merging.steps) == (0 if method == "overlap" else 2)
        assert all(step.score >= threshold for step in merging.steps)
    with pytest.raises(DataError, match="give one of them"):
        merge_components(PAIRS, 2, threshold=0.1)


@pytest.mark.parametrize("method", MERGE_METHODS)
def test_the_elbow_counts_clusters(method):
    assert merge_components(PAIRS, None, method).groups.tolist() == [0, 1, 0, 1]


def test_two_lines_meet_in_the_elbow():
    assert elbow([0.0, 0.1, 0.3, 20.0, 45.0]) == 3
    assert elbow([0.0, 10.0, 20.0, 30.0, 100.0, 170.0]) == 4
    with pytest.raises(DataError, match="no elbow"):
        elbow([0.0, 1.0])


def test_entropies_along_a_hierarchy_fall_by_its_scores():
    weight = np.arange(1.0, len(PAIRS) + 1)
    steps = merge_components(PAIRS, 1, "entropy", sample_weight=weight).steps
    found = merged_entropies(PAIRS, steps, weight)
    np.testing.assert_allclose(-np.diff(found), [step.score for step in steps], atol=1e-9)
    assert found[-1] == pytest.approx(0.0, abs=1e-9)


def test_the_published_entropies_of_example_4_1():
    """Baudry and others (2010), example 4.1, by mclust's clustCombi: six components are four clusters."""
    path = Path(os.environ.get("SEGMENT_DATASETS", "datasets")) / "golden" / "ex41.csv"
    if not path.exists():
        pytest.skip(f"{path} is absent")
    X = np.loadtxt(path, delimiter=",", skiprows=1)
    fit = fit_mixture(Samples.of(X), 6, relative_reg=0.0, tol=1e-10, n_init=200)
    assert fit.log_likelihood == pytest.approx(-1951.2841, abs=5e-5)
    posterior = responsibilities(X, fit.parameters)
    found = merged_entropies(posterior, merge_components(posterior, 1, "entropy").steps)
    np.testing.assert_allclose(found[:5], [122.218, 40.897, 4.731, 1.041, 0.0], atol=1.1e-3)
    merging = merge_components(posterior, None, "entropy")
    sizes = np.bincount(merging.merge(posterior).argmax(axis=1))
    assert sorted(sizes, reverse=True) == [227, 133, 122, 118]
