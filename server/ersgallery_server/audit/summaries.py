"""Calls that are too many for a line each: counted, and written once a minute."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

SUMMARY_S = 60.0
MOST_KINDS = 1024
"""So many kinds of calls are counted apart before a summary is written early."""

Kind = tuple[tuple[str, str], ...]


class Summaries:
    """Counts calls by who, what and outcome; safe for concurrent use."""

    def __init__(self, write: Callable[[Mapping[str, Any]], None]) -> None:
        self._write = write
        self._lock = threading.Lock()
        self._calls: Counter[Kind] = Counter()
        self._counts: dict[Kind, Counter[str]] = {}
        self._since_s = time.monotonic()

    def add(self, kind: Mapping[str, str], counts: Mapping[str, int]) -> None:
        """Count a call."""
        key = tuple(sorted(kind.items()))
        with self._lock:
            if not self._calls:
                self._since_s = time.monotonic()
            self._calls[key] += 1
            self._counts.setdefault(key, Counter()).update(counts)
            many = len(self._calls) >= MOST_KINDS
        if many:
            self.write()

    def write_when_due(self) -> None:
        """Write what has been counted for long enough."""
        if self._calls and time.monotonic() - self._since_s >= SUMMARY_S:
            self.write()

    def write(self) -> None:
        """Write what has been counted, a line for each kind."""
        with self._lock:
            calls, self._calls = self._calls, Counter()
            counts, self._counts = self._counts, {}
        for kind, number in calls.items():
            self._write({**dict(kind), "calls": number, **({"counts": dict(counts[kind])} if counts[kind] else {})})
