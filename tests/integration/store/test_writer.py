"""The writer: groups, savepoints, order, cancellation, limits and the end."""

import threading
from collections.abc import Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from ersgallery_server.store import (
    Enrolled,
    GalleryExists,
    GalleryNotFound,
    Replay,
    Store,
    StoreClosed,
    StoreLimits,
    StoreOverloaded,
    WriteTransaction,
)
from ersgallery_server.store.tables import PROFILES
from ersgallery_server.values import GalleryRecord
from sqlalchemy import event, insert, select
from sqlalchemy.exc import IntegrityError

from tests.support.stores import (
    create_gallery,
    create_profile,
    enroll,
    enroll_within,
    enrolled_within,
    new_faces,
    stored_ids,
    write,
)


@contextmanager
def held_up(store: Store) -> Iterator[None]:
    """Keep the writer busy, so that what is submitted meanwhile waits together."""
    begun, go_on = threading.Event(), threading.Event()

    def wait(_: WriteTransaction) -> None:
        begun.set()
        go_on.wait(60)

    holding = store.submit(wait)
    begun.wait(60)
    try:
        yield
    finally:
        go_on.set()
        holding.result(60)


def test_works_that_wait_together_share_one_commit(store: Store, gallery: GalleryRecord) -> None:
    commits: list[object] = []
    event.listen(store._engines.writing, "commit", commits.append)
    with held_up(store):
        waiting = [store.submit(lambda t: enrolled_within(t, gallery, new_faces(["a"]))) for _ in range(20)]
    revisions = [done.result(60).revision for done in waiting]
    assert revisions == list(range(1, 21))
    assert len(commits) == 2


def test_a_group_is_limited(store_url: str) -> None:
    with Store.open(store_url, limits=StoreLimits(max_group=4)) as store:
        gallery = create_gallery(store)
        commits: list[object] = []
        event.listen(store._engines.writing, "commit", commits.append)
        with held_up(store):
            waiting = [store.submit(lambda t: enrolled_within(t, gallery, new_faces(["a"]))) for _ in range(10)]
        assert [done.result(60).revision for done in waiting] == list(range(1, 11))
    assert len(commits) == 1 + 3


def test_a_failing_work_is_rolled_back_alone(store: Store, gallery: GalleryRecord) -> None:
    def enroll_and_fail(t: WriteTransaction) -> None:
        enroll_within(t, gallery, new_faces(["bad"]), request=("bad", b""))
        raise ArithmeticError

    def violate(t: WriteTransaction) -> None:
        enroll_within(t, gallery, new_faces(["bad"]))
        row = t.connection.execute(select(PROFILES)).one()
        t.connection.execute(insert(PROFILES).values(dict(row._mapping)))

    with held_up(store):
        first = store.submit(lambda t: enrolled_within(t, gallery, new_faces(["a"])))
        failing = store.submit(enroll_and_fail)
        exists = store.submit(lambda t: t.create_gallery("people", gallery.settings, gallery.profile.key))
        violating = store.submit(violate)
        last = store.submit(lambda t: enrolled_within(t, gallery, new_faces(["b"])))
    with pytest.raises(ArithmeticError):
        failing.result(60)
    with pytest.raises(GalleryExists):
        exists.result(60)
    with pytest.raises(IntegrityError):
        violating.result(60)
    assert (first.result(60).revision, last.result(60).revision) == (1, 2)
    assert set(store.subject_ids(gallery.key).values()) == {"a", "b"}
    assert store.find_request(gallery.key, "bad") is None
    assert [change.revision for change in store.changes(gallery.key, 0)] == [1, 2]


def test_a_work_sees_what_earlier_works_of_its_group_did(store: Store, gallery: GalleryRecord) -> None:
    with held_up(store):
        deleted = store.submit(lambda t: t.delete_gallery("people"))
        late = store.submit(lambda t: enrolled_within(t, gallery, new_faces(["a"])))
        again = store.submit(lambda t: t.create_gallery("people", gallery.settings, gallery.profile.key))
    assert deleted.result(60).faces == 0
    with pytest.raises(GalleryNotFound):
        late.result(60)
    assert again.result(60).key > gallery.key


def test_what_follows_a_commit_sees_it_durable_in_order_and_before_the_futures(
    store: Store, gallery: GalleryRecord
) -> None:
    seen: list[tuple[str, int, list[int]]] = []
    futures: list[Future[Enrolled]] = []

    def follow(enrolled: Enrolled) -> None:
        assert not any(future.done() for future in futures)
        seen.append((threading.current_thread().name, enrolled.revision, stored_ids(store, gallery)))

    with held_up(store):
        for name in ("a", "b", "c"):
            faces = new_faces([name])
            futures.append(store.submit(lambda t, faces=faces: enrolled_within(t, gallery, faces), follow))  # type: ignore[misc] # bound now
    ids = [future.result(60).face_ids.item() for future in futures]
    assert seen == [("store-writer", revision, ids) for revision in (1, 2, 3)]


