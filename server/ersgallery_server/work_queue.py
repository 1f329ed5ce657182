"""A bounded queue that gives its one owner everything that waits."""

import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

from ersgallery_server.errors import Overloaded, ShuttingDown

J = TypeVar("J")


class WorkQueue(Generic[J]):
    """Jobs for one owner thread.

    Zero-wait dynamic batching: the owner takes whatever queued while it was busy. `offer` refuses work beyond the
    limit; `push` never does, for work that is already promised, such as a mutation that the store has committed.
    """

    def __init__(self, name: str, limit: int) -> None:
        self._name = name
        self._limit = limit
        self._jobs: deque[J] = deque()
        self._closed = False
        self._changed = threading.Condition()

    def __len__(self) -> int:
        return len(self._jobs)

    def offer(self, job: J) -> None:
        """Add a job; raises Overloaded at the limit and ShuttingDown after close."""
        with self._changed:
            if self._closed:
                raise ShuttingDown
            if len(self._jobs) >= self._limit:
                raise Overloaded(self._name, self._limit)
            self._jobs.append(job)
            self._changed.notify()

    def push(self, job: J) -> None:
        """Add a job whatever the limit; raises ShuttingDown after close."""
        with self._changed:
            if self._closed:
                raise ShuttingDown
            self._jobs.append(job)
            self._changed.notify()

    def take(self, fits: Callable[[list[J], J], bool]) -> list[J]:
        """Wait for work and return the longest run from the front in which each job fits those before it.

        An empty list says that the queue is closed and everything was taken.
        """
        with self._changed:
            while not self._jobs and not self._closed:
                self._changed.wait()
            taken: list[J] = []
            while self._jobs and (not taken or fits(taken, self._jobs[0])):
                taken.append(self._jobs.popleft())
            return taken

    def close(self) -> None:
        """Take no more jobs; those that wait are still given out."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
