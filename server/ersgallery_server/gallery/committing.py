"""Changes that were begun: on their way into the store and the index, while others are prepared."""

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
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

    def finish(self, call: Call) -> T:
        """Return what the store gave once all that follows has been done."""
        stored = call.wait(self.stored)
        for follower in self.following:
            follower.result()
        return stored


@dataclass(frozen=True, slots=True, eq=False)
class BegunEnrollment:
    """A batch that is being stored. finish: waits until it is searchable. stored: to be cancelled if nobody waits."""

    finish: Callable[[], EnrollmentReport | Replay]
    stored: "Future[Any] | None" = None
