"""Artificial raters are marked, so that no report takes their ratings for those of people."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("rater", sa.Column("simulated", sa.Boolean, server_default=sa.false(), nullable=False))
