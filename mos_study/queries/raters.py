"""Raters: who they are, how far they are, and what they told about themselves."""

import hashlib
import secrets
from typing import Any

from sqlalchemy import Connection, Row, ScalarSelect, bindparam, func, insert, select, update

from mos_study.queries.base import Queries, add_event, now
from mos_study.records import Rater
from mos_study.tables import RaterTable, StudyTable, TrialTable
from sr.errors import SRError


def trials_of_rater() -> ScalarSelect[int]:
    """How many trials the query's rater has: by the last position, for one look into an index instead of a count."""
    return (
        select(func.coalesce(func.max(TrialTable.position) + 1, 0))
        .where(TrialTable.rater_id == RaterTable.id)
        .correlate(RaterTable)
        .scalar_subquery()
    )


_BY_TOKEN = select(
    RaterTable.id,
    RaterTable.source,
    RaterTable.language,
    RaterTable.consent_at.is_not(None),
    RaterTable.questions_at.is_not(None),
    RaterTable.client,
    RaterTable.calibrated_at.is_not(None),
    RaterTable.finished_at.is_not(None),
    RaterTable.completion_code,
    RaterTable.done,
    trials_of_rater(),
    select(StudyTable.state).scalar_subquery(),
).where(RaterTable.token_hash == bindparam("token_hash"))

_LOCK = select(RaterTable.done, RaterTable.completion_code).where(RaterTable.id == bindparam("rater")).with_for_update()


class RaterQueries(Queries):
    def add_rater(self, source: str = "invited") -> str:
        """A new rater's secret, the token of the link; nobody can get it from the database again."""
        with self._database.writing() as connection:
            return _add_rater(connection, source)

    def join_open(self, quota: int) -> str | None:
        """As `add_rater`, for one who came without an invitation; None when `quota` of them are here already."""
        with self._database.writing() as connection:
            self._database.lock_study(connection)
            return _add_rater(connection, "open") if _joined(connection) < quota else None

    def joined(self) -> int:
        """How many raters came without an invitation."""
        with self._database.reading() as connection:
            return _joined(connection)

    def rater(self, token: str) -> Rater | None:
        """The rater whose link has this token."""
        with self._database.reading() as connection:
            row = connection.execute(_BY_TOKEN, {"token_hash": _hash(token)}).first()
        return Rater(*row) if row else None

    def record_consent(self, rater_id: int, language: str) -> None:
        self._record(rater_id, "consent", {"consent_at": now(), "language": language}, language=language)

    def record_answers(self, rater_id: int, answers: dict[str, Any]) -> None:
        self._record(rater_id, "questions", {"questions": answers, "questions_at": now()})

    def record_client(self, rater_id: int, facts: dict[str, Any]) -> None:
        """What the rater's browser said about itself, see `mos_study.records.CLIENT_FACTS`."""
        self._record(rater_id, "client", {"client": facts}, **facts)

    def record_calibrated(self, rater_id: int) -> None:
        self._record(rater_id, "calibrated", {"calibrated_at": now()})

    def finish(self, rater_id: int) -> str:
        """The completion code of a rater who has rated everything; the same one at every call."""
        with self._database.writing() as connection:
            rater = lock_rater(connection, rater_id)
            if rater.completion_code is not None:
                return rater.completion_code
            total = connection.scalar(select(trials_of_rater()).where(RaterTable.id == rater_id))
            if rater.done < total or total == 0:
                raise SRError(f"Rater {rater_id} has rated {rater.done} of {total} trials and is not finished")
            code = secrets.token_hex(4).upper()
            values = {"completion_code": code, "finished_at": now()}
            connection.execute(update(RaterTable).where(RaterTable.id == rater_id).values(values))
            add_event(connection, "finish", rater_id)
            return code

    def forget_answers(self, rater_id: int) -> None:
        """Deletes what the rater answered to the questions, from the files too; the ratings stay."""
        self._record(rater_id, "answers deleted", {"questions": None})
        self._database.empty_log()

    def _record(self, rater_id: int, kind: str, values: dict[str, Any], **data: Any) -> None:
        with self._database.writing() as connection:
            connection.execute(update(RaterTable).where(RaterTable.id == rater_id).values(values))
            add_event(connection, kind, rater_id, **data)


def lock_rater(connection: Connection, rater_id: int) -> Row:
    """Until the transaction ends, nobody else changes this rater's trials and ratings."""
    return connection.execute(_LOCK, {"rater": rater_id}).one()


def _joined(connection: Connection) -> int:
    return connection.scalar(select(func.count()).where(RaterTable.source == "open"))


def _add_rater(connection: Connection, source: str) -> str:
    token = secrets.token_urlsafe(24)
    connection.execute(insert(RaterTable).values(token_hash=_hash(token), source=source, created_at=now()))
    return token


def _hash(token: str) -> str:
    # Without salt: the tokens are random and too long to be guessed from a hash.
    return hashlib.sha256(token.encode()).hexdigest()
