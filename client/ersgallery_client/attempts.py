"""Whether a failed call is made again, and after how long."""

import time
from collections.abc import Callable
from typing import Any

from ersgallery_client.errors import GalleryError, NotReady, ServerUnreachable, ShuttingDown, Unavailable
from ersgallery_client.options import Options, RetryPolicy
from ersgallery_client.rpcs import Rpc


class Attempts:
    """Counts the failures of one call against its retry policy and its timeout."""

    def __init__(
        self,
        policy: RetryPolicy,
        timeout_s: float | None,
        *,
        attempts: int,
        away_attempts: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._policy = policy
        self._attempts = attempts
        self._away_attempts = away_attempts
        self._clock = clock
        self._deadline = None if timeout_s is None else clock() + timeout_s
        self._failures = 0
        self._away = 0

    def remaining_s(self) -> float | None:
        """Return how much of the timeout is left; None without one."""
        return None if self._deadline is None else max(0.0, self._deadline - self._clock())

    def wait_s(self, error: GalleryError) -> float:
        """Return how long to wait before the next attempt; raises `error` where there is none."""
        if self._away_attempts and _is_away(error):
            self._away += 1
            ended, backoff_s = self._away >= self._away_attempts, self._policy.away_backoff_s(self._away)
        else:
            self._failures += 1
            ended, backoff_s = self._failures >= self._attempts, self._policy.backoff_s(self._failures)
        if ended or not _may_pass(error):
            raise error
        wait_s = max(backoff_s, error.retry_after_s or 0.0)
        remaining_s = self.remaining_s()
        if remaining_s is not None and wait_s >= remaining_s:
            raise error
        return wait_s

    def progress(self) -> None:
        """Forget earlier failures: the server answered."""
        self._failures = self._away = 0


def attempts_of_call(options: Options, rpc: Rpc[Any, Any], *, answered: bool) -> Attempts:
    """Return the attempts of one unary call, which begins now. answered: the address has answered before."""
    timeout_s, policy = options.timeout.write_s if rpc.writes else options.timeout.read_s, options.retry
    attempts = policy.attempts if rpc.repeatable else 1
    return Attempts(
        policy, timeout_s, attempts=attempts, away_attempts=policy.away_attempts if answered and attempts > 1 else 0
    )


def attempts_of_stream(options: Options, rpc: Rpc[Any, Any]) -> Attempts:
    """Return the attempts of one stream; its timeout is that of each connection."""
    return Attempts(options.retry, None, attempts=options.retry.stream_attempts if rpc.repeatable else 1)


def _is_away(error: GalleryError) -> bool:
    """Say whether nobody serves at the address, or will in a moment: the server is being restarted, perhaps."""
    return isinstance(error, ServerUnreachable | ShuttingDown | NotReady) or _is_broken(error)


def _is_broken(error: GalleryError) -> bool:
    return error.code == "INTERNAL" and not error.reason


def _may_pass(error: GalleryError) -> bool:
    """Say whether the error may be gone at the next attempt.

    An INTERNAL without a reason is gRPC's own: a stream that was reset, or grpc.aio, which reports a write on a broken
    connection so (grpc/grpc#36066).
    """
    return isinstance(error, Unavailable) or _is_broken(error)
