"""Study, images, methods, stimuli, raters, trials and ratings."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

UTC = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "study",
        sa.Column("id", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("config", sa.String, nullable=False),
        sa.Column("fingerprint", sa.String, nullable=False),
        sa.Column("seed", sa.BigInteger, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("created_at", UTC, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_study"),
        sa.CheckConstraint("id = 1", name=op.f("ck_study_single")),
        sa.CheckConstraint("state IN ('open', 'paused', 'closed')", name=op.f("ck_study_state")),
    )
    op.create_table(
        "image",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("dataset", sa.String, nullable=False),
        sa.Column("name", sa.String, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_image"),
        sa.UniqueConstraint("dataset", "name", name="uq_image_dataset_name"),
    )
    op.create_table(
        "method",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("name", sa.String, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_method"),
        sa.UniqueConstraint("name", name="uq_method_name"),
    )
    op.create_table(
        "stimulus",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("image_id", sa.Integer, nullable=False),
        sa.Column("method_id", sa.Integer, nullable=False),
        sa.Column("sha256", sa.String, nullable=False),
        sa.Column("width", sa.Integer, nullable=False),
        sa.Column("height", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_stimulus"),
        sa.ForeignKeyConstraint(["image_id"], ["image.id"], name="fk_stimulus_image_id"),
        sa.ForeignKeyConstraint(["method_id"], ["method.id"], name="fk_stimulus_method_id"),
        sa.UniqueConstraint("image_id", "method_id", name="uq_stimulus_image_id_method_id"),
        sa.CheckConstraint("length(sha256) = 64", name=op.f("ck_stimulus_sha256")),
        sa.CheckConstraint("width > 0 AND height > 0", name=op.f("ck_stimulus_size")),
    )
    op.create_table(
        "rater",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("token_hash", sa.String, nullable=False),
        sa.Column("source", sa.String, nullable=False),
        sa.Column("language", sa.String),
        sa.Column("consent_at", UTC),
        sa.Column("questions", sa.JSON),
        sa.Column("questions_at", UTC),
        sa.Column("client", sa.JSON),
        sa.Column("calibrated_at", UTC),
        sa.Column("finished_at", UTC),
        sa.Column("completion_code", sa.String),
        sa.Column("created_at", UTC, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_rater"),
        sa.UniqueConstraint("token_hash", name="uq_rater_token_hash"),
        sa.CheckConstraint("source IN ('invited', 'open')", name=op.f("ck_rater_source")),
    )
    op.create_table(
        "trial",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("rater_id", sa.Integer, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("phase", sa.String, nullable=False),
        sa.Column("repeat", sa.Integer, nullable=False),
        sa.Column("session", sa.Integer, nullable=False),
        sa.Column("stimulus_id", sa.Integer, nullable=False),
        sa.Column("token", sa.String, nullable=False),
        sa.Column("shown_at", UTC),
        sa.PrimaryKeyConstraint("id", name="pk_trial"),
        sa.ForeignKeyConstraint(["rater_id"], ["rater.id"], name="fk_trial_rater_id"),
        sa.ForeignKeyConstraint(["stimulus_id"], ["stimulus.id"], name="fk_trial_stimulus_id"),
        sa.UniqueConstraint("rater_id", "position", name="uq_trial_rater_id_position"),
        sa.UniqueConstraint("token", name="uq_trial_token"),
        sa.CheckConstraint("phase IN ('calibration', 'main', 'retest')", name=op.f("ck_trial_phase")),
        sa.CheckConstraint("position >= 0", name=op.f("ck_trial_position")),
        sa.CheckConstraint("repeat IN (0, 1)", name=op.f("ck_trial_repeat")),
    )
    op.create_index("ix_trial_stimulus_id_phase", "trial", ["stimulus_id", "phase"])
    op.create_table(
        "rating",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("trial_id", sa.Integer, nullable=False),
        sa.Column("score", sa.Integer, nullable=False),
        sa.Column("visible_ms", sa.BigInteger, nullable=False),
        sa.Column("rated_at", UTC, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_rating"),
        sa.ForeignKeyConstraint(["trial_id"], ["trial.id"], name="fk_rating_trial_id"),
        sa.UniqueConstraint("trial_id", name="uq_rating_trial_id"),
        sa.CheckConstraint("score BETWEEN 1 AND 5", name=op.f("ck_rating_score")),
        sa.CheckConstraint("visible_ms >= 0", name=op.f("ck_rating_visible_ms")),
    )
