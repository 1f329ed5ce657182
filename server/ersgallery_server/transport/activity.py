"""Knows how much work is under way, so that a drain waits for work and not for streams that merely stay open."""

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

from ersgallery_server.errors import ShuttingDown

R = TypeVar("R")
T = TypeVar("T")

_END = object()


class Activity:
    """Counts calls from their acceptance to their end, less the streams that wait for their callers."""

    def __init__(self) -> None:
        self._under_way = 0
        self._waiting = 0
        self._draining = False
        self._changed = threading.Condition()

    @property
    def waiting(self) -> int:
        """Return how many calls were accepted and have no thread yet."""
        return self._waiting

    def accepted(self) -> None:
        """Count a call that waits for a thread."""
        with self._changed:
            self._under_way += 1
            self._waiting += 1

    def begun(self) -> None:
        """Say that a call has its thread."""
        with self._changed:
            self._waiting -= 1

    def ended(self) -> None:
        """Say that a call has been answered."""
        with self._changed:
            self._under_way -= 1
            self._changed.notify_all()

    def each(self, requests: Iterable[R]) -> Iterator[R]:
        """Yield the requests of a stream, which counts as idle while it waits for the next one.

        The next is asked for when the answer to the one before has been sent. Raises ShuttingDown for a request that
        comes after `drain`.
        """
        iterator = iter(requests)
        while True:
            with self._idle():
                request: Any = next(iterator, _END)
            if request is _END:
                return
            if self._draining:
                raise ShuttingDown
            yield request

    def drain(self) -> None:
        """Let no stream begin another request."""
        with self._changed:
            self._draining = True

    def wait_idle(self, timeout_s: float) -> bool:
        """Wait until nothing is under way; return False when that took longer than `timeout_s`."""
        with self._changed:
            return self._changed.wait_for(lambda: self._under_way == 0, timeout_s)

    @contextmanager
    def _idle(self) -> Iterator[None]:
        self.ended()
        try:
            yield
        finally:
            with self._changed:
                self._under_way += 1


class CallPool(ThreadPoolExecutor):
    """gRPC's threads; every call is counted from the moment it is accepted."""

    def __init__(self, threads: int, activity: Activity) -> None:
        super().__init__(threads, thread_name_prefix="rpc")
        self._activity = activity

    def submit(self, work: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Queue a call."""

        def serve() -> T:
            self._activity.begun()
            try:
                return work(*args, **kwargs)
            finally:
                self._activity.ended()

        self._activity.accepted()
        return super().submit(serve)
