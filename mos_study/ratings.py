"""The ratings of a study as one table, from its database or from a CSV file, every row checked."""

import csv
import hashlib
import math
import sqlite3
from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pandas.api.types import union_categoricals
from sqlalchemy.exc import DBAPIError

from mos_study.database import parse_url
from mos_study.records import PHASES, RATING_COLUMNS
from mos_study.store import Store
from sr.errors import SRError

CHUNK_ROWS = 100_000
NAMES = ("rater", "dataset", "image", "method", "phase")
TRIAL = (*NAMES, "repeat")  # what tells a trial from all others


@dataclass(frozen=True)
class _Source:
    """row: what a row is called; first: the number of the first."""

    name: str
    row: str
    first: int

    def place(self, row: int) -> str:
        return f"{self.row} {row + self.first}"


@dataclass(frozen=True)
class Ratings:
    """table: a row per rating, all phases. rater, dataset, image, method and phase are categories; repeat and score are
    whole numbers; visible_ms (NaN where unknown) is there if the source has it; simulated is true of artificial raters.
    source: the file, or the database without its password. sha256: of the file, none for a database.
    """

    table: pd.DataFrame
    source: str
    sha256: str | None


def read_ratings(file: Path | None, url: str | None = None) -> Ratings:
    """The ratings in a CSV file with the columns `RATING_COLUMNS` (others are allowed), or in a study's database.

    Raises:
        SRError: naming the column, or the line and what is wrong there: a missing column, an empty cell, a score that
            is no whole number from 1 to 5, an unknown phase, a repeat other than 0 or 1, a trial rated twice. Also for
            a source that cannot be read, or without ratings of the main part.
    """
    if file is not None:
        source, chunks = _Source(str(file), "line", 2), _csv_chunks(file)  # the header is line 1
    else:
        shown = parse_url(url).render_as_string(hide_password=True)
        source, chunks = _Source(shown, "rating", 1), _database_chunks(url, shown)
    table = _joined([_checked(chunk, source) for chunk in chunks], source)
    _refuse_repeated(table, source)
    if not (table["phase"] == "main").any():
        raise SRError(f"{source.name} has ratings of practice or second showings alone, none of the main part")
    return Ratings(table.reset_index(drop=True), source.name, _sha256(file) if file else None)


def _csv_chunks(file: Path) -> Iterator[pd.DataFrame]:
    """All cells as categories of text; the index counts the rows from 0, blank lines included."""
    try:
        wanted = _wanted_columns(file)
        # Only the distinct texts of a column are converted and checked, however many rows have them.
        with pd.read_csv(
            file,
            usecols=wanted,
            dtype="category",
            keep_default_na=False,
            skip_blank_lines=False,
            encoding="utf-8-sig",
            chunksize=CHUNK_ROWS,
        ) as reader:
            for chunk in reader:
                blank = np.logical_and.reduce([_is_empty(chunk[column]) for column in wanted])
                yield chunk[~blank]
    except OSError as error:
        raise SRError(f"{file} cannot be read ({error.strerror}): check --csv") from error
    except UnicodeDecodeError as error:
        raise SRError(f"{file} is not UTF-8 text: save the table as CSV in UTF-8") from error
    except (pd.errors.ParserError, csv.Error) as error:
        raise SRError(f"{file} is not a CSV file: {' '.join(str(error).split())}") from error


def _wanted_columns(file: Path) -> list[str]:
    """Those of the header that are used. Raises SRError when one is missing or there twice."""
    with open(file, encoding="utf-8-sig", newline="") as text:
        header = next(csv.reader(text), [])
    if missing := [column for column in RATING_COLUMNS if column not in header]:
        raise SRError(
            f"{file} has no column {', '.join(missing)}: expected a first line with {','.join(RATING_COLUMNS)},"
            " separated by commas"
        )
    wanted = [column for column in RULES if column in header]
    if twice := [column for column in wanted if header.count(column) > 1]:
        raise SRError(f"{file} has the column {twice[0]} {header.count(twice[0])} times: expected it once")
    return wanted


def _is_empty(cells: pd.Series) -> np.ndarray:
    empty = [code for code, text in enumerate(cells.cat.categories) if not str(text).strip()]
    return np.isin(cells.cat.codes, [-1, *empty])


