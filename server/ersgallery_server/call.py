"""What a handler knows of the call it serves, whatever transport brought it."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from ersgallery_server.errors import Cancelled, DeadlineExceeded
from ersgallery_server.grants import EVERYTHING, Grant
from ersgallery_server.turns import Turn

T = TypeVar("T")


class Cancellation:
    """Whether the caller went away; it drops what the call's thread waits for then.

    A transport is told once per call, and nothing of a finished wait is kept: a stream may wait a million times.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._happened = False
        self._waited: Future[Any] | None = None

    def happen(self) -> None:
        """Drop what is waited for, now and later, if it has not begun."""
        with self._lock:
            self._happened = True
            waited = self._waited
        if waited is not None:
            waited.cancel()

    @contextmanager
    def dropping(self, future: "Future[Any]") -> Iterator[None]:
        """Drop a future when the caller goes away while the block runs, or has gone before it."""
        with self._lock:
            self._waited = future
            happened = self._happened
        if happened:
            future.cancel()
        try:
            yield
        finally:
            with self._lock:
                self._waited = None


class Trace(Protocol):
    """Takes down what a call waited for."""

    def add(self, name: str, begun_s: float, ended_s: float, /, **attributes: str | int) -> None:
        """Add what lasted from one moment to another, as of time.monotonic(); any thread may."""
        ...


def _stay() -> None:
    """End nothing."""


@dataclass(frozen=True, slots=True)
class Call:
    """What one call brought with it: one thread serves it.

    deadline_s: on the monotonic clock, None for none. metadata: the (key, value) pairs that the caller sent along, keys
    in lower case. peer: the caller's address. peer_name: the name in the certificate that the caller's connection
    showed, empty without mutual TLS. caller: the name by which the caller is known, empty for nobody's. grant: what the
    caller may do, of which lists show no more. hang_up: ends the call from any thread. trace: takes down what the call
    waits for, where somebody wants to know. turn: given to others while the call waits. notes: what layers leave for
    those outside of them.
    """

    deadline_s: float | None = None
    cancellation: Cancellation = field(default_factory=Cancellation)
    metadata: tuple[tuple[str, str | bytes], ...] = field(default=(), repr=False)  # a token is in it
    peer: str = ""
    peer_name: str = ""
    caller: str = ""
    grant: Grant = EVERYTHING
    hang_up: Callable[[], object] = _stay
    trace: Trace | None = None
    turn: Turn | None = None
    notes: dict[str, object] = field(default_factory=dict, compare=False)

    def wait(self, future: "Future[T]") -> T:
        """Return the future's result; where the caller goes away or the deadline passes first, drop what has not begun.

        Work that has begun runs to its end, so that DeadlineExceeded and Cancelled always mean: nothing was done.
        Raises these two, or what the work raised.
        """
        try:
            with self.cancellation.dropping(future), self.waiting():
                return self._result(future)
        except CancelledError:
            raise Cancelled from None

    @contextmanager
    def holding(self, lock: threading.Lock) -> Iterator[None]:
        """Hold a lock while the block runs; raises DeadlineExceeded where the deadline passes before it is free."""
        timeout_s = -1.0 if self.deadline_s is None else max(0.0, self.deadline_s - time.monotonic())
        with self.waiting():
            held = lock.acquire(timeout=timeout_s)
        if not held:
            raise DeadlineExceeded
        try:
            yield
        finally:
            lock.release()

    def waiting(self) -> AbstractContextManager[None]:
        """Return a block in which others have this call's turn."""
        return nullcontext() if self.turn is None else self.turn.without()

    def _result(self, future: "Future[T]") -> T:
        if self.deadline_s is None:
            return future.result()
        try:
            return future.result(max(0.0, self.deadline_s - time.monotonic()))
        except TimeoutError:  # ours, or the work's own, which comes again below
            pass
        if not future.done() and future.cancel():
            raise DeadlineExceeded
        return future.result()


Behavior = Callable[[Any, Call], Any]
"""What serves a method: of a request and its call the response, or of a stream's requests the iterator of responses."""
