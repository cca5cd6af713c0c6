"""Rows shared out to threads."""

import threading
import time
from functools import partial
from pathlib import Path

import pytest
from threadpoolctl import threadpool_info

from estimand.solvers.threads import default_threads, map_blocks


def blas_threads():
    """The threads of the libraries that NumPy and SciPy bring; other packages load more of them at any time."""
    pools = [pool for pool in threadpool_info() if pool["user_api"] == "blas"]
    own = [pool for pool in pools if any(part.startswith(("numpy", "scipy")) for part in Path(pool["filepath"]).parts)]
    return {pool["num_threads"] for pool in own or pools}


@pytest.mark.parametrize("n_jobs", [None, 1, 2, 3, -1])
@pytest.mark.parametrize("n_rows", [0, 1, 7, 8, 9, 100])
def test_blocks_are_those_of_one_thread_in_order(n_rows, n_jobs):
    blocks, late = map_blocks(lambda rows: rows, n_rows, 8, n_jobs)
    assert not late
    rows = [i for block in blocks for i in range(block.start, block.stop)]
    assert rows == list(range(n_rows))
    assert all(block.stop - block.start == 8 for block in blocks[:-1])


def test_threads_meet_and_leave_one_thread_to_blas():
    before = blas_threads()
    barrier = threading.Barrier(2, timeout=10)

    def meet(rows):
        barrier.wait()  # raises after the timeout where the two calls are not made at once
        return blas_threads()

    assert map_blocks(meet, 2, 1, 2) == ([{1}, {1}], False)
    assert blas_threads() == before


def test_one_block_stays_in_the_thread_that_calls():
    assert map_blocks(lambda rows: threading.get_ident(), 5, 8, 2) == ([threading.get_ident()], False)


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_no_block_is_begun_after_the_deadline(n_jobs):
    assert map_blocks(lambda rows: rows.start, 8, 2, n_jobs, deadline=time.perf_counter()) == ([], True)
    assert map_blocks(lambda rows: rows.start, 0, 2, n_jobs, deadline=time.perf_counter()) == ([], False)

    def pause(rows):
        time.sleep(0.05)
        return rows.start

    begun, late = map_blocks(pause, 1000, 1, n_jobs, deadline=time.perf_counter() + 0.5)
    assert late
    assert 0 < len(begun) < 1000
    assert begun == sorted(set(begun))


def test_a_default_number_of_threads_holds_until_it_is_reset():
    def meet(rows, barrier):
        barrier.wait()  # raises after the timeout where three calls are not made at once
        return rows.start

    def three_at_once():
        return map_blocks(partial(meet, barrier=threading.Barrier(3, timeout=10)), 3, 1)[0]

    with default_threads(3):
        assert three_at_once() == [0, 1, 2]
        with default_threads(1):
            assert set(map_blocks(lambda rows: threading.get_ident(), 8, 1)[0]) == {threading.get_ident()}
        with pytest.raises(FloatingPointError), default_threads(2):
            raise FloatingPointError
        assert three_at_once() == [0, 1, 2]


def test_errors_reach_the_caller():
    def fail(rows):
        raise FloatingPointError(f"rows {rows.start} to {rows.stop}")

    with pytest.raises(FloatingPointError, match="rows 0 to 4"):
        map_blocks(fail, 8, 4, 2)
    assert map_blocks(lambda rows: rows.start, 8, 4, 2) == ([0, 4], False)


def test_calls_from_several_threads_leave_blas_its_threads():
    before = blas_threads()
    assert map_blocks(lambda rows: blas_threads(), 1, 1, 1) == ([{1}], False)
    barrier = threading.Barrier(3, timeout=10)

    def meet(rows):
        barrier.wait()
        return rows.start

    threads = [threading.Thread(target=map_blocks, args=(meet, 1, 1, 1)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert blas_threads() == before
