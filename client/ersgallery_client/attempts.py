"""Whether a failed call is made again, and after how long."""

import time
from collections.abc import Callable

from ersgallery_client.errors import GalleryError, Unavailable
from ersgallery_client.options import RetryPolicy


class Attempts:
    """Counts the failures of one call against its retry policy and its timeout."""

    def __init__(
        self,
        policy: RetryPolicy,
        timeout_s: float | None,
        *,
        repeatable: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._policy = policy
        self._attempts = policy.attempts if repeatable else 1
        self._clock = clock
        self._deadline = None if timeout_s is None else clock() + timeout_s
        self._failures = 0

    def remaining_s(self) -> float | None:
        """Return how much of the timeout is left; None without one."""
        return None if self._deadline is None else max(0.0, self._deadline - self._clock())

    def wait_s(self, error: GalleryError) -> float:
        """Return how long to wait before the next attempt; raises `error` where there is none."""
        self._failures += 1
        if not isinstance(error, Unavailable) or self._failures >= self._attempts:
            raise error
        wait_s = max(self._policy.backoff_s(self._failures), error.retry_after_s or 0.0)
        remaining_s = self.remaining_s()
        if remaining_s is not None and wait_s >= remaining_s:
            raise error
        return wait_s

    def progress(self) -> None:
        """Forget earlier failures: the server answered."""
        self._failures = 0
