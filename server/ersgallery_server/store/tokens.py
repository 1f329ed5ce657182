"""Tokens: their digests and what they permit. They are never deleted, so that a log's names keep their meaning."""

import datetime as dt
from collections.abc import Iterable
from typing import Any

from sqlalchemy import Row, func, insert, select, update

from ersgallery_server.grants import Grant, Scope, TokenRecord
from ersgallery_server.store.allocation import allocate
from ersgallery_server.store.errors import TokenExists, TokenNotFound
from ersgallery_server.store.reading import Reads
from ersgallery_server.store.tables import TOKENS
from ersgallery_server.store.writing import Writes

_T = TOKENS.c
_LAST_CHANGE = select(func.max(_T.change_key))


class TokenReads(Reads):
    """Reads tokens."""

    def tokens(self) -> tuple[TokenRecord, ...]:
        """Return all tokens in the order of their making, those that are revoked or expired too."""
        with self._read() as connection:
            return tuple(_record(row) for row in connection.execute(select(TOKENS).order_by(_T.key)))

    def token_change(self) -> int:
        """Return a number that rises whenever a token is made or revoked; 0 before the first."""
        with self._read() as connection:
            return connection.execute(_LAST_CHANGE).scalar_one() or 0


class TokenWrites(Writes):
    """Makes and revokes tokens."""

    def create_token(
        self, name: str, token_id: str, digest: bytes, grant: Grant, expire_time: dt.datetime | None
    ) -> TokenRecord:
        """Make a token known; raises TokenExists where one of this name is not revoked."""
        (key,) = allocate(self.connection)
        if self._unrevoked(name) is not None:
            raise TokenExists(name)
        values = {
            "key": key,
            "change_key": key,
            "token_id": token_id,
            "name": name,
            "digest": digest,
            "scopes": sorted(scope.value for scope in grant.scopes),
            "galleries": None if grant.galleries is None else sorted(grant.galleries),
            "max_calls_per_second": grant.max_calls_per_second,
            "create_time": self.now,
            "expire_time": expire_time,
        }
        self.connection.execute(insert(TOKENS).values(values))
        return TokenRecord(token_id, name, digest, grant, self.now, expire_time)

    def revoke_token(self, name: str) -> None:
        """Let a token open nothing any more; raises TokenNotFound."""
        (change_key,) = allocate(self.connection)
        key = self._unrevoked(name)
        if key is None:
            raise TokenNotFound(name)
        self.connection.execute(update(TOKENS).where(_T.key == key).values(change_key=change_key, revoke_time=self.now))

    def note_token_uses(self, token_ids: Iterable[str]) -> None:
        """Write down that tokens are in use."""
        self.connection.execute(update(TOKENS).where(_T.token_id.in_(list(token_ids))).values(last_use_time=self.now))

    def _unrevoked(self, name: str) -> int | None:
        return self.connection.execute(
            select(_T.key).where(_T.name == name, _T.revoke_time.is_(None))
        ).scalar_one_or_none()


def _record(row: Row[Any]) -> TokenRecord:
    galleries = None if row.galleries is None else frozenset(row.galleries)
    return TokenRecord(
        token_id=row.token_id,
        name=row.name,
        digest=row.digest,
        grant=Grant(frozenset(map(Scope, row.scopes)), galleries, row.max_calls_per_second),
        create_time=row.create_time,
        expire_time=row.expire_time,
        last_use_time=row.last_use_time,
        revoke_time=row.revoke_time,
    )
