"""The one thread that writes. Works that wait together share one commit."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, TypeVar

from sqlalchemy import Connection

from ersgallery_server.store.engines import Engines, failure, truncate_wal
from ersgallery_server.store.errors import NotOwner, StoreClosed, StoreOverloaded, StoreUnavailable
from ersgallery_server.store.figures import FAILED, REFUSED, StoreFigures
from ersgallery_server.store.group import CommitUncertain, Outcome, Submission, commit_group, was_committed
from ersgallery_server.store.transaction import WriteTransaction

IDLE_S = 0.25
"""SQLite's log is emptied when nothing was written for so long after a deletion, or again when a reader needed it.

So often, too, a database is asked what became of a commit whose answer was lost, while nothing else is written.
"""

ERASURE_GROUPS = 64
"""After so many groups it is emptied even if there is always something to write."""

T = TypeVar("T")
log = logging.getLogger(__name__)


class Writer:
    """A bounded queue of works and the thread that commits them. check: asked at the beginning of every transaction."""

    def __init__(
        self,
        engines: Engines,
        figures: StoreFigures,
        check: Callable[[Connection], None],
        *,
        max_waiting: int,
        max_group: int,
    ) -> None:
        self._engines = engines
        self._figures = figures
        self._check = check
        self._max_waiting = max_waiting
        self._max_group = max_group
        self._waiting: deque[Submission] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._erasures: list[Future[bool]] = []
        self._groups_since_erasure: int | None = None
        self._uncertain: tuple[Sequence[Submission], CommitUncertain] | None = None
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
        self._thread.start()

    def submit(self, work: Callable[[WriteTransaction], T], then: Callable[[T], None] | None) -> Future[T]:
        """Queue a piece of work; raises StoreOverloaded and StoreClosed."""
        submission = Submission(work, then)
        with self._changed:
            if self._closed:
                raise StoreClosed
            if len(self._waiting) >= self._max_waiting:
                self._figures.works.add(REFUSED)
                raise StoreOverloaded(self._max_waiting)
            self._waiting.append(submission)
            self._changed.notify()
        return submission.future

    @property
    def waiting(self) -> int:
        """Return how many works wait."""
        return len(self._waiting)

    def erasure(self) -> "Future[bool]":
        """Return whether SQLite's log has nothing of what was deleted before, once that is known: it is emptied now.

        False where a reader needs it.
        """
        future: Future[bool] = Future()
        with self._changed:
            if self._groups_since_erasure is None or self._closed:
                future.set_result(self._groups_since_erasure is None)
            else:
                self._erasures.append(future)
                self._changed.notify()
        return future

    def close(self) -> None:
        """Take no more works, finish those that wait, and return when the thread has ended."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while (group := self._take()) is not None:
            if group:
                self._commit(group)
            elif self._uncertain is not None:
                self._try_to_settle()
            if self._groups_since_erasure is not None and (
                not group or self._erasures or self._groups_since_erasure >= ERASURE_GROUPS
            ):
                self._erase()
        if self._groups_since_erasure is not None:
            self._erase()

    def _take(self) -> list[Submission] | None:
        """Wait for works and return as many as make a group; none when other things are due, None at the end."""
        with self._changed:
            while not self._waiting and not self._closed and not self._erasures:
                pending = self._groups_since_erasure is not None or self._uncertain is not None
                if not self._changed.wait(IDLE_S if pending else None):
                    return []
            if not self._waiting:
                return [] if self._erasures else None
            taken = [self._waiting.popleft() for _ in range(min(len(self._waiting), self._max_group))]
        begun = [submission for submission in taken if submission.future.set_running_or_notify_cancel()]
        self._figures.taken(len(taken) - len(begun), [submission.queued_s for submission in begun])
        return begun

    def _commit(self, group: Sequence[Submission]) -> None:
        begun_s = time.monotonic()
        try:
            self._settle()
            outcomes = commit_group(self._engines.writing, group, self._check)
        except CommitUncertain as uncertain:
            self._uncertain = (group, uncertain)
            try:
                self._settle()
            except Exception as error:  # noqa: BLE001 - the writer must survive whatever the database does
                self._fail(group, error)
        except Exception as error:  # noqa: BLE001 - as above
            self._fail(group, error)
        else:
            self._figures.committed(len(group), time.monotonic() - begun_s)
            self._finish(group, outcomes)

    def _settle(self) -> None:
        """Find out what became of a commit whose answer was lost, and let what follows it happen if it was done.

        Else the index would miss faces that are stored, or keep faces that are gone.
        """
        if self._uncertain is None:
            return
        group, uncertain = self._uncertain
        committed = was_committed(self._engines.writing, uncertain.marked)
        self._uncertain = None
        if committed:
            self._finish(group, uncertain.outcomes)
        else:
            self._fail(group, uncertain)

    def _try_to_settle(self) -> None:
        try:
            self._settle()
        except Exception as error:  # noqa: BLE001 - whatever the database does, it may answer again
            log.debug("what became of a commit cannot be found out yet: %s", type(error).__name__)

    def _finish(self, group: Sequence[Submission], outcomes: Sequence[Outcome]) -> None:
        if self._groups_since_erasure is not None:
            self._groups_since_erasure += 1
        elif self._engines.is_sqlite and any(outcome.erased for outcome in outcomes):
            self._groups_since_erasure = 0
        followed = [_follow(submission, outcome) for submission, outcome in zip(group, outcomes, strict=True)]
        for submission, outcome in zip(group, followed, strict=True):
            if submission.future.done():
                continue
            if outcome.error is None:
                submission.future.set_result(outcome.value)
            else:
                submission.future.set_exception(outcome.error)

    def _fail(self, group: Sequence[Submission], cause: Exception) -> None:
        log.error("a group of %d writes failed: %s", len(group), type(cause).__name__, exc_info=cause)
        self._figures.works.add(FAILED, len(group))
        self._engines.writing.dispose()
        for submission in group:
            if not submission.future.done():
                submission.future.set_exception(_unavailable(cause))

    def _erase(self) -> None:
        """Empty SQLite's log, which keeps what was deleted in the database; stays due where a reader needs it."""
        try:
            emptied = truncate_wal(self._engines.writing)
        except Exception:
            log.exception("the log of the database could not be emptied after a deletion; it will be tried again")
            emptied = False
        with self._changed:
            self._groups_since_erasure = None if emptied else 0
            asked, self._erasures = self._erasures, []
        for future in asked:
            future.set_result(emptied)


def _follow(submission: Submission, outcome: Outcome) -> Outcome:
    """Let what follows a commit happen; an error there becomes the submitter's, though the work is durable."""
    if outcome.error is not None or submission.then is None:
        return outcome
    try:
        submission.then(outcome.value)
    except Exception as error:
        log.exception("what follows a commit failed")
        return Outcome(error=error)
    return outcome


def _unavailable(cause: Any) -> StoreUnavailable:
    if isinstance(cause, NotOwner):
        return cause
    error = failure(cause)
    error.__cause__ = cause
    return error
