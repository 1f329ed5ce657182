"""The one owner of a gallery's index.

One thread alone touches the index. Searches that wait together are answered as one batch; mutations and other work that
needs the owner run between the batches, in the order in which they came. A search of more probes than a batch has is
answered in parts, all by the same state, and others are answered between these.
"""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import structlog

from ersgallery_server.call import Trace
from ersgallery_server.errors import DeadlineExceeded, IndexBehind, ShuttingDown
from ersgallery_server.gallery.ers_drift import ErsDrift
from ersgallery_server.gallery.overrides import PolicyOverrides
from ersgallery_server.gallery.search import (
    ProbeSet,
    RawProbes,
    SearchAnswer,
    answer_batch,
    joined,
    part_of,
)
from ersgallery_server.gallery.search_figures import CANCELLED, EXPIRED, SearchFigures
from ersgallery_server.gallery.state import GalleryState
from ersgallery_server.work_queue import WorkQueue

T = TypeVar("T")

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class SearchJob:
    """Probes that wait for a batch."""

    probes: ProbeSet | RawProbes
    overrides: PolicyOverrides
    deadline_s: float | None
    answer: Future[SearchAnswer] = field(default_factory=Future)
    trace: Trace | None = None
    queued_s: float = field(default_factory=time.monotonic)


@dataclass(frozen=True, slots=True, eq=False)
class ReadJob:
    """Anything else that only reads."""

    work: Callable[[GalleryState], Any]
    answer: Future[Any] = field(default_factory=Future)


@dataclass(frozen=True, slots=True, eq=False)
class ChangeJob:
    """What follows a commit: it makes the next state."""

    revision: int
    change: Callable[[GalleryState], GalleryState]
    answer: Future[None]


Job = SearchJob | ReadJob | ChangeJob


