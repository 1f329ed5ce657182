"""The tables. Keys are given by `allocation` and never used twice; times are UTC; arrays are little-endian bytes."""

import datetime as dt
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    DateTime,
    Dialect,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}

BigKey = BigInteger().with_variant(Integer(), "sqlite")
"""64 bits everywhere: only a column declared INTEGER is SQLite's own row id."""

OrderedText = Text().with_variant(Text(collation="C"), "postgresql")
"""Text ordered by code point on every database, so that pages follow one another the same way."""


class UtcTime(TypeDecorator[dt.datetime]):
    """An aware time in UTC; SQLite has no zone of its own."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: dt.datetime | None, dialect: Dialect) -> dt.datetime | None:  # noqa: ARG002 - SQLAlchemy's signature
        """Turn an aware time to UTC; raises ValueError for a naive one."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a zone cannot be stored")
        return value.astimezone(dt.UTC)

    def process_result_value(self, value: dt.datetime | None, dialect: Dialect) -> dt.datetime | None:  # noqa: ARG002 - SQLAlchemy's signature
        """Return an aware time in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=dt.UTC) if value.tzinfo is None else value.astimezone(dt.UTC)


class Base(DeclarativeBase):
    """What all tables share."""

    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy reads it from the class
        int: BigKey,
        float: Double(),
        str: Text(),
        bytes: LargeBinary(),
        dt.datetime: UtcTime(),
        dict[str, Any]: JSON(none_as_null=True),
    }


class LastKey(Base):
    """The last key given out; one row. Not its own value is the primary key, so that it can be raised in place."""

    __tablename__ = "last_key"

    row: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    key: Mapped[int]


class ProfileRow(Base):
    """One immutable version of a profile."""

    __tablename__ = "profiles"
    __table_args__ = (UniqueConstraint("profile_id", "version"),)

    key: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    profile_id: Mapped[str] = mapped_column(OrderedText)
    version: Mapped[int]
    model: Mapped[str]
    dimension: Mapped[int]
    mean: Mapped[bytes | None]
    centroids: Mapped[bytes]
    gamma: Mapped[float]
    description: Mapped[str]
    sha256: Mapped[str]
    create_time: Mapped[dt.datetime]


class GalleryRow(Base):
    """A gallery: its settings, what it counts, and where it stands."""

    __tablename__ = "galleries"

    key: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    gallery_id: Mapped[str] = mapped_column(OrderedText, unique=True)
    profile_key: Mapped[int] = mapped_column(ForeignKey("profiles.key"))
    display_name: Mapped[str]
    tau: Mapped[float]
    gamma: Mapped[float | None]
    gamma_gallery: Mapped[float | None]
    margin: Mapped[float | None]
    enhance_features: Mapped[bool]
    several_faces: Mapped[str]
    low_ers: Mapped[str]
    store_images: Mapped[bool]
    subject_search: Mapped[str]
    template_weighting: Mapped[str]
    template_media_pooling: Mapped[bool]
    tau_subjects: Mapped[int | None]
    index_kind: Mapped[str]
    duplicate_check: Mapped[str]
    duplicate_threshold: Mapped[float | None]
    revision: Mapped[int]
    face_count: Mapped[int]
    version: Mapped[int]
    acquisition_attempts: Mapped[int]
    failures_to_acquire: Mapped[int]
    enrollment_attempts: Mapped[int]
    failures_to_enroll: Mapped[int]
    create_time: Mapped[dt.datetime]
    update_time: Mapped[dt.datetime]


class SubjectRow(Base):
    """An enrolled person."""

    __tablename__ = "subjects"
    __table_args__ = (UniqueConstraint("gallery_key", "subject_id"),)

    key: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    gallery_key: Mapped[int] = mapped_column(ForeignKey("galleries.key", ondelete="CASCADE"))
    subject_id: Mapped[str] = mapped_column(OrderedText)
    display_name: Mapped[str]
    user_metadata: Mapped[dict[str, Any]]
    version: Mapped[int]
    create_time: Mapped[dt.datetime]
    update_time: Mapped[dt.datetime]


class FaceRow(Base):
    """An enrolled face. The embedding stands last: lists of faces then never read it."""

    __tablename__ = "faces"
    __table_args__ = (
        Index(None, "gallery_key", "face_id", "ers"),
        Index(None, "subject_key", "face_id", "ers"),
    )

    face_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    gallery_key: Mapped[int] = mapped_column(ForeignKey("galleries.key", ondelete="CASCADE"))
    subject_key: Mapped[int] = mapped_column(ForeignKey("subjects.key", ondelete="CASCADE"))
    profile_key: Mapped[int] = mapped_column(ForeignKey("profiles.key"))
    ers: Mapped[float]
    raw_ers: Mapped[float]
    embedding_norm: Mapped[float]
    media_id: Mapped[str]
    user_metadata: Mapped[dict[str, Any]]
    box: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    version: Mapped[int]
    create_time: Mapped[dt.datetime]
    embedding: Mapped[bytes]


class FaceImageRow(Base):
    """The photograph of a face, where the gallery keeps them."""

    __tablename__ = "face_images"

    face_id: Mapped[int] = mapped_column(
        ForeignKey("faces.face_id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    content: Mapped[bytes]


class RequestRow(Base):
    """An enrolment by its request id. It outlives the faces, and goes with the gallery or when it is old."""

    __tablename__ = "requests"
    __table_args__ = (Index(None, "create_time"),)

    gallery_key: Mapped[int] = mapped_column(
        ForeignKey("galleries.key", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    request_id: Mapped[str] = mapped_column(primary_key=True)
    fingerprint: Mapped[bytes]
    revision: Mapped[int]
    create_time: Mapped[dt.datetime]
    response: Mapped[bytes]


class ChangeRow(Base):
    """One revision of a gallery; what replaying it onto an index needs."""

    __tablename__ = "changes"

    gallery_key: Mapped[int] = mapped_column(
        ForeignKey("galleries.key", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    revision: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    kind: Mapped[str]
    first_added_face_id: Mapped[int]
    added_face_count: Mapped[int]
    removed_face_ids: Mapped[bytes]
    subject_key: Mapped[int | None]
    create_time: Mapped[dt.datetime]


class OwnerRow(Base):
    """Who may write; one row. token: raised whenever the row changes hands; the rest is of `ownership`."""

    __tablename__ = "owner"

    row: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    token: Mapped[int]
    is_held: Mapped[bool]
    renewals: Mapped[int]
    host: Mapped[str]
    pid: Mapped[int]
    lock: Mapped[str]
    lease_s: Mapped[float]
    since: Mapped[dt.datetime]


class LastCommitRow(Base):
    """The mark that PostgreSQL's last group of writes left; one row."""

    __tablename__ = "last_commit"

    row: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    mark: Mapped[str]


