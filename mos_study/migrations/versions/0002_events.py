"""Events, hidden-tab time and the browser's facts of each rating, and each rater's place kept with the rater."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "event",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("rater_id", sa.Integer),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("data", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_event"),
        sa.ForeignKeyConstraint(["rater_id"], ["rater.id"], name="fk_event_rater_id"),
    )
    op.create_index("ix_event_rater_id_kind", "event", ["rater_id", "kind"])
    # A CHECK goes with its column: SQLite cannot add one to a table that is there.
    op.add_column(
        "rating",
        sa.Column(
            "hidden_ms",
            sa.BigInteger,
            sa.CheckConstraint("hidden_ms >= 0", name=op.f("ck_rating_hidden_ms")),
            server_default="0",
            nullable=False,
        ),
    )
    op.add_column(
        "rater",
        sa.Column(
            "done",
            sa.Integer,
            sa.CheckConstraint("done >= 0", name=op.f("ck_rater_done")),
            server_default="0",
            nullable=False,
        ),
    )
    op.add_column("rating", sa.Column("client", sa.JSON))
    op.execute(
        "UPDATE rater SET done = (SELECT count(*) FROM rating JOIN trial ON trial.id = rating.trial_id"
        " WHERE trial.rater_id = rater.id)"
    )
