"""Threads over blocks: order, numbers of threads, and the limit on BLAS."""

import threading

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


def test_blas_stays_limited_until_the_last_thread_has_left():
    with threadpool_limits(limits=2, user_api="blas"):
        before = blas_threads()
        first_left = threading.Event()
        seen = []

        def second():
            with single_threaded_blas():
                entered.set()
                first_left.wait(10)
                seen.append(blas_threads())

        entered = threading.Event()
        thread = threading.Thread(target=second)
        with single_threaded_blas():
            thread.start()
            assert entered.wait(10)
        first_left.set()
        thread.join()
        assert seen == [{1}]
        assert blas_threads() == before
