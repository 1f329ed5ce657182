"""Decides whether a concurrent history is linearizable: the search of Wing and Gong with Lowe's memory of what was.

Own code, for no kept Python library does it. A history is linearizable if its calls can be put in one order that keeps
to real time (a call that was answered before another was sent comes first) and in which a sequential program gives the
same answers. See Wing and Gong, "Testing and Verifying Concurrent Objects" (1993), and Lowe, "Testing for
linearizability" (2017).
"""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

A = TypeVar("A")
S = TypeVar("S", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Event(Generic[A]):
    """A call with its answer: when it was sent and when it was answered, in ns of one clock."""

    client: str
    call: A
    sent_ns: int
    answered_ns: int


def linearize(events: Sequence[Event[A]], initial: S, step: Callable[[S, A], S | None]) -> tuple[list[Event[A]], bool]:
    """Return an order of all events that the sequential program allows and True, or the longest there is and False.

    step: the state after a call, None where the call cannot have its answer in this state. Takes exponential time in
    the number of calls that overlap, and linear time in the others.
    """
    search = _Search(events, step)
    found = search.run(0, initial, [])
    return search.longest, found


class _Search(Generic[A, S]):
    def __init__(self, events: Sequence[Event[A]], step: Callable[[S, A], S | None]) -> None:
        self._events = sorted(events, key=lambda event: event.sent_ns)
        self._step = step
        self._seen: set[tuple[int, S]] = set()
        self.longest: list[Event[A]] = []

    def run(self, done: int, state: S, order: list[Event[A]]) -> bool:
        """Put the events that are not done (bits) in order after these."""
        if len(order) > len(self.longest):
            self.longest = list(order)
        if len(order) == len(self._events):
            return True
        if (done, state) in self._seen:
            return False
        self._seen.add((done, state))
        return any(self._go_on(done, state, order, i) for i in self._possible(done))

    def _go_on(self, done: int, state: S, order: list[Event[A]], i: int) -> bool:
        event = self._events[i]
        after = self._step(state, event.call)
        if after is None:
            return False
        order.append(event)
        found = self.run(done | 1 << i, after, order)
        order.pop()
        return found

    def _possible(self, done: int) -> list[int]:
        """Return the events that may come next: those sent before any that is left was answered."""
        left = [i for i in range(len(self._events)) if not done >> i & 1]
        end_ns = min(self._events[i].answered_ns for i in left)
        return [i for i in left if self._events[i].sent_ns <= end_ns]
