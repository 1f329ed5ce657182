"""Recognizability profiles: versioned, and immutable once made."""

from collections.abc import Iterable
from typing import Any

from ersgallery_index import Profile
from sqlalchemy import Connection, Row, insert, select, tuple_

from ersgallery_server.store.allocation import MAX_KEY, allocate
from ersgallery_server.store.arrays import pack_float64, unpack_float64
from ersgallery_server.store.errors import PageKeyInvalid, ProfileNotFound
from ersgallery_server.store.reading import Reads, integer_page_key, read_page, text_page_key
from ersgallery_server.store.tables import PROFILES
from ersgallery_server.store.writing import Writes
from ersgallery_server.values import Page, ProfileVersion

_P = PROFILES.c


class ProfileReads(Reads):
    """Reads profiles."""

    def profile(self, profile_id: str, version: int | None = None) -> ProfileVersion:
        """Return a version of a profile, the newest where none is named; raises ProfileNotFound."""
        with self._read() as connection:
            found = find_profile(connection, profile_id, version)
        if found is None:
            raise ProfileNotFound(profile_id if version is None else f"{profile_id}@{version}")
        return found

    def profile_by_key(self, key: int) -> ProfileVersion:
        """Return a profile by its key; raises ProfileNotFound."""
        with self._read() as connection:
            return profile_by_key(connection, key)

    def list_profiles(self, page_size: int, after: str | None = None) -> Page[ProfileVersion]:
        """Return profiles by id and version; raises PageKeyInvalid."""
        statement = select(PROFILES).order_by(_P.profile_id, _P.version)
        if after is not None:
            statement = statement.where(tuple_(_P.profile_id, _P.version) > tuple_(*_page_key(after)))
        with self._read() as connection:
            return read_page(connection, statement, page_size, profile_of, lambda profile: profile.reference)


class ProfileWrites(Writes):
    """Makes profiles."""

    def create_profile(self, profile_id: str, profile: Profile, *, description: str, sha256: str) -> ProfileVersion:
        """Add the next version of a profile; the newest is returned unchanged when it has the same sha256."""
        newest = find_profile(self.connection, profile_id, None)
        if newest is not None and newest.sha256 == sha256:
            return newest
        (key,) = allocate(self.connection)
        self.connection.execute(
            insert(PROFILES).values(
                key=key,
                profile_id=profile_id,
                version=1 if newest is None else newest.version + 1,
                model=profile.model,
                dimension=profile.dimension,
                mean=None if profile.mean is None else pack_float64(profile.mean),
                centroids=pack_float64(profile.centroids),
                gamma=profile.gamma,
                description=description,
                sha256=sha256,
                create_time=self.now,
            )
        )
        return profile_by_key(self.connection, key)


def find_profile(connection: Connection, profile_id: str, version: int | None) -> ProfileVersion | None:
    """Return a version of a profile or the newest; None where there is none."""
    if version is not None and version > MAX_KEY:
        return None
    statement = select(PROFILES).where(_P.profile_id == profile_id).order_by(_P.version.desc()).limit(1)
    if version is not None:
        statement = statement.where(_P.version == version)
    row = connection.execute(statement).one_or_none()
    return None if row is None else profile_of(row)


def profile_by_key(connection: Connection, key: int) -> ProfileVersion:
    """Return a profile; raises ProfileNotFound."""
    found = profiles_by_key(connection, [key])
    if key not in found:
        raise ProfileNotFound(f"key {key}")
    return found[key]


def profiles_by_key(connection: Connection, keys: Iterable[int]) -> dict[int, ProfileVersion]:
    """Return those profiles that exist, by their keys."""
    rows = connection.execute(select(PROFILES).where(_P.key.in_(set(keys))))
    return {row.key: profile_of(row) for row in rows}


def profile_of(row: Row[Any]) -> ProfileVersion:
    """Translate a row."""
    return ProfileVersion(
        key=row.key,
        profile_id=row.profile_id,
        version=row.version,
        profile=Profile(
            model=row.model,
            centroids=unpack_float64(row.centroids).reshape(-1, row.dimension),
            gamma=row.gamma,
            mean=None if row.mean is None else unpack_float64(row.mean),
        ),
        description=row.description,
        sha256=row.sha256,
        create_time=row.create_time,
    )


def _page_key(after: str) -> tuple[str, int]:
    profile_id, separator, version = after.rpartition("@")
    if not separator:
        raise PageKeyInvalid
    return text_page_key(profile_id), integer_page_key(version)
