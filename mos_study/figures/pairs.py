"""Who is better than whom: a matrix of all pairs of methods."""

from collections.abc import Sequence

import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from mos_study.figures.data import FigureData, datasets_of, of_dataset
from mos_study.figures.style import NOT_RATED, bare, name_methods, new_figure, text_colour
from mos_study.paper import ALPHA, label, ordered_methods

EFFECTS = colormaps["PuOr"].with_extremes(bad=NOT_RATED)  # colour-blind readers tell its ends apart
NORM = Normalize(-1, 1)
CELL = 0.38  # inches
LABELS = 1.15, 0.95  # inches, beside and below a matrix


def draw_pairs(data: FigureData) -> Figure | None:
    """A matrix per data set: the colour says by how much the row's method is rated higher than the column's.

    A filled cell is a significant difference, a mere frame is none; the number is Holm's p.
    """
    if data.pairs.empty:
        return None
    datasets = datasets_of(data.pairs)
    tables = [of_dataset(data.pairs, dataset) for dataset in datasets]
    methods = [list(ordered_methods({*table["a"], *table["b"]})) for table in tables]
    across = min(2, len(datasets))
    down = -(-len(datasets) // across)
    side = CELL * max(6, *map(len, methods))
    unit = data.pairs["unit"].iloc[0]
    figure = new_figure(
        (side + LABELS[0]) * across + 1.0,
        (side + LABELS[1]) * down,
        f"Row against column: p of the paired Wilcoxon test (unit {unit}) after Holm's correction;"
        f" filled where below {ALPHA}",
        data.caption,
        data.simulated,
    )
    panels = figure.subplots(down, across, squeeze=False)
    for axes in panels.flat:
        axes.set_axis_off()
    for axes, dataset, table, names in zip(panels.flat, datasets, tables, methods, strict=False):
        axes.set_axis_on()
        _draw_matrix(axes, table, names)
        axes.set_title(dataset, loc="left")
    bar = figure.colorbar(
        ScalarMappable(NORM, EFFECTS),
        ax=panels,
        fraction=0.05,
        aspect=30,
        shrink=0.8,
        ticks=[-1, -0.5, 0, 0.5, 1],
    )
    bar.set_label("effect size (rank-biserial)\nabove 0: row's method rated higher")
    bar.outline.set_visible(False)
    return figure


def _draw_matrix(axes: Axes, pairs: pd.DataFrame, methods: Sequence[str]) -> None:
    place = {method: i for i, method in enumerate(methods)}
    for pair in pairs.itertuples():
        a, b = place[pair.a], place[pair.b]
        _draw_cell(axes, a, b, pair.effect, pair.p_holm)
        _draw_cell(axes, b, a, -pair.effect, pair.p_holm)
    name_methods(axes, methods)
    axes.set_yticks(range(len(methods)), [label(method) for method in methods])
    axes.set_ylim(len(methods) - 0.5, -0.5)
    axes.set_aspect("equal", anchor="NW")
    bare(axes)


def _draw_cell(axes: Axes, row: int, column: int, effect: float, p: float) -> None:
    known = pd.notna(p)
    colour = EFFECTS(NORM(effect)) if known else NOT_RATED
    axes.add_patch(Rectangle((column - 0.46, row - 0.46), 0.92, 0.92, facecolor=colour, linewidth=0))
    if known and p >= ALPHA:
        axes.add_patch(Rectangle((column - 0.36, row - 0.36), 0.72, 0.72, facecolor="white", linewidth=0))
        colour = "white"
    axes.text(
        column, row, short_p(p) if known else "–", ha="center", va="center", fontsize=6.5, color=text_colour(colour)
    )


def short_p(p: float) -> str:
    """Rounded, but never to 0, and without the zero before the point."""
    if p < 0.001:
        return "<.001"
    if p > 0.995:
        return "1"
    digits = 3 if p < 0.0995 else 2
    return f"{p:.{digits}f}".removeprefix("0")
