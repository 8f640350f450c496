"""What the figures are drawn from."""

from dataclasses import dataclass

import pandas as pd

from mos_study.paper import ordered_datasets, ordered_methods


@dataclass(frozen=True)
class FigureData:
    """The tables of one analysis. A table without a row gives no figure."""

    mos: pd.DataFrame  # of `mos_table`
    counts: pd.DataFrame  # of `score_counts`
    ranks: pd.DataFrame  # of `rank_table`
    images: pd.DataFrame  # of `image_table`
    raters: pd.DataFrame  # of `rater_table`
    pairs: pd.DataFrame  # of `pair_table`
    objective: pd.DataFrame | None  # dataset, method, psnr in dB, ssim; a row per method, or one per image of it
    caption: str  # where the figures come from, in a line
    simulated: bool
    interval: str  # the name of that in `mos`


def datasets_of(table: pd.DataFrame) -> list[str]:
    return list(ordered_datasets(table["dataset"].astype(str).unique()))


def methods_of(table: pd.DataFrame) -> list[str]:
    return list(ordered_methods(table["method"].astype(str).unique()))


def of_dataset(table: pd.DataFrame, dataset: str) -> pd.DataFrame:
    """The rows of one data set, methods and images as plain strings."""
    rows = table[table["dataset"].astype(str) == dataset]
    return rows.assign(**{name: rows[name].astype(str) for name in ("method", "image", "a", "b") if name in rows})
