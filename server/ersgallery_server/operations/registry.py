"""All operations of a server, and the one thread that runs them one after another.

One at a time, so that no more than one competes with the searches. They are in memory alone: what an
operation found is applied or read by its caller, and a restart forgets it.
"""

import datetime as dt
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import structlog

from ersgallery_server.errors import OperationCancelled, OperationNotFound, OperationsFull, ShuttingDown
from ersgallery_server.operations.operation import Kind, Operation, Progress, State

Work = Callable[[Progress], object]

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class OperationLimits:
    """How many operations may wait or run, how many ended ones are kept and how long, and how many calls may wait."""

    max_unfinished: int = 8
    max_ended: int = 64
    kept_s: float = 3600.0
    max_waiters: int = 8


class Operations:
    """Operations by id; safe for concurrent use."""

    def __init__(self, limits: OperationLimits | None = None, now: Callable[[], dt.datetime] | None = None) -> None:
        self._limits = limits or OperationLimits()
        self._now = now or (lambda: dt.datetime.now(dt.UTC))
        self._changed = threading.Condition()
        self._operations: dict[str, Operation] = {}
        self._works: dict[str, Work] = {}
        self._cancelled: set[str] = set()
        self._waiters = 0
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="operations", daemon=True)
        self._thread.start()

    def start(self, kind: Kind, gallery_id: str, work: Work) -> Operation:
        """Queue work; raises OperationsFull at the limit and ShuttingDown after close.

        The work gets a Progress, which it calls between blocks; what it returns is the result, and what it raises the
        error.
        """
        with self._changed:
            if self._closed:
                raise ShuttingDown
            self._expire()
            if sum(not each.state.ended for each in self._operations.values()) >= self._limits.max_unfinished:
                raise OperationsFull(self._limits.max_unfinished)
            operation = Operation(uuid.uuid4().hex, kind, gallery_id, self._now())
            self._operations[operation.operation_id] = operation
            self._works[operation.operation_id] = work
            self._changed.notify_all()
            return operation

    def get(self, operation_id: str) -> Operation:
        """Return an operation as it now is; raises OperationNotFound."""
        with self._changed:
            self._expire()
            return self._get(operation_id)

    def list(self) -> list[Operation]:
        """Return all that are kept, oldest first."""
        with self._changed:
            self._expire()
            return list(self._operations.values())

    def wait(self, operation_id: str, timeout_s: float) -> Operation:
        """Return an operation once it has ended or the time is over; at once where too many wait.

        Raises OperationNotFound, also when it is deleted meanwhile.
        """
        with self._changed:
            if self._waiters >= self._limits.max_waiters:
                return self._get(operation_id)
            self._waiters += 1
            try:
                self._changed.wait_for(lambda: self._closed or self._get(operation_id).state.ended, timeout_s)
            finally:
                self._waiters -= 1
            return self._get(operation_id)

    def cancel(self, operation_id: str) -> Operation:
        """Ask an operation to end and return it; one that waits ends at once. Raises OperationNotFound."""
        with self._changed:
            operation = self._get(operation_id)
            if operation.state is State.WAITING:
                self._end(operation_id, State.CANCELLED, error=OperationCancelled())
            elif operation.state is State.RUNNING:
                self._cancelled.add(operation_id)
            return self._get(operation_id)

    def delete(self, operation_id: str) -> None:
        """Forget an operation, and cancel it where it has not ended; raises OperationNotFound."""
        with self._changed:
            if self._get(operation_id).state is State.RUNNING:
                self._cancelled.add(operation_id)
            self._works.pop(operation_id, None)
            del self._operations[operation_id]
            self._changed.notify_all()

    def cancel_all(self) -> None:
        """Cancel all, take no more, and let nobody wait any longer."""
        with self._changed:
            self._closed = True
            for operation in tuple(self._operations.values()):
                if operation.state is State.WAITING:
                    self._end(operation.operation_id, State.CANCELLED, error=OperationCancelled())
                elif operation.state is State.RUNNING:
                    self._cancelled.add(operation.operation_id)
            self._changed.notify_all()

    def close(self, timeout_s: float | None = None) -> None:
        """Cancel all and wait until the one that runs comes to its next block, at most the timeout."""
        self.cancel_all()
        self._thread.join(timeout_s)

    def _run(self) -> None:
        while self._run_next():
            pass

    def _run_next(self) -> bool:
        """Run the next work and return whether there was one; nothing of it stays behind in this thread."""
        taken = self._take()
        if taken is None:
            return False
        operation_id, work = taken
        try:
            outcome: dict[str, Any] = {"state": State.SUCCEEDED, "result": work(self._progress_of(operation_id))}
        except OperationCancelled as cancelled:
            outcome = {"state": State.CANCELLED, "error": cancelled}
        except Exception as error:  # noqa: BLE001 - who asks for the operation gets it, the thread lives on
            log.info("an operation failed", operation=operation_id, error=repr(error))
            outcome = {"state": State.FAILED, "error": error}
        with self._changed:
            self._cancelled.discard(operation_id)
            self._end(operation_id, **outcome)
        return True

    def _take(self) -> tuple[str, Work] | None:
        """Return the next work, of an operation that waits; None after close."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or bool(self._works))
            if self._closed:
                return None
            operation_id = next(iter(self._works))
            work = self._works.pop(operation_id)
            waiting = self._operations[operation_id]
            self._operations[operation_id] = replace(waiting, state=State.RUNNING, start_time=self._now())
            return operation_id, work

    def _progress_of(self, operation_id: str) -> Progress:
        def report(done: int, total: int) -> None:
            with self._changed:
                if operation_id in self._cancelled:
                    raise OperationCancelled
                if found := self._operations.get(operation_id):
                    self._operations[operation_id] = replace(found, done_units=done, total_units=total)

        return report

    def _end(self, operation_id: str, state: State, *, result: object = None, error: Exception | None = None) -> None:
        # The faces that it would have worked on go with it.
        self._works.pop(operation_id, None)
        if found := self._operations.get(operation_id):
            self._operations[operation_id] = replace(
                found, state=state, end_time=self._now(), result=result, error=error
            )
            self._expire()
            self._changed.notify_all()

    def _get(self, operation_id: str) -> Operation:
        if (operation := self._operations.get(operation_id)) is None:
            raise OperationNotFound(operation_id)
        return operation

    def _expire(self) -> None:
        """Forget the operations that ended long ago, and the oldest of too many."""
        ended = [each for each in self._operations.values() if each.end_time is not None]
        ended.sort(key=lambda each: each.end_time or each.create_time)
        oldest = self._now() - dt.timedelta(seconds=self._limits.kept_s)
        surplus = len(ended) - self._limits.max_ended
        for place, each in enumerate(ended):
            if place < surplus or (each.end_time is not None and each.end_time < oldest):
                del self._operations[each.operation_id]
