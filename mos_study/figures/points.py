"""Points with intervals: mean opinion scores, and average ranks (the paper's Fig. 10)."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mos_study.figures.data import FigureData, datasets_of, methods_of, of_dataset
from mos_study.figures.style import COLOURS, MARKERS, name_methods, new_figure, score_axis
from mos_study.statistics import CONFIDENCE

INTERVAL_WORDS = {
    "raters": "these images, other raters of the kind",
    "raters+images": "other images and raters of the kind",
    "bootstrap": "other images and raters, by bootstrap",
    "iid": "as if all ratings were independent",
}


def draw_mos(data: FigureData) -> Figure | None:
    if data.mos.empty:
        return None
    figure, axes = _frame(data.mos, _title("Mean opinion score", data.mos, INTERVAL_WORDS[data.interval]), data)
    _draw_points(axes, data.mos, "mos")
    score_axis(axes, data.mos)
    return figure


def draw_ranks(data: FigureData) -> Figure | None:
    """Of the data sets in which there is something to rank."""
    ranks = data.ranks[data.ranks["rank"].notna()]
    methods = ranks.groupby("dataset", observed=True)["method"].transform("size")
    ranks = ranks[methods > 1]
    if ranks.empty:
        return None
    title = "Average rank (1: best for the image and rater)"
    figure, axes = _frame(ranks, _title(title, ranks, INTERVAL_WORDS["bootstrap"]), data)
    _draw_points(axes, ranks, "rank")
    most = int(methods.max())
    axes.set_ylim(most + 0.3, 0.7)
    axes.set_yticks(range(1, most + 1))
    axes.set_ylabel("average rank")
    return figure


def _title(what: str, table: pd.DataFrame, over: str) -> str:
    return f"{what} with {CONFIDENCE:.0%} interval: {over}" if table["low"].notna().any() else what


def _frame(table: pd.DataFrame, title: str, data: FigureData) -> tuple[Figure, Axes]:
    across = len(methods_of(table)) * (0.35 + 0.12 * len(datasets_of(table)))
    figure = new_figure(max(6.0, 1 + across), 3.9, title, data.caption, data.simulated)
    return figure, figure.subplots()


def _draw_points(axes: Axes, table: pd.DataFrame, column: str) -> None:
    """A column per method; in it, side by side, a point per data set, told by colour and shape."""
    datasets, methods = datasets_of(table), methods_of(table)
    gap = 0.7 / max(len(datasets), 3)
    for i in range(1, len(methods), 2):
        axes.axvspan(i - 0.5, i + 0.5, color="#f4f4f4", linewidth=0)
    for i, dataset in enumerate(datasets):
        rows = of_dataset(table, dataset).set_index("method").reindex(methods)
        places = np.arange(len(methods)) + (i - (len(datasets) - 1) / 2) * gap
        colour = COLOURS[i % len(COLOURS)]
        axes.vlines(places, rows["low"], rows["high"], color=colour, linewidth=1.6)
        axes.plot(
            places, rows[column], MARKERS[i % len(MARKERS)], color=colour, markersize=5.5,
            markeredgecolor="white", markeredgewidth=0.6, label=dataset,
        )  # fmt: skip
    axes.grid(False, axis="x")
    name_methods(axes, methods)
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), borderaxespad=0.2, ncols=min(5, len(datasets)))
