"""Enrolment: ids, subjects, warnings' figures, counters, log and request ids."""

import numpy as np
import pytest
from ersgallery_server.store import (
    ChangeKind,
    Enrolled,
    ProfileChanged,
    Replay,
    RequestIdReused,
    Store,
)
from ersgallery_server.values import AcquisitionCounts, GalleryRecord, NewFace

from tests.support.stores import (
    Person,
    create_gallery,
    create_profile,
    enroll,
    enroll_within,
    new_faces,
    stored_ids,
    unit_rows,
    write,
)


def respond(enrolled: Enrolled) -> bytes:
    return b"faces " + b",".join(b"%d" % face_id for face_id in enrolled.face_ids)


def test_an_enrolment_makes_missing_subjects_and_says_where_each_face_went(
    store: Store, gallery: GalleryRecord
) -> None:
    known = write(store, lambda t: t.create_subject(gallery.key, "b", display_name="kept"))
    faces = new_faces(["a", "b", "a"], subject_display_name="new")
    enrolled = write(store, lambda t: enroll_within(t, gallery, faces))
    assert isinstance(enrolled, Enrolled)
    assert enrolled.subject_keys.tolist() == [enrolled.subjects[name].subject_key for name in ("a", "b", "a")]
    assert enrolled.subjects["b"].subject_key == known.key
    assert {name: change.created for name, change in enrolled.subjects.items()} == {"a": True, "b": False}
    assert store.subject(gallery.key, "a", 0.0).display_name == "new"
    assert store.subject(gallery.key, "b", 0.0).display_name == "kept"
    assert np.all(np.diff(enrolled.face_ids) > 0)


def test_the_figures_behind_the_warnings_are_right(store: Store, gallery: GalleryRecord) -> None:
    enroll(store, gallery, Person("a", 0.5), Person("a", 0.75))
    change = enroll(store, gallery, Person("a", 0.25), Person("b", 0.125)).subjects
    assert (change["a"].face_count, change["a"].searchable_face_count) == (3, 2)
    assert (change["a"].mean_ers_before, change["a"].mean_ers_after) == (0.625, 0.5)
    assert (change["b"].face_count, change["b"].searchable_face_count) == (1, 0)
    assert (change["b"].mean_ers_before, change["b"].mean_ers_after) == (None, 0.125)


def test_every_enrolment_is_one_revision_with_its_log(store: Store, gallery: GalleryRecord) -> None:
    first = enroll(store, gallery, "a", "b")
    other = enroll(store, create_gallery(store, "others"), "x")
    second = enroll(store, gallery, "c")
    assert (first.revision, other.revision, second.revision) == (1, 1, 2)
    changes = store.changes(gallery.key, 0)
    assert [change.kind for change in changes] == [ChangeKind.ENROLL] * 2
    assert [list(change.added_face_ids) for change in changes] == [first.face_ids.tolist(), second.face_ids.tolist()]
    assert [change.revision for change in store.changes(gallery.key, 1)] == [2]
    assert [change.revision for change in store.changes(gallery.key, 0, limit=1)] == [1]


def test_an_enrolment_without_faces_counts_and_changes_nothing_else(store: Store, gallery: GalleryRecord) -> None:
    counts = AcquisitionCounts(2, 1, 3, 3)
    nothing = enroll(store, gallery, counts=counts, request=("r", b"x"))
    assert (nothing.revision, nothing.face_ids.tolist(), dict(nothing.subjects)) == (0, [], {})
    assert store.gallery("people").counts == counts
    assert store.changes(gallery.key, 0) == ()
    assert store.find_request(gallery.key, "r") is not None


def test_more_subjects_than_one_statement_takes_are_enrolled(store: Store, gallery: GalleryRecord) -> None:
    people = [f"s{i}" for i in range(1201)]
    enroll(store, gallery, *people)
    again = enroll(store, gallery, *people, seed=1)
    assert {change.face_count for change in again.subjects.values()} == {2}
    assert not any(change.created for change in again.subjects.values())
    assert store.totals(gallery.key, 0.0).subjects == 1201


