"""Changes that were begun: on their way into the store and the index, while others are prepared."""

import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from ersgallery_server.call import Call
from ersgallery_server.gallery.enrollment import EnrollmentReport
from ersgallery_server.store import Replay

T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class Committing(Generic[T]):
    """A change on its way into the store, and what must follow it."""

    stored: "Future[T]"
    following: "tuple[Future[None], ...]"
    begun_s: float = field(default_factory=time.monotonic)

    def finish(self, call: Call) -> T:
        """Return what the store gave once all that follows has been done."""
        stored = call.wait(self.stored)
        stored_s = time.monotonic()
        for follower in self.following:
            follower.result()
        if call.trace is not None:
            call.trace.add("commit", self.begun_s, stored_s)
            call.trace.add("index change", stored_s, time.monotonic())
        return stored


@dataclass(frozen=True, slots=True, eq=False)
class BegunEnrollment:
    """A batch that is being stored. finish: waits until it is searchable. stored: to be cancelled if nobody waits."""

    finish: Callable[[], EnrollmentReport | Replay]
    stored: "Future[Any] | None" = None
