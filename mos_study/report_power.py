"""The report of a power analysis."""

from pathlib import Path

import pandas as pd

from mos_study.figures import plot_power
from mos_study.provenance import packages_line, version_line, versions
from mos_study.report import Report
from mos_study.report_formats import Column, Table, between, number


def power_report(table: pd.DataFrame, sentence: str, target: float, studies: int, seed: int) -> Report:
    """table, sentence: of `mos_study.power.power_table`."""
    caption = f"{studies} simulated studies of each size; seed {seed}; {version_line()}"
    columns = [
        Column("images", lambda row: str(row.images)),
        Column("raters", lambda row: str(row.raters)),
        Column("power", lambda row: number(row.power)),
        Column("95 % interval", lambda row: between(row.low, row.high)),
        Column("false positives", lambda row: number(row.false_positives)),
    ]

    by_size = table.pivot(index="raters", columns="images", values="power").add_suffix("_images").reset_index()
    sizes = [
        Column("raters", lambda row: str(row.raters)),
        *(
            Column(name.replace("_", " "), lambda row, place=place: number(row[place]))
            for place, name in enumerate(by_size.columns[1:], 1)
        ),
    ]

    def draw(folder: Path) -> list[Path]:
        return plot_power(table, target, folder, caption)

    return Report(
        name="power-analysis",
        title="Power of a rating test",
        summary=f"{caption} ({packages_line()})",
        simulated=True,
        notes=(),
        tables=[
            Table("power_by_size", "Power by raters and images", by_size, sizes, sentence),
            Table("power", "Power, its interval, and false positives", table, columns, detail=True),
        ],
        document={
            "source": "simulation",
            "simulated": True,
            "sentence": sentence,
            "target": target,
            "power": table.to_dict("records"),
            "provenance": {"studies": studies, "seed": seed, **versions()},
        },
        draw=draw,
        stems=("power_by_size", "power"),
    )
