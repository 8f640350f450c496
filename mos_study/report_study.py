"""The report of a study's analysis."""

from pathlib import Path
from typing import Any

import pandas as pd

from mos_study.analysis import Analysis
from mos_study.figures import FIGURES, FigureData, draw_figures
from mos_study.provenance import caption, provenance, summary
from mos_study.report import Report
from mos_study.report_tables import TABLES, tables
from mos_study.statistics.mos import INTERVALS

MOS = ["dataset", "method", "mos", "low", "high", "n", "raters", "images"]


def study_report(analysis: Analysis) -> Report:
    def draw(folder: Path) -> list[Path]:
        return draw_figures(_figure_data(analysis), folder)

    return Report(
        name="analysis",
        title="Rating test",
        summary=summary(analysis),
        simulated=analysis.simulated,
        notes=analysis.notes,
        tables=tables(analysis),
        document=study_document(analysis),
        draw=draw,
        stems=(*TABLES, *FIGURES),
    )


def study_document(analysis: Analysis) -> dict[str, Any]:
    """What `analyze.py --json` writes: figures unrounded."""
    mos = [
        {
            **{name: getattr(row, name) for name in ("dataset", "method", "mos", "n", "raters", "images")},
            "ci": {name: [ends[f"{name}_low"], ends[f"{name}_high"]] for name in INTERVALS},
            "paper": row.paper,
            "difference": row.difference,
        }
        for row, ends in zip(analysis.mos.itertuples(), analysis.mos.to_dict("records"), strict=True)
    ]
    document = {
        "source": analysis.source,
        "simulated": analysis.simulated,
        "mos": mos,
        "ranks": _records(analysis.ranks),
        "pairs": _records(analysis.pairs),
        "friedman": _records(analysis.friedman),
        "nemenyi": _records(analysis.nemenyi),
        "findings": [vars(finding) for finding in analysis.findings],
        "reliability": analysis.reliability,
        "sos": {"a": analysis.reliability["sos_a"]},
        "screening": [{**vars(flag), "excluded": flag.rater in analysis.excluded} for flag in analysis.flags],
        "raters": _records(analysis.raters),
        "notes": list(analysis.notes),
        "provenance": provenance(analysis),
    }
    if analysis.objective is not None:
        document["objective"] = _records(analysis.objective)
    return document


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    return table.to_dict("records")


def _figure_data(analysis: Analysis) -> FigureData:
    return FigureData(
        mos=analysis.mos[MOS],
        counts=analysis.counts,
        ranks=analysis.ranks,
        images=analysis.images,
        raters=analysis.raters,
        pairs=analysis.pairs,
        objective=analysis.objective,
        caption=caption(analysis),
        simulated=analysis.simulated,
        interval=analysis.choices.interval,
    )
