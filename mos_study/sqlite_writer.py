"""Many threads that write to one SQLite file, with fewer waits for the disk than writes."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine

WRITES = "study_writes"  # the execution option of a connection whose transactions write


class _Batch:
    """Writes that are committed together."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.ended = threading.Event()
        self.error: BaseException | None = None

    def alive(self) -> bool:
        """False when SQLite has rolled everything back by itself, as it does when the disk is full."""
        return self.connection.connection.driver_connection.in_transaction

    def commit(self) -> None:
        """Ends the batch; on failure, all of its threads raise `error`."""
        try:
            if not self.alive():
                raise sqlite3.OperationalError("SQLite gave up the transaction")
            self.connection.commit()
        except BaseException as error:  # noqa: BLE001
            self.error = error
        finally:
            self.connection.close()
            self.ended.set()


class SQLiteWriter:
    """Group commit.

    SQLite has one writer at a time, and with `synchronous=FULL` each commit waits for the disk, for milliseconds on
    many. Threads that write while another waits therefore queue up here (SQLite itself would let them poll, and starve
    some); the next transaction takes them all, each in a savepoint of its own, and the last one in the queue commits.
    Nobody returns before that commit.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine.execution_options(**{WRITES: True})
        self._turn = threading.Lock()
        self._count = threading.Lock()
        self._queued = 0
        self._batch: _Batch | None = None

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction of one's own, as far as the block can tell; on disk when the block has ended."""
        with self._count:
            self._queued += 1
        with self._turn:
            with self._count:
                self._queued -= 1
            batch = self._batch = self._batch or self._begin()
            try:
                with batch.connection.begin_nested():
                    yield batch.connection
            finally:
                if self._queued == 0 or not batch.alive():
                    self._batch = None
                    batch.commit()
        batch.ended.wait()
        if batch.error:
            raise batch.error

    def _begin(self) -> _Batch:
        connection = self._engine.connect()
        try:
            connection.begin()
        except BaseException:
            connection.close()
            raise
        return _Batch(connection)
