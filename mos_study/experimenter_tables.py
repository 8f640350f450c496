"""What the experimenter's page shows: HTML from the store's reports. Every text is escaped."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from typing import Any

import pandas as pd

from mos_study.records import CALIBRATION_DATASET, SIMULATED
from mos_study.statistics import CONFIDENCE

STATE_WORDS = {"open": "open", "paused": "paused: raters see a waiting page", "closed": "closed: nobody can rate"}


def message(text: str, *, alert: bool = False) -> str:
    return f'<p role="{"alert" if alert else "status"}">{escape(text)}</p>'


def summary(name: str, state: str, progress: Sequence[Mapping[str, Any]]) -> str:
    finished = sum(row["finished_at"] is not None for row in progress)
    started = sum(row["consent_at"] is not None for row in progress)
    rated = sum(row["done"] for row in progress)
    facts = {
        "Study": name,
        "State": STATE_WORDS[state],
        "Raters": f"{len(progress)} invited or joined, {started} started, {finished} finished",
        "Ratings": f"{rated:,}{_mark(any(row['simulated'] for row in progress))}",
        "As of": f"{now()} UTC",
    }
    return (
        "<dl>" + "".join(f"<div><dt>{key}</dt><dd>{escape(text)}</dd></div>" for key, text in facts.items()) + "</dl>"
    )


def raters(progress: Sequence[Mapping[str, Any]], warnings: Mapping[str, Sequence[str]]) -> str:
    if not progress:
        return message("There are no raters yet: invite some.")
    rows = []
    for row in progress:
        done, total = row["done"], row["total"]
        bar = f'<progress max="{total or 1}" value="{done}"></progress> {done} of {total}' if total else "–"
        rows.append(
            [
                escape(row["rater"]),
                escape(_stage(row)),
                bar,
                _time(row["last_rated_at"]),
                "<br>".join(f'<span class="warning">{escape(text)}</span>' for text in warnings.get(row["rater"], ())),
                escape(row["completion_code"] or ""),
            ]
        )
    return _table(
        "Raters", ["Rater", "Stage", "Trials rated", "Last rating (UTC)", "Warnings", "Completion code"], rows
    )


def counts(rows: Sequence[Mapping[str, Any]]) -> str:
    """The main part's: the range of each data set and method, then every stimulus."""
    table = pd.DataFrame(rows, columns=["dataset", "image", "method", "assigned", "rated"])
    table = table[table["dataset"] != CALIBRATION_DATASET]
    groups = table.groupby(["dataset", "method"], sort=False)["rated"].agg(["size", "sum", "min", "max"])
    short = [
        [escape(dataset), escape(method), str(g["size"]), f"{g['sum']:,}", f"{g['min']} to {g['max']}"]
        for (dataset, method), g in groups.iterrows()
    ]
    columns = ["dataset", "image", "method", "rated", "assigned"]
    long = [[escape(str(cell)) for cell in row] for row in table[columns].itertuples(index=False)]
    return (
        _table("By method", ["Data set", "Method", "Pictures", "Ratings", "Per picture"], short)
        + "<details><summary>Every picture</summary>"
        + _table("", ["Data set", "Image", "Method", "Rated", "Assigned"], long)
        + "</details>"
    )


def mos(table: pd.DataFrame, simulated: bool) -> str:
    """table: of `mos_study.statistics.mos_table`. simulated: some of its ratings are."""
    if table.empty:
        return message("There are no ratings of the main part yet.")
    rows = [
        [
            escape(row.dataset),
            escape(row.method),
            f"{row.mos:.2f}",
            "–" if pd.isna(row.low) else f"{row.low:.2f} to {row.high:.2f}",
            f"{row.n:,}",
            str(row.raters),
            str(row.images),
        ]
        for row in table.itertuples()
    ]
    head = ["Data set", "Method", "MOS", f"{CONFIDENCE:.0%} interval", "Ratings", "Raters", "Images"]
    note = (
        "Main part only. The interval is Student’s t over the raters’ means: these images, other raters of the kind. "
        "Stopping the study when a difference looks right makes its test worthless; decide the number of raters before."
    )
    caption = f"Mean opinion scores{_mark(simulated)}, {now()} UTC"
    return _table(caption, head, rows) + f"<p>{note}</p>"


def links(addresses: Sequence[str]) -> str:
    noun = "link" if len(addresses) == 1 else "links"
    return message(f"{len(addresses)} new {noun}. Copy them now: the database keeps only their hashes.")


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S")


def _mark(simulated: bool) -> str:
    return f" ({SIMULATED})" if simulated else ""


def _stage(row: Mapping[str, Any]) -> str:
    if row["finished_at"]:
        return "finished"
    if row["calibrated_at"]:
        return "rating"
    return "preparing" if row["consent_at"] else f"{row['source']}, not started"


def _time(moment: datetime | None) -> str:
    return moment.strftime("%Y-%m-%d %H:%M") if moment else "–"


def _table(caption: str, head: Iterable[str], rows: Iterable[Sequence[str]]) -> str:
    """cells: HTML."""
    header = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in head)
    body = "".join(
        f'<tr><th scope="row">{first}</th>{"".join(f"<td>{cell}</td>" for cell in rest)}</tr>' for first, *rest in rows
    )
    title = f"<caption>{escape(caption)}</caption>" if caption else ""
    content = f"{title}<thead><tr>{header}</tr></thead><tbody>{body}</tbody>"
    return f'<div class="scroll" tabindex="0"><table>{content}</table></div>'
