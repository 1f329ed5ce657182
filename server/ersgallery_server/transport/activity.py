"""Knows how much work is under way, so that a drain waits for work and not for streams that merely stay open."""

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

R = TypeVar("R")


class Activity:
    """Counts unary calls and batches of streams that are being answered."""

    def __init__(self) -> None:
        self._running = 0
        self._changed = threading.Condition()

    @contextmanager
    def one(self) -> Iterator[None]:
        """Count one piece of work while the block runs."""
        with self._changed:
            self._running += 1
        try:
            yield
        finally:
            with self._changed:
                self._running -= 1
                self._changed.notify_all()

    def each(self, requests: Iterable[R]) -> Iterator[R]:
        """Count each request of a stream until the next is asked for, which is when its answer has been sent."""
        for request in requests:
            with self.one():
                yield request

    def wait_idle(self, timeout_s: float) -> bool:
        """Wait until nothing is under way; return False when that took longer than `timeout_s`."""
        with self._changed:
            return self._changed.wait_for(lambda: self._running == 0, timeout_s)