class TokenRow(Base):
    """A token by which a caller is known. change_key: rises with every making and revoking of any token."""

    __tablename__ = "tokens"
    __table_args__ = (UniqueConstraint("token_id"), Index(None, "change_key"))

    key: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    change_key: Mapped[int]
    token_id: Mapped[str]
    name: Mapped[str]
    digest: Mapped[bytes]
    scopes: Mapped[list[str]] = mapped_column(JSON)
    galleries: Mapped[list[str] | None] = mapped_column(JSON(none_as_null=True))
    max_calls_per_second: Mapped[float | None]
    create_time: Mapped[dt.datetime]
    expire_time: Mapped[dt.datetime | None]
    last_use_time: Mapped[dt.datetime | None]
    revoke_time: Mapped[dt.datetime | None]


class SealingKeyRow(Base):
    """A key that anything may be sealed under. sealed_check tells it from another key of its id.

    is_complete: everything is sealed under this one.
    """

    __tablename__ = "sealing_keys"

    key_id: Mapped[str] = mapped_column(primary_key=True)
    sealed_check: Mapped[bytes]
    is_complete: Mapped[bool]


LAST_KEY: Table = Base.metadata.tables["last_key"]
PROFILES: Table = Base.metadata.tables["profiles"]
GALLERIES: Table = Base.metadata.tables["galleries"]
SUBJECTS: Table = Base.metadata.tables["subjects"]
FACES: Table = Base.metadata.tables["faces"]
FACE_IMAGES: Table = Base.metadata.tables["face_images"]
REQUESTS: Table = Base.metadata.tables["requests"]
CHANGES: Table = Base.metadata.tables["changes"]
LAST_COMMIT: Table = Base.metadata.tables["last_commit"]
OWNER: Table = Base.metadata.tables["owner"]
TOKENS: Table = Base.metadata.tables["tokens"]
SEALING_KEYS: Table = Base.metadata.tables["sealing_keys"]
