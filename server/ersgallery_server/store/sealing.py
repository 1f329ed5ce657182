"""Embeddings and photographs as they are stored: encrypted where the store has keys, and bound to their rows.

What is sealed opens only as the embedding, or the photograph, of the same face of the same subject of the same gallery:
rows that are swapped in the database do not open.
"""

import struct
from collections.abc import Iterable, Iterator, Sequence
from itertools import repeat

from sqlalchemy import Connection, delete, exists, insert, select, update

from ersgallery_server.keys import NO_KEYS, Key, KeyRing, KeyWrong, SealBroken
from ersgallery_server.store.tables import FACES, SEALING_KEYS
from ersgallery_server.store.writing import Writes

EMBEDDING = "embedding"
IMAGE = "image"

_CHECK = "check"
_CONTEXT = struct.Struct("<qqq")
_K = SEALING_KEYS.c


def keys_of(connection: Connection) -> KeyRing:
    """Return the keys of the store that a connection belongs to."""
    ring: KeyRing = connection.get_execution_options().get("keys", NO_KEYS)
    return ring


def seal_faces(
    connection: Connection,
    purpose: str,
    gallery_key: int,
    subject_keys: Iterable[int],
    face_ids: Iterable[int],
    contents: Sequence[bytes],
) -> list[bytes]:
    """Return what is stored of new faces of a gallery."""
    contexts = _contexts(repeat(gallery_key), subject_keys, face_ids)
    return keys_of(connection).seal(purpose, contexts, contents)


def open_faces(
    connection: Connection,
    purpose: str,
    gallery_keys: Iterable[int],
    subject_keys: Iterable[int],
    face_ids: Iterable[int],
    stored: Sequence[bytes],
) -> list[bytes]:
    """Return what was sealed of faces; raises KeyMissing, and SealBroken that names the face."""
    ring, contexts = keys_of(connection), list(_contexts(gallery_keys, subject_keys, face_ids))
    try:
        return ring.open(purpose, contexts, stored)
    except SealBroken:
        for context, content in zip(contexts, stored, strict=True):
            _open_one(ring, purpose, context, content)
        raise


def require_keys(connection: Connection) -> None:
    """Raise KeyMissing or KeyWrong unless the store has every key that anything in its database is sealed under."""
    ring = keys_of(connection)
    for row in connection.execute(select(SEALING_KEYS)):
        key = ring.key(row.key_id)
        try:
            KeyRing([key]).open(_CHECK, [row.key_id.encode()], [row.sealed_check])
        except SealBroken:
            raise KeyWrong(row.key_id) from None


def adopt_key(connection: Connection) -> None:
    """Note that the first key, if there is any, seals from now on."""
    current = keys_of(connection).current
    if current is None:
        return
    others = update(SEALING_KEYS).where(_K.key_id != current.key_id).values(is_complete=False)
    connection.execute(others)
    if connection.execute(select(_K.key_id).where(_K.key_id == current.key_id)).first() is not None:
        return
    is_empty = not connection.execute(select(exists(select(FACES.c.face_id)))).scalar_one()
    connection.execute(insert(SEALING_KEYS).values(**_key_row(current), is_complete=is_empty))


class SealingWrites(Writes):
    """Notes that a rotation is complete."""

    def finish_rotation(self) -> None:
        """Forget all keys but the first, under which everything is sealed now; without keys, all."""
        current = keys_of(self.connection).current
        self.connection.execute(delete(SEALING_KEYS).where(_K.key_id != ("" if current is None else current.key_id)))
        self.connection.execute(update(SEALING_KEYS).values(is_complete=True))


def _key_row(key: Key) -> dict[str, object]:
    (check,) = KeyRing([key]).seal(_CHECK, [key.key_id.encode()], [b"ersgallery"])
    return {"key_id": key.key_id, "sealed_check": check}


def _open_one(ring: KeyRing, purpose: str, context: bytes, content: bytes) -> None:
    try:
        ring.open(purpose, [context], [content])
    except SealBroken as broken:
        gallery_key, _, face_id = _CONTEXT.unpack(context)
        raise SealBroken(broken.key_id, f"the {purpose} of face {face_id} of gallery {gallery_key}") from None


def _contexts(galleries: Iterable[int], subjects: Iterable[int], faces: Iterable[int]) -> Iterator[bytes]:
    return map(_CONTEXT.pack, galleries, subjects, faces)
