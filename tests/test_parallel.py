"""Threads over blocks: order, numbers of threads, and the limit on BLAS."""

import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from segment.errors import DataError
from segment.parallel import ONE_THREAD, block_ranges, map_blocks, resolve_n_jobs, single_threaded_blas


def blas_threads():
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}


def test_blocks_cover_every_row_once():
    assert block_ranges(10, 4) == [(0, 4), (4, 8), (8, 10)]
    assert block_ranges(0, 4) == []


@pytest.mark.parametrize("n_jobs", [1, 2, 8, None])
def test_results_come_in_the_order_of_the_blocks(n_jobs):
    assert map_blocks(lambda x: x * x, list(range(50)), n_jobs) == [x * x for x in range(50)]


@pytest.mark.parametrize("n_jobs", [0, "2", 2.5, 2.0, True, np.bool_(True), [2]])
def test_an_impossible_number_of_threads_is_refused(n_jobs):
    with pytest.raises(DataError, match=r"n_jobs is .*allowed are"):
        resolve_n_jobs(n_jobs)


def test_negative_numbers_of_threads_leave_cores_free_as_in_joblib(monkeypatch):
    monkeypatch.setattr("segment.parallel._n_cores", lambda: 4)
    assert [resolve_n_jobs(n) for n in (None, -1, -2, -4, -5, -9, np.int64(3))] == [4, 4, 3, 1, 1, 1, 3]


def test_blas_is_limited_in_the_threads_of_a_pool_and_free_afterwards():
    np.ones((2, 2)) @ np.ones((2, 2))
    with threadpool_limits(limits=2, user_api="blas"):
        before = blas_threads()
        assert map_blocks(lambda _: blas_threads(), range(4), 2) == [{1}] * 4
        assert map_blocks(lambda _: blas_threads(), range(1), 1) == [{1}]
        with single_threaded_blas():
            with single_threaded_blas():
                pass
            assert blas_threads() == {1}
        assert blas_threads() == before


def test_blas_stays_limited_until_the_last_of_many_threads_has_left():
    with threadpool_limits(limits=2, user_api="blas"):
        before = blas_threads()
        seen: list[set[int]] = []

        def work(seed):
            pause = np.random.default_rng(seed)
            for _ in range(20):
                with single_threaded_blas():
                    time.sleep(pause.uniform(0, 1e-3))
                    seen.append(blas_threads())

        workers = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        assert seen == [{1}] * 160
        assert blas_threads() == before


def test_blas_is_free_again_after_an_error():
    @single_threaded_blas()
    def fail():
        raise DataError(str(blas_threads()))

    with threadpool_limits(limits=2, user_api="blas"):
        before = blas_threads()
        for _ in range(2):
            with pytest.raises(DataError, match=r"^\{1\}$"):
                fail()
        assert blas_threads() == before


def _python(code, **environment):
    environment = {name: value for name, value in os.environ.items() if name not in ONE_THREAD} | environment
    return subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    ).stdout.split()


def test_a_blas_library_loaded_inside_is_limited_too():
    code = """
import numpy
from threadpoolctl import threadpool_info
from segment.parallel import map_blocks, single_threaded_blas
def threads():
    return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]
with single_threaded_blas():
    import scipy.linalg
    before = len(threads())
    print(set(map_blocks(lambda _: max(threads()), [0, 1], 2)) == {1}, before >= 1)
print(set(threads()) == {2})
"""
    assert _python(code, OPENBLAS_NUM_THREADS="2") == ["True", "True", "True"]


def test_the_command_line_limits_its_whole_process_before_numpy_is_imported():
    code = """
import os, sys
from segment.__main__ import main
print("numpy" in sys.modules, flush=True)
sys.argv = ["segment", "--version"]
try:
    main()
except SystemExit:
    print(os.environ["OPENBLAS_NUM_THREADS"], os.environ["OMP_NUM_THREADS"])
"""
    found = _python(code, OPENBLAS_NUM_THREADS="2")
    assert found[0] == "False"
    assert found[-2:] == ["1", "1"]
