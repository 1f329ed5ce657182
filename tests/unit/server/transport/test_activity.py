"""What counts as under way, so that a drain waits for it."""

import time

import pytest
from ersgallery_server.errors import ShuttingDown
from ersgallery_server.transport.activity import Activity


def test_a_stream_is_under_way_while_a_request_has_no_answer() -> None:
    activity = Activity()
    activity.accepted()
    assert not activity.wait_idle(0)
    stream = activity.open_stream()
    requests = stream.each(iter("ab"))
    assert activity.wait_idle(0)
    next(requests)
    next(requests)
    assert not activity.wait_idle(0)
    stream.answered()
    assert not activity.wait_idle(0)
    stream.answered()
    assert activity.wait_idle(0)
    stream.close()
    assert not activity.wait_idle(0)
    activity.ended()
    assert activity.wait_idle(0)


def test_a_stream_that_is_closed_leaves_nothing_under_way_and_takes_no_more() -> None:
    activity = Activity()
    activity.accepted()
    stream = activity.open_stream()
    requests = stream.each(iter("abc"))
    next(requests)
    next(requests)
    stream.close()
    assert list(requests) == []
    activity.ended()
    assert activity.wait_idle(0)


def test_a_request_that_comes_after_the_drain_began_is_refused_and_not_counted() -> None:
    activity = Activity()
    activity.accepted()
    stream = activity.open_stream()
    requests = stream.each(iter("ab"))
    next(requests)
    activity.drain()
    stream.answered()
    with pytest.raises(ShuttingDown):
        next(requests)
    assert activity.wait_idle(0)


def test_what_a_call_would_wait_follows_from_what_waits_and_how_long_calls_take(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    activity = Activity(threads=4)
    for _ in range(500):
        activity.served(2.0)
    assert activity.expected_wait_s == 0.0
    for _ in range(6):
        activity.accepted()
    assert activity.expected_wait_s == pytest.approx(6 * 2.0 / 4, rel=0.01)
    activity.begun()
    activity.open_stream()
    assert activity.expected_wait_s == pytest.approx(5 * 2.0 / 3, rel=0.01), "a stream holds its thread"
    for _ in range(500):
        activity.served(0.1)
    assert activity.expected_wait_s == pytest.approx(5 * 0.1 / 3, rel=0.01)
    now_s = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now_s + 60)
    assert activity.expected_wait_s >= 60, "calls that do not end tell by those that wait for them"
