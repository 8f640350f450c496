"""Ratings from CSV files and databases: what is read, and what is refused with which words."""

import sqlite3
import tracemalloc
from pathlib import Path

import pandas as pd
import pytest

from mos_study import database, ratings, simulate
from mos_study.ratings import read_ratings
from mos_study.records import RATING_COLUMNS, StimulusRow
from mos_study.store import Store
from sr.errors import SRError

HEADER = ",".join(RATING_COLUMNS)
ROWS = [
    "r1,Set5,baby,srgan,main,0,4",
    "r1,Set5,baby,hr,main,0,5",
    "r2,Set5,baby,srgan,main,0,3",
    "r2,Set5,baby,srgan,retest,1,2",
    "r2,<calibration>,boat,nearest,calibration,0,1",
]
CONFIGS = Path(simulate.__file__).parent / "configs"


@pytest.fixture
def csv_file(tmp_path):
    def write(rows=ROWS, header=HEADER, newline="\n", encoding="utf-8") -> Path:
        file = tmp_path / "ratings.csv"
        file.write_bytes(newline.join([header, *rows, ""]).encode(encoding))
        return file

    return write


def cells(table: pd.DataFrame) -> list[str]:
    return [",".join(map(str, row)) for row in table[list(RATING_COLUMNS)].itertuples(index=False)]


@pytest.mark.parametrize("at_once", [2, 100])
def test_every_rating_is_read_however_many_at_once(csv_file, monkeypatch, at_once):
    monkeypatch.setattr(ratings, "CHUNK_ROWS", at_once)
    read = read_ratings(csv_file())
    assert cells(read.table) == ROWS
    assert read.table["method"].cat.categories.tolist() == ["hr", "nearest", "srgan"]
    assert read.table[["repeat", "score"]].dtypes.map(lambda kind: kind.kind).tolist() == ["i", "i"]
    assert not read.table["simulated"].any()
    assert read.source == str(csv_file())


def test_tables_of_spreadsheets_are_read(csv_file):
    """Byte order mark, CRLF, blank lines, other columns and order, decimals, spaces, quotes."""
    columns = "score,note,phase,repeat,rater,dataset,image,method,visible_ms,simulated"
    rows = ['4.0,"a, b",main,0,r1,Set 5, baby ,srgan,812,TRUE', "", '5,,main,0,"r,2",Set 5,baby,hr,,0', ",,,,,,,,,"]
    table = read_ratings(csv_file(rows, columns, "\r\n", "utf-8-sig")).table
    assert cells(table) == ["r1,Set 5,baby,srgan,main,0,4", "r,2,Set 5,baby,hr,main,0,5"]
    assert table["visible_ms"].tolist() == pytest.approx([812, float("nan")], nan_ok=True)
    assert table["simulated"].tolist() == [True, False]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("r3,Set5,baby,hr,main,0,6", "line 5: score is '6', but must be a whole number from 1 to 5"),
        ("r3,Set5,baby,hr,main,0,0", "line 5: score is '0'"),
        ("r3,Set5,baby,hr,main,0,3.5", "line 5: score is '3.5'"),
        ("r3,Set5,baby,hr,main,0,good", "line 5: score is 'good'"),
        ("r3,Set5,baby,hr,main,0,nan", "line 5: score is 'nan'"),
        ("r3,Set5,baby,hr,main,0,", "line 5: score is empty"),
        ("r3,Set5,baby,hr,main,0", "line 5: score is empty"),
        ("r3,Set5,baby,hr,trial,0,3", "line 5: phase is 'trial', but must be one of calibration, main, retest"),
        ("r3,Set5,baby,hr,main,2,3", "line 5: repeat is '2', but must be 0 or 1"),
        (",Set5,baby,hr,main,0,3", "line 5: rater is empty"),
        ("r3,Set5, ,hr,main,0,3", "line 5: image is empty"),
        (
            ROWS[1],
            r"line 5: rater r1 has rated hr of Set5/baby \(phase main, repeat 0\) already in line 3: keep one",
        ),
    ],
)
@pytest.mark.parametrize("at_once", [2, 100])
def test_a_wrong_row_is_named(csv_file, monkeypatch, row, message, at_once):
    monkeypatch.setattr(ratings, "CHUNK_ROWS", at_once)
    with pytest.raises(SRError, match=message):
        read_ratings(csv_file([*ROWS[:3], row, *ROWS[3:]]))


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("simulated", "perhaps", "line 2: simulated is 'perhaps', but must be true or false"),
        ("visible_ms", "-5", "line 2: visible_ms is '-5', but must be a number of milliseconds"),
        ("visible_ms", "soon", "line 2: visible_ms is 'soon'"),
        ("score", "3", "has the column score 2 times"),
    ],
)
def test_a_wrong_further_column_is_named(csv_file, column, value, message):
    with pytest.raises(SRError, match=message):
        read_ratings(csv_file([f"{ROWS[0]},{value}"], f"{HEADER},{column}"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "has no column rater, dataset, image, method, phase, repeat, score: expected a first line with rater,"),
        (HEADER.replace("phase,", "").encode(), "has no column phase"),
        (HEADER.replace(",", ";").encode(), "separated by commas"),
        (HEADER.encode(), "holds no ratings yet"),
        (f"{HEADER}\n{ROWS[4]}\n{ROWS[3]}".encode(), "second showings alone, none of the main part"),
        (f"{HEADER}\nr1,S\xe9t,".encode("latin-1"), "is not UTF-8 text"),
        (b"\x89PNG\r\n\x1a\n\xff\xd8", "is not UTF-8 text"),
        (f'{HEADER}\nr1,"Set5,baby,hr,main,0,3'.encode(), "is not a CSV file: .*EOF inside string"),
    ],
)
def test_a_file_that_is_no_table_of_ratings(tmp_path, content, message):
    file = tmp_path / "ratings.csv"
    file.write_bytes(content)
    with pytest.raises(SRError, match=message):
        read_ratings(file)


