"""Who keeps a thread waiting is suffered long where threads are free, and shortly where others want them."""

import time

import pytest
from ersgallery_server.transport.activity import Activity
from ersgallery_server.transport.patience import MESSAGE_S, WANTED_MESSAGE_S, Patience


@pytest.fixture
def activity() -> Activity:
    return Activity(threads=2)


@pytest.fixture
def patience(activity: Activity) -> Patience:
    return Patience(activity, stream_idle_s=5.0)


def later(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Let the clock go forward."""
    now_s = time.monotonic() + seconds
    monkeypatch.setattr(time, "monotonic", lambda: now_s)


def test_a_message_is_waited_for_as_long_as_nobody_wants_the_thread(
    activity: Activity, patience: Patience, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[str] = []
    with patience.receiving(lambda: ended.append("slow")):
        later(monkeypatch, WANTED_MESSAGE_S + 1)
        patience.look()
        assert ended == []
        activity.accepted()
        patience.look()
        assert ended == ["slow"]
    patience.look()
    assert ended == ["slow"], "a message that came is waited for no longer"


def test_a_message_that_never_comes_is_not_waited_for_without_end(
    patience: Patience, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[str] = []
    with patience.receiving(lambda: ended.append("slow")):
        later(monkeypatch, MESSAGE_S + 1)
        patience.look()
    assert ended == ["slow"]


def test_of_the_streams_only_those_are_ended_that_wait_for_their_callers(
    activity: Activity, patience: Patience, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[str] = []
    for _ in range(3):
        activity.accepted()
    idle = activity.open_stream(lambda: ended.append("idle"))
    working = activity.open_stream(lambda: ended.append("working"))
    unread = activity.open_stream(lambda: ended.append("unread"))
    assert [next(stream.each(iter("a"))) for stream in (working, unread)] == ["a", "a"]
    unread.sending()
    later(monkeypatch, 6.0)
    patience.look()
    assert ended == [], "nobody was refused"
    patience.want_stream()
    patience.look()
    assert sorted(ended) == ["idle", "unread"]
    assert (idle.idle_s(time.monotonic()) > 5, working.idle_s(time.monotonic())) == (True, 0.0)
