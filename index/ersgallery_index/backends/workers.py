"""As many workers as cores for the parts of one search."""

import functools
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def worker_count() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def run_all(tasks: Sequence[Callable[[], T]]) -> list[T]:
    """Run tasks at once, the first one on the calling thread, and return their results in order."""
    others = [_pool().submit(task) for task in tasks[1:]]
    try:
        return [tasks[0](), *(other.result() for other in others)] if tasks else []
    finally:
        for other in others:  # a failure of one must not leave another running over arrays that are given up
            other.cancel()


@functools.cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=max(1, worker_count() - 1), thread_name_prefix="index-worker")
