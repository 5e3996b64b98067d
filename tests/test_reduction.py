"""Sums in one fixed tree: the order of additions, few sums at a time, the same bits from any cut."""

from itertools import chain, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segment.data import Samples, reduce_tree
from segment.data.reduction import Subtree, joined, map_in_order, reduce_blocks, whole_sum


class _Trace:
    """A sum that remembers how it was made, and how many are alive."""

    alive = most = 0

    def __init__(self, text):
        self.text = text
        _Trace.alive += 1
        _Trace.most = max(_Trace.most, _Trace.alive)

    def __del__(self):
        _Trace.alive -= 1

    def __iadd__(self, other):
        self.text = f"({self.text}{other.text})"
        return self


@pytest.mark.parametrize(
    ("letters", "order"),
    [
        ("a", "a"),
        ("ab", "(ab)"),
        ("abc", "((ab)c)"),
        ("abcde", "(((ab)(cd))e)"),
        ("abcdefg", "(((ab)(cd))((ef)g))"),
    ],
)
def test_neighbors_are_added_first(letters, order):
    assert reduce_tree(_Trace(letter) for letter in letters).text == order


def test_few_sums_are_held_at_a_time():
    _Trace.most = _Trace.alive
    reduce_tree(_Trace("") for _ in range(1000))
    assert _Trace.most - _Trace.alive <= 12


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 200), st.sampled_from([1, 2, 3, 8]))
def test_threads_add_in_the_same_order(n, n_jobs):
    expected = reduce_tree(_Trace(f"{i} ") for i in range(n)).text
    assert reduce_blocks(lambda i: _Trace(f"{i} "), range(n), n_jobs).text == expected


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 100), st.integers(0, 5))
def test_a_run_of_a_power_of_two_may_be_summed_elsewhere(n, exponent):
    leaves = [f"{i} " for i in range(n)]
    size = 2**exponent
    runs = (reduce_tree(map(_Trace, leaves[i : i + size])) for i in range(0, n, size))
    assert reduce_tree(runs).text == reduce_tree(map(_Trace, leaves)).text


def test_results_come_in_order_and_errors_come_through():
    assert list(map_in_order(lambda i: i * i, range(20), 3)) == [i * i for i in range(20)]
    with pytest.raises(ZeroDivisionError):
        list(map_in_order(lambda i: 1 // (i - 3), range(20), 3))


def test_the_summary_of_samples_is_that_of_their_formula():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(150_000, 3)) + np.array([0.0, 1e6, -5.0])
    weight = rng.integers(0, 3, len(X)).astype(float)
    samples = Samples.of(X, weight)
    mean = weight @ X / weight.sum()
    assert np.allclose(samples.mean, mean, rtol=1e-13)
    assert np.allclose(samples.variance, weight @ (X - mean) ** 2 / weight.sum(), rtol=1e-10)


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 100), st.sets(st.integers(1, 99)))
def test_runs_of_any_length_are_joined_elsewhere(n, cuts):
    edges = [0, *sorted(cut for cut in cuts if cut < n), n]
    runs = [joined(Subtree(i, 1, _Trace(f"{i} ")) for i in range(a, b)) for a, b in pairwise(edges)]
    assert all(
        len(run) <= 2 * (b - a).bit_length() for run, (a, b) in zip(runs, pairwise(edges), strict=True)
    )
    middle = len(runs) // 2
    halves = [joined(chain.from_iterable(part)) for part in (runs[:middle], runs[middle:])]
    expected = reduce_tree(_Trace(f"{i} ") for i in range(n)).text
    assert whole_sum(joined(chain.from_iterable(halves))).text == expected
