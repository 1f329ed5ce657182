"""What a handler knows of the call it serves, whatever transport brought it."""

import time
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, wait
from dataclasses import dataclass
from typing import TypeVar

from ersgallery_server.errors import Cancelled, DeadlineExceeded

T = TypeVar("T")


def _never(_callback: Callable[[], None]) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Call:
    """A deadline on the monotonic clock (None: none) and a way to learn that the caller went away.

    `on_cancel` registers a callback and returns False when the call has already ended.
    """

    deadline_s: float | None = None
    on_cancel: Callable[[Callable[[], None]], bool] = _never

    def wait(self, future: "Future[T]") -> T:
        """Return the future's result; where the caller goes away or the deadline passes first, drop what has not begun.

        Work that has begun runs to its end, so that DeadlineExceeded and Cancelled always mean: nothing was done.
        Raises these two, or what the work raised.
        """

        def drop() -> None:
            future.cancel()

        if not self.on_cancel(drop):
            drop()
        try:
            return self._result(future)
        except CancelledError:
            raise Cancelled from None

    def _result(self, future: "Future[T]") -> T:
        if self.deadline_s is None:
            return future.result()
        wait([future], max(0.0, self.deadline_s - time.monotonic()))
        if not future.done() and future.cancel():
            raise DeadlineExceeded
        return future.result()