class IndexActor:
    """Owns a GalleryState and answers searches on it."""

    def __init__(self, state: GalleryState, *, max_waiting: int) -> None:
        self._state = state
        self._queue: WorkQueue[Job] = WorkQueue(f"gallery {state.record.gallery_id}", max_waiting)
        self.figures = SearchFigures(ErsDrift(state.record.gallery_id, state.record.profile), self._queue)
        """What was counted of its searches since it began."""
        self._thread = threading.Thread(target=self._run, name=f"index-{state.record.gallery_id}", daemon=True)
        self._thread.start()

    @property
    def state(self) -> GalleryState:
        """Return the present state; its index and names are for the owner alone."""
        return self._state

    def search(
        self,
        probes: ProbeSet | RawProbes,
        overrides: PolicyOverrides,
        deadline_s: float | None = None,
        trace: Trace | None = None,
    ) -> Future[SearchAnswer]:
        """Queue a search; raises Overloaded at the limit."""
        job = SearchJob(probes, overrides, deadline_s, trace=trace)
        self._queue.offer(job)
        return job.answer

    def ask(self, work: Callable[[GalleryState], T]) -> Future[T]:
        """Queue something to read on the owner's thread; raises Overloaded at the limit."""
        job = ReadJob(work)
        self._queue.offer(job)
        return job.answer

    def mutate(self, revision: int, change: Callable[[GalleryState], GalleryState], answer: "Future[None]") -> None:
        """Queue the change of a committed revision; it is never refused, and a caller cannot take it back.

        The answer resolves when it is searchable, or with IndexBehind where the index could not take it.
        """
        answer.set_running_or_notify_cancel()
        self._queue.push(ChangeJob(revision, change, answer))

    def close(self, refusal: Callable[[], Exception] = ShuttingDown) -> None:
        """Answer what waits, then stop; whoever comes later is refused with this error."""
        self._queue.close(refusal)
        self._thread.join()

    def _run(self) -> None:
        while jobs := self._queue.take(_weight, self._state.index.batch_rows, _are_searches):
            match jobs[0]:
                case ChangeJob() as job:
                    self._change(job)
                case ReadJob() as job:
                    self._read(job)
                case SearchJob():
                    self._search([job for job in jobs if isinstance(job, SearchJob) and self._begin(job)])
            self._tidy()

    def _tidy(self) -> None:
        """Do what is left in the index while nobody waits, and one piece of it between batches when somebody does."""
        try:
            while self._state.index.tidy() and self._queue.idle:
                pass
        except Exception:
            # Answers are right without it, and the owner must live on.
            log.exception("the index could not be tidied", gallery=self._state.record.gallery_id)

    def _change(self, job: ChangeJob) -> None:
        try:
            self._state = job.change(self._state)
        except Exception as error:
            gallery_id = self._state.record.gallery_id
            self._state = replace(self._state, behind_since=self._state.behind_since or job.revision)
            behind = IndexBehind.after_commit(gallery_id)
            behind.__cause__ = error
            job.answer.set_exception(behind)
            log.critical(
                "the index could not take a committed change; update the gallery or restart the server to rebuild it",
                gallery=gallery_id,
                revision=job.revision,
                exc_info=error,
            )
        else:
            job.answer.set_result(None)

    def _read(self, job: ReadJob) -> None:
        if not job.answer.set_running_or_notify_cancel():
            return
        try:
            result = job.work(self._state)
        except Exception as error:  # noqa: BLE001 - the waiting caller gets it, the owner lives on
            job.answer.set_exception(error)
        else:
            job.answer.set_result(result)

    def _search(self, jobs: Sequence[SearchJob]) -> None:
        if not jobs:
            return
        if len(jobs[0].probes) > self._state.index.batch_rows:
            self._search_in_parts(jobs[0])
            return
        try:
            answers = self._answer([(job.probes, job.overrides) for job in jobs], [job.trace for job in jobs])
        except Exception as error:  # noqa: BLE001 - as above
            self._search_failed(jobs, error)
            return
        for job, answer in zip(jobs, answers, strict=True):
            job.answer.set_result(answer)

    def _search_in_parts(self, job: SearchJob) -> None:
        """Answer more probes than a batch has, and between its parts whoever waits; changes wait for the end.

        Parts are smaller where somebody came, who would wait for the next.
        """
        answers: list[SearchAnswer] = []
        start, rows = 0, self._state.index.batch_rows
        try:
            while start < len(job.probes):
                part = part_of(job.probes, start, rows)
                answers += self._answer([(part, job.overrides)], [job.trace])
                start += len(part)
                if start < len(job.probes):
                    rows = max(1, self._state.index.batch_rows // (4 if self._answer_between() else 1))
                    _require_time(job)
            whole = joined(answers)
        except Exception as error:  # noqa: BLE001 - as above
            job.answer.set_exception(error)
        else:
            job.answer.set_result(whole)

    def _answer_between(self) -> bool:
        """Answer one batch of searches that wait, and what wants to read and waits for no change; tell of any."""
        most = self._state.index.batch_rows
        changing = False

        def may_pass(job: Job) -> bool:
            nonlocal changing
            changing = changing or isinstance(job, ChangeJob)
            # Who reads behind a change may be waiting for it.
            return isinstance(job, SearchJob) or (isinstance(job, ReadJob) and not changing)

        jobs = self._queue.take_waiting(_weight, most, may_pass)
        for job in jobs:
            if isinstance(job, ReadJob):
                self._read(job)
        self._search([job for job in jobs if isinstance(job, SearchJob) and self._begin(job)])
        return bool(jobs)

    def _answer(
        self, jobs: Sequence[tuple[ProbeSet | RawProbes, PolicyOverrides]], traces: Sequence[Trace | None]
    ) -> list[SearchAnswer]:
        begun_s = time.monotonic()
        answers = answer_batch(self._state, jobs)
        ended_s = time.monotonic()
        together, record = answers[0].together, self._state.record
        self.figures.searched(together, record.profile, ended_s - begun_s)
        for trace in traces:
            if trace is not None:
                trace.add("search", begun_s, ended_s, gallery=record.gallery_id, batch_probes=len(together))
        return answers

    def _begin(self, job: SearchJob) -> bool:
        """Begin a job, unless its caller went away or its deadline has passed."""
        if not job.answer.set_running_or_notify_cancel():
            self.figures.dropped.add(CANCELLED)
            return False
        begun_s = time.monotonic()
        self.figures.waits.add(begun_s - job.queued_s)
        if job.trace is not None:
            job.trace.add("search queue", job.queued_s, begun_s)
        try:
            _require_time(job)
        except DeadlineExceeded as error:
            self.figures.dropped.add(EXPIRED)
            job.answer.set_exception(error)
            return False
        return True

    def _search_failed(self, jobs: Sequence[SearchJob], error: Exception) -> None:
        """Let no job suffer from another that happened to wait with it."""
        if len(jobs) == 1:
            jobs[0].answer.set_exception(error)
            return
        for job in jobs:
            self._search([job])


def _weight(job: Job) -> int:
    return len(job.probes) if isinstance(job, SearchJob) else 1


def _are_searches(job: Job, other: Job) -> bool:
    return isinstance(job, SearchJob) and isinstance(other, SearchJob)


def _require_time(job: SearchJob) -> None:
    if job.deadline_s is not None and time.monotonic() >= job.deadline_s:
        raise DeadlineExceeded
