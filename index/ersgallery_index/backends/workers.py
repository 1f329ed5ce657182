"""As many workers as cores for the parts of one search."""

import functools
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")

_MOST_DEVICES = 64


def worker_count() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def run_all(tasks: Sequence[Callable[[], T]], waiting: Sequence[Callable[[], T]] = ()) -> list[T]:
    """Run tasks at once, the first one on the calling thread, and return their results in order.

    waiting: tasks that use no core but wait for a device; they come last.
    """
    every = [*tasks, *waiting]
    others = [(_pool() if at < len(tasks) else _waiters()).submit(task) for at, task in enumerate(every) if at > 0]
    try:
        return [every[0](), *(other.result() for other in others)] if every else []
    finally:
        for other in others:  # a failure of one must not leave another running over arrays that are given up
            other.cancel()


@functools.cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=max(1, worker_count() - 1), thread_name_prefix="index-worker")


@functools.cache
def _waiters() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=_MOST_DEVICES, thread_name_prefix="index-device")
