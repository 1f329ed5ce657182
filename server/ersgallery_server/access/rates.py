"""How fast a caller may come: a bucket that fills with time, out of which every call and every face takes one."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from ersgallery_server.errors import RateLimited
from ersgallery_server.grants import Grant

BURST_S = 1.0
"""So much of its rate a caller may save up."""


@dataclass(slots=True)
class _Bucket:
    """What is left at a time, and after a batch larger than the bucket less than nothing."""

    left: float
    at_s: float


class Rates:
    """Buckets by caller; all that are not known share one.

    max_calls_per_second: of callers whose grant names no limit of their own; 0 for none.
    """

    def __init__(self, max_calls_per_second: float = 0.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._default = max_calls_per_second
        self._clock = clock
        self._buckets: dict[str, _Bucket] = {}
        self._lock = threading.Lock()

    def take(self, caller: str, grant: Grant, count: int) -> None:
        """Take so many out of the caller's bucket; raises RateLimited, having taken nothing.

        A batch that is larger than the bucket is let in once it is full, and is paid for afterwards.
        """
        rate = self._default if grant.max_calls_per_second is None else grant.max_calls_per_second
        if not rate:
            return
        most = max(1.0, rate * BURST_S)
        with self._lock:
            now_s = self._clock()
            bucket = self._buckets.setdefault(caller, _Bucket(most, now_s))
            bucket.left = min(most, bucket.left + (now_s - bucket.at_s) * rate)
            bucket.at_s = now_s
            missing = min(count, most) - bucket.left
            if missing > 0:
                raise RateLimited(rate, missing / rate)
            bucket.left -= count
