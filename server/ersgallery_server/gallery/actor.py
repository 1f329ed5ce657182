"""The one owner of a gallery's index.

One thread alone touches the index. Searches that wait together are answered as one batch; mutations and other work that
needs the owner run between the batches, in the order in which they came.
"""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, TypeVar

import structlog

from ersgallery_server.errors import DeadlineExceeded
from ersgallery_server.gallery.overrides import PolicyOverrides
from ersgallery_server.gallery.search import ProbeSet, SearchAnswer, answer_batch
from ersgallery_server.gallery.state import GalleryState
from ersgallery_server.work_queue import WorkQueue

MAX_BATCH_ROWS = 4096

T = TypeVar("T")

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, eq=False)
class SearchJob:
    """Probes that wait for a batch."""

    probes: ProbeSet
    overrides: PolicyOverrides
    deadline_s: float | None
    answer: Future[SearchAnswer] = field(default_factory=Future)


@dataclass(frozen=True, slots=True, eq=False)
class OwnerJob:
    """Anything else that needs the owner; it may return a new state."""

    work: Callable[[GalleryState], tuple[GalleryState, Any]]
    answer: Future[Any]


class IndexActor:
    """Owns a GalleryState and answers searches on it."""

    def __init__(self, state: GalleryState, *, max_waiting: int) -> None:
        self._state = state
        self._queue: WorkQueue[SearchJob | OwnerJob] = WorkQueue(f"gallery {state.record.gallery_id}", max_waiting)
        self._thread = threading.Thread(target=self._run, name=f"index-{state.record.gallery_id}", daemon=True)
        self._thread.start()

    @property
    def state(self) -> GalleryState:
        """Return the present state; its index and names are for the owner alone."""
        return self._state

    def search(
        self, probes: ProbeSet, overrides: PolicyOverrides, deadline_s: float | None = None
    ) -> Future[SearchAnswer]:
        """Queue a search; raises Overloaded at the limit."""
        job = SearchJob(probes, overrides, deadline_s)
        self._queue.offer(job)
        return job.answer

    def ask(self, work: Callable[[GalleryState], T]) -> Future[T]:
        """Queue something to read on the owner's thread; raises Overloaded at the limit."""
        answer: Future[T] = Future()
        self._queue.offer(OwnerJob(lambda state: (state, work(state)), answer))
        return answer

    def mutate(self, change: Callable[[GalleryState], GalleryState], answer: Future[None]) -> None:
        """Queue a change that is already committed; it is never refused. The answer resolves when it is searchable."""
        answer.set_running_or_notify_cancel()
        self._queue.push(OwnerJob(lambda state: (change(state), None), answer))

    def close(self) -> None:
        """Answer what waits, then stop."""
        self._queue.close()
        self._thread.join()

    def _run(self) -> None:
        while jobs := self._queue.take(_fits):
            if isinstance(jobs[0], OwnerJob):
                self._own(jobs[0])
            else:
                self._search([job for job in jobs if isinstance(job, SearchJob)])

    def _own(self, job: OwnerJob) -> None:
        if not job.answer.running() and not job.answer.set_running_or_notify_cancel():
            return
        try:
            self._state, result = job.work(self._state)
        except Exception as error:  # noqa: BLE001 - the waiting caller gets it, the owner lives on
            job.answer.set_exception(error)
        else:
            job.answer.set_result(result)

    def _search(self, jobs: list[SearchJob]) -> None:
        alive = [job for job in jobs if _still_wanted(job)]
        if not alive:
            return
        try:
            answers = answer_batch(self._state, [(job.probes, job.overrides) for job in alive])
        except Exception as error:
            log.exception("search failed", gallery=self._state.record.gallery_id)
            for job in alive:
                job.answer.set_exception(error)
            return
        for job, answer in zip(alive, answers, strict=True):
            if isinstance(answer, Exception):
                job.answer.set_exception(answer)
            else:
                job.answer.set_result(answer)


def _fits(taken: list[SearchJob | OwnerJob], job: SearchJob | OwnerJob) -> bool:
    if isinstance(job, OwnerJob) or isinstance(taken[0], OwnerJob):
        return False
    rows = sum(len(other.probes) for other in taken if isinstance(other, SearchJob))
    return rows + len(job.probes) <= MAX_BATCH_ROWS


def _still_wanted(job: SearchJob) -> bool:
    """Begin a job, unless its caller went away or its deadline has passed."""
    if not job.answer.set_running_or_notify_cancel():
        return False
    if job.deadline_s is not None and time.monotonic() >= job.deadline_s:
        job.answer.set_exception(DeadlineExceeded())
        return False
    return True
