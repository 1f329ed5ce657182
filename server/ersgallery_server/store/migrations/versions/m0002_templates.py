"""Galleries that are searched by template, and the number of subjects that tau was chosen for.

Revision ID: 0002
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add the settings; galleries that are there go on as they were."""
    for name, value in (("subject_search", "BEST_FACE"), ("template_weighting", "SQUARE")):
        op.add_column("galleries", sa.Column(name, sa.Text(), nullable=False, server_default=value))
    pooling: sa.Column[bool] = sa.Column(
        "template_media_pooling", sa.Boolean(), nullable=False, server_default=sa.false()
    )
    op.add_column("galleries", pooling)
    op.add_column("galleries", sa.Column("tau_subjects", BIG, nullable=True))
