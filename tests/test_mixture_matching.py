"""One-to-one matching against every matching there is."""

import itertools

import numpy as np
import pytest

from segment.mixture.matching import match


def best_by_trying_all(agreement):
    if agreement.shape[0] > agreement.shape[1]:
        agreement = agreement.T
    n_rows, n_columns = agreement.shape
    return max(
        sum(agreement[row, column] for row, column in enumerate(columns))
        for columns in itertools.permutations(range(n_columns), n_rows)
    )


@pytest.mark.parametrize("shape", [(1, 1), (3, 3), (5, 5), (2, 6), (6, 2), (4, 5), (1, 4)])
@pytest.mark.parametrize("seed", range(5))
def test_no_other_matching_agrees_more(shape, seed):
    agreement = np.random.default_rng(seed).integers(-9, 9, shape)
    rows, columns = match(agreement)
    assert len(rows) == len(columns) == min(shape)
    assert len(set(rows.tolist())) == len(set(columns.tolist())) == min(shape)
    assert agreement[rows, columns].sum() == best_by_trying_all(agreement)
    assert np.all(np.diff(rows) > 0)


def test_a_permutation_is_found_again():
    order = np.array([2, 0, 3, 1])
    rows, columns = match(np.eye(4)[order])
    assert columns[rows].tolist() == order.tolist()
