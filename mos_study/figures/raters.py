"""How the raters have used the scale: their biases and inconsistencies."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.stats import norm

from mos_study.figures.data import FigureData
from mos_study.figures.style import COLOURS, GREY, SMALL, new_figure
from mos_study.statistics import CONFIDENCE

NAMED_RATERS = 60  # more raters than this have no room for their names


def draw_raters(data: FigureData) -> Figure | None:
    """From the strictest rater to the mildest. Those are left out, and counted, of whom the model tells nothing."""
    table = data.raters[data.raters["bias"].notna()].sort_values("bias", kind="stable")
    if table.empty:
        return None
    missing = len(data.raters) - len(table)
    named = len(table) <= NAMED_RATERS
    figure = new_figure(
        max(5.5, min(10.0, 1.2 + 0.17 * len(table))) if named else 8.0,
        4.4 + (min(1.2, 0.08 * table["rater"].astype(str).str.len().max()) if named else 0),
        f"Bias and inconsistency of the raters with {CONFIDENCE:.0%} intervals, from the strictest to the mildest",
        data.caption,
        data.simulated,
    )
    upper, lower = figure.subplots(2, 1, sharex=True)
    upper.axhline(0, color=GREY, linewidth=0.8)
    _draw(upper, table, "bias", COLOURS[0])
    upper.set_ylabel("bias (grades)")
    _draw(lower, table, "inconsistency", COLOURS[1])
    lower.set_ylim(0, None)
    lower.set_ylabel("inconsistency (grades)")
    edge = 0.7 + 0.01 * len(table)
    lower.set_xlim(-edge, len(table) - 1 + edge)
    if named:
        lower.set_xticks(range(len(table)), table["rater"].astype(str), rotation=90, fontsize=SMALL)
    else:
        lower.set_xticks([])
    left_out = f" (without {missing} of whom too little is known)" if missing else ""
    lower.set_xlabel(f"{len(table)} rater{'s' if len(table) > 1 else ''}{left_out}")
    figure.align_ylabels()
    return figure


def _draw(axes: Axes, table: pd.DataFrame, column: str, colour: str) -> None:
    places, middle = np.arange(len(table)), table[column].to_numpy(float)
    half = norm.ppf((1 + CONFIDENCE) / 2) * table[f"{column}_se"].to_numpy(float)
    many = len(table) > NAMED_RATERS
    axes.vlines(places, middle - half, middle + half, color=colour, linewidth=0.5 if many else 1.4, alpha=0.5)
    axes.plot(places, middle, "o", color=colour, markersize=1.8 if many else 4)
    axes.grid(False, axis="x")
