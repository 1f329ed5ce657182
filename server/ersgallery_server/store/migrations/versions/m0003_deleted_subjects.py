"""The log of a gallery names the subject that a deletion took faces from.

Revision ID: 0003
Revises: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add the column; deletions that were logged before name nobody."""
    op.add_column("changes", sa.Column("subject_key", BIG, nullable=True))
