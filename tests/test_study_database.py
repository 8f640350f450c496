import sqlite3

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import create_engine, inspect, text
from sqlalchemy.exc import IntegrityError

from mos_study.database import alembic_config
from mos_study.records import StimulusRow
from mos_study.store import Store
from mos_study.tables import Table
from sr.errors import SRError
from tests.postgres import DATABASES, new_url

# A study with a rater, three trials and a rating, in the tables of version 0001.
VERSION_1 = f"""
INSERT INTO study VALUES (1, 'Old', '{{}}', 'f', 1, 'open', '2026-01-01 00:00:00');
INSERT INTO image VALUES (1, 'Set5', 'baby');
INSERT INTO method VALUES (1, 'nearest'), (2, 'srgan'), (3, 'hr');
INSERT INTO stimulus VALUES (1, 1, 1, '{"a" * 64}', 8, 8), (2, 1, 2, '{"b" * 64}', 8, 8), (3, 1, 3, '{"c" * 64}', 8, 8);
INSERT INTO rater (id, token_hash, source, created_at)
  VALUES (1, 'x', 'invited', '2026-01-01 00:00:00'), (2, 'y', 'open', '2026-01-01 00:00:00');
INSERT INTO trial VALUES (1, 1, 0, 'main', 0, 0, 1, 't0', NULL), (2, 1, 1, 'main', 0, 0, 2, 't1', NULL),
  (3, 1, 2, 'main', 0, 0, 3, 't2', NULL), (4, 2, 0, 'main', 0, 0, 1, 't3', NULL);
INSERT INTO rating (trial_id, score, visible_ms, rated_at) VALUES (1, 4, 1200, '2026-01-01 12:00:00');
"""


@pytest.fixture(params=DATABASES)
def url(request, tmp_path):
    return new_url(request.param, tmp_path)


@pytest.fixture(params=["empty", "0001"])
def migrated(request, url):
    """The URL of a database that came to the present version from an empty one or from the first version."""
    if request.param == "0001":
        _make_version_1(url)
    Store.open(url).close()
    return url


def _make_version_1(url: str) -> None:
    engine = create_engine(url)
    with engine.begin() as connection:
        command.upgrade(alembic_config(connection), "0001")
        for statement in VERSION_1.split(";\n"):
            connection.execute(text(statement))
    engine.dispose()


def test_migrations_lead_to_the_tables_of_the_code(migrated, tmp_path):
    engine = create_engine(migrated)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_server_default": True})
        assert compare_metadata(context, Table.metadata) == []
    # Alembic does not compare CHECK constraints.
    checks = _checks(engine)
    Table.metadata.drop_all(engine)
    Table.metadata.create_all(engine)
    assert checks == _checks(engine)
    assert len(checks) == 12
    engine.dispose()


def _checks(engine) -> set[tuple[str, str]]:
    inspector = inspect(engine)
    tables = [table for table in inspector.get_table_names() if table != "alembic_version"]
    return {(table, check["name"]) for table in tables for check in inspector.get_check_constraints(table)}


def test_ratings_survive_a_migration(url):
    _make_version_1(url)
    store = Store.open(url)
    (row,) = store.ratings()
    assert (row["rater"], row["method"], row["score"], row["visible_ms"]) == ("r001", "nearest", 4, 1200)
    assert (row["hidden_ms"], row["pixel_ratio"], row["simulated"]) == (0, None, False)
    assert row["rated_at"].isoformat() == "2026-01-01T12:00:00+00:00"
    assert [store.current_trial(rater_id).token for rater_id in (1, 2)] == ["t1", "t3"]
    assert store.rate(1, "t0", 1, 0, 0) == "repeated"
    assert store.rate(1, "t1", 5, 0, 0) == "accepted"
    assert [row["done"] for row in store.progress()] == [2, 0]
    store.close()


