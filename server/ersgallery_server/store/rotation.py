"""Sealing everything again under the first key, or plainly where there is none, a chunk of rows in each transaction.

What is done already is not touched: after a kill the next run goes on where it was.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    LargeBinary,
    Row,
    bindparam,
    case,
    func,
    literal,
    select,
    update,
)

from ersgallery_server.keys import MAGIC, PREFIX_BYTES, Key, sealing_key_id
from ersgallery_server.store.reading import Reads
from ersgallery_server.store.sealing import EMBEDDING, IMAGE, keys_of, open_faces, seal_faces
from ersgallery_server.store.tables import FACE_IMAGES, FACES, SEALING_KEYS
from ersgallery_server.store.writing import Writes

PLAIN = ""
"""Stands for the key of what is not sealed."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """A column whose contents are sealed, with its purpose and how many rows one transaction takes."""

    purpose: str
    column: Column[Any]
    chunk_rows: int


SEALED = (Sealed(EMBEDDING, FACES.c.embedding, 1000), Sealed(IMAGE, FACE_IMAGES.c.content, 50))


class RotationReads(Reads):
    """Looks under which keys things are sealed."""

    def is_rotated(self) -> bool:
        """Tell whether all is sealed under one key, or nothing is sealed."""
        with self._read() as connection:
            return all(connection.execute(select(SEALING_KEYS.c.is_complete)).scalars())

    def is_finished(self) -> bool:
        """Tell whether the last rotation was to the first key, or to none where there is none, and came to its end."""
        with self._read() as connection:
            current = keys_of(connection).current
            found = [
                tuple(row) for row in connection.execute(select(SEALING_KEYS.c.key_id, SEALING_KEYS.c.is_complete))
            ]
        return found == ([] if current is None else [(current.key_id, True)])

    def count_by_key(self, kind: Sealed) -> Mapping[str, int]:
        """Return how many contents are sealed under each key, PLAIN for none."""
        prefix = case((_begins(kind, MAGIC), _start(kind, PREFIX_BYTES)), else_=literal(b"", LargeBinary()))
        with self._read() as connection:
            rows = connection.execute(select(prefix.label("prefix"), func.count()).group_by("prefix")).all()
        return {sealing_key_id(bytes(start)): count for start, count in rows}


class RotationWrites(Writes):
    """Seals rows again."""

    def reseal(self, kind: Sealed, after_face_id: int) -> tuple[int | None, int]:
        """Seal the next rows that are not sealed under the first key.

        Return the last face id, None where there were no more, and their number. Raises KeyMissing and SealBroken.
        """
        rows = self._next(kind, after_face_id)
        if not rows:
            return None, 0
        values: list[dict[str, Any]] = []
        for gallery_key, group in groupby(rows, lambda row: row.gallery_key):
            face_ids, subject_keys, _, stored = zip(*group, strict=True)
            plain = open_faces(
                self.connection, kind.purpose, [gallery_key] * len(face_ids), subject_keys, face_ids, stored
            )
            sealed = seal_faces(self.connection, kind.purpose, gallery_key, subject_keys, face_ids, plain)
            values += [{"sealed_face_id": i, "content": content} for i, content in zip(face_ids, sealed, strict=True)]
        table = kind.column.table
        changed = update(table).where(table.c.face_id == bindparam("sealed_face_id"))
        self.connection.execute(changed.values({kind.column.name: bindparam("content")}), values)
        self.erased = True
        return rows[-1].face_id, len(rows)

    def _next(self, kind: Sealed, after_face_id: int) -> list[Row[Any]]:
        current = keys_of(self.connection).current
        columns: list[ColumnElement[Any]] = [FACES.c.face_id, FACES.c.subject_key, FACES.c.gallery_key, kind.column]
        statement = select(*columns)
        if kind.column.table is not FACES:
            statement = statement.select_from(FACES.join(kind.column.table))
        wanted = statement.where(FACES.c.face_id > after_face_id, _is_other(kind, current))
        rows = self.connection.execute(wanted.order_by(FACES.c.face_id).limit(kind.chunk_rows)).all()
        return list(rows)


def reseal_all(submit: Callable[..., Any], progress: Callable[[int], None]) -> int:
    """Seal everything under the first key of a store by its `submit`; tell of each chunk, and return how many rows.

    The rotation is finished when that is said (`finish_rotation`): what was there before is in the files until then.
    """
    changed = 0
    for kind in SEALED:
        after: int | None = 0
        while after is not None:
            after, rows = submit(lambda transaction, k=kind, a=after: transaction.reseal(k, a)).result()
            changed += rows
            progress(rows)
    return changed


def _is_other(kind: Sealed, current: Key | None) -> ColumnElement[bool]:
    return _begins(kind, MAGIC) if current is None else ~_begins(kind, current.prefix)


def _begins(kind: Sealed, prefix: bytes) -> ColumnElement[bool]:
    return _start(kind, len(prefix)) == literal(prefix, LargeBinary())


def _start(kind: Sealed, count: int) -> ColumnElement[bytes]:
    return func.substr(kind.column, 1, count, type_=LargeBinary())
