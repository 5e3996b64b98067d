"""Threads over blocks: order, numbers of threads, and the limit on BLAS."""

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from segment.errors import DataError
from segment.parallel import block_ranges, map_blocks, resolve_n_jobs, single_threaded_blas


def blas_threads():
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}


def test_blocks_cover_every_row_once():
    assert block_ranges(10, 4) == [(0, 4), (4, 8), (8, 10)]
    assert block_ranges(0, 4) == []


@pytest.mark.parametrize("n_jobs", [1, 2, 8, None])
def test_results_come_in_the_order_of_the_blocks(n_jobs):
    assert map_blocks(lambda x: x * x, list(range(50)), n_jobs) == [x * x for x in range(50)]


@pytest.mark.parametrize("n_jobs", [0, -2])
def test_an_impossible_number_of_threads_is_refused(n_jobs):
    with pytest.raises(DataError, match=str(n_jobs)):
        resolve_n_jobs(n_jobs)


def test_blas_is_limited_in_the_threads_of_a_pool_and_free_afterwards():
    np.ones((2, 2)) @ np.ones((2, 2))
    with threadpool_limits(limits=2, user_api="blas"):
        before = blas_threads()
        with single_threaded_blas():
            assert map_blocks(lambda _: blas_threads(), range(4), 2) == [{1}] * 4
            with single_threaded_blas():
                pass
            assert blas_threads() == {1}
        assert blas_threads() == before
