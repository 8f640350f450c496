"""The database's tables. A change here needs a migration in `migrations/versions`."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, CheckConstraint, DateTime, Dialect, ForeignKey, Index, MetaData, false
from sqlalchemy import UniqueConstraint as Unique
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator


class UtcDateTime(TypeDecorator[datetime]):
    """Aware datetimes in UTC, also where the database keeps no time zone (SQLite)."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Table(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "pk": "pk_%(table_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        }
    )
    type_annotation_map = {datetime: UtcDateTime, dict[str, Any]: JSON(none_as_null=True)}  # noqa: RUF012


class StudyTable(Table):
    __tablename__ = "study"
    __table_args__ = (
        CheckConstraint("id = 1", "single"),
        CheckConstraint("state IN ('open', 'paused', 'closed')", "state"),
    )
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    name: Mapped[str]
    config: Mapped[str]
    fingerprint: Mapped[str]
    seed: Mapped[int] = mapped_column(BigInteger)
    state: Mapped[str]
    created_at: Mapped[datetime]


class ImageTable(Table):
    __tablename__ = "image"
    __table_args__ = (Unique("dataset", "name"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    dataset: Mapped[str]
    name: Mapped[str]


class MethodTable(Table):
    __tablename__ = "method"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)


class StimulusTable(Table):
    __tablename__ = "stimulus"
    __table_args__ = (
        Unique("image_id", "method_id"),
        CheckConstraint("length(sha256) = 64", "sha256"),
        CheckConstraint("width > 0 AND height > 0", "size"),
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    image_id: Mapped[int] = mapped_column(ForeignKey("image.id"))
    method_id: Mapped[int] = mapped_column(ForeignKey("method.id"))
    sha256: Mapped[str]
    width: Mapped[int]
    height: Mapped[int]


class RaterTable(Table):
    __tablename__ = "rater"
    __table_args__ = (
        CheckConstraint("source IN ('invited', 'open')", "source"),
        CheckConstraint("done >= 0", "done"),
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    token_hash: Mapped[str] = mapped_column(unique=True)
    source: Mapped[str]
    language: Mapped[str | None]
    consent_at: Mapped[datetime | None]
    questions: Mapped[dict[str, Any] | None]
    questions_at: Mapped[datetime | None]
    client: Mapped[dict[str, Any] | None]
    calibrated_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    completion_code: Mapped[str | None]
    created_at: Mapped[datetime]
    # Ratings so far, which is the position of the current trial. Kept here because counting a rater's ratings for
    # every request takes a thousand times longer; changed only together with the table of ratings.
    done: Mapped[int] = mapped_column(server_default="0")
    simulated: Mapped[bool] = mapped_column(server_default=false())  # no person


class TrialTable(Table):
    __tablename__ = "trial"
    __table_args__ = (
        Unique("rater_id", "position"),
        CheckConstraint("phase IN ('calibration', 'main', 'retest')", "phase"),
        CheckConstraint("position >= 0", "position"),
        CheckConstraint("repeat IN (0, 1)", "repeat"),
        Index(None, "stimulus_id", "phase"),
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    rater_id: Mapped[int] = mapped_column(ForeignKey("rater.id"))
    position: Mapped[int]
    phase: Mapped[str]
    repeat: Mapped[int]
    session: Mapped[int]
    stimulus_id: Mapped[int] = mapped_column(ForeignKey("stimulus.id"))
    token: Mapped[str] = mapped_column(unique=True)
    shown_at: Mapped[datetime | None]


class RatingTable(Table):
    __tablename__ = "rating"
    __table_args__ = (
        CheckConstraint("score BETWEEN 1 AND 5", "score"),
        CheckConstraint("visible_ms >= 0", "visible_ms"),
        CheckConstraint("hidden_ms >= 0", "hidden_ms"),
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    trial_id: Mapped[int] = mapped_column(ForeignKey("trial.id"), unique=True)
    score: Mapped[int]
    visible_ms: Mapped[int] = mapped_column(BigInteger)
    rated_at: Mapped[datetime]
    hidden_ms: Mapped[int] = mapped_column(BigInteger, server_default="0")
    client: Mapped[dict[str, Any] | None]


class EventTable(Table):
    __tablename__ = "event"
    __table_args__ = (Index(None, "rater_id", "kind"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    rater_id: Mapped[int | None] = mapped_column(ForeignKey("rater.id"))
    at: Mapped[datetime]
    kind: Mapped[str]
    data: Mapped[dict[str, Any]]
