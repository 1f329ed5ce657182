"""Tokens by which callers are known.

Revision ID: 0008
Revises: 0007
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "tokens",
        sa.Column("key", BIG, autoincrement=False, nullable=False),
        sa.Column("change_key", BIG, nullable=False),
        sa.Column("token_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("galleries", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("max_calls_per_second", sa.Double(), nullable=True),
        sa.Column("create_time", TIME, nullable=False),
        sa.Column("expire_time", TIME, nullable=True),
        sa.Column("last_use_time", TIME, nullable=True),
        sa.Column("revoke_time", TIME, nullable=True),
        sa.PrimaryKeyConstraint("key", name="pk_tokens"),
        sa.UniqueConstraint("token_id", name="uq_tokens_token_id"),
    )
    op.create_index("ix_tokens_change_key", "tokens", ["change_key"])
