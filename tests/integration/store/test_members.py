"""Faces subject by subject: what the templates of a gallery are made of."""

from dataclasses import replace

import numpy as np
import pytest
from ersgallery_index import Weighting
from ersgallery_server.store import Store, WriteTransaction
from ersgallery_server.store.members import SUBJECTS_AT_ONCE
from ersgallery_server.values import GalleryRecord, SubjectFaces, SubjectSearch

from tests.support.stores import Person, create_gallery, enroll, enrolled_within, new_faces, unit_rows, write


@pytest.fixture
def sets(store: Store) -> GalleryRecord:
    """Give an empty gallery that is searched by template."""
    return create_gallery(store, "sets", subject_search=SubjectSearch.TEMPLATE)


def by_key(members: tuple[SubjectFaces, ...] | None) -> dict[int, SubjectFaces]:
    assert members is not None
    return {member.subject_key: member for member in members}


def test_an_enrolment_gives_all_faces_of_the_subjects_it_touched(store: Store, sets: GalleryRecord) -> None:
    first = enroll(store, sets, "a", "b", "a", seed=1)

    def again(transaction: WriteTransaction) -> tuple[SubjectFaces, ...] | None:
        faces = [replace(face, media_id="film") for face in new_faces(["a"], 2)]
        return enrolled_within(transaction, sets, faces).members

    members = by_key(write(store, again))
    key = first.subjects["a"].subject_key
    assert list(members) == [key]
    assert members[key].media == ("", "", "film")
    assert np.array_equal(members[key].embeddings, [*unit_rows(3, 1)[[0, 2]], *unit_rows(1, 2)])


def test_a_deleted_face_gives_what_is_left_of_its_subject(store: Store, sets: GalleryRecord) -> None:
    enrolled = enroll(store, sets, "a", "a", "b")
    first, second, _ = enrolled.face_ids.tolist()
    key = enrolled.subjects["a"].subject_key
    left = by_key(write(store, lambda t: t.delete_face(sets.key, "a", first)).members)[key]
    assert np.array_equal(left.embeddings, unit_rows(3)[1:2])
    nothing = by_key(write(store, lambda t: t.delete_face(sets.key, "a", second)).members)[key]
    assert (len(nothing.embeddings), nothing.media) == (0, ())


def test_a_gallery_searched_by_face_gives_no_members(store: Store, gallery: GalleryRecord) -> None:
    enrolled = enroll(store, gallery, "a")
    assert enrolled.members is None
    assert write(store, lambda t: t.delete_face(gallery.key, "a", enrolled.face_ids.item())).members is None


def test_a_snapshot_gives_every_subject_with_faces_once(store: Store, sets: GalleryRecord) -> None:
    people = [f"s{i:03}" for i in range(SUBJECTS_AT_ONCE + 2)]
    enrolled = enroll(store, sets, *people, *people[:3])
    enroll(store, create_gallery(store, "others"), "x")
    write(store, lambda t: t.create_subject(sets.key, "empty"))
    with store.snapshot(sets.key) as snapshot:
        parts = list(snapshot.subjects)
    assert [len(part) for part in parts] == [SUBJECTS_AT_ONCE, 2]
    found = by_key(tuple(subject for part in parts for subject in part))
    assert {key: len(member.media) for key, member in found.items()} == {
        change.subject_key: 2 if name in people[:3] else 1 for name, change in enrolled.subjects.items()
    }


def test_the_ers_of_a_template_is_the_mean_of_its_faces(store: Store, sets: GalleryRecord) -> None:
    enroll(store, sets, Person("a", 0.9), Person("a", 0.1))
    assert store.subject(sets.key, "a", 0.5).template_ers == pytest.approx(0.5)
    assert write(store, lambda t: t.create_subject(sets.key, "empty")).template_ers == 0.0


def test_the_settings_of_templates_come_back(store: Store) -> None:
    made = create_gallery(
        store,
        subject_search=SubjectSearch.TEMPLATE,
        template_weighting=Weighting.TOP_10_PERCENT,
        template_media_pooling=True,
        tau_subjects=1_000_000,
    )
    assert store.gallery("people").settings == made.settings
    assert made.settings.template_weighting is Weighting.TOP_10_PERCENT
    assert made.settings.tau_subjects == 1_000_000
