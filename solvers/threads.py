"""Independent rows shared out to threads in blocks of a fixed size, so that answers do not depend on the threads."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from functools import cache
from itertools import chain
from threading import current_thread, main_thread
from typing import Any, TypeVar, cast

from sklearn.utils._openmp_helpers import _openmp_effective_n_threads
from threadpoolctl import ThreadpoolController

__all__ = ["default_threads", "map_blocks", "one_blas_thread"]

T = TypeVar("T")

_default: ContextVar[int | None] = ContextVar("default number of threads", default=None)


@contextmanager
def default_threads(n_jobs: int | None) -> Iterator[None]:
    """Let `map_blocks` have `n_jobs` threads where it is called without a number: in certificates, which have none."""
    token = _default.set(n_jobs)
    try:
        yield
    finally:
        _default.reset(token)


def map_blocks(
    function: Callable[[slice], T], n_rows: int, size: int, n_jobs: int | None = None, *, deadline: float = math.inf
) -> tuple[list[T], bool]:
    """Call `function` with the slices of one block of rows after another, in threads if that is worth it.

    Parameters
    ----------
    function : callable
        Spends its time without the GIL: in kernels and in BLAS.
    n_rows, size : int
        Rows in all, and in a block.
    n_jobs : int or None, default=None
        Threads, at most one a block; None means those of `default_threads`, or else all that OpenMP may use.
    deadline : float, default=inf
        The time of `time.perf_counter` after which no block is begun.

    Returns
    -------
    results : list
        What `function` returned for each block that was begun, in order.
    late : bool
        Whether there are others.
    """
    blocks = [slice(first, min(first + size, n_rows)) for first in range(0, n_rows, size)]
    n_threads = min(_openmp_effective_n_threads(_default.get() if n_jobs is None else n_jobs), len(blocks))

    def in_time(rows: slice) -> list[T]:
        return [] if time.perf_counter() >= deadline else [function(rows)]

    # Threads that sleep while they wait, each with one thread of BLAS: those of OpenMP and of BLAS spin, which took
    # several times as long where there were more of them than cores.
    with one_blas_thread():
        if n_threads <= 1:
            found = list(map(in_time, blocks))
        else:
            with ThreadPoolExecutor(n_threads) as pool:
                found = list(pool.map(in_time, blocks))
    return list(chain.from_iterable(found)), not all(found)


def one_blas_thread() -> AbstractContextManager[Any]:
    """Leave BLAS one thread, if this is the main one.

    The limit is that of the process. Of threads that overlap the last would keep what it found, the limit of another;
    and who calls from a thread of their own has others that are to keep the cores busy.
    """
    if current_thread() is main_thread():
        return cast("AbstractContextManager[Any]", _controller().limit(limits=1, user_api="blas"))
    return nullcontext()


@cache
def _controller() -> ThreadpoolController:
    """Return what limits the threads of BLAS; to find its libraries takes as long as some codes."""
    return ThreadpoolController()
