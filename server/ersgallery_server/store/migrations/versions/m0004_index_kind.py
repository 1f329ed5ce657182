"""How a gallery's faces are searched.

Revision ID: 0004
Revises: 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the setting; galleries that are there choose by their size."""
    op.add_column("galleries", sa.Column("index_kind", sa.Text(), nullable=False, server_default="AUTO"))
