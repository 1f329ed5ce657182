"""Galleries: settings, versions, revisions, counters and what goes with them."""

import datetime as dt
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from ersgallery_server.store import (
    ChangeKind,
    GalleryExists,
    GalleryFull,
    GalleryNotFound,
    PageKeyInvalid,
    ProfileNotFound,
    Store,
    TooManyGalleries,
    VersionMismatch,
    WriteTransaction,
)
from ersgallery_server.store.tables import GALLERIES
from ersgallery_server.values import AcquisitionCounts, GalleryRecord, GallerySettings, LowErs, SeveralFaces
from sqlalchemy import select

from tests.support.stores import (
    Person,
    create_gallery,
    create_profile,
    enroll,
    enroll_within,
    new_faces,
    stored_ids,
    write,
)

EVERYTHING = GallerySettings(
    tau=0.1 + 0.2,
    display_name="Bücherei \U0001f4da 'quoted'",
    gamma=0.0,
    gamma_gallery=1.0,
    margin=1e-300,
    enhance_features=True,
    several_faces=SeveralFaces.REJECT,
    low_ers=LowErs.REJECT,
    store_images=True,
)


@pytest.mark.parametrize("settings", [EVERYTHING, GallerySettings(tau=-1.0)])
def test_settings_come_back_as_they_were_given(store: Store, settings: GallerySettings) -> None:
    profile = create_profile(store)
    made = write(store, lambda t: t.create_gallery("people", settings, profile.key))
    assert made == store.gallery("people") or made.settings == store.gallery("people").settings == settings
    assert (made.settings, made.revision, made.version) == (settings, 0, 1)
    assert (made.counts, made.profile.reference) == (AcquisitionCounts(), "made@1")
    assert made.create_time == made.update_time
    assert made.create_time.tzinfo is dt.UTC


def test_a_gallery_is_made_once(store: Store, gallery: GalleryRecord) -> None:
    with pytest.raises(GalleryExists, match="people"):
        create_gallery(store, gallery.gallery_id)


def test_a_gallery_needs_a_profile(store: Store) -> None:
    with pytest.raises(ProfileNotFound):
        write(store, lambda t: t.create_gallery("people", GallerySettings(tau=0.5), 77))
    assert store.list_galleries(10).items == ()


def test_an_update_counts_version_and_revision_and_is_logged(store: Store, gallery: GalleryRecord) -> None:
    updated = write(store, lambda t: t.update_gallery("people", lambda s: replace(s, gamma=0.7), gallery.version))
    assert updated.settings == replace(gallery.settings, gamma=0.7)
    assert (updated.version, updated.revision) == (2, 1)
    assert updated.create_time == gallery.create_time < updated.update_time
    assert store.gallery("people").settings == updated.settings
    assert [(change.revision, change.kind) for change in store.changes(gallery.key, 0)] == [(1, ChangeKind.SETTINGS)]


def test_an_update_of_another_version_changes_nothing(store: Store, gallery: GalleryRecord) -> None:
    write(store, lambda t: t.update_gallery("people", lambda s: replace(s, tau=0.5)))
    with pytest.raises(VersionMismatch) as caught:
        write(store, lambda t: t.update_gallery("people", lambda s: replace(s, tau=0.9), gallery.version))
    assert caught.value.present == 2
    with pytest.raises(VersionMismatch):
        write(store, lambda t: t.delete_gallery("people", gallery.version))
    assert (store.gallery("people").settings.tau, store.gallery("people").version) == (0.5, 2)


def test_a_gallery_that_is_not_there_is_named(store: Store) -> None:
    with pytest.raises(GalleryNotFound, match="nowhere"):
        store.gallery("nowhere")
    with pytest.raises(GalleryNotFound, match="nowhere"):
        write(store, lambda t: t.update_gallery("nowhere", lambda s: s))
    with pytest.raises(GalleryNotFound, match="nowhere"):
        write(store, lambda t: t.delete_gallery("nowhere"))


def test_writes_into_a_gallery_that_is_gone_fail(store: Store, gallery: GalleryRecord) -> None:
    write(store, lambda t: t.delete_gallery("people"))
    faces = new_faces(["a"])
    for work in (
        lambda t: enroll_within(t, gallery, faces),
        lambda t: t.add_counts(gallery.key, AcquisitionCounts(1)),
        lambda t: t.create_subject(gallery.key, "a"),
        lambda t: t.delete_subject(gallery.key, "a"),
        lambda t: t.delete_face(gallery.key, "a", 1),
        lambda t: t.rescore(gallery.key, gallery.profile.key, lambda rows: (np.ones(len(rows)), np.ones(len(rows)))),
    ):
        with pytest.raises(GalleryNotFound):
            write(store, work)
    with pytest.raises(GalleryNotFound):
        stored_ids(store, gallery)


