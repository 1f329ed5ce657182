"""Galleries: settings, counters, and all that goes with them."""

import dataclasses
from collections.abc import Callable, Collection, Mapping
from typing import Any

from ersgallery_index import IndexKind, Weighting
from sqlalchemy import Connection, Row, case, delete, func, insert, select, update

from ersgallery_server.store.allocation import allocate
from ersgallery_server.store.changes import lock_gallery, record_change
from ersgallery_server.store.errors import GalleryExists, GalleryNotFound, TooManyGalleries, VersionMismatch
from ersgallery_server.store.outcomes import ChangeKind, DeletedGallery, GalleryTotals
from ersgallery_server.store.profiles import profile_by_key, profiles_by_key
from ersgallery_server.store.reading import Reads, read_page, text_page_key
from ersgallery_server.store.tables import FACE_IMAGES, FACES, GALLERIES, SUBJECTS
from ersgallery_server.store.writing import Writes
from ersgallery_server.values import (
    AcquisitionCounts,
    DuplicateCheck,
    GalleryRecord,
    GallerySettings,
    LowErs,
    Page,
    ProfileVersion,
    SeveralFaces,
    SubjectSearch,
)

_G = GALLERIES.c
_SETTINGS = tuple(field.name for field in dataclasses.fields(GallerySettings))
_COUNT = select(func.count()).select_from(GALLERIES)
_COUNTS = tuple(field.name for field in dataclasses.fields(AcquisitionCounts))


class GalleryReads(Reads):
    """Reads galleries."""

    def gallery(self, gallery_id: str) -> GalleryRecord:
        """Return a gallery; raises GalleryNotFound."""
        with self._read() as connection:
            return _record(connection, _row(connection, gallery_id))

    def list_galleries(
        self, page_size: int, after: str | None = None, only: Collection[str] | None = None
    ) -> Page[GalleryRecord]:
        """Return galleries by id; `after` is the last id of the page before. only: the ids to choose from."""
        statement = select(GALLERIES).order_by(_G.gallery_id)
        if only is not None:
            statement = statement.where(_G.gallery_id.in_(sorted(only)))
        if after is not None:
            statement = statement.where(_G.gallery_id > text_page_key(after))
        with self._read() as connection:
            rows = read_page(connection, statement, page_size, lambda row: row, lambda row: str(row.gallery_id))
            profiles = profiles_by_key(connection, (row.profile_key for row in rows.items))
            return Page(tuple(gallery_of(row, profiles) for row in rows.items), rows.next_key)

    def totals(self, gallery_key: int, gate: float) -> GalleryTotals:
        """Count what a gallery holds, and the faces with ERS >= gate; zeros for one that is gone."""
        subjects = select(func.count()).where(SUBJECTS.c.gallery_key == gallery_key)
        searchable = func.count(case((FACES.c.ers >= gate, 1)))
        faces = select(func.count(), searchable).where(FACES.c.gallery_key == gallery_key)
        with self._read(consistent=True) as connection:
            subject_count = connection.execute(subjects).scalar_one()
            return GalleryTotals(subject_count, *connection.execute(faces).one())


