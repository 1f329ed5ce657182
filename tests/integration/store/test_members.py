"""Faces subject by subject: what the templates of a gallery are made of."""

import math
from dataclasses import replace

import numpy as np
import pytest
from ersgallery_index import IndexRows, Weighting
from ersgallery_server.store import Enrolled, PooledSubjects, Store, TemplateRecipe, TouchedSubjects, WriteTransaction
from ersgallery_server.store.members import SUBJECTS_AT_ONCE
from ersgallery_server.values import GalleryRecord, SubjectFaces, SubjectSearch

from tests.support.stores import Person, create_gallery, enroll, enrolled_within, new_faces, unit_rows, write


@pytest.fixture
def sets(store: Store) -> GalleryRecord:
    """Give an empty gallery that is searched by template."""
    return create_gallery(store, "sets", subject_search=SubjectSearch.TEMPLATE)


class Reader:
    """Pools nothing, and remembers which faces it could read."""

    def __init__(self) -> None:
        self.touched: list[TouchedSubjects] = []
        self.found: dict[int, SubjectFaces] = {}

    def __call__(self, touched: TouchedSubjects) -> PooledSubjects:
        self.touched.append(touched)
        self.found = by_key(touched.faces(touched.subject_keys))
        none = np.empty(0, np.int64)
        rows = IndexRows(none, none, np.empty(0), np.empty((0, touched.dimension), np.float32))
        return PooledSubjects(touched.recipe, np.array(touched.subject_keys, np.int64), rows)


def by_key(members: tuple[SubjectFaces, ...]) -> dict[int, SubjectFaces]:
    return {member.subject_key: member for member in members}


def test_an_enrolment_offers_all_faces_of_the_subjects_it_touched(store: Store, sets: GalleryRecord) -> None:
    first = enroll(store, sets, "a", "b", "a", seed=1)
    reader = Reader()

    def again(transaction: WriteTransaction) -> Enrolled:
        faces = [replace(face, media_id="film") for face in new_faces(["a"], 2)]
        return enrolled_within(transaction, sets, faces, pool=reader)

    enrolled = write(store, again)
    key = first.subjects["a"].subject_key
    assert enrolled.pooled is not None
    assert enrolled.pooled.subject_keys.tolist() == [key]
    (touched,) = reader.touched
    assert touched.recipe == TemplateRecipe.of(sets.profile.key, sets.settings)
    assert touched.face_counts == {key: 3}
    member = reader.found[key]
    assert (member.media, member.last_face_id) == (("", "", "film"), enrolled.face_ids.item())
    assert np.array_equal(member.embeddings, [*unit_rows(3, 1)[[0, 2]], *unit_rows(1, 2)])


def test_faces_can_be_read_from_one_on(store: Store, sets: GalleryRecord) -> None:
    first, _, third, fourth = enroll(store, sets, "a", "b", "a", "a", seed=1).face_ids.tolist()
    later: list[SubjectFaces] = []

    def pool(touched: TouchedSubjects) -> PooledSubjects:
        (key,) = touched.subject_keys
        later.extend(touched.later_faces(key, after) for after in (first, third, fourth))
        return Reader()(touched)

    write(store, lambda t: t.delete_face(sets.key, "a", first, pool=pool))
    assert [(len(faces.media), faces.last_face_id) for faces in later] == [(2, fourth), (1, fourth), (0, 0)]
    assert np.array_equal(later[1].embeddings, unit_rows(4, 1)[3:])


def test_a_deleted_face_offers_what_is_left_of_its_subject(store: Store, sets: GalleryRecord) -> None:
    enrolled = enroll(store, sets, "a", "a", "b")
    first, second, _ = enrolled.face_ids.tolist()
    key = enrolled.subjects["a"].subject_key
    reader = Reader()
    assert write(store, lambda t: t.delete_face(sets.key, "a", first, pool=reader)).pooled is not None
    assert np.array_equal(reader.found[key].embeddings, unit_rows(3)[1:2])
    write(store, lambda t: t.delete_face(sets.key, "a", second, pool=reader))
    assert (len(reader.found[key].embeddings), reader.found[key].media) == (0, ())


def test_nothing_is_pooled_in_a_gallery_searched_by_face(store: Store, gallery: GalleryRecord) -> None:
    reader = Reader()
    enrolled = enroll(store, gallery, "a", pool=reader)
    assert enrolled.pooled is None
    deleted = write(store, lambda t: t.delete_face(gallery.key, "a", enrolled.face_ids.item(), pool=reader))
    assert deleted.pooled is None
    assert not reader.touched


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


@pytest.mark.parametrize("count", [3, 7, 90])
def test_the_mean_ers_is_that_of_the_index_in_every_bit(store: Store, sets: GalleryRecord, count: int) -> None:
    """A database adds in another order, which moves the last bit: exactly at a gate that decides."""
    random = np.random.default_rng(count)
    people = {f"s{i}": random.random(count) ** (1 + i % 5) for i in range(20)}
    for name, scores in people.items():
        half = count // 2
        enroll(store, sets, *(Person(name, ers) for ers in scores[:half]))
        change = enroll(store, sets, *(Person(name, ers) for ers in scores[half:])).subjects[name]
        assert change.mean_ers_after == mean(scores)
        assert change.mean_ers_before == mean(scores[:half])
    found = {subject.subject_id: subject for subject in store.list_subjects(sets.key, 0.5, 100).items}
    for name, scores in people.items():
        wanted = mean(scores)
        assert found[name].template_ers == store.subject(sets.key, name, 0.5).template_ers == wanted
        at, above = wanted, float(np.nextafter(wanted, 2.0))
        lost = store.preview_gate(sets.key, at, above, 100, by_mean=True).page.items
        assert name in {subject.subject_id for subject in lost}
        lost = store.preview_gate(sets.key, float(np.nextafter(at, 0.0)), at, 100, by_mean=True).page.items
        assert name not in {subject.subject_id for subject in lost}


def mean(scores: np.ndarray) -> float:
    """Return the real mean, its sum rounded once: what the index compares with a gate."""
    return math.fsum(scores.tolist()) / len(scores)