def test_a_deleted_gallery_takes_everything_along_and_leaves_the_others(store: Store, gallery: GalleryRecord) -> None:
    other = create_gallery(store, "others")
    enroll(store, gallery, "a", "b", "b", request=("r", b"1"))
    kept = enroll(store, other, "a")
    assert write(store, lambda t: t.delete_gallery("people")).faces == 3
    assert [record.gallery_id for record in store.list_galleries(10).items] == ["others"]
    assert stored_ids(store, other) == kept.face_ids.tolist()
    assert store.find_request(gallery.key, "r") is None
    assert store.changes(gallery.key, 0) == ()
    assert store.totals(gallery.key, 0.0).faces == 0


def test_a_gallery_made_again_is_another_one(store: Store, gallery: GalleryRecord) -> None:
    before = enroll(store, gallery, "a", request=("r", b"1"))
    write(store, lambda t: t.delete_gallery("people"))
    again = create_gallery(store)
    after = enroll(store, again, "a", request=("r", b"2"))
    assert again.key > gallery.key
    assert after.face_ids[0] > before.face_ids[0]
    assert after.subject_keys[0] > before.subject_keys[0]


def test_totals_count_under_the_gate(store: Store, gallery: GalleryRecord) -> None:
    enroll(store, gallery, Person("a", 0.5), Person("a", 0.499), Person("b", 0.1))
    write(store, lambda t: t.create_subject(gallery.key, "c"))
    totals = store.totals(gallery.key, 0.5)
    assert (totals.subjects, totals.faces, totals.searchable_faces) == (3, 3, 1)
    assert store.totals(gallery.key, 0.0).searchable_faces == 3


def test_counts_add_up_without_a_revision(store: Store, gallery: GalleryRecord) -> None:
    write(store, lambda t: t.add_counts(gallery.key, AcquisitionCounts(1, 2, 3, 4)))
    write(store, lambda t: t.add_counts(gallery.key, AcquisitionCounts(10, 20, 30, 40)))
    record = store.gallery("people")
    assert (record.counts, record.revision, record.version) == (AcquisitionCounts(11, 22, 33, 44), 0, 1)


def test_galleries_are_listed_by_code_point_on_every_database(store: Store) -> None:
    names = ["b", "a-b", "ab", "B", "a0", "ä", "z", "\U0001f4da", "a"]
    for name in names:
        create_gallery(store, name)
    listed, after = [], None
    while True:
        page = store.list_galleries(2, after)
        listed += [record.gallery_id for record in page.items]
        if (after := page.next_key) is None:
            break
    assert listed == sorted(names)


def test_a_full_last_page_ends_the_list(store: Store) -> None:
    for name in ("a", "b"):
        create_gallery(store, name)
    assert store.list_galleries(2).next_key is None
    with pytest.raises(PageKeyInvalid):
        store.list_galleries(2, "a\0")


def _delete_face(gallery_key: int, subject_id: str, face_id: int, transaction: WriteTransaction) -> None:
    transaction.delete_face(gallery_key, subject_id, face_id)


def _delete_subject(gallery_key: int, subject_id: str, transaction: WriteTransaction) -> None:
    transaction.delete_subject(gallery_key, subject_id)


def test_a_gallery_knows_how_many_faces_it_has(store: Store) -> None:
    gallery = create_gallery(store)
    random = np.random.default_rng(0)
    faces: dict[str, list[int]] = {}
    for turn in range(40):
        if faces and random.integers(2):
            subject_id = sorted(faces)[random.integers(len(faces))]
            if random.integers(2):
                face_id = faces[subject_id].pop()
                write(store, partial(_delete_face, gallery.key, subject_id, face_id))
            else:
                write(store, partial(_delete_subject, gallery.key, subject_id))
                faces.pop(subject_id)
            faces = {subject: ids for subject, ids in faces.items() if ids}
        else:
            people = [f"s{turn}"] * int(random.integers(1, 4))
            faces[f"s{turn}"] = enroll(store, gallery, *people, seed=turn).face_ids.tolist()
        with store._engines.reading.connect() as connection:
            counted = connection.execute(select(GALLERIES.c.face_count)).scalar_one()
        assert counted == sum(map(len, faces.values())) == len(stored_ids(store, gallery))


def test_a_full_gallery_or_server_refuses_before_it_writes(store: Store) -> None:
    gallery = create_gallery(store)
    enroll(store, gallery, "a", "b", max_faces=2)
    with pytest.raises(GalleryFull, match="has 2 faces and may have 3; 2 more do not fit"):
        enroll(store, gallery, "c", "d", max_faces=3)
    assert len(stored_ids(store, gallery)) == 2
    profile = create_profile(store)
    with pytest.raises(TooManyGalleries, match="1"):
        write(store, lambda t: t.create_gallery("other", GallerySettings(0.4), profile.key, max_galleries=1))
