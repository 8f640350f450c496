"""`python -m mos_study.export`: the ratings as CSV."""

import argparse
import csv
import sys
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from mos_study.records import COLUMNS
from mos_study.store import DEFAULT_URL, Store
from sr.errors import SRError
from sr.files import write_atomically


def export_ratings(store: Store, path: Path) -> int:
    """Writes all ratings of a study, see `write_ratings`."""
    return write_ratings(store.ratings(), path)


def write_ratings(ratings: Iterable[Mapping[str, Any]], path: Path) -> int:
    """Writes ratings (keys `COLUMNS`) row by row and returns how many; an older file stays until all is written."""
    rows = 0

    def write(temporary: Path) -> None:
        nonlocal rows
        with open(temporary, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(COLUMNS)
            for rating in ratings:
                writer.writerow([_cell(column, rating[column]) for column in COLUMNS])
                rows += 1

    write_atomically(path, write)
    return rows


def _cell(column: str, value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds")
    if isinstance(value, bool):
        return "true" if value else "false"
    # A rater's browser calls itself what it likes; a spreadsheet would run what begins like a formula.
    if column == "user_agent" and value and value.startswith(("=", "+", "-", "@", "\t", "\r")):
        return f"'{value}"
    return value


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m mos_study.export",
        description=f"Writes the ratings as CSV with the columns {', '.join(COLUMNS)}. Times are UTC.",
    )
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE", help="the CSV file")
    parser.add_argument(
        "--db", default=DEFAULT_URL, metavar="URL", help=f"the study's database (default: {DEFAULT_URL})"
    )
    args = parser.parse_args(arguments)
    try:
        store = Store.open(args.db, migrate=False)
        store.require_study()
        rows = export_ratings(store, args.output)
        store.close()
    except (SRError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{args.output}: {rows} ratings")
    return 0


if __name__ == "__main__":
    sys.exit(main())
