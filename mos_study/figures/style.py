"""What all figures share: colours, the frame with title and provenance, the mark of simulated ratings."""

import textwrap
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, to_rgb
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from mos_study.paper import label
from mos_study.records import SIMULATED
from sr.plots import COLOURS, GREY, STYLE, write

INK = "#222222"
NOT_RATED = "#e6e6e6"
VERMILION = COLOURS[1]
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
STYLE_OF_STUDY = STYLE | {"svg.fonttype": "none", "axes.axisbelow": True}  # text that can be searched and edited
SMALL = 7  # points
LINE = 0.15  # inches, of a caption's line


def new_figure(width: float, height: float, title: str, caption: str, simulated: bool) -> Figure:
    """An empty figure with its title above, and where it comes from below.

    width, height: in inches, of what is drawn, with its labels; title and caption add to the height.
    """
    heading = textwrap.wrap(title, int(width * 13))
    source = textwrap.wrap(caption, int(width * 18))
    top, bottom = 0.21 * len(heading) + 0.12, LINE * len(source) + 0.1
    whole = height + top + bottom
    engine = ConstrainedLayoutEngine(h_pad=0.06, w_pad=0.06, rect=(0, bottom / whole, 1, height / whole))
    figure = Figure(figsize=(width, whole), layout=engine)
    figure.text(0.06 / width, 1 - 0.08 / whole, "\n".join(heading), va="top", fontsize=10.5, color=INK)
    figure.text(0.06 / width, 0.06 / whole, "\n".join(source), va="bottom", fontsize=SMALL, color=GREY)
    if simulated:
        _mark_simulated(figure, width, whole)
    return figure


def _mark_simulated(figure: Figure, width: float, height: float) -> None:
    """Across the whole figure, again every few inches, over everything else."""
    times = max(1, round(height / 3.5))
    for i in range(times):
        figure.text(
            0.5, (i + 0.5) / times, SIMULATED, ha="center", va="center", rotation=15, fontsize=4.4 * width,
            fontweight="bold", color="#b00000", alpha=0.14, zorder=100,
        )  # fmt: skip


def save(figure: Figure, name: str, folder: Path, formats: Sequence[str]) -> list[Path]:
    """Raises SRError for a format other than png and svg, and when a file cannot be written."""
    with mpl.rc_context(STYLE_OF_STUDY):
        freeze(figure)
        paths = [folder / f"{name}.{kind}" for kind in formats]
        for path in paths:
            write(figure, path)
    return paths


def freeze(figure: Figure) -> None:
    """Lays the figure out once, instead of with each drawing of it."""
    if figure.get_layout_engine() is not None:
        figure.draw_without_rendering()
        figure.set_layout_engine("none")


def name_methods(axes: Axes, methods: Sequence[str]) -> None:
    """The methods' names under their places 0, 1, ..."""
    axes.set_xticks(range(len(methods)), [label(method) for method in methods], rotation=35, ha="right")
    for text in axes.get_xticklabels():
        text.set_rotation_mode("anchor")
    axes.set_xlim(-0.5, len(methods) - 0.5)
    axes.tick_params(axis="x", length=0)


def score_axis(axes: Axes, table: pd.DataFrame) -> None:
    """The whole scale, and what intervals need beyond it."""
    axes.set_ylim(np.nanmin([0.85, table["low"].min() - 0.05]), np.nanmax([5.15, table["high"].max() + 0.05]))
    axes.set_yticks(range(1, 6))
    axes.set_ylabel("mean opinion score")


def bare(axes: Axes) -> None:
    """Without grid, frame and tick marks, as coloured cells need none."""
    axes.grid(False)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)


def text_colour(background: tuple[float, ...] | str) -> str:
    """Black or white, whichever stands out more: relative luminance as in WCAG 2.1, contrast ratio."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(background)]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return "white" if 1.05 / (luminance + 0.05) > (luminance + 0.05) / 0.05 else "black"


def colour_map(name: str) -> Colormap:
    """matplotlib's, with the colour of what is not rated."""
    return mpl.colormaps[name].with_extremes(bad=NOT_RATED)
