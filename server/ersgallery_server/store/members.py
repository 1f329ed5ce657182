"""The faces of subjects, subject by subject: what templates are made of."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

import numpy as np
from sqlalchemy import Connection, bindparam, select

from ersgallery_server.store.arrays import unpack_float32_rows
from ersgallery_server.store.tables import FACES, SUBJECTS
from ersgallery_server.values import SubjectFaces

SUBJECTS_AT_ONCE = 256

_F = FACES.c
_MEMBERS = (
    select(_F.subject_key, _F.media_id, _F.embedding)
    .where(_F.subject_key.in_(bindparam("subject_keys", expanding=True)))
    .order_by(_F.subject_key, _F.face_id)
)
_KEYS = (
    select(SUBJECTS.c.key)
    .where(SUBJECTS.c.gallery_key == bindparam("gallery_key"), SUBJECTS.c.key > bindparam("after"))
    .order_by(SUBJECTS.c.key)
    .limit(SUBJECTS_AT_ONCE)
)


def members_of(connection: Connection, subject_keys: Sequence[int], dimension: int) -> tuple[SubjectFaces, ...]:
    """Return all faces of each subject, by key; a subject without faces comes with none."""
    keys = sorted(set(subject_keys))
    found: list[SubjectFaces] = []
    for start in range(0, len(keys), SUBJECTS_AT_ONCE):
        wanted = keys[start : start + SUBJECTS_AT_ONCE]
        rows = connection.execute(_MEMBERS, {"subject_keys": wanted})
        there = {key: _subject_faces(key, list(group), dimension) for key, group in groupby(rows, lambda row: row[0])}
        found += [there.get(key) or _subject_faces(key, [], dimension) for key in wanted]
    return tuple(found)


def stream_subjects(connection: Connection, gallery_key: int, dimension: int) -> Iterator[tuple[SubjectFaces, ...]]:
    """Yield the subjects of a gallery that have faces, a few hundred at a time; the transaction must stay open."""
    after = 0
    while keys := connection.execute(_KEYS, {"gallery_key": gallery_key, "after": after}).scalars().all():
        after = keys[-1]
        yield tuple(each for each in members_of(connection, keys, dimension) if each.media)


def _subject_faces(key: int, rows: Sequence[Any], dimension: int) -> SubjectFaces:
    if not rows:
        return SubjectFaces(key, np.empty((0, dimension), np.float32), ())
    _, media, embeddings = zip(*rows, strict=True)
    return SubjectFaces(key, unpack_float32_rows(embeddings, dimension), tuple(media))
