"""The plain errors of the store; none of them carries an embedding, a photograph or an SQL parameter.

StoreError
 +- GalleryNotFound, SubjectNotFound, FaceNotFound, ProfileNotFound
 +- GalleryExists, SubjectExists
 +- TooManyGalleries, GalleryFull
 +- TokenNotFound, TokenExists
 +- VersionMismatch         the resource changed since it was read
 +- RequestIdReused         a request id came again with another body
 +- ProfileChanged          faces were scored under a profile that is no longer the gallery's
 +- GalleryMoved            faces were compared at another revision of the gallery than is there now
 +- PageKeyInvalid          a page key is not one that this list gave
 +- StoreOverloaded         the queue of writes is full
 +- StoreUnavailable        the database does not answer or its disk is full; nothing was half-written
 |   +- StoreClosed         the store was closed
 |   +- DiskFull            the database's disk is full
 |   +- DatabaseDamaged     its file is damaged, or no database at all
 |   +- NotOwner            another server has become the owner of the database
 +- StoreUnusable           a database that this version cannot work with
     +- UrlUnsupported      neither a SQLite file nor PostgreSQL
     +- SchemaUnknown       made by a newer version
     +- SchemaOutdated      not migrated yet, and migrating was not wanted
     +- DatabaseOwned       another server writes to it
"""


class StoreError(Exception):
    """Base of every error the store raises on purpose."""


class GalleryNotFound(StoreError):
    """There is no such gallery."""

    def __init__(self, gallery_id: str | None = None) -> None:
        super().__init__(
            "the gallery does not exist" if gallery_id is None else f"gallery {gallery_id!r} does not exist"
        )


class SubjectNotFound(StoreError):
    """The gallery has no such subject."""

    def __init__(self, subject_id: str) -> None:
        super().__init__(f"subject {subject_id!r} does not exist")


class FaceNotFound(StoreError):
    """The subject has no such face."""

    def __init__(self, face_id: int) -> None:
        super().__init__(f"face {face_id} does not exist")


class ProfileNotFound(StoreError):
    """There is no such profile, or not in this version."""

    def __init__(self, reference: str) -> None:
        super().__init__(f"profile {reference!r} does not exist")


class GalleryExists(StoreError):
    """A gallery of this id exists."""

    def __init__(self, gallery_id: str) -> None:
        super().__init__(f"gallery {gallery_id!r} exists")


class SubjectExists(StoreError):
    """A subject of this id exists in the gallery."""

    def __init__(self, subject_id: str) -> None:
        super().__init__(f"subject {subject_id!r} exists")


class TooManyGalleries(StoreError):
    """There are as many galleries as may be."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"there are as many galleries as this server may have, {limit}; delete one first")


class GalleryFull(StoreError):
    """A gallery would have more faces than it may; nothing was stored."""

    def __init__(self, gallery_id: str, present: int, more: int, limit: int) -> None:
        super().__init__(
            f"gallery {gallery_id!r} has {present} faces and may have {limit}; {more} more do not fit, none was stored"
        )


class TokenNotFound(StoreError):
    """There is no token of this name, or it was revoked before."""

    def __init__(self, name: str) -> None:
        super().__init__(f"there is no token {name!r} that is not revoked")


class TokenExists(StoreError):
    """A token of this name exists and is not revoked."""

    def __init__(self, name: str) -> None:
        super().__init__(f"token {name!r} exists; revoke it first, or choose another name")


class VersionMismatch(StoreError):
    """The resource changed since it was read; `present` is its version now."""

    def __init__(self, present: int) -> None:
        super().__init__("the resource changed since it was read; read it again")
        self.present = present


class RequestIdReused(StoreError):
    """The request id was used before with another body."""

    def __init__(self, request_id: str) -> None:
        super().__init__(f"request_id {request_id!r} was used before with another body")


class ProfileChanged(StoreError):
    """The gallery's profile is no longer the one the faces were scored under; `present_key` is the new one's."""

    def __init__(self, present_key: int) -> None:
        super().__init__("the gallery's profile changed; score the faces again")
        self.present_key = present_key


class GalleryMoved(StoreError):
    """The gallery is not at the revision at which faces were compared with it; they must be compared again."""

    def __init__(self) -> None:
        super().__init__("the gallery changed; compare the faces again")


class PageKeyInvalid(StoreError):
    """A page key is not one that this list gave."""

    def __init__(self) -> None:
        super().__init__("the page key is not one that this list gave")


class StoreOverloaded(StoreError):
    """As many writes wait as may."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"the queue of the store is full ({limit} waiting); try again later")


class StoreUnavailable(StoreError):
    """The database does not answer, or its disk is full; nothing was half-written."""

    def __init__(
        self, text: str = "the database does not answer or its disk is full; nothing was half-written"
    ) -> None:
        super().__init__(text)


class StoreClosed(StoreUnavailable):
    """The store was closed."""

    def __init__(self) -> None:
        super().__init__("the store is closed")


class DiskFull(StoreUnavailable):
    """The database's disk is full."""

    def __init__(self) -> None:
        super().__init__("the disk of the database is full; nothing was stored, and nothing is lost")


class DatabaseDamaged(StoreUnavailable):
    """The file is damaged, or no SQLite database at all."""

    def __init__(self) -> None:
        super().__init__("the file of the database is damaged, or is no SQLite database; restore a backup of it")


class NotOwner(StoreUnavailable):
    """Another server has become the owner of the database; this one must be stopped."""

    def __init__(self) -> None:
        super().__init__(
            "another server has become the owner of this database; nothing was stored, and this server serves no more"
        )


class StoreUnusable(StoreError):
    """This version cannot work with the database."""


class UrlUnsupported(StoreUnusable):
    """A URL names neither a SQLite file nor PostgreSQL."""

    def __init__(self) -> None:
        super().__init__("a store is sqlite:///FILE or postgresql+psycopg://...")


class SchemaUnknown(StoreUnusable):
    """The database was made by a newer version."""

    def __init__(self, revision: str) -> None:
        super().__init__(
            f"the database is at migration {revision!r}, which this version does not know; upgrade the server"
        )


class SchemaOutdated(StoreUnusable):
    """The database needs migrations that were not wanted."""

    def __init__(self) -> None:
        super().__init__("the database needs `ersgallery-server migrate`")


class DatabaseOwned(StoreUnusable):
    """Another server writes to the database, and lives. lease_s: for how long after its death; None: not at all."""

    def __init__(self, holder: str, lease_s: float | None) -> None:
        end = "ends" if lease_s is None else f"ends, or has been dead for {lease_s:g} s"
        super().__init__(f"{holder}, and holds it until it {end}; only one server at a time may write to a database")