def test_an_error_after_the_commit_reaches_the_submitter_and_nobody_else(store: Store, gallery: GalleryRecord) -> None:
    def fail(_: object) -> None:
        raise ArithmeticError

    with held_up(store):
        failing = store.submit(lambda t: enrolled_within(t, gallery, new_faces(["a"])), fail)
        good = store.submit(lambda t: enrolled_within(t, gallery, new_faces(["b"])))
    with pytest.raises(ArithmeticError):
        failing.result(60)
    assert good.result(60).revision == 2
    assert len(stored_ids(store, gallery)) == 2, "it was durable before it failed"


def test_a_cancelled_work_is_dropped_and_a_begun_one_goes_on(store: Store, gallery: GalleryRecord) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def work(t: WriteTransaction) -> Enrolled:
        begun.set()
        go_on.wait(60)
        return enrolled_within(t, gallery, new_faces(["a"]))

    running = store.submit(work)
    begun.wait(60)
    waiting = store.submit(lambda t: enrolled_within(t, gallery, new_faces(["b"])))
    assert waiting.cancel()
    assert not running.cancel()
    go_on.set()
    assert running.result(60).revision == 1
    with pytest.raises(CancelledError):
        waiting.result(60)
    assert enroll(store, gallery, "c").revision == 2
    assert set(store.subject_ids(gallery.key).values()) == {"a", "c"}


def test_a_full_queue_refuses_at_once_and_takes_again_later(store_url: str) -> None:
    with Store.open(store_url, limits=StoreLimits(max_waiting=3)) as store:
        with held_up(store):
            waiting = [store.submit(lambda _: 1) for _ in range(3)]
            with pytest.raises(StoreOverloaded, match="3 waiting"):
                store.submit(lambda _: 1)
        assert [done.result(60) for done in waiting] == [1, 1, 1]
        assert write(store, lambda _: 2) == 2


def test_closing_finishes_what_was_submitted_and_refuses_the_rest(store_url: str) -> None:
    store = Store.open(store_url)
    gallery = create_gallery(store)
    go_on = threading.Event()
    store.submit(lambda _: go_on.wait(60))
    waiting = [store.submit(lambda t: enrolled_within(t, gallery, new_faces(["a"]))) for _ in range(5)]
    closing = threading.Thread(target=store.close)
    closing.start()
    go_on.set()
    closing.join(60)
    assert [done.result(0).revision for done in waiting] == [1, 2, 3, 4, 5]
    store.close()
    with pytest.raises(StoreClosed):
        store.submit(lambda _: 1)
    with pytest.raises(StoreClosed):
        store.gallery("people")
    with Store.open(store_url) as again:
        assert again.gallery("people").revision == 5


def test_concurrent_submitters_lose_and_mix_nothing(store: Store, gallery: GalleryRecord) -> None:
    def submit_many(name: int) -> list[tuple[str, int, int]]:
        answers = []
        for turn in range(12):
            subject_id = f"{name}-{turn}"
            enrolled = enroll(store, gallery, subject_id, "shared")
            answers.append((subject_id, enrolled.face_ids[0].item(), enrolled.revision))
        return answers

    with ThreadPoolExecutor(8) as pool:
        answers = [answer for several in pool.map(submit_many, range(8)) for answer in several]
    assert sorted(revision for _, _, revision in answers) == list(range(1, 97))
    assert len(set(stored_ids(store, gallery))) == 192
    for subject_id, face_id, _ in answers[::7]:
        assert store.face(gallery.key, subject_id, face_id).subject_id == subject_id
    assert store.subject(gallery.key, "shared", 0.0).face_count == 96


def test_equal_requests_of_several_submitters_are_stored_once(store: Store, gallery: GalleryRecord) -> None:
    with held_up(store):
        waiting = [
            store.submit(lambda t: enroll_within(t, gallery, new_faces(["a"]), request=("r", b"1"))) for _ in range(3)
        ]
    kinds = [type(done.result(60)) for done in waiting]
    assert kinds == [Enrolled, Replay, Replay]
    assert len(stored_ids(store, gallery)) == 1


def test_two_stores_of_one_database_give_out_different_keys(store: Store, store_url: str) -> None:
    gallery = create_gallery(store)
    with Store.open(store_url) as other, ThreadPoolExecutor(2) as pool:
        both = list(pool.map(lambda s: [enroll(s, gallery, "a").face_ids.item() for _ in range(10)], (store, other)))
    assert len({*both[0], *both[1]}) == 20
    assert store.gallery("people").revision == 20
    assert create_profile(store).version == 1
