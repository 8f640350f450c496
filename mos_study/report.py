"""A report: tables, notes and figures, on the terminal and in a folder, each saying where it comes from."""

import json
import math
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from mos_study.records import SIMULATED
from mos_study.report_formats import Table, as_csv, as_latex, as_markdown, marked
from sr.errors import SRError
from sr.files import write_text

ROWS_IN_MARKDOWN = 250  # a longer table is in its CSV file alone


@dataclass(frozen=True)
class Report:
    """name: of the JSON and Markdown files. summary: where everything comes from, in a line. document: for JSON.
    draw: writes the figures into a folder and returns the files, each with the name of its table. stems: of all files
    that such a report can have.
    """

    name: str
    title: str
    summary: str
    simulated: bool
    notes: Sequence[str]
    tables: Sequence[Table]
    document: Mapping[str, Any]
    draw: Callable[[Path], list[Path]]
    stems: Sequence[str]


def as_text(report: Report) -> str:
    """For the terminal."""
    parts = [_headed(report, report.title, "#"), report.summary, *_notes(report)]
    for table in report.tables:
        if not table.detail:
            parts += [_headed(report, table.title, "##"), as_markdown(table), table.remark]
    return "\n\n".join(filter(None, parts))


def write_report(report: Report, folder: Path, timed: Callable[[str], AbstractContextManager[None]]) -> list[Path]:
    """Writes the report as Markdown and JSON, each table as CSV and LaTeX, and the figures as PNG and SVG.

    Everything is written into a temporary folder beside first and then moved, file by file, so that no file is half
    written and nothing is when something fails. Files of an older report that this one does not have are removed.

    Args:
        timed: a context manager for each stage, by name.

    Raises:
        SRError: the folder cannot be written.
    """
    folder = folder.resolve()
    check_folder(folder)
    made = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        with timed("figures"):
            figures = report.draw(made)
        with timed("write"):
            for table in report.tables:
                _write(made / f"{table.name}.csv", as_csv(table, report.summary, report.simulated))
                _write(made / f"{table.name}.tex", as_latex(table, report.summary, report.simulated))
            _write(made / f"{report.name}.md", _markdown(report, figures))
            write_json(made / f"{report.name}.json", report.document)
            folder.mkdir(exist_ok=True)
            names = sorted(path.name for path in made.iterdir())
            for name in names:
                (made / name).replace(folder / name)
            for stem, kind in product(report.stems, (".csv", ".tex", ".png", ".svg")):
                if stem + kind not in names:
                    (folder / (stem + kind)).unlink(missing_ok=True)
    except OSError as error:
        raise SRError(f"{folder} cannot be written ({error.strerror or error}): check -o") from error
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return [folder / name for name in names]


def check_folder(folder: Path) -> None:
    """Finds out before a long computation whether a folder can be made and written."""
    if folder.exists() and not folder.is_dir():
        raise SRError(f"{folder} is a file: name a folder")
    try:
        folder.resolve().parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder if folder.is_dir() else folder.resolve().parent):
            pass
    except OSError as error:
        raise SRError(f"{folder} cannot be written ({error.strerror}): name another folder") from error


def write_json(path: Path, document: Mapping[str, Any]) -> None:
    """Unrounded; what is no number is null. Raises SRError where the file cannot be written."""
    text = json.dumps(_plain(document), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    try:
        write_text(path, text)
    except OSError as error:
        raise SRError(f"{path} cannot be written ({error.strerror})") from error


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _markdown(report: Report, figures: Sequence[Path]) -> str:
    parts = [_headed(report, report.title, "#"), report.summary, *_notes(report)]
    pictures = {path.stem: path for path in figures if path.suffix == ".png"}
    for table in report.tables:
        long = f"{len(table.data)} rows: see [{table.name}.csv]({table.name}.csv)."
        shown = as_markdown(table) if len(table.data) <= ROWS_IN_MARKDOWN else long
        parts += [_headed(report, table.title, "##"), shown, table.remark]
        if table.name in pictures:
            words = marked(table.title, report.simulated)
            parts.append(f"![{words}]({pictures[table.name].name})")
    return "\n\n".join(filter(None, parts)) + "\n"


def _notes(report: Report) -> list[str]:
    return ["\n".join(f"- Note: {note}." for note in report.notes)] if report.notes else []


def _headed(report: Report, title: str, level: str) -> str:
    return f"{level} {title}{f' ({SIMULATED})' if report.simulated else ''}"


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
