"""The power of planned studies over their sizes."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator, PercentFormatter

from mos_study.figures.style import COLOURS, GREY, MARKERS, SMALL, STYLE_OF_STUDY, new_figure, save
from mos_study.paper import ALPHA


def plot_power(
    table: pd.DataFrame, target: float, folder: Path, caption: str, formats: Sequence[str] = ("png", "svg")
) -> list[Path]:
    """Writes the figure `power` and returns its files.

    table: of `mos_study.power.power_table`. target: the power that is wanted, 0 to 1.
    """
    with mpl.rc_context(STYLE_OF_STUDY):
        return save(_draw(table, target, caption), "power", folder, formats)


def _draw(table: pd.DataFrame, target: float, caption: str) -> Figure:
    """Power above; below, how often the same test finds a difference where there is none."""
    unit = table["unit"].iloc[0]
    title = f"Power of the paired Wilcoxon test at p < {ALPHA} (unit {unit}), by simulated studies"
    figure = new_figure(7.0, 5.4, title, caption, simulated=True)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[2, 1])
    for i, (images, rows) in enumerate(table.sort_values("raters").groupby("images")):
        colour, marker = COLOURS[i % len(COLOURS)], MARKERS[i % len(MARKERS)]
        upper.fill_between(rows["raters"], rows["low"], rows["high"], color=colour, alpha=0.15, linewidth=0)
        name = f"{images} image{'s' if images > 1 else ''}"
        for axes, column in ((upper, "power"), (lower, "false_positives")):
            axes.plot(rows["raters"], rows[column], color=colour, marker=marker, markersize=4, label=name)
    _mark(upper, target, f"wanted: {target:.0%}")
    _mark(lower, ALPHA, f"meant: {ALPHA:.0%}")
    upper.set_ylim(0, 1.03)
    upper.set_ylabel("power")
    upper.legend(loc="lower right", bbox_to_anchor=(1, 1), borderaxespad=0.2, ncols=5)
    lower.set_ylim(0, max(2 * ALPHA, 1.1 * table["false_positives"].max()))
    lower.set_ylabel("false positives")
    for axes in (upper, lower):
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    lower.set_xscale("log")
    raters = sorted(table["raters"].unique())
    lower.set_xticks(raters, [f"{n}" for n in raters])
    lower.xaxis.set_minor_locator(NullLocator())
    lower.set_xlabel("raters")
    return figure


def _mark(axes: Axes, level: float, words: str) -> None:
    axes.axhline(level, color=GREY, linestyle="--", linewidth=1)
    axes.annotate(
        words, (1, level), (-2, 2), xycoords=("axes fraction", "data"), textcoords="offset points", ha="right",
        fontsize=SMALL, color=GREY,
    )  # fmt: skip