class GalleryWrites(Writes):
    """Makes, changes and deletes galleries."""

    def create_gallery(
        self, gallery_id: str, settings: GallerySettings, profile_key: int, *, max_galleries: int = 0
    ) -> GalleryRecord:
        """Make an empty gallery at revision 0 and version 1.

        max_galleries: how many there may be with it, 0 for no limit. Raises GalleryExists, ProfileNotFound and
        TooManyGalleries.
        """
        if self.connection.execute(select(_G.key).where(_G.gallery_id == gallery_id)).one_or_none() is not None:
            raise GalleryExists(gallery_id)
        profile = profile_by_key(self.connection, profile_key)
        (key,) = allocate(self.connection)
        if max_galleries and self.connection.execute(_COUNT).scalar_one() >= max_galleries:
            raise TooManyGalleries(max_galleries)
        self.connection.execute(
            insert(GALLERIES).values(
                key=key,
                gallery_id=gallery_id,
                profile_key=profile.key,
                revision=0,
                face_count=0,
                version=1,
                create_time=self.now,
                update_time=self.now,
                **_setting_values(settings),
                **dataclasses.asdict(AcquisitionCounts()),
            )
        )
        return self.gallery(gallery_id)

    def gallery(self, gallery_id: str) -> GalleryRecord:
        """Return a gallery as this work sees it; raises GalleryNotFound."""
        return _record(self.connection, _row(self.connection, gallery_id))

    def update_gallery(
        self,
        gallery_id: str,
        change: Callable[[GallerySettings], GallerySettings],
        expected_version: int | None = None,
    ) -> GalleryRecord:
        """Give a gallery the settings that `change` makes of the present ones; its profile changes by `rescore` alone.

        Raises GalleryNotFound, and VersionMismatch where a version is expected and is not the present one.
        """
        row = self._lock(gallery_id, expected_version)
        changed = _setting_values(change(settings_of(row)))
        changed |= {"version": row.version + 1, "update_time": self.now}
        record_change(self.connection, row, ChangeKind.SETTINGS, self.now, columns=changed)
        return self.gallery(gallery_id)

    def delete_gallery(self, gallery_id: str, expected_version: int | None = None) -> DeletedGallery:
        """Delete a gallery with all that it holds and return how much that was.

        Raises GalleryNotFound and VersionMismatch.
        """
        row = self._lock(gallery_id, expected_version)
        images = select(func.count()).select_from(FACE_IMAGES.join(FACES)).where(FACES.c.gallery_key == row.key)
        count = self.connection.execute
        deleted = DeletedGallery(
            subjects=count(select(func.count()).where(SUBJECTS.c.gallery_key == row.key)).scalar_one(),
            faces=count(select(func.count()).where(FACES.c.gallery_key == row.key)).scalar_one(),
            images=count(images).scalar_one(),
        )
        # Faces first: the cascade from the gallery would look for the faces of every subject one by one.
        self.connection.execute(delete(FACES).where(FACES.c.gallery_key == row.key))
        self.connection.execute(delete(GALLERIES).where(_G.key == row.key))
        self.erased = True
        return deleted

    def add_counts(self, gallery_key: int, counts: AcquisitionCounts) -> None:
        """Add to what the gallery counts of acquisition and enrolment; no revision, for no answer depends on it.

        Raises GalleryNotFound.
        """
        row = lock_gallery(self.connection, gallery_key)
        self.connection.execute(update(GALLERIES).where(_G.key == row.key).values(counted(row, counts)))

    def _lock(self, gallery_id: str, expected_version: int | None) -> Row[Any]:
        row = lock_gallery(self.connection, _row(self.connection, gallery_id).key)
        if expected_version is not None and row.version != expected_version:
            raise VersionMismatch(row.version)
        return row


def counted(row: Row[Any], counts: AcquisitionCounts) -> dict[str, int]:
    """Return the columns of a locked gallery's counts with more added."""
    return {name: getattr(row, name) + getattr(counts, name) for name in _COUNTS}


def gallery_by_key(connection: Connection, gallery_key: int) -> GalleryRecord:
    """Return a gallery; raises GalleryNotFound."""
    row = connection.execute(select(GALLERIES).where(_G.key == gallery_key)).one_or_none()
    if row is None:
        raise GalleryNotFound
    return _record(connection, row)


def gallery_of(row: Row[Any], profiles: Mapping[int, ProfileVersion]) -> GalleryRecord:
    """Translate a row, given the profiles by their keys."""
    return GalleryRecord(
        key=row.key,
        gallery_id=row.gallery_id,
        settings=settings_of(row),
        profile=profiles[row.profile_key],
        revision=row.revision,
        version=row.version,
        counts=AcquisitionCounts(*(getattr(row, name) for name in _COUNTS)),
        create_time=row.create_time,
        update_time=row.update_time,
    )


def _row(connection: Connection, gallery_id: str) -> Row[Any]:
    row = connection.execute(select(GALLERIES).where(_G.gallery_id == gallery_id)).one_or_none()
    if row is None:
        raise GalleryNotFound(gallery_id)
    return row


def _record(connection: Connection, row: Row[Any]) -> GalleryRecord:
    return gallery_of(row, profiles_by_key(connection, [row.profile_key]))


def _setting_values(settings: GallerySettings) -> dict[str, Any]:
    return {
        **{name: getattr(settings, name) for name in _SETTINGS},
        "several_faces": settings.several_faces.value,
        "low_ers": settings.low_ers.value,
        "subject_search": settings.subject_search.value,
        "template_weighting": settings.template_weighting.value,
        "index_kind": settings.index_kind.value,
        "duplicate_check": settings.duplicate_check.value,
    }


def settings_of(row: Row[Any]) -> GallerySettings:
    """Translate the settings in a gallery's row."""
    return GallerySettings(
        **{
            **{name: getattr(row, name) for name in _SETTINGS},
            "several_faces": SeveralFaces(row.several_faces),
            "low_ers": LowErs(row.low_ers),
            "subject_search": SubjectSearch(row.subject_search),
            "template_weighting": Weighting(row.template_weighting),
            "index_kind": IndexKind(row.index_kind),
            "duplicate_check": DuplicateCheck(row.duplicate_check),
        }
    )
