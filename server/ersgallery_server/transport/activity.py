"""Knows how much work is under way, so that a drain waits for work and not for streams that merely stay open."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from ersgallery_server.errors import ShuttingDown
from ersgallery_server.tallies import Spread, Tally

_WEIGHT = 1 / 32
"""Of the latest call in the mean time that calls hold a thread: it follows a change within a turn of the threads."""

R = TypeVar("R")
T = TypeVar("T")


class Activity:
    """Counts calls from their acceptance to their end, less the streams that wait for their callers."""

    def __init__(self, threads: int = 1) -> None:
        """threads: how many serve calls and streams."""
        self._threads = threads
        self._serving_s = 0.0
        self._streams: set[OpenStream] = set()
        self._under_way = 0
        self._accepted_s: deque[float] = deque()
        self._open_streams = 0
        self._draining = False
        self._changed = threading.Condition()
        self.waits = Spread()
        """Seconds for which calls waited for a thread."""
        self.refused: Tally[str] = Tally()
        """Calls that were refused before anything was done, by the reason that their callers got."""

    @property
    def open_streams(self) -> int:
        """Return how many streams are open."""
        return self._open_streams

    @property
    def streams(self) -> "list[OpenStream]":
        """Return the streams that are open."""
        with self._changed:
            return list(self._streams)

    @property
    def expected_wait_s(self) -> float:
        """Return how long a call that came now would wait for a thread.

        By Little's law: where all threads are busy, so many calls end each second as there are threads, divided by the
        mean time that a call holds one. That says nothing of calls that do not end; then it is no shorter than the
        first of those that wait has waited already.
        """
        with self._changed:
            if not self._accepted_s:
                return 0.0
            threads = max(1, self._threads - self._open_streams)
            return max(len(self._accepted_s) * self._serving_s / threads, time.monotonic() - self._accepted_s[0])

    def served(self, seconds: float) -> None:
        """Count a unary call that held a thread for so long."""
        with self._changed:
            self._serving_s += (seconds - self._serving_s) * _WEIGHT

    @property
    def under_way(self) -> int:
        """Return how many calls, and requests of streams, were accepted and have no answer yet."""
        return self._under_way

    @property
    def waiting(self) -> int:
        """Return how many calls were accepted and have no thread yet."""
        return len(self._accepted_s)

    def accepted(self) -> None:
        """Count a call that waits for a thread."""
        with self._changed:
            self._under_way += 1
            self._accepted_s.append(time.monotonic())

    def begun(self) -> None:
        """Say that a call, the first of those that wait, has its thread."""
        with self._changed:
            self.waits.add(time.monotonic() - self._accepted_s.popleft())

    def ended(self) -> None:
        """Say that a call has been answered."""
        with self._changed:
            self._under_way -= 1
            self._changed.notify_all()

    def open_stream(self, end: Callable[[], object] = lambda: None) -> "OpenStream":
        """Count a call as a stream from now on; it must be closed before the call ends. end: breaks it off."""
        with self._changed:
            self._under_way -= 1
            self._open_streams += 1
            self._changed.notify_all()
            stream = OpenStream(self, end)
            self._streams.add(stream)
        return stream

    def came(self) -> None:
        """Count a request of a stream. Raises ShuttingDown after `drain`."""
        with self._changed:
            if self._draining:
                raise ShuttingDown
            self._under_way += 1

    def drain(self) -> None:
        """Let no stream begin another request."""
        with self._changed:
            self._draining = True

    def wait_idle(self, timeout_s: float) -> bool:
        """Wait until nothing is under way; return False when that took longer than `timeout_s`."""
        with self._changed:
            return self._changed.wait_for(lambda: self._under_way == 0, timeout_s)

    def _add(self, change: int) -> None:
        with self._changed:
            self._under_way += change
            self._changed.notify_all()

    def answered(self, requests: int = 1) -> None:
        """Say that requests of a stream have been answered, or will not be."""
        self._add(-requests)

    def closed(self, stream: "OpenStream") -> None:
        """Count a stream as a call again, which is about to end."""
        with self._changed:
            self._streams.discard(stream)
            self._under_way += 1
            self._open_streams -= 1


class OpenStream:
    """A stream, which is under way as long as a request that came has no answer, and idle otherwise."""

    def __init__(self, activity: Activity, end: Callable[[], object]) -> None:
        self.end = end
        self._activity = activity
        self._unanswered = 0
        self._closed = False
        self._lock = threading.Lock()
        self._caller_since_s: float | None = time.monotonic()

    def idle_s(self, now_s: float) -> float:
        """Return for how long it has been waiting for its caller: to send a request, or to read an answer."""
        since_s = self._caller_since_s
        return 0.0 if since_s is None else now_s - since_s

    def each(self, requests: Iterable[R]) -> Iterator[R]:
        """Yield the requests, on any one thread, until the stream is closed; raises ShuttingDown after `drain`."""
        for request in requests:
            with self._lock:
                if self._closed:
                    return
                self._activity.came()
                self._unanswered += 1
                if self._unanswered == 1:
                    self._caller_since_s = None
            yield request

    def sending(self) -> None:
        """Say that an answer is ready, which the caller may be slow to read."""
        self._caller_since_s = time.monotonic()

    def answered(self) -> None:
        """Say that the answer to the first request without one has been sent."""
        with self._lock:
            self._unanswered -= 1
            self._caller_since_s = None if self._unanswered else time.monotonic()
        self._activity.answered()

    def close(self) -> None:
        """Forget the requests that will have no answer."""
        with self._lock:
            self._closed = True
            self._activity.answered(self._unanswered)
        self._activity.closed(self)


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
