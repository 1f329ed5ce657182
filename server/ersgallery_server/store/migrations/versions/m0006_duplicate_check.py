"""Whether enrolments are compared with the other subjects.

Revision ID: 0006
Revises: 0005
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the two settings; nothing is compared in the galleries that are there."""
    op.add_column("galleries", sa.Column("duplicate_check", sa.Text(), nullable=False, server_default="OFF"))
    op.add_column("galleries", sa.Column("duplicate_threshold", sa.Double(), nullable=True))
