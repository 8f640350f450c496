"""What all queries share."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, insert

from mos_study.database import Database
from mos_study.tables import EventTable

# Statements that every picture needs are built once, here and in the modules beside: building one takes longer than
# running it.
_ADD_EVENT = insert(EventTable)


class Queries:
    """Methods are safe to call from many threads; each one that writes is one transaction."""

    _database: Database

    def log(self, kind: str, rater_id: int | None = None, **data: Any) -> None:
        """Notes an event; no personal answer belongs into `data`, which is never deleted."""
        with self._database.writing() as connection:
            add_event(connection, kind, rater_id, **data)


def add_event(connection: Connection, kind: str, rater_id: int | None = None, **data: Any) -> None:
    connection.execute(_ADD_EVENT, {"rater_id": rater_id, "at": now(), "kind": kind, "data": data})


def now() -> datetime:
    return datetime.now(UTC)
