"""Who may write: one owner at a time.

Revision ID: 0007
Revises: 0006
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table with its one row, which nobody holds."""
    key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "owner",
        sa.Column("row", key, primary_key=True, autoincrement=False),
        sa.Column("token", key, nullable=False),
        sa.Column("is_held", sa.Boolean(), nullable=False),
        sa.Column("renewals", key, nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("pid", key, nullable=False),
        sa.Column("lock", sa.Text(), nullable=False),
        sa.Column("lease_s", sa.Double(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("row", name="pk_owner"),
    )
    op.execute(
        "INSERT INTO owner (row, token, is_held, renewals, host, pid, lock, lease_s, since)"
        " VALUES (1, 0, false, 0, '', 0, '', 0, '1970-01-01 00:00:00')"
    )
