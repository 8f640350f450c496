"""Coloured cells: how often each score was given to a method, and the mean opinion score of every image."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from mos_study.figures.data import FigureData, datasets_of, methods_of, of_dataset
from mos_study.figures.style import INK, SMALL, VERMILION, bare, colour_map, name_methods, new_figure, text_colour
from mos_study.paper import label

SCORES = {1: "1 bad", 2: "2 poor", 3: "3 fair", 4: "4 good", 5: "5 excellent"}
NAMED_IMAGES = 40  # more images than this have no room for their names
NUMBERED_IMAGES = 20  # nor more than this for numbers in their cells


def draw_score_distributions(data: FigureData) -> Figure | None:
    """The paper's Fig. 5: a column per method, the darker a cell the more often its score was given, the mean marked.

    All data sets have the same columns, so that a method stands below itself.
    """
    rated = data.counts[data.counts["n"] > 0]
    if rated.empty:
        return None
    datasets, methods = datasets_of(rated), methods_of(rated)
    figure = new_figure(
        max(5.5, 2 + 0.55 * len(methods)),
        0.9 + 1.75 * len(datasets),
        "How often each score was given; diamonds: mean opinion score",
        data.caption,
        data.simulated,
    )
    axes_of = figure.subplots(len(datasets), 1, sharex=True, squeeze=False)[:, 0]
    shares = {dataset: _shares(of_dataset(rated, dataset), methods) for dataset in datasets}
    norm = Normalize(0, max(np.nanmax(share) for share in shares.values()))
    for dataset, axes in zip(datasets, axes_of, strict=True):
        edges = np.arange(len(methods) + 1) - 0.5, np.arange(len(SCORES) + 1) + 0.5
        axes.pcolormesh(*edges, np.ma.masked_invalid(shares[dataset]), norm=norm, cmap=colour_map("Blues"))
        means = of_dataset(data.mos, dataset).set_index("method")["mos"].reindex(methods)
        axes.plot(means.to_numpy(), "D", color=VERMILION, markersize=6, markeredgecolor="white", markeredgewidth=0.9)
        axes.vlines(np.arange(1, len(methods)) - 0.5, 0.5, 5.5, color="white", linewidth=2)
        bare(axes)
        axes.set_title(_with_size(dataset, of_dataset(data.mos, dataset)), loc="left")
        axes.set_yticks(list(SCORES), list(SCORES.values()))
    name_methods(axes_of[-1], methods)
    bar = figure.colorbar(
        ScalarMappable(norm, colour_map("Blues")), ax=axes_of, label="share of the method's ratings", format="{x:.0%}"
    )
    bar.outline.set_visible(False)
    return figure


def _shares(counts: pd.DataFrame, methods: list[str]) -> np.ndarray:
    """A row per score, a column per method, NaN for one that is not rated."""
    table = counts.pivot_table(index="score", columns="method", values="n", aggfunc="sum", fill_value=0)
    return (table / table.sum()).reindex(index=list(SCORES)).fillna(0).reindex(columns=methods).to_numpy(float)


def draw_images(data: FigureData) -> Figure | None:
    """The mean opinion score of every stimulus: images from the worst to the best rated, a row per method."""
    if data.images.empty:
        return None
    tables = {dataset: _image_matrix(of_dataset(data.images, dataset)) for dataset in datasets_of(data.images)}
    heights = [_height(table) for table in tables.values()]
    most = max(len(table.columns) for table in tables.values())
    title = "Mean opinion score of every image, from the images rated worst to those rated best"
    gaps = any(table.isna().to_numpy().any() for table in tables.values())
    figure = new_figure(
        min(10.0, max(6.0, 2.4 + 0.42 * most)),
        sum(heights),
        title + (" (grey: not rated)" if gaps else ""),
        data.caption,
        data.simulated,
    )
    axes_of = figure.subplots(len(tables), 1, squeeze=False, height_ratios=heights)[:, 0]
    norm = Normalize(1, 5)
    for (dataset, table), axes in zip(tables.items(), axes_of, strict=True):
        _draw_images(axes, table, norm)
        images = len(table.columns)
        axes.set_title(dataset, loc="left")
        if images > NAMED_IMAGES:
            axes.set_xlabel(f"{images} images")
    bar = figure.colorbar(
        ScalarMappable(norm, colour_map("cividis")), ax=axes_of, ticks=range(1, 6), fraction=0.04, aspect=30
    )
    bar.outline.set_visible(False)
    return figure


def _height(table: pd.DataFrame) -> float:
    """In inches, with title and labels."""
    images = len(table.columns)
    named = 0.07 * max(map(len, table.columns)) if images <= NAMED_IMAGES else 0.2
    return 0.55 + 0.2 * max(2, len(table)) + min(1.2, named)


def _image_matrix(images: pd.DataFrame) -> pd.DataFrame:
    table = images.pivot_table(index="method", columns="image", values="mos")
    # Of every method as much above or below its own mean, as an image may not be there of all.
    ease = table.sub(table.mean(axis=1), axis=0).mean().sort_values(kind="stable")
    return table.reindex(index=methods_of(images), columns=ease.index)


def _draw_images(axes: Axes, table: pd.DataFrame, norm: Normalize) -> None:
    methods, images = table.shape
    colours = colour_map("cividis")
    few = images <= NAMED_IMAGES
    axes.pcolormesh(
        np.arange(images + 1) - 0.5,
        np.arange(methods + 1) - 0.5,
        np.ma.masked_invalid(table.to_numpy()),
        norm=norm,
        cmap=colours,
        edgecolors="white" if few else "face",  # the cells' own colour closes the seams between narrow ones
        linewidth=0.6 if few else 0.1,
    )
    if images <= NUMBERED_IMAGES:
        for (row, column), value in np.ndenumerate(table.to_numpy()):
            if np.isfinite(value):
                colour = text_colour(colours(norm(value)))
                axes.text(column, row, f"{value:.1f}", ha="center", va="center", fontsize=SMALL, color=colour)
    bare(axes)
    axes.invert_yaxis()
    axes.set_yticks(range(methods), [label(method) for method in table.index])
    if few:
        level = images * max(map(len, table.columns)) <= 100
        axes.set_xticks(range(images), table.columns, rotation=0 if level else 90, fontsize=SMALL, color=INK)
    else:
        axes.set_xticks([])


def _with_size(dataset: str, mos: pd.DataFrame) -> str:
    """The data set, and how many ratings a method has there."""
    least, most = int(mos["n"].min()), int(mos["n"].max())
    ratings = f"{most}" if least == most else f"{least} to {most}"
    return f"{dataset}: {ratings} rating{'s' if most > 1 else ''} of each method"
