"""Mean opinion scores against PSNR and SSIM: what the paper is about, as neither follows what people see."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from mos_study.figures.data import FigureData, datasets_of, methods_of, of_dataset
from mos_study.figures.style import COLOURS, GREY, INK, SMALL, freeze, new_figure, score_axis
from mos_study.paper import label

MEASURES = {"psnr": "PSNR (dB)", "ssim": "SSIM"}
REFERENCE = "hr"  # its PSNR is infinite: a line instead of a point
AROUND = [(1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1)]  # where a point's name may stand
ROUNDS = 5  # of choosing each name's side anew, the others staying


def draw_objective(data: FigureData) -> Figure | None:
    """A row per data set, in it a panel for each measure. The original is a line, as it has no error to measure."""
    if data.objective is None:
        return None
    measured = data.objective.assign(
        dataset=data.objective["dataset"].astype(str), method=data.objective["method"].astype(str)
    )
    measured = measured.groupby(["dataset", "method"])[list(MEASURES)].mean()
    mos = data.mos.assign(dataset=data.mos["dataset"].astype(str), method=data.mos["method"].astype(str))
    table = mos.join(measured, on=["dataset", "method"])
    points = table[(table["method"] != REFERENCE) & np.isfinite(table[list(MEASURES)]).all(axis=1)]
    datasets = datasets_of(points)
    if not datasets:
        return None
    figure = new_figure(
        9.0, 0.3 + 2.9 * len(datasets), "Mean opinion score against PSNR and SSIM", data.caption, data.simulated
    )
    panels = figure.subplots(len(datasets), len(MEASURES), sharey=True, squeeze=False)
    for row, dataset in zip(panels, datasets, strict=True):
        shown, rated = of_dataset(points, dataset), of_dataset(table, dataset)
        for axes, measure in zip(row, MEASURES, strict=True):
            _draw_points(axes, shown, measure)
            _draw_reference(axes, rated)
            axes.set_xlabel(MEASURES[measure])
        row[0].set_title(dataset, loc="left")
        score_axis(row[0], table)
        without = [m for m in methods_of(rated) if m not in {*shown["method"], REFERENCE}]
        if without:
            row[1].set_title(f"not measured: {', '.join(map(label, without))}", loc="right", fontsize=SMALL, color=GREY)
    freeze(figure)
    for row, dataset in zip(panels, datasets, strict=True):
        for axes, measure in zip(row, MEASURES, strict=True):
            _name_points(axes, of_dataset(points, dataset), measure)
    return figure


def _draw_points(axes: Axes, points: pd.DataFrame, measure: str) -> None:
    axes.vlines(points[measure], points["low"], points["high"], color=COLOURS[0], linewidth=1, alpha=0.45)
    axes.plot(points[measure], points["mos"], "o", color=COLOURS[0], markersize=5, markeredgecolor="white")
    axes.margins(x=0.12)


def _draw_reference(axes: Axes, rated: pd.DataFrame) -> None:
    for mos in rated.loc[rated["method"] == REFERENCE, "mos"]:
        axes.axhline(mos, color=GREY, linewidth=1, linestyle="--")
        axes.annotate(
            label(REFERENCE), (0, mos), (3, 2), xycoords=("axes fraction", "data"), textcoords="offset points",
            fontsize=SMALL, color=GREY,
        )  # fmt: skip


def _name_points(axes: Axes, points: pd.DataFrame, measure: str) -> None:
    """Each name at that side of its point where it hides least. The layout must be final, as this goes by pixels."""
    frame, pixel = axes.get_window_extent(), axes.figure.dpi / 72
    places = axes.transData.transform(points[[measure, "mos"]].to_numpy(float))
    dots = [Bbox.from_extents(x - 3.5 * pixel, y - 3.5 * pixel, x + 3.5 * pixel, y + 3.5 * pixel) for x, y in places]
    names, sides = [], []
    for row, (x, y) in zip(points.itertuples(), places, strict=True):
        at = getattr(row, measure), row.mos
        names.append(
            axes.annotate(label(row.method), at, (0, 0), textcoords="offset points", fontsize=SMALL, color=INK)
        )
        extent = names[-1].get_window_extent()
        sides.append([_beside(x, y, extent.width + 4 * pixel, extent.height, 4 * pixel, side) for side in AROUND])
    chosen = [boxes[0] for boxes in sides]
    for _ in range(ROUNDS):
        for i, boxes in enumerate(sides):
            others = dots + chosen[:i] + chosen[i + 1 :]
            hidden = [sum(_overlap(box, other) for other in others) + _outside(box, frame) for box in boxes]
            chosen[i] = boxes[int(np.argmin(hidden))]
    for name, box, (x, y) in zip(names, chosen, places, strict=True):
        name.set_position(((box.x0 - x) / pixel + 2, (box.y0 - y) / pixel))


def _beside(x: float, y: float, width: float, height: float, gap: float, side: tuple[int, int]) -> Bbox:
    dx, dy = side
    left, bottom = x + dx * gap + (dx - 1) * width / 2, y + dy * gap + (dy - 1) * height / 2
    return Bbox.from_bounds(left, bottom, width, height)


def _overlap(a: Bbox, b: Bbox) -> float:
    common = Bbox.intersection(a, b)
    return common.width * common.height if common else 0.0


def _outside(box: Bbox, frame: Bbox) -> float:
    return box.width * box.height - _overlap(box, frame)
