"""Lets few of the calls that have a thread run at a time, and the others wait where they cost nothing.

All threads share one interpreter, and each that wants it makes the others wait in turn, gRPC's own thread among them,
which takes in new calls and refuses those that are too many: beside 80 busy threads it got on so slowly that a server
under ten times its load answered a tenth of what it could, and refused after seconds.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

AT_A_TIME = 2
LONGEST_WAIT_S = 0.5
"""A call goes on without a turn after this: what keeps one for longer, such as a read of a slow database, waits outside
of the interpreter and must not stop the others."""


class Turns:
    """So many turns for all calls."""

    def __init__(self, at_a_time: int = AT_A_TIME) -> None:
        self._free = threading.Semaphore(at_a_time)

    @contextmanager
    def turn(self) -> Iterator["Turn"]:
        """Hold a turn in the block."""
        turn = Turn(self._free)
        turn.take()
        try:
            yield turn
        finally:
            turn.give()


class Turn:
    """One call's turn, which it gives to others while it waits for something; for the call's own thread."""

    def __init__(self, free: threading.Semaphore) -> None:
        self._free = free
        self._held = False

    @contextmanager
    def without(self) -> Iterator[None]:
        """Let others have it while the block runs."""
        self.give()
        try:
            yield
        finally:
            self.take()

    def take(self) -> None:
        """Wait for it."""
        self._held = self._free.acquire(timeout=LONGEST_WAIT_S)

    def give(self) -> None:
        """Let the next have it."""
        if self._held:
            self._held = False
            self._free.release()
