"""One table as Markdown, LaTeX or CSV. Figures are rounded for people, in CSV they are not."""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import StringIO
from typing import Any

import pandas as pd

from mos_study.records import SIMULATED

NONE = "-"  # where there is no figure
LONG = 45  # rows; more do not fit on a page
LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": "$<$", ">": "$>$", "|": "$|$",
}  # fmt: skip


@dataclass(frozen=True)
class Column:
    """heading, and what people read in a row. right: aligned so, as figures are. wide: sentences, broken in LaTeX."""

    heading: str
    text: Callable[[Any], str]
    right: bool = True
    wide: bool = False


@dataclass(frozen=True)
class Table:
    """name: of its files. data: what the CSV holds. remark: what must be known to read it. detail: too much for a
    terminal."""

    name: str
    title: str
    data: pd.DataFrame
    columns: Sequence[Column]
    remark: str = ""
    detail: bool = False

    def cells(self) -> list[list[str]]:
        return [[column.text(row) for column in self.columns] for row in self.data.itertuples(index=False)]


def number(value: Any, decimals: int = 2) -> str:
    if value is None or pd.isna(value):
        return NONE
    text = f"{value:.{decimals}f}"
    return text.removeprefix("-") if float(text) == 0 else text  # no "-0.00"


def p_value(value: Any) -> str:
    if value is None or pd.isna(value):
        return NONE
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def between(low: Any, high: Any) -> str:
    if low is None or high is None or math.isnan(low) or math.isnan(high):
        return NONE
    return f"{number(low)} to {number(high)}"


def as_markdown(table: Table) -> str:
    """Columns aligned, so that it reads well on a terminal as well."""
    rows = [[column.heading for column in table.columns], *table.cells()]
    rows = [[cell.replace("|", r"\|") for cell in row] for row in rows]
    widths = [max(3, *(len(row[place]) for row in rows)) for place in range(len(table.columns))]
    right = [column.right for column in table.columns]
    rule = ["-" * (width - 1) + ":" if r else "-" * width for width, r in zip(widths, right, strict=True)]
    lines = [rows[0], rule, *rows[1:]]
    return "\n".join(
        "| " + " | ".join(c.rjust(w) if r else c.ljust(w) for c, w, r in zip(line, widths, right, strict=True)) + " |"
        for line in lines
    )


def marked(text: str, simulated: bool) -> str:
    return f"{SIMULATED}: {text}" if simulated else text


def as_latex(table: Table, summary: str, simulated: bool) -> str:
    r"""A `tabular` for \input, with booktabs; a `longtable` if it is longer than a page."""
    environment = "longtable" if len(table.data) > LONG else "tabular"
    packages = r"\usepackage{booktabs,longtable}" if environment == "longtable" else r"\usepackage{booktabs}"
    letters = [r"p{0.3\textwidth}" if c.wide else "r" if c.right else "l" for c in table.columns]
    lines = [
        f"% {table.title}",
        f"% {marked(_one_line(summary), simulated)}",
        f"% needs {packages}",
        rf"\begin{{{environment}}}{{{''.join(letters)}}}",
        r"\toprule",
        _latex_row([column.heading for column in table.columns]),
        r"\midrule",
        *([r"\endhead"] if environment == "longtable" else []),
        *map(_latex_row, table.cells()),
        r"\bottomrule",
    ]
    if simulated:
        lines.append(rf"\multicolumn{{{len(letters)}}}{{l}}{{\textbf{{{SIMULATED}}}}} \\")
    return "\n".join([*lines, rf"\end{{{environment}}}", ""])


def _latex_row(cells: Sequence[str]) -> str:
    return " & ".join(map(_latex_text, cells)) + r" \\"


def _latex_text(text: str) -> str:
    escaped = "".join(LATEX.get(character, character) for character in text)
    return re.sub(r"(?<!\w)-(?=\d)", "$-$", escaped)


def as_csv(table: Table, summary: str, simulated: bool) -> str:
    """Unrounded, below one line `# ...` that says where it comes from; `pandas.read_csv(file, skiprows=1)` reads it."""
    text = StringIO()
    text.write(f"# {marked(_one_line(summary), simulated)}\n")
    table.data.to_csv(text, index=False, lineterminator="\n")
    return text.getvalue()


def _one_line(text: str) -> str:
    return " ".join(text.split())
