"""Operations run one after another, report, end when they are asked to, and are forgotten in time."""

import datetime as dt
import gc
import threading
import weakref
from collections.abc import Iterator

import pytest
from ersgallery_server.errors import OperationCancelled, OperationNotFound, OperationsFull, ShuttingDown
from ersgallery_server.operations import Kind, Operation, OperationLimits, Operations, Progress, State

KIND = Kind.CALIBRATE_TAU
LIMITS = OperationLimits(max_unfinished=3, max_ended=2, kept_s=60.0, max_waiters=1)
WAIT_S = 20.0


class Held:
    """Work that stands still until it is let go, and then reports."""

    def __init__(self) -> None:
        self.begun, self.released = threading.Event(), threading.Event()

    def __call__(self, progress: Progress) -> str:
        progress(1, 3)
        self.begun.set()
        assert self.released.wait(WAIT_S)
        progress(2, 3)
        return "done"


class Clock:
    def __init__(self) -> None:
        self.time = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)

    def __call__(self) -> dt.datetime:
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def operations(clock: Clock) -> Iterator[Operations]:
    made = Operations(LIMITS, clock)
    yield made
    made.close()


def ended(operations: Operations, operation: Operation) -> Operation:
    return operations.wait(operation.operation_id, WAIT_S)


def test_a_result_an_error_and_a_cancellation_are_told_apart(operations: Operations) -> None:
    def fail(_progress: Progress) -> None:
        raise ValueError("no")

    good = ended(operations, operations.start(KIND, "g", lambda _: 7))
    bad = ended(operations, operations.start(KIND, "g", fail))
    assert (good.state, good.result, good.error) == (State.SUCCEEDED, 7, None)
    assert bad.state is State.FAILED
    assert isinstance(bad.error, ValueError)
    assert good.start_time is not None
    assert good.end_time is not None


def test_one_runs_at_a_time_and_tells_how_far_it_is(operations: Operations) -> None:
    first, second = Held(), Held()
    one, two = operations.start(KIND, "g", first), operations.start(KIND, "g", second)
    assert first.begun.wait(WAIT_S)
    now = operations.get(one.operation_id)
    assert (now.state, now.done_units, now.total_units) == (State.RUNNING, 1, 3)
    assert operations.get(two.operation_id).state is State.WAITING
    assert not second.begun.is_set()
    first.released.set()
    second.released.set()
    assert [ended(operations, each).state for each in (one, two)] == [State.SUCCEEDED] * 2


def test_a_running_one_ends_at_its_next_report_and_a_waiting_one_at_once(operations: Operations) -> None:
    held = Held()
    running, waiting = operations.start(KIND, "g", held), operations.start(KIND, "g", Held())
    assert held.begun.wait(WAIT_S)
    assert operations.cancel(waiting.operation_id).state is State.CANCELLED
    assert operations.cancel(running.operation_id).state is State.RUNNING
    held.released.set()
    cancelled = ended(operations, running)
    assert cancelled.state is State.CANCELLED
    assert isinstance(cancelled.error, OperationCancelled)
    assert operations.cancel(running.operation_id).state is State.CANCELLED


def test_a_deleted_one_is_forgotten_and_its_work_ends(operations: Operations) -> None:
    held = Held()
    gone = operations.start(KIND, "g", held)
    assert held.begun.wait(WAIT_S)
    operations.delete(gone.operation_id)
    held.released.set()
    with pytest.raises(OperationNotFound):
        operations.get(gone.operation_id)
    assert ended(operations, operations.start(KIND, "g", lambda _: 1)).result == 1


def test_no_more_wait_or_run_than_the_limit(operations: Operations) -> None:
    held = Held()
    for _ in range(LIMITS.max_unfinished):
        operations.start(KIND, "g", held)
    with pytest.raises(OperationsFull, match="3 operations") as full:
        operations.start(KIND, "g", held)
    assert full.value.retry_after_s > 0
    held.released.set()


def test_the_last_ended_ones_are_kept_and_only_for_a_while(operations: Operations, clock: Clock) -> None:
    made = [ended(operations, operations.start(KIND, "g", lambda _: 1)) for _ in range(3)]
    assert [each.operation_id for each in operations.list()] == [each.operation_id for each in made[1:]]
    clock.time += dt.timedelta(seconds=61)
    assert operations.list() == []


def test_whoever_waits_too_many_gets_the_present_state_at_once(operations: Operations) -> None:
    held = Held()
    operation = operations.start(KIND, "g", held)
    assert held.begun.wait(WAIT_S)
    answers: list[Operation] = []
    waiter = threading.Thread(target=lambda: answers.append(ended(operations, operation)))
    waiter.start()
    while operations._waiters == 0:
        waiter.join(0.001)
    assert ended(operations, operation).state is State.RUNNING
    held.released.set()
    waiter.join(WAIT_S)
    assert [each.state for each in answers] == [State.SUCCEEDED]


def test_closing_cancels_all_and_takes_no_more(clock: Clock) -> None:
    operations = Operations(LIMITS, clock)
    held = Held()
    running, waiting = operations.start(KIND, "g", held), operations.start(KIND, "g", held)
    assert held.begun.wait(WAIT_S)
    held.released.set()
    operations.cancel_all()
    operations.close()
    assert operations.get(running.operation_id).state in {State.CANCELLED, State.SUCCEEDED}
    assert operations.get(waiting.operation_id).state is State.CANCELLED
    with pytest.raises(ShuttingDown):
        operations.start(KIND, "g", held)


def test_nothing_of_the_faces_stays_after_a_work_has_ended_or_was_taken_back(operations: Operations) -> None:
    held, waiting, done = Held(), Held(), Held()
    done.released.set()
    kept = [weakref.ref(work) for work in (held, waiting, done)]
    ended(operations, operations.start(KIND, "g", done))
    running = operations.start(KIND, "g", held)
    assert held.begun.wait(WAIT_S)
    operations.delete(operations.start(KIND, "g", waiting).operation_id)
    held.released.set()
    ended(operations, running)
    operations.delete(running.operation_id)
    del held, waiting, done
    gc.collect()
    assert [reference() for reference in kept] == [None, None, None]
