"""Loading and re-scoring: whole galleries as arrays."""

from itertools import pairwise

import numpy as np
import pytest
from ersgallery_server.store import ChangeKind, GalleryNotFound, ProfileNotFound, Store, loading
from ersgallery_server.values import GalleryRecord
from numpy.typing import NDArray

from tests.support.stores import (
    Person,
    create_gallery,
    create_profile,
    enroll,
    enrolled_within,
    new_faces,
    stored_ids,
    unit_rows,
    write,
)


def score(rows: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    raw = rows[:, 0].astype(np.float64)
    return np.clip(raw, 0, 1), raw


@pytest.mark.parametrize("fetched_rows", [2, 512])
@pytest.mark.parametrize("chunk_rows", [1, 3, 7, 100])
def test_all_faces_come_in_order_and_bit_by_bit(
    store: Store, gallery: GalleryRecord, chunk_rows: int, fetched_rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "FETCHED_ROWS", fetched_rows)
    other = create_gallery(store, "others")
    people = [Person(f"s{i % 3}", 0.1 * i) for i in range(7)]
    enrolled = enroll(store, gallery, *people[:4], seed=4)
    enroll(store, other, "x", "y")
    more = write(store, lambda t: enrolled_within(t, gallery, new_faces(people[4:], 5)))
    chunks = list(store.load_faces(gallery.key, chunk_rows))
    assert max(len(chunk.face_ids) for chunk in chunks) <= chunk_rows
    assert np.concatenate([c.face_ids for c in chunks]).tolist() == [*enrolled.face_ids, *more.face_ids]
    assert np.concatenate([c.subject_keys for c in chunks]).tolist() == [
        enrolled.subjects[person.subject_id].subject_key for person in people
    ]
    assert np.concatenate([c.ers for c in chunks]).tolist() == [person.ers for person in people]
    embeddings = np.concatenate([c.embeddings for c in chunks])
    assert embeddings.dtype == np.float32
    assert np.array_equal(embeddings, np.concatenate([unit_rows(4, 4), unit_rows(3, 5)]))


def test_an_empty_gallery_gives_no_chunk(store: Store, gallery: GalleryRecord) -> None:
    assert list(store.load_faces(gallery.key)) == []


def test_a_snapshot_stays_at_its_revision_while_others_write(store: Store, gallery: GalleryRecord) -> None:
    first = enroll(store, gallery, "a", "b", "c")
    with store.snapshot(gallery.key, 1) as snapshot:
        write(store, lambda t: t.delete_subject(gallery.key, "c"))
        chunk = next(snapshot.chunks)
        enroll(store, gallery, "d")
        rest = [c.face_ids.item() for c in snapshot.chunks]
        assert snapshot.gallery.revision == first.revision
    assert [chunk.face_ids.item(), *rest] == first.face_ids.tolist()
    assert store.gallery("people").revision == 3


def test_an_older_snapshot_catches_up_from_the_log(store: Store, gallery: GalleryRecord) -> None:
    enroll(store, gallery, "a", "b", "c")
    held = set(stored_ids(store, gallery))
    revision = store.gallery("people").revision
    enroll(store, gallery, "d", "a")
    write(store, lambda t: t.delete_subject(gallery.key, "a"))
    with store.snapshot(gallery.key, after_face_id=max(held)) as newer:
        added = [face_id for chunk in newer.chunks for face_id in chunk.face_ids.tolist()]
        changes = store.changes(gallery.key, revision)
        assert newer.gallery.revision == changes[-1].revision
    removed = {face_id for change in changes for face_id in change.removed_face_ids.tolist()}
    logged = {face_id for change in changes for face_id in change.added_face_ids}
    assert set(added) == logged - removed
    assert sorted((held - removed) | set(added)) == stored_ids(store, gallery)


def test_an_abandoned_load_gives_its_connection_back(store: Store, gallery: GalleryRecord) -> None:
    ids = enroll(store, gallery, "a", "b", "c").face_ids.tolist()
    for _ in range(40):
        faces = store.load_faces(gallery.key, 1)
        assert next(faces).face_ids.tolist() == ids[:1]
        faces.close()  # type: ignore[attr-defined] # an iterator that is a generator
    assert stored_ids(store, gallery) == ids


@pytest.mark.parametrize("chunk_rows", [2, 100])
def test_rescoring_gives_every_face_its_score_under_the_new_profile(
    store: Store, gallery: GalleryRecord, chunk_rows: int
) -> None:
    other = create_gallery(store, "others")
    people = [f"s{i}" for i in range(5)]
    ids = enroll(store, gallery, *people, seed=3).face_ids.tolist()
    enroll(store, other, "x")
    newer = create_profile(store, seed=9)
    done = write(store, lambda t: t.rescore(gallery.key, newer.key, score, chunk_rows))
    assert (done.revision, done.face_count) == (2, 5)
    ers, raw_ers = score(unit_rows(5, 3))
    (chunk,) = store.load_faces(gallery.key)
    assert np.array_equal(chunk.ers, ers)
    faces = [store.face(gallery.key, name, face_id) for name, face_id in zip(people, ids, strict=True)]
    assert [face.raw_ers for face in faces] == raw_ers.tolist()
    record = store.gallery("people")
    assert (record.profile.key, record.version, record.revision) == (newer.key, 2, 2)
    assert store.changes(gallery.key, 1)[0].kind is ChangeKind.RESCORE
    (untouched,) = store.load_faces(other.key)
    assert untouched.ers.tolist() == [0.9]
    assert store.gallery("others").profile.key == gallery.profile.key


def test_a_failed_rescoring_changes_nothing(store: Store, gallery: GalleryRecord) -> None:
    enroll(store, gallery, "a", "b", "c")
    newer = create_profile(store, seed=9)
    calls = []

    def fail_late(rows: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        calls.append(len(rows))
        if len(calls) == 2:
            raise ArithmeticError
        return score(rows)

    with pytest.raises(ArithmeticError):
        write(store, lambda t: t.rescore(gallery.key, newer.key, fail_late, 1))
    (chunk,) = store.load_faces(gallery.key)
    assert chunk.ers.tolist() == [0.9] * 3
    assert (store.gallery("people").profile.key, store.gallery("people").revision) == (gallery.profile.key, 1)


def test_rescoring_needs_a_profile_of_the_same_dimension(store: Store, gallery: GalleryRecord) -> None:
    small = create_profile(store, "small", seed=2, dimension=8)
    with pytest.raises(ValueError, match="another dimension"):
        write(store, lambda t: t.rescore(gallery.key, small.key, score))
    with pytest.raises(ProfileNotFound):
        write(store, lambda t: t.rescore(gallery.key, 99, score))


def test_consecutive_revisions_leave_no_gap(store: Store, gallery: GalleryRecord) -> None:
    face_id = enroll(store, gallery, "a", "b").face_ids.tolist()[0]
    newer = create_profile(store, seed=9)

    write(
        store,
        lambda t: (
            t.delete_face(gallery.key, "a", face_id),
            t.update_gallery("people", lambda settings: settings),
            t.rescore(gallery.key, newer.key, score),
            t.delete_subject(gallery.key, "b"),
        ),
    )
    revisions = [change.revision for change in store.changes(gallery.key, 0)]
    assert revisions == [1, 2, 3, 4, 5]
    assert all(later - earlier == 1 for earlier, later in pairwise(revisions))


def test_a_gallery_that_is_gone_cannot_be_opened(store: Store) -> None:
    with pytest.raises(GalleryNotFound), store.snapshot(5):
        pass
