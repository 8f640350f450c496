"""The figures of a rating test, as PNG and SVG; matplotlib without a display and without global state."""

from collections.abc import Callable, Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from mos_study.figures.cells import draw_images, draw_score_distributions
from mos_study.figures.data import FigureData
from mos_study.figures.objective import draw_objective
from mos_study.figures.pairs import draw_pairs
from mos_study.figures.points import draw_mos, draw_ranks
from mos_study.figures.power import plot_power
from mos_study.figures.raters import draw_raters
from mos_study.figures.style import STYLE_OF_STUDY, save

__all__ = ["FIGURES", "FigureData", "draw_figures", "plot_power"]

# The files' names, and what draws them; nothing is drawn where there is nothing to show.
FIGURES: dict[str, Callable[[FigureData], Figure | None]] = {
    "score_distributions": draw_score_distributions,
    "mos": draw_mos,
    "ranks": draw_ranks,
    "images": draw_images,
    "raters": draw_raters,
    "objective": draw_objective,
    "pairs": draw_pairs,
}


def draw_figures(data: FigureData, folder: Path, formats: Sequence[str] = ("png", "svg")) -> list[Path]:
    """Writes every figure for which there are figures into `folder`, and returns the files in the order of FIGURES.

    The same data give the same bytes.

    Raises:
        SRError: a file cannot be written.
    """
    paths = []
    with mpl.rc_context(STYLE_OF_STUDY):
        for name, draw in FIGURES.items():
            figure = draw(data)
            if figure is not None:
                paths += save(figure, name, folder, formats)
    return paths
