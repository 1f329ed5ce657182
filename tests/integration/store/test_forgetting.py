"""Old requests and changes are forgotten in small steps, and nothing else."""

import datetime as dt
import time

import pytest
from ersgallery_server.store import Enrolled, Forgetter, Replay, Retention, Store, StoreClosed
from ersgallery_server.store import forgetting as module
from ersgallery_server.store.tables import REQUESTS
from ersgallery_server.values import GalleryRecord
from sqlalchemy import update

from tests.support.stores import create_gallery, enroll, enroll_within, new_faces, stored_ids, write

WEEK = dt.timedelta(days=7)


def age(store: Store, request_id: str, by: dt.timedelta) -> None:
    """Let a request have been made earlier."""
    with store._engines.writing.begin() as connection:
        made = dt.datetime.now(dt.UTC) - by
        connection.execute(update(REQUESTS).where(REQUESTS.c.request_id == request_id).values(create_time=made))


def known(store: Store, gallery: GalleryRecord, *request_ids: str) -> list[bool]:
    return [store.find_request(gallery.key, request_id) is not None for request_id in request_ids]


def wait_until_forgotten(store: Store, gallery: GalleryRecord, request_id: str) -> None:
    give_up_s = time.monotonic() + 30
    while known(store, gallery, request_id) == [True]:
        assert time.monotonic() < give_up_s, "it was never forgotten"
        time.sleep(0.01)


def test_requests_are_forgotten_by_age_and_their_faces_stay(store: Store, gallery: GalleryRecord) -> None:
    for request_id in ("old", "older", "young"):
        enroll(store, gallery, request_id, request=(request_id, b"body"))
    age(store, "old", WEEK * 1.01)
    age(store, "older", WEEK * 3)
    age(store, "young", WEEK * 0.99)
    before = dt.datetime.now(dt.UTC) - WEEK
    assert write(store, lambda t: t.forget_requests(before)) == 2
    assert write(store, lambda t: t.forget_requests(before)) == 0
    assert known(store, gallery, "older", "old", "young") == [False, False, True]
    assert len(stored_ids(store, gallery)) == 3
    again = write(store, lambda t: enroll_within(t, gallery, new_faces(["x"]), request=("old", b"other body")))
    assert isinstance(again, Enrolled), "a forgotten id is a new one"
    kept = write(store, lambda t: enroll_within(t, gallery, new_faces(["x"]), request=("young", b"body")))
    assert isinstance(kept, Replay)


def test_the_same_id_in_another_gallery_is_another_request(store: Store, gallery: GalleryRecord) -> None:
    other = create_gallery(store, "others")
    enroll(store, gallery, "a", request=("r", b"1"))
    age(store, "r", WEEK * 2)
    enroll(store, other, "a", request=("r", b"2"))
    assert write(store, lambda t: t.forget_requests(dt.datetime.now(dt.UTC) - WEEK)) == 1
    assert (known(store, gallery, "r"), known(store, other, "r")) == ([False], [True])


def test_a_step_takes_so_many_bytes_of_answers_and_the_oldest_first(
    store: Store, gallery: GalleryRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_ANSWER_BYTES", 250)
    names = ["a", "b", "c", "huge", "d"]
    for i, name in enumerate(names):
        answer = b"x" * (1000 if name == "huge" else 100)
        enroll(store, gallery, name, request=(name, b"body"), respond=lambda _, answer=answer: answer)
        age(store, name, WEEK * 2 - dt.timedelta(hours=i))
    steps = []
    while forgotten := write(store, lambda t: t.forget_requests(dt.datetime.now(dt.UTC) - WEEK)):
        steps.append((forgotten, [name for name in names if known(store, gallery, name) == [True]]))
    assert steps == [(2, ["c", "huge", "d"]), (1, ["huge", "d"]), (1, ["d"]), (1, [])]


def test_the_last_changes_of_each_gallery_are_kept(
    store: Store, gallery: GalleryRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_ROWS", 2)
    other = create_gallery(store, "others")
    for i in range(8):
        enroll(store, gallery, f"s{i}", seed=i)
    for i in range(3):
        enroll(store, other, f"s{i}", seed=i)
    steps = []
    while forgotten := write(store, lambda t: t.forget_changes(3)):
        steps.append(forgotten)
    assert steps == [2, 2, 1]
    assert [change.revision for change in store.changes(gallery.key, 0)] == [6, 7, 8]
    assert [change.revision for change in store.changes(other.key, 0)] == [1, 2, 3]
    with store.since(gallery.key, 5) as since:
        assert (since.is_complete, since.mark) == (True, None)
    with store.since(gallery.key, 4) as since:
        assert not since.is_complete, "a snapshot from before is told so"
    assert enroll(store, gallery, "more").revision == 9


def test_a_store_forgets_by_itself_at_once_and_later(store: Store, gallery: GalleryRecord) -> None:
    enroll(store, gallery, "a", request=("first", b"body"))
    enroll(store, gallery, "b", request=("kept", b"body"), seed=1)
    age(store, "first", WEEK * 2)
    forgetter = Forgetter(store, Retention(WEEK, 1), every_s=0.01, pause_s=0.001)
    wait_until_forgotten(store, gallery, "first")
    enroll(store, gallery, "c", request=("later", b"body"), seed=2)
    age(store, "later", WEEK * 2)
    wait_until_forgotten(store, gallery, "later")
    forgetter.close()
    assert known(store, gallery, "kept") == [True]
    assert [change.revision for change in store.changes(gallery.key, 0)] == [3]


def test_forgetting_survives_a_store_that_fails(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    store.close()
    forgetter = Forgetter(store, Retention(), every_s=0.001)
    give_up_s = time.monotonic() + 30
    while caplog.text.count("could not forget") < 2:
        assert time.monotonic() < give_up_s
        time.sleep(0.005)
    forgetter.close()
    with pytest.raises(StoreClosed):
        store.submit(lambda _: None)
