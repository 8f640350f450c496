"""Opening the study's database: settings, migrations, and transactions that wait for each other."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, create_engine, event, func, make_url, select
from sqlalchemy.exc import ArgumentError, DBAPIError

from mos_study.sqlite_writer import WRITES, SQLiteWriter
from sr.errors import SRError

BUSY_TIMEOUT_MS = 10_000
# Any number does, as long as no other program locks the same one in this PostgreSQL database.
STUDY_LOCK = 0x4D4F53


class Database:
    """Connections to one database, for many threads."""

    def __init__(self, url: URL) -> None:
        self._sqlite = url.get_backend_name() == "sqlite"
        self._engine = create_engine(url, pool_size=20, max_overflow=10, pool_pre_ping=not self._sqlite)
        if self._sqlite:
            event.listen(self._engine, "connect", _set_up_sqlite)
            event.listen(self._engine, "begin", _begin_sqlite)
            self._writer = SQLiteWriter(self._engine)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        with self._engine.begin() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """One transaction: when the block has ended, all that it wrote is on disk, or, on an error, nothing."""
        with self._writer.writing() if self._sqlite else self._engine.begin() as connection:
            yield connection

    def lock_study(self, connection: Connection) -> None:
        """Until the transaction ends, others that ask for this wait. (Every writer on SQLite has waited already.)"""
        if not self._sqlite:
            connection.execute(select(func.pg_advisory_xact_lock(STUDY_LOCK)))

    def empty_log(self) -> None:
        """Removes what was deleted from SQLite's log file as well."""
        if self._sqlite:
            with self._engine.connect() as connection:
                connection.connection.driver_connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def migrate(self) -> None:
        with self.writing() as connection:
            self.lock_study(connection)
            if self._version(connection) != _newest_version():
                command.upgrade(alembic_config(connection), "head")

    def check_version(self) -> None:
        with self.reading() as connection:
            version = self._version(connection)
        if version != _newest_version():
            raise SRError(
                f"The database is of version {version or 'none'}, this program needs {_newest_version()}: run"
                " python -m mos_study.prepare or start python -m mos_study.app with it first"
            )

    def _version(self, connection: Connection) -> str | None:
        version = MigrationContext.configure(connection).get_current_revision()
        known = {script.revision for script in ScriptDirectory.from_config(alembic_config()).walk_revisions()}
        if version is not None and version not in known:
            raise SRError(
                f"The database is of version {version}, which this program does not know: use a newer program"
            )
        return version

    def close(self) -> None:
        self._engine.dispose()


def open_database(text: str, migrate: bool) -> Database:
    """Connects, and brings the tables to this program's version or (`migrate=False`) insists that they are.

    Raises:
        SRError: not a URL of a kind that the study can use, no connection, or a version that does not fit.
    """
    url = parse_url(text)
    shown = url.render_as_string(hide_password=True)
    if url.get_backend_name() == "sqlite":
        file = Path(url.database)
        if not migrate and not file.is_file():
            raise SRError(f"The database {file} is missing: run python -m mos_study.prepare first, or check --db")
        file.parent.mkdir(parents=True, exist_ok=True)
    database = Database(url)
    try:
        if migrate:
            database.migrate()
        else:
            database.check_version()
    except DBAPIError as error:
        database.close()
        reason = str(error.orig).strip().splitlines()[0]
        raise SRError(
            f"The database {shown} cannot be used ({reason}): check --db, and that its server runs"
        ) from error
    except SRError:
        database.close()
        raise
    return database


def parse_url(text: str) -> URL:
    """The URL of a SQLite file or a PostgreSQL database."""
    expected = "expected sqlite:///FILE or postgresql+psycopg://USER:PASSWORD@HOST/DATABASE"
    try:
        url = make_url(text)
    except ArgumentError as error:
        raise SRError(f"The database must be given as a URL: {expected}") from error
    kind = url.get_backend_name()
    if kind == "postgresql" and url.drivername in ("postgresql", "postgresql+psycopg"):
        return url.set(drivername="postgresql+psycopg")
    if (
        kind == "sqlite"
        and url.drivername in ("sqlite", "sqlite+pysqlite")
        and url.database not in (None, "", ":memory:")
    ):
        return url
    raise SRError(f"The database {url.render_as_string(hide_password=True)} cannot hold a study: {expected}")


def _set_up_sqlite(connection: Any, _: Any) -> None:
    connection.isolation_level = None  # the driver begins no transaction; _begin_sqlite does
    for setting in (
        f"busy_timeout = {BUSY_TIMEOUT_MS}",
        "foreign_keys = ON",
        "journal_mode = WAL",
        "synchronous = FULL",
        "secure_delete = ON",  # deleted answers are overwritten
    ):
        connection.execute(f"PRAGMA {setting}")


def _begin_sqlite(connection: Connection) -> None:
    # A transaction that reads first and writes later could fail without waiting, so writers say so at the start.
    connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.get_execution_options().get(WRITES) else "BEGIN")


def alembic_config(connection: Connection | None = None) -> Config:
    """What Alembic's commands need; those that look into the database need a connection, in a transaction."""
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def _newest_version() -> str:
    return ScriptDirectory.from_config(alembic_config()).get_current_head()
