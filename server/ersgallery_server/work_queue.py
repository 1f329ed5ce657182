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
        self._refusal: Callable[[], Exception] | None = None
        self._changed = threading.Condition()
        self.refused = 0
        """How many jobs were refused because the limit was reached."""

    def offer(self, job: J) -> None:
        """Add a job; raises Overloaded at the limit, and what `close` said after it."""
        with self._changed:
            self._refuse_if_closed()
            if len(self._jobs) >= self._limit:
                self.refused += 1
                raise Overloaded(self._name, self._limit)
            self._jobs.append(job)
            self._changed.notify()

    def push(self, job: J) -> None:
        """Add a job whatever the limit; raises what `close` said after it."""
        with self._changed:
            self._refuse_if_closed()
            self._jobs.append(job)
            self._changed.notify()

    def __len__(self) -> int:
        """Return how many jobs wait."""
        return len(self._jobs)

    def weighed(self, weight: Callable[[J], int]) -> int:
        """Return the weight of all that waits."""
        with self._changed:
            return sum(map(weight, self._jobs))

    @property
    def idle(self) -> bool:
        """Tell whether nothing waits."""
        return not self._jobs

    def take(self, weight: Callable[[J], int], most: int, alike: Callable[[J, J], bool]) -> list[J]:
        """Wait for work and return the longest run from the front that may be done together.

        Each job is alike to the first, and all weigh no more than `most`; the first is taken whatever it weighs. An
        empty list says that the queue is closed and everything was taken.
        """
        with self._changed:
            while not self._jobs and self._refusal is None:
                self._changed.wait()
            taken: list[J] = []
            total = 0
            while self._jobs:
                job = self._jobs[0]
                total += weight(job)
                if taken and (total > most or not alike(taken[0], job)):
                    break
                taken.append(self._jobs.popleft())
            return taken

    def take_waiting(self, weight: Callable[[J], int], most: int, may_pass: Callable[[J], bool]) -> list[J]:
        """Return, without waiting, the jobs that may pass all others, in their order, up to `most` by weight.

        may_pass is asked about each job in turn, from the front.
        """
        with self._changed:
            passing: list[J] = []
            staying: deque[J] = deque()
            for job in self._jobs:
                fits = may_pass(job) and weight(job) <= most
                most -= weight(job) if fits else 0
                (passing if fits else staying).append(job)
            self._jobs = staying
            return passing

    def close(self, refusal: Callable[[], Exception] = ShuttingDown) -> None:
        """Take no more jobs and refuse them with this error; those that wait are still given out."""
        with self._changed:
            self._refusal = self._refusal or refusal
            self._changed.notify_all()

    def _refuse_if_closed(self) -> None:
        if self._refusal is not None:
            raise self._refusal()