def test_an_embedding_of_another_dimension_is_refused(store: Store, gallery: GalleryRecord) -> None:
    wrong = [NewFace(name, unit_rows(1, dimension=8)[0], 1.0, 0.5, 0.5) for name in ("a", "b")]
    with pytest.raises(ValueError, match="dimension 16"):
        write(store, lambda t: enroll_within(t, gallery, wrong))
    assert stored_ids(store, gallery) == []


def test_faces_scored_under_another_profile_are_refused(store: Store, gallery: GalleryRecord) -> None:
    newer = create_profile(store, seed=5)
    write(store, lambda t: t.rescore(gallery.key, newer.key, lambda rows: (np.ones(len(rows)), np.ones(len(rows)))))
    with pytest.raises(ProfileChanged) as caught:
        enroll(store, gallery, "a")
    assert caught.value.present_key == newer.key
    assert stored_ids(store, gallery) == []


def test_a_repeated_request_gets_the_first_answer_and_changes_nothing(store: Store, gallery: GalleryRecord) -> None:
    first = enroll(store, gallery, "a", request=("r", b"body"), respond=respond)
    record = store.gallery("people")
    again = write(
        store,
        lambda t: enroll_within(t, gallery, new_faces(["a"]), request=("r", b"body"), respond=respond),
    )
    assert again == Replay(respond(first), first.revision)
    assert store.gallery("people").counts == record.counts
    assert stored_ids(store, gallery) == first.face_ids.tolist()
    stored = store.find_request(gallery.key, "r")
    assert stored is not None
    assert (stored.fingerprint, stored.response, stored.revision) == (b"body", respond(first), 1)


def test_two_equal_requests_in_one_group_are_stored_once(store: Store, gallery: GalleryRecord) -> None:
    faces = new_faces(["a"])
    first, second = write(
        store, lambda t: [enroll_within(t, gallery, faces, request=("r", b"1"), respond=respond) for _ in range(2)]
    )
    assert isinstance(first, Enrolled)
    assert second == Replay(respond(first), 1)


def test_a_request_id_with_another_body_is_an_error(store: Store, gallery: GalleryRecord) -> None:
    enroll(store, gallery, "a", request=("r", b"body"))
    with pytest.raises(RequestIdReused, match="'r'"):
        enroll(store, gallery, "b", request=("r", b"other"))
    assert store.totals(gallery.key, 0.0).faces == 1
    other = create_gallery(store, "others")
    assert enroll(store, other, "b", request=("r", b"other")).revision == 1, "ids belong to one gallery"


@pytest.mark.parametrize("by", ["face", "subject"])
def test_a_repeated_request_resurrects_nothing(store: Store, gallery: GalleryRecord, by: str) -> None:
    enrolled = enroll(store, gallery, "a", request=("r", b"body"), respond=respond)
    face_id = enrolled.face_ids.tolist()[0]
    write(
        store,
        lambda t: (
            t.delete_face(gallery.key, "a", face_id).revision
            if by == "face"
            else t.delete_subject(gallery.key, "a").revision
        ),
    )
    again = write(store, lambda t: enroll_within(t, gallery, new_faces(["a"]), request=("r", b"body")))
    assert again == Replay(respond(enrolled), 1)
    assert stored_ids(store, gallery) == []


def test_a_replay_comes_before_the_profile_is_looked_at(store: Store, gallery: GalleryRecord) -> None:
    enroll(store, gallery, "a", request=("r", b"body"))
    newer = create_profile(store, seed=5)
    write(store, lambda t: t.rescore(gallery.key, newer.key, lambda rows: (np.ones(len(rows)), np.ones(len(rows)))))
    again = write(store, lambda t: enroll_within(t, gallery, new_faces(["a"]), request=("r", b"body")))
    assert isinstance(again, Replay)
