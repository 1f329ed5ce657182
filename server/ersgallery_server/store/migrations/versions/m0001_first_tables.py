"""The first tables.

Revision ID: 0001
Revises: nothing
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
ORDERED = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make the tables and the counter of keys."""
    for create in (
        _create_last_key,
        _create_profiles,
        _create_galleries,
        _create_subjects,
        _create_faces,
        _create_requests,
        _create_changes,
    ):
        create()


def _create_last_key() -> None:
    last_key = op.create_table(
        "last_key",
        sa.Column("row", BIG, autoincrement=False, nullable=False),
        sa.Column("key", BIG, nullable=False),
        sa.PrimaryKeyConstraint("row", name="pk_last_key"),
    )
    op.bulk_insert(last_key, [{"row": 1, "key": 0}])


def _create_profiles() -> None:
    op.create_table(
        "profiles",
        sa.Column("key", BIG, autoincrement=False, nullable=False),
        sa.Column("profile_id", ORDERED, nullable=False),
        sa.Column("version", BIG, nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("dimension", BIG, nullable=False),
        sa.Column("mean", sa.LargeBinary(), nullable=True),
        sa.Column("centroids", sa.LargeBinary(), nullable=False),
        sa.Column("gamma", sa.Double(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("create_time", TIME, nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_profiles"),
        sa.UniqueConstraint("profile_id", "version", name="uq_profiles_profile_id_version"),
    )


def _create_galleries() -> None:
    op.create_table(
        "galleries",
        sa.Column("key", BIG, autoincrement=False, nullable=False),
        sa.Column("gallery_id", ORDERED, nullable=False),
        sa.Column("profile_key", BIG, nullable=False),
        sa.Column("display_name", sa.Text(), nullable=False),
        sa.Column("tau", sa.Double(), nullable=False),
        sa.Column("gamma", sa.Double(), nullable=True),
        sa.Column("gamma_gallery", sa.Double(), nullable=True),
        sa.Column("margin", sa.Double(), nullable=True),
        sa.Column("enhance_features", sa.Boolean(), nullable=False),
        sa.Column("several_faces", sa.Text(), nullable=False),
        sa.Column("low_ers", sa.Text(), nullable=False),
        sa.Column("store_images", sa.Boolean(), nullable=False),
        sa.Column("revision", BIG, nullable=False),
        sa.Column("version", BIG, nullable=False),
        sa.Column("acquisition_attempts", BIG, nullable=False),
        sa.Column("failures_to_acquire", BIG, nullable=False),
        sa.Column("enrollment_attempts", BIG, nullable=False),
        sa.Column("failures_to_enroll", BIG, nullable=False),
        sa.Column("create_time", TIME, nullable=False),
        sa.Column("update_time", TIME, nullable=False),
        sa.ForeignKeyConstraint(["profile_key"], ["profiles.key"], name="fk_galleries_profile_key"),
        sa.PrimaryKeyConstraint("key", name="pk_galleries"),
        sa.UniqueConstraint("gallery_id", name="uq_galleries_gallery_id"),
    )


def _create_subjects() -> None:
    op.create_table(
        "subjects",
        sa.Column("key", BIG, autoincrement=False, nullable=False),
        sa.Column("gallery_key", BIG, nullable=False),
        sa.Column("subject_id", ORDERED, nullable=False),
        sa.Column("display_name", sa.Text(), nullable=False),
        sa.Column("user_metadata", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("version", BIG, nullable=False),
        sa.Column("create_time", TIME, nullable=False),
        sa.Column("update_time", TIME, nullable=False),
        sa.ForeignKeyConstraint(["gallery_key"], ["galleries.key"], name="fk_subjects_gallery_key", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("key", name="pk_subjects"),
        sa.UniqueConstraint("gallery_key", "subject_id", name="uq_subjects_gallery_key_subject_id"),
    )


def _create_faces() -> None:
    op.create_table(
        "faces",
        sa.Column("face_id", BIG, autoincrement=False, nullable=False),
        sa.Column("gallery_key", BIG, nullable=False),
        sa.Column("subject_key", BIG, nullable=False),
        sa.Column("profile_key", BIG, nullable=False),
        sa.Column("ers", sa.Double(), nullable=False),
        sa.Column("raw_ers", sa.Double(), nullable=False),
        sa.Column("embedding_norm", sa.Double(), nullable=False),
        sa.Column("media_id", sa.Text(), nullable=False),
        sa.Column("user_metadata", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("box", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("version", BIG, nullable=False),
        sa.Column("create_time", TIME, nullable=False),
        sa.Column("embedding", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["gallery_key"], ["galleries.key"], name="fk_faces_gallery_key", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["profile_key"], ["profiles.key"], name="fk_faces_profile_key"),
        sa.ForeignKeyConstraint(["subject_key"], ["subjects.key"], name="fk_faces_subject_key", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("face_id", name="pk_faces"),
    )
    op.create_index("ix_faces_gallery_key_face_id_ers", "faces", ["gallery_key", "face_id", "ers"])
    op.create_index("ix_faces_subject_key_face_id_ers", "faces", ["subject_key", "face_id", "ers"])
    op.create_table(
        "face_images",
        sa.Column("face_id", BIG, autoincrement=False, nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["face_id"], ["faces.face_id"], name="fk_face_images_face_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("face_id", name="pk_face_images"),
    )


def _create_requests() -> None:
    op.create_table(
        "requests",
        sa.Column("gallery_key", BIG, autoincrement=False, nullable=False),
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("revision", BIG, nullable=False),
        sa.Column("create_time", TIME, nullable=False),
        sa.Column("response", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["gallery_key"], ["galleries.key"], name="fk_requests_gallery_key", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("gallery_key", "request_id", name="pk_requests"),
    )


def _create_changes() -> None:
    op.create_table(
        "changes",
        sa.Column("gallery_key", BIG, autoincrement=False, nullable=False),
        sa.Column("revision", BIG, autoincrement=False, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("first_added_face_id", BIG, nullable=False),
        sa.Column("added_face_count", BIG, nullable=False),
        sa.Column("removed_face_ids", sa.LargeBinary(), nullable=False),
        sa.Column("create_time", TIME, nullable=False),
        sa.ForeignKeyConstraint(["gallery_key"], ["galleries.key"], name="fk_changes_gallery_key", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("gallery_key", "revision", name="pk_changes"),
    )
