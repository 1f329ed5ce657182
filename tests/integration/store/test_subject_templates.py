"""Templates of subjects that grow: what is remembered is not read again, and is forgotten with what it was made of."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from ersgallery_index import Derivation, IndexRows, Template, Weighting, represent_templates
from ersgallery_server.gallery.templates import REMEMBERED_FROM_FACES, SubjectTemplates
from ersgallery_server.store import DeletedFace, Enrolled, PooledSubjects, Store, WriteTransaction
from ersgallery_server.store.tables import FACES
from ersgallery_server.values import GalleryRecord, NewFace, SubjectSearch
from numpy.typing import NDArray
from sqlalchemy import update

from tests.support.stores import create_gallery, enrolled_within, new_faces, unit_rows, write

MANY = REMEMBERED_FROM_FACES


@pytest.fixture
def sets(store: Store) -> GalleryRecord:
    return create_gallery(store, "sets", subject_search=SubjectSearch.TEMPLATE, template_weighting=Weighting.IDENTITY)


@pytest.fixture
def templates() -> SubjectTemplates:
    return SubjectTemplates()


def remembering(
    store: Store, templates: SubjectTemplates, work: Callable[[WriteTransaction], Enrolled | DeletedFace]
) -> PooledSubjects:
    """Do a piece of work and remember what it pooled once it is committed, as a gallery does."""
    done = store.submit(work, lambda done: templates.remember(done.pooled)).result(60)
    assert done.pooled is not None
    return done.pooled


def enroll(
    store: Store, gallery: GalleryRecord, templates: SubjectTemplates, faces: list[NewFace]
) -> tuple[PooledSubjects, list[int]]:
    """Enrol faces; return what was pooled, and the ids of the faces."""
    ids: list[int] = []

    def work(transaction: WriteTransaction) -> Enrolled:
        enrolled = enrolled_within(transaction, gallery, faces, pool=templates.pool)
        ids.extend(enrolled.face_ids.tolist())
        return enrolled

    return remembering(store, templates, work), ids


def vector(gallery: GalleryRecord, rows: NDArray[np.float32]) -> list[float]:
    """Return the template of rows."""
    template = Template(rows, ("",) * len(rows), Weighting.IDENTITY, media_pooling=False)
    found: list[float] = represent_templates(Derivation(gallery.profile.profile), [template]).vectors[0].tolist()
    return found


def only(rows: IndexRows) -> list[float]:
    """Return the vector of the one row."""
    (found,) = rows.vectors.tolist()
    return list(found)


def overwrite(store: Store, face_id: int, row: NDArray[np.float32]) -> None:
    """Change a stored embedding behind everybody's back, as nothing in the service does."""
    statement = update(FACES).where(FACES.c.face_id == face_id).values(embedding=row.tobytes())
    write(store, lambda t: t.connection.execute(statement))


def test_an_enrolment_reads_only_new_faces_of_a_subject_with_many(
    store: Store, sets: GalleryRecord, templates: SubjectTemplates
) -> None:
    rows = unit_rows(MANY, 1)
    pooled, ids = enroll(store, sets, templates, new_faces(["a"] * MANY, 1))
    assert templates.remembered == tuple(pooled.subject_keys)
    overwrite(store, ids[0], -rows[0])
    added = unit_rows(1, 2)
    pooled, _ = enroll(store, sets, templates, new_faces(["a"], 2))
    # The template of what was overwritten shows that it was not read.
    assert only(pooled.rows) == vector(sets, np.concatenate([rows, added]))
    templates.clear()
    again = unit_rows(1, 3)
    pooled, _ = enroll(store, sets, templates, new_faces(["a"], 3))
    assert only(pooled.rows) == vector(sets, np.concatenate([-rows[:1], rows[1:], added, again]))


def test_few_faces_are_read_again(store: Store, sets: GalleryRecord, templates: SubjectTemplates) -> None:
    enroll(store, sets, templates, new_faces(["a"] * (MANY - 1)))
    assert not templates.remembered
    pooled, _ = enroll(store, sets, templates, new_faces(["a"]))
    assert templates.remembered == tuple(pooled.subject_keys)


