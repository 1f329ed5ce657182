"""Enrolments by their request ids: a repetition gets the first answer, whatever was deleted since."""

from typing import Any

from sqlalchemy import Connection, Row, insert, select

from ersgallery_server.store.errors import RequestIdReused
from ersgallery_server.store.outcomes import Replay, StoredRequest
from ersgallery_server.store.reading import Reads
from ersgallery_server.store.tables import REQUESTS
from ersgallery_server.store.writing import Writes

_R = REQUESTS.c


class RequestReads(Reads):
    """Reads remembered requests."""

    def find_request(self, gallery_key: int, request_id: str) -> StoredRequest | None:
        """Return what was answered under a request id; None where it is new."""
        with self._read() as connection:
            row = _row(connection, gallery_key, request_id)
        if row is None:
            return None
        return StoredRequest(row.request_id, row.fingerprint, row.response, row.revision, row.create_time)


def replay(connection: Connection, gallery_key: int, request_id: str, fingerprint: bytes) -> Replay | None:
    """Return the answer of the same request; None where the id is new. Raises RequestIdReused for another body."""
    row = _row(connection, gallery_key, request_id)
    if row is None:
        return None
    if row.fingerprint != fingerprint:
        raise RequestIdReused(request_id)
    return Replay(row.response, row.revision)


def remember(writes: Writes, gallery_key: int, request: tuple[str, bytes], *, response: bytes, revision: int) -> None:
    """Keep the answer of a request with its id and fingerprint."""
    request_id, fingerprint = request
    writes.connection.execute(
        insert(REQUESTS).values(
            gallery_key=gallery_key,
            request_id=request_id,
            fingerprint=fingerprint,
            response=response,
            revision=revision,
            create_time=writes.now,
        )
    )


def _row(connection: Connection, gallery_key: int, request_id: str) -> Row[Any] | None:
    statement = select(REQUESTS).where(_R.gallery_key == gallery_key, _R.request_id == request_id)
    return connection.execute(statement).one_or_none()