@pytest.mark.parametrize(("name", "reason"), [("absent.csv", "No such file"), (".", "Is a directory")])
def test_a_file_that_cannot_be_read(tmp_path, name, reason):
    with pytest.raises(SRError, match=f"cannot be read .{reason}"):
        read_ratings(tmp_path / name)


def test_database_and_csv_hold_the_same(tmp_path, capsys):
    file, url = tmp_path / "ratings.csv", f"sqlite:///{tmp_path}/study.db"
    config = str(CONFIGS / "pilot.yaml")
    assert simulate.main([config, "--raters", "3", "-o", str(file), "--db", url]) == 0
    from_file, from_database = read_ratings(file), read_ratings(None, url)
    pd.testing.assert_frame_equal(from_file.table, from_database.table)
    assert set(from_file.table["phase"]) == {"calibration", "main", "retest"}
    assert from_database.table["simulated"].all()
    assert from_database.source == url


def test_a_database_that_cannot_be_read(tmp_path, monkeypatch):
    monkeypatch.setattr(database, "BUSY_TIMEOUT_MS", 50)
    file = tmp_path / "study.db"
    url = f"sqlite:///{file}"
    with pytest.raises(SRError, match="study.db is missing"):
        read_ratings(None, url)
    with pytest.raises(SRError, match="expected sqlite:///FILE or postgresql"):
        read_ratings(None, "study.db")
    file.write_bytes(b"no database " * 100)
    with pytest.raises(SRError, match=r"study.db cannot be .*file is not a database"):
        read_ratings(None, url)
    file.unlink()
    store = Store.open(url)
    with pytest.raises(SRError, match="holds no study"):
        read_ratings(None, url)
    store.prepare_study("{}", "f", "Study", 1, [StimulusRow("Set5", "baby", "hr", "a" * 64, 8, 8)])
    store.close()
    with pytest.raises(SRError, match="holds no ratings yet"):
        read_ratings(None, url)
    with sqlite3.connect(file, isolation_level=None) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(SRError, match=r"study.db cannot be .*database is locked"):
            read_ratings(None, url)
    other.close()


def test_a_long_file_is_never_in_memory_as_a_whole(tmp_path):
    rows = 100_000
    file = tmp_path / "ratings.csv"
    with open(file, "w") as text:
        text.write(f"{HEADER},user_agent,note\n")
        for n in range(rows):
            agent = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
            text.write(f"rater{n // 1000},Set5,image{n % 1000},srgan,main,0,{n % 5 + 1},{agent},{n:0200}\n")
    tracemalloc.start()
    assert len(read_ratings(file).table) == rows
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < file.stat().st_size / 2
