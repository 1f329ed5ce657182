"""Deadlines and cancellation: what has not begun is dropped, what has begun runs to its end."""

import threading
import time
import weakref
from concurrent.futures import Future

import pytest
from ersgallery_server.call import Call
from ersgallery_server.errors import Cancelled, DeadlineExceeded


def test_work_that_has_not_begun_at_the_deadline_is_dropped() -> None:
    future: Future[int] = Future()
    with pytest.raises(DeadlineExceeded):
        Call(deadline_s=time.monotonic() + 0.01).wait(future)
    assert future.cancelled()


def test_work_that_has_begun_is_waited_for_beyond_the_deadline() -> None:
    future: Future[int] = Future()
    future.set_running_or_notify_cancel()
    threading.Timer(0.05, lambda: future.set_result(7)).start()
    assert Call(deadline_s=time.monotonic()).wait(future) == 7


def test_a_caller_that_goes_away_drops_what_has_not_begun() -> None:
    future: Future[int] = Future()
    call = Call()
    threading.Timer(0.01, call.cancellation.happen).start()
    with pytest.raises(Cancelled):
        call.wait(future)


def test_a_call_that_has_already_ended_begins_nothing() -> None:
    future: Future[int] = Future()
    call = Call()
    call.cancellation.happen()
    with pytest.raises(Cancelled):
        call.wait(future)
    assert future.cancelled()


def test_a_caller_that_goes_away_later_has_no_hold_on_what_was_waited_for() -> None:
    call = Call()

    def wait_once() -> "weakref.ref[Future[bytes]]":
        future: Future[bytes] = Future()
        future.set_result(bytes(100))
        call.wait(future)
        return weakref.ref(future)

    assert [wait_once()() for _ in range(3)] == [None] * 3


def test_what_the_work_raises_is_raised() -> None:
    future: Future[int] = Future()
    future.set_exception(KeyError("x"))
    with pytest.raises(KeyError):
        Call().wait(future)


def test_a_timeout_of_the_work_itself_is_no_deadline() -> None:
    future: Future[int] = Future()
    future.set_exception(TimeoutError("of the work"))
    with pytest.raises(TimeoutError, match="of the work"):
        Call(deadline_s=time.monotonic() + 10).wait(future)
