"""Pure functions on one ratings table (columns `mos_study.records.RATING_COLUMNS`, a row per rating)."""

import numpy as np
import pandas as pd
from scipy import stats

CONFIDENCE = 0.95


def mos_table(ratings: pd.DataFrame) -> pd.DataFrame:
    """The mean opinion score of every method on every data set, with an interval over raters.

    Only the main part counts: calibration is practice, and a second showing would count its stimulus twice.

    A rater's mean is over the images the rater has rated. The score is the mean of the raters' means, so that one who
    has rated more does not count more; where all have rated equally many, it is the mean of all ratings, as the paper
    has it. The interval is Student's t over the raters' means (R raters, R - 1 degrees of freedom): it says where the
    score of these images would lie with all raters of this kind. Ratings of one rater are not independent, so an
    interval over single ratings would be far too narrow.

    Args:
        ratings: at least the columns rater, dataset, image, method, phase, score.

    Returns:
        A row per data set and method, in alphabetical order: dataset, method, mos, low, high (the ends
        of the interval at CONFIDENCE; NaN with fewer than two raters), n (ratings), raters, images.
    """
    main = ratings[ratings["phase"] == "main"]
    cell = ["dataset", "method"]
    raters = main.groupby([*cell, "rater"])["score"].mean().groupby(cell)
    table = raters.agg(mos="mean", spread="std", raters="size").astype({"mos": float, "spread": float})  # std: ddof 1
    shown = main.groupby(cell).agg(n=("score", "size"), images=("image", "nunique"))
    table = table.join(shown)
    # One rater has no spread (NaN) and no degree of freedom; where() keeps scipy from complaining.
    degrees = (table["raters"] - 1).where(table["raters"] > 1)
    half = stats.t.ppf((1 + CONFIDENCE) / 2, degrees.to_numpy(float)) * table["spread"] / np.sqrt(table["raters"])
    table = table.assign(low=table["mos"] - half, high=table["mos"] + half).reset_index()
    return table[[*cell, "mos", "low", "high", "n", "raters", "images"]]