@pytest.mark.parametrize("weighting", [Weighting.TOP_1, Weighting.TOP_10_PERCENT])
def test_weights_that_depend_on_all_faces_are_made_of_all_faces(
    store: Store, templates: SubjectTemplates, weighting: Weighting
) -> None:
    gallery = create_gallery(store, subject_search=SubjectSearch.TEMPLATE, template_weighting=weighting)
    enroll(store, gallery, templates, new_faces(["a"] * MANY, 1))
    assert not templates.remembered
    pooled, _ = enroll(store, gallery, templates, new_faces(["a"], 2))
    rows = np.concatenate([unit_rows(MANY, 1), unit_rows(1, 2)])
    wanted = represent_templates(
        Derivation(gallery.profile.profile), [Template(rows, ("",) * len(rows), weighting, media_pooling=False)]
    )
    assert pooled.rows.vectors.tolist() == wanted.vectors.tolist()


def test_a_deleted_face_leaves_nothing_of_it_in_what_is_remembered(
    store: Store, sets: GalleryRecord, templates: SubjectTemplates
) -> None:
    _, ids = enroll(store, sets, templates, new_faces(["a"] * (MANY + 1), 1))
    pooled = remembering(store, templates, lambda t: t.delete_face(sets.key, "a", ids[0], pool=templates.pool))
    left = unit_rows(MANY + 1, 1)[1:]
    assert only(pooled.rows) == vector(sets, left)
    pooled, _ = enroll(store, sets, templates, new_faces(["a"], 2))
    assert only(pooled.rows) == vector(sets, np.concatenate([left, unit_rows(1, 2)]))


def test_a_deletion_that_was_not_told_is_noticed(
    store: Store, sets: GalleryRecord, templates: SubjectTemplates
) -> None:
    """Another server at the same database may delete."""
    _, ids = enroll(store, sets, templates, new_faces(["a"] * (MANY + 1), 1))
    write(store, lambda t: t.delete_face(sets.key, "a", ids[3]))
    pooled, _ = enroll(store, sets, templates, new_faces(["a"], 2))
    left = np.delete(unit_rows(MANY + 1, 1), 3, axis=0)
    assert only(pooled.rows) == vector(sets, np.concatenate([left, unit_rows(1, 2)]))


def test_an_enrolment_that_is_rolled_back_is_not_remembered(
    store: Store, sets: GalleryRecord, templates: SubjectTemplates
) -> None:
    enroll(store, sets, templates, new_faces(["a"] * MANY, 1))

    def fail(transaction: WriteTransaction) -> None:
        enrolled_within(transaction, sets, new_faces(["a"], 2), pool=templates.pool)
        raise RuntimeError("rolled back")

    with pytest.raises(RuntimeError, match="rolled back"):
        write(store, fail)
    pooled, _ = enroll(store, sets, templates, new_faces(["a"], 3))
    assert only(pooled.rows) == vector(sets, np.concatenate([unit_rows(MANY, 1), unit_rows(1, 3)]))


def test_only_so_much_is_remembered_and_the_oldest_is_forgotten(store: Store, sets: GalleryRecord) -> None:
    alone = SubjectTemplates(from_faces=1)
    (size,) = {each.sums.nbytes for each in enroll(store, sets, alone, new_faces(["x"]))[0].sums}
    templates = SubjectTemplates(from_faces=1, most_bytes=2 * size)
    keys = [enroll(store, sets, templates, new_faces([name]))[0].subject_keys.item() for name in ("a", "b", "c")]
    assert list(templates.remembered) == keys[1:]
    enroll(store, sets, templates, new_faces(["b"]))
    enroll(store, sets, templates, new_faces(["a"]))
    assert list(templates.remembered) == [keys[1], keys[0]]
    templates.forget(keys[1])
    assert list(templates.remembered) == [keys[0]]
    tiny = SubjectTemplates(from_faces=1, most_bytes=size - 1)
    enroll(store, sets, tiny, new_faces(["a"]))
    assert not tiny.remembered


def test_other_settings_make_other_templates(store: Store, sets: GalleryRecord, templates: SubjectTemplates) -> None:
    enroll(store, sets, templates, new_faces(["a"] * MANY, 1))
    write(
        store,
        lambda t: t.update_gallery("sets", lambda present: replace(present, template_weighting=Weighting.UNIFORM)),
    )
    pooled, _ = enroll(store, sets, templates, new_faces(["a"], 2))
    rows = np.concatenate([unit_rows(MANY, 1), unit_rows(1, 2)])
    wanted = represent_templates(
        Derivation(sets.profile.profile), [Template(rows, ("",) * len(rows), Weighting.UNIFORM, media_pooling=False)]
    )
    assert pooled.recipe.weighting is Weighting.UNIFORM
    assert pooled.rows.vectors.tolist() == wanted.vectors.tolist()
