"""Ends calls that keep a thread for a caller who neither sends nor reads, once others want it.

A thread that waits for a message cannot do anything else, so half a message is all it takes to keep one busy. How long
that is suffered depends on who else is there: long where threads are free, shortly where calls wait for one. A caller
who is ended so learns CANCELLED; nothing had been begun for a unary call, and a stream's requests without an answer
were dropped or can be repeated.
"""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog

from ersgallery_server.transport.activity import Activity

LOOK_EVERY_S = 0.25
MESSAGE_S = 60.0
"""What a message may take to arrive where threads are free: a megabyte a second for the largest."""

WANTED_MESSAGE_S = 1.0
"""The same while other calls wait for a thread."""

WANTED_S = 3.0
"""For so long after a refusal a place for a stream counts as wanted: the refused comes again after one second."""

RUSH_SWITCH_S = 0.005
"""How long a thread may keep others from Python while calls wait for a thread, as is usual in Python. The shorter time
that the command line sets lets a lone search come sooner; in a rush switching itself is what costs most."""

log = structlog.get_logger(__name__)


class Patience:
    """Knows which calls wait for their callers. stream_idle_s: for how long a stream may that others want to have."""

    def __init__(self, activity: Activity, *, stream_idle_s: float) -> None:
        self._activity = activity
        self._stream_idle_s = stream_idle_s
        self._receiving: dict[object, tuple[float, Callable[[], object]]] = {}
        self._lock = threading.Lock()
        self._stream_wanted_s = float("-inf")
        self._stopped = threading.Event()
        self._usual_switch_s = sys.getswitchinterval()

    def start(self) -> None:
        """Look after the calls from now on, on a thread of its own."""
        threading.Thread(target=self._run, name="rpc-patience", daemon=True).start()

    def close(self) -> None:
        """End no more calls."""
        self._stopped.set()
        sys.setswitchinterval(self._usual_switch_s)

    @contextmanager
    def receiving(self, end: Callable[[], object]) -> Iterator[None]:
        """Wait for a message in the block, or until `end` is called."""
        key = object()
        with self._lock:
            self._receiving[key] = (time.monotonic(), end)
        try:
            yield
        finally:
            with self._lock:
                del self._receiving[key]

    def want_stream(self) -> None:
        """Say that a stream was refused because too many were open."""
        self._stream_wanted_s = time.monotonic()

    def look(self) -> None:
        """End whoever has kept a thread for too long."""
        now_s = time.monotonic()
        message_s = WANTED_MESSAGE_S if self._activity.waiting else MESSAGE_S
        with self._lock:
            slow = [end for since_s, end in self._receiving.values() if now_s - since_s > message_s]
        if now_s - self._stream_wanted_s < WANTED_S:
            slow += [each.end for each in self._activity.streams if each.idle_s(now_s) > self._stream_idle_s]
        for end in slow:
            end()
        if slow:
            log.warning("ended calls whose callers neither sent nor read while others waited", calls=len(slow))

    def _run(self) -> None:
        while not self._stopped.wait(LOOK_EVERY_S):
            rush = self._activity.waiting > 0
            sys.setswitchinterval(max(RUSH_SWITCH_S, self._usual_switch_s) if rush else self._usual_switch_s)
            self.look()
