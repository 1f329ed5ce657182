"""The faces of subjects, subject by subject: what templates are made of."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Self

import numpy as np
from ersgallery_index import Profile
from sqlalchemy import Connection, Row, bindparam, select

from ersgallery_server.store.arrays import unpack_float32_rows
from ersgallery_server.store.galleries import settings_of
from ersgallery_server.store.outcomes import PooledSubjects, TemplateRecipe
from ersgallery_server.store.profiles import profile_by_key
from ersgallery_server.store.sealing import EMBEDDING, open_faces
from ersgallery_server.store.tables import FACES, SUBJECTS
from ersgallery_server.values import SubjectFaces, SubjectSearch

SUBJECTS_AT_ONCE = 256

_F = FACES.c
_MEMBERS = (
    select(_F.subject_key, _F.face_id, _F.media_id, _F.gallery_key, _F.embedding)
    .where(_F.subject_key.in_(bindparam("subject_keys", expanding=True)))
    .order_by(_F.subject_key, _F.face_id)
)
_LATER = (
    select(_F.subject_key, _F.face_id, _F.media_id, _F.gallery_key, _F.embedding)
    .where(_F.subject_key == bindparam("subject_key"), _F.face_id > bindparam("after"))
    .order_by(_F.face_id)
)
_KEYS = (
    select(SUBJECTS.c.key)
    .where(SUBJECTS.c.gallery_key == bindparam("gallery_key"), SUBJECTS.c.key > bindparam("after"))
    .order_by(SUBJECTS.c.key)
    .limit(SUBJECTS_AT_ONCE)
)


@dataclass(frozen=True, slots=True, eq=False)
class TouchedSubjects:
    """Subjects that a write touched, as they are after it; to be read while its transaction is open.

    face_counts: by subject key, how many faces each has where that is known.
    """

    connection: Connection
    recipe: TemplateRecipe
    dimension: int
    subject_keys: tuple[int, ...]
    face_counts: Mapping[int, int]

    @classmethod
    def of(
        cls, connection: Connection, gallery: Row[Any], keys: Sequence[int], face_counts: Mapping[int, int]
    ) -> Self | None:
        """Return them, by key, where the gallery is searched by template."""
        if gallery.subject_search != SubjectSearch.TEMPLATE.value:
            return None
        recipe = TemplateRecipe.of(gallery.profile_key, settings_of(gallery))
        return cls(connection, recipe, gallery.dimension, tuple(sorted(set(keys))), face_counts)

    def profile(self) -> Profile:
        """Read the gallery's profile."""
        return profile_by_key(self.connection, self.recipe.profile_key).profile

    def faces(self, subject_keys: Sequence[int]) -> tuple[SubjectFaces, ...]:
        """Read all faces of some of them, by key."""
        return members_of(self.connection, subject_keys, self.dimension)

    def later_faces(self, subject_key: int, after: int) -> SubjectFaces:
        """Read the faces of one whose ids are above `after`."""
        rows = self.connection.execute(_LATER, {"subject_key": subject_key, "after": after}).all()
        return _subject_faces(self.connection, subject_key, rows, self.dimension)


Pool = Callable[[TouchedSubjects], PooledSubjects]
"""Makes the templates of subjects inside the transaction that touched them."""


def members_of(connection: Connection, subject_keys: Sequence[int], dimension: int) -> tuple[SubjectFaces, ...]:
    """Return all faces of each subject, by key; a subject without faces comes with none."""
    keys = sorted(set(subject_keys))
    found: list[SubjectFaces] = []
    for start in range(0, len(keys), SUBJECTS_AT_ONCE):
        wanted = keys[start : start + SUBJECTS_AT_ONCE]
        rows = connection.execute(_MEMBERS, {"subject_keys": wanted})
        there = {
            key: _subject_faces(connection, key, list(group), dimension)
            for key, group in groupby(rows, lambda row: row[0])
        }
        found += [there.get(key) or _subject_faces(connection, key, [], dimension) for key in wanted]
    return tuple(found)


def stream_subjects(connection: Connection, gallery_key: int, dimension: int) -> Iterator[tuple[SubjectFaces, ...]]:
    """Yield the subjects of a gallery that have faces, a few hundred at a time; the transaction must stay open."""
    after = 0
    while keys := connection.execute(_KEYS, {"gallery_key": gallery_key, "after": after}).scalars().all():
        after = keys[-1]
        yield tuple(each for each in members_of(connection, keys, dimension) if each.media)


def _subject_faces(connection: Connection, key: int, rows: Sequence[Any], dimension: int) -> SubjectFaces:
    if not rows:
        return SubjectFaces(key, np.empty((0, dimension), np.float32), ())
    subject_keys, face_ids, media, gallery_keys, stored = zip(*rows, strict=True)
    embeddings = open_faces(connection, EMBEDDING, gallery_keys, subject_keys, face_ids, stored)
    return SubjectFaces(key, unpack_float32_rows(embeddings, dimension), tuple(media), face_ids[-1])
