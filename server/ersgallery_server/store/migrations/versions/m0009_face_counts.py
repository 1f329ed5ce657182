"""Galleries know how many faces they have, so that a limit is checked without counting.

Revision ID: 0009
Revises: 0008
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column and count once."""
    big = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.add_column("galleries", sa.Column("face_count", big, nullable=False, server_default="0"))
    op.execute("UPDATE galleries SET face_count = (SELECT count(*) FROM faces WHERE faces.gallery_key = galleries.key)")