WRONG = [
    "INSERT INTO rating (trial_id, score, visible_ms, rated_at) VALUES (2, 0, 0, '2026-01-01')",
    "INSERT INTO rating (trial_id, score, visible_ms, rated_at) VALUES (2, 6, 0, '2026-01-01')",
    "INSERT INTO rating (trial_id, score, visible_ms, rated_at) VALUES (1, 3, 0, '2026-01-01')",
    "INSERT INTO rating (trial_id, score, visible_ms, rated_at) VALUES (99, 3, 0, '2026-01-01')",
    "INSERT INTO rating (trial_id, score, visible_ms, hidden_ms, rated_at) VALUES (2, 3, 0, -1, '2026-01-01')",
    "UPDATE rating SET visible_ms = -1",
    "UPDATE rater SET done = -1",
    "UPDATE rater SET simulated = NULL",
    "UPDATE rater SET source = 'friend'",
    "UPDATE rater SET token_hash = 'x'",
    "UPDATE trial SET phase = 'lunch'",
    "UPDATE trial SET repeat = 2",
    "UPDATE trial SET position = 0",
    "UPDATE trial SET token = 't0'",
    "UPDATE trial SET stimulus_id = 99",
    "UPDATE stimulus SET method_id = 1",
    "UPDATE study SET state = 'lost'",
    "INSERT INTO study SELECT 2, name, config, fingerprint, seed, state, created_at FROM study",
    "DELETE FROM rater",
    "DELETE FROM method",
]


@pytest.mark.parametrize("kind", DATABASES)
def test_the_database_itself_refuses_what_cannot_be(kind, tmp_path):
    url = new_url(kind, tmp_path)
    _make_version_1(url)
    Store.open(url).close()
    engine = create_engine(url)
    for statement in WRONG:
        with engine.connect() as connection:
            if kind == "sqlite":
                connection.exec_driver_sql("PRAGMA foreign_keys = ON")
            with pytest.raises(IntegrityError):
                connection.execute(text(statement))
    engine.dispose()


def test_opening_again_keeps_everything(url):
    store = Store.open(url)
    store.prepare_study("{}", "f", "Study", 1, [StimulusRow("a", "b", "c", "d" * 64, 1, 1)])
    token = store.add_rater()
    store.close()
    again = Store.open(url, migrate=False)
    assert again.rater(token).id == 1
    again.close()


def test_an_unfitting_version_is_an_error(url):
    _make_version_1(url)
    with pytest.raises(SRError, match="of version 0001, this program needs"):
        Store.open(url, migrate=False)
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    for migrate in (True, False):
        with pytest.raises(SRError, match="9999, which this program does not know"):
            Store.open(url, migrate=migrate)


def test_without_a_study_there_is_a_hint(url):
    store = Store.open(url)
    assert store.study() is None
    with pytest.raises(SRError, match="holds no study: run python -m mos_study.prepare"):
        store.require_study()
    store.close()


@pytest.mark.parametrize(
    "text",
    [
        "study.db",
        "",
        "sqlite://",
        "sqlite:///:memory:",
        "mysql://localhost/study",
        "postgresql+asyncpg://localhost/study",
    ],
)
def test_only_sqlite_files_and_postgresql_hold_a_study(text):
    with pytest.raises(SRError, match="expected sqlite:///FILE or postgresql"):
        Store.open(text)


def test_what_cannot_be_opened_is_named_without_its_password(tmp_path):
    with pytest.raises(SRError, match=r"nobody:\*\*\*@127.0.0.1:1/none cannot be used") as refusal:
        Store.open("postgresql://nobody:secret@127.0.0.1:1/none")
    assert "secret" not in str(refusal.value)
    (tmp_path / "text.db").write_text("This is no database, although it is long enough to be taken for one. " * 20)
    with pytest.raises(SRError, match=r"text.db cannot be used \(file is not a database\)"):
        Store.open(f"sqlite:///{tmp_path}/text.db")
    with pytest.raises(SRError, match="absent.db is missing"):
        Store.open(f"sqlite:///{tmp_path}/absent.db", migrate=False)
    assert not (tmp_path / "absent.db").exists()


def test_the_pictures_lie_beside_the_database_unless_told_otherwise(tmp_path):
    url = f"sqlite:///{tmp_path}/deep/study.db"
    store = Store.open(url)
    assert store.picture("abc") == tmp_path / "deep" / "stimuli" / "abc.png"
    assert Store.open(url, tmp_path / "elsewhere").folder == tmp_path / "elsewhere"


def test_sqlite_logs_ahead(tmp_path):
    Store.open(f"sqlite:///{tmp_path}/study.db").close()
    assert sqlite3.connect(tmp_path / "study.db").execute("PRAGMA journal_mode").fetchone() == ("wal",)