def _database_chunks(url: str, shown: str) -> Iterator[pd.DataFrame]:
    """As `_csv_chunks`, the rows by rater and order. shown: the URL without its password."""
    start = 0
    try:
        with closing(Store.open(url, migrate=False)) as store:
            store.require_study()
            ratings = store.ratings()
            while rows := list(islice(ratings, CHUNK_ROWS)):
                columns = {name: pd.Categorical([_text(row[name]) for row in rows]) for name in RULES}
                yield pd.DataFrame(columns, index=pd.RangeIndex(start, start + len(rows)))
                start += len(rows)
    except (DBAPIError, sqlite3.Error) as error:
        reason = str(getattr(error, "orig", error)).strip().splitlines()[0]
        raise SRError(f"The database {shown} cannot be read ({reason}): check --db, or try again later") from error


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def _whole(text: str, low: int, high: int) -> int | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return int(number) if low <= number <= high and number.is_integer() else None


def _milliseconds(text: str) -> float | None:
    try:
        number = float(text or "nan")
    except ValueError:
        return None
    return number if math.isnan(number) or 0 <= number < math.inf else None


@dataclass(frozen=True)
class _Rule:
    """convert: gives None for a text that cannot stand. wanted: ends "is 'x', but must be ..."."""

    convert: Callable[[str], Hashable | None]
    wanted: str
    dtype: str = "object"


_NAME = _Rule(lambda text: text or None, "a name")
TRUTH = {"": False, "false": False, "0": False, "true": True, "1": True}
RULES: dict[str, _Rule] = {
    "rater": _NAME,
    "dataset": _NAME,
    "image": _NAME,
    "method": _NAME,
    "phase": _Rule({phase: phase for phase in PHASES}.get, f"one of {', '.join(PHASES)}"),
    "repeat": _Rule(lambda text: _whole(text, 0, 1), "0 or 1", "int8"),
    "score": _Rule(lambda text: _whole(text, 1, 5), "a whole number from 1 to 5", "int8"),
    "visible_ms": _Rule(_milliseconds, "a number of milliseconds", "float32"),
    "simulated": _Rule(lambda text: TRUTH.get(text.lower()), "true or false", "bool"),
}


def _checked(chunk: pd.DataFrame, source: _Source) -> pd.DataFrame:
    return pd.DataFrame(
        {column: _converted(chunk[column], RULES[column], source) for column in chunk.columns}, index=chunk.index
    )


def _converted(cells: pd.Series, rule: _Rule, source: _Source) -> Any:
    """What the rule makes of each cell."""
    texts = [
        *(str(text).strip() for text in cells.cat.categories),
        "",
    ]  # the last one is that of code -1, an empty cell
    values = [rule.convert(text) for text in texts]
    codes = cells.cat.codes.to_numpy(np.int64) % len(texts)
    bad = np.flatnonzero(np.isin(codes, [code for code, value in enumerate(values) if value is None]))
    if bad.size:
        text = texts[codes[bad[0]]]
        found = repr(text) if text else "empty"
        place = source.place(int(cells.index[bad[0]]))
        raise SRError(f"{source.name}, {place}: {cells.name} is {found}, but must be {rule.wanted}")
    # What cannot stand is in no row here.
    converted = np.array([0 if value is None else value for value in values], dtype=rule.dtype)[codes]
    return pd.Categorical(converted) if rule.dtype == "object" else converted


def _joined(chunks: Iterable[pd.DataFrame], source: _Source) -> pd.DataFrame:
    chunks = [chunk for chunk in chunks if len(chunk)]
    if not chunks:
        raise SRError(f"{source.name} holds no ratings yet")
    columns = {
        name: union_categoricals([chunk[name] for chunk in chunks], sort_categories=True)
        if name in NAMES
        else np.concatenate([chunk[name].to_numpy() for chunk in chunks])
        for name in chunks[0].columns
    }
    columns.setdefault("simulated", np.zeros(sum(map(len, chunks)), dtype=bool))
    return pd.DataFrame(columns, index=np.concatenate([chunk.index for chunk in chunks]))


def _refuse_repeated(table: pd.DataFrame, source: _Source) -> None:
    codes = [table[name].cat.codes.to_numpy(np.int64) for name in NAMES] + [table["repeat"].to_numpy(np.int64)]
    trials = np.ravel_multi_index(codes, [*(len(table[name].cat.categories) for name in NAMES), 2])
    again = np.flatnonzero(pd.Series(trials).duplicated())
    if again.size:
        row = again[0]
        first = np.flatnonzero(trials == trials[row])[0]
        trial = table.iloc[row]
        place, first_place = (source.place(int(table.index[i])) for i in (row, first))
        raise SRError(
            f"{source.name}, {place}: rater {trial['rater']} has rated {trial['method']} of"
            f" {trial['dataset']}/{trial['image']} (phase {trial['phase']}, repeat {trial['repeat']}) already in"
            f" {first_place}: keep one of the two"
        )


def _sha256(file: Path) -> str:
    with open(file, "rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
