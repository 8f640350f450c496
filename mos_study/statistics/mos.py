"""Tables of opinion scores: means with intervals, counts of the scores, average ranks; a row per data set and method.

All take the ratings as a table with a row per rating (at least the columns rater, dataset, image, method, phase,
score), count the main part only, and come in alphabetical order. Without ratings they have their columns and no row.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy import stats

from mos_study.statistics.cube import ScoreCube, score_cubes
from mos_study.statistics.intervals import (
    RESAMPLES,
    Interval,
    bootstrap_interval,
    iid_interval,
    mean_opinion,
    multiplicities,
    percentile_interval,
    raters_images_interval,
    raters_interval,
    two_way,
)
from sr.errors import SRError

INTERVALS = ("raters", "raters+images", "bootstrap", "iid")
SCORES = np.arange(1, 6)


def mos_table(ratings: pd.DataFrame, interval: str = "raters", seed: int = 0) -> pd.DataFrame:
    """The mean opinion score of every method on every data set, with a 95 % interval.

    A rater's mean is over the images the rater has rated. The score is the mean of the raters' means, so that one who
    has rated more does not count more; where all have rated equally many, it is the mean of all ratings, as the paper
    has it. Ratings of one rater are not independent, nor are those of one image: the interval says over what it
    generalises (`mos_study.statistics.intervals`).

    Args:
        interval: `raters` (these images, other raters of the kind), `raters+images` (other images of the kind as well),
            `bootstrap` (the same, by resampling) or `iid` (as if all ratings were independent; too narrow).
        seed: of the bootstrap; the others have no chance in them.

    Returns:
        dataset, method, mos, low, high (the ends of the interval at CONFIDENCE; NaN where there is none, as with fewer
        than two raters), n (ratings), raters, images.
    """
    types = {"dataset": str, "method": str, "mos": float, "low": float, "high": float}
    parts = []
    for cube in score_cubes(ratings):
        rated = ~np.isnan(cube.values)
        low, high = _interval(cube.values, interval, seed)
        columns = {
            "dataset": cube.dataset,
            "method": cube.methods,
            "mos": mean_opinion(cube.values),
            "low": low,
            "high": high,
            "n": rated.sum((1, 2)),
            "raters": rated.any(2).sum(1),
            "images": rated.any(1).sum(1),
        }
        parts.append(pd.DataFrame(columns))
    return _stacked(parts, {**types, "n": int, "raters": int, "images": int})


def image_table(ratings: pd.DataFrame) -> pd.DataFrame:
    """The mean of all raters for every stimulus that has been rated.

    Returns:
        dataset, image, method, mos, sd (over raters, divided by n - 1; NaN with fewer than two), n.
    """
    parts = []
    for cube in score_cubes(ratings):
        scores = pd.DataFrame(cube.stimuli().T)  # a column per stimulus, method by method
        stimuli = pd.MultiIndex.from_product([cube.methods, cube.images], names=["method", "image"])
        columns = {"mos": scores.mean(), "sd": scores.std(ddof=1), "n": scores.count()}
        part = pd.DataFrame(columns).set_axis(stimuli).reset_index().assign(dataset=cube.dataset)
        parts.append(part[part["n"] > 0].sort_values(["image", "method"]))
    return _stacked(parts, {"dataset": str, "image": str, "method": str, "mos": float, "sd": float, "n": int})


def score_counts(ratings: pd.DataFrame) -> pd.DataFrame:
    """How often each score was given to each method (the paper's Fig. 5), also those never given.

    Scores that are no longer whole, such as those without their raters' bias, count as the nearest of 1 to 5.

    Returns:
        dataset, method, score (1 to 5), n.
    """
    parts = []
    for cube in score_cubes(ratings):
        nearest = np.clip(np.floor(cube.values + 0.5), SCORES[0], SCORES[-1])
        columns = {
            "dataset": cube.dataset,
            "method": np.repeat(cube.methods, len(SCORES)),
            "score": np.tile(SCORES, len(cube.methods)),
            "n": np.stack([(nearest == score).sum((1, 2)) for score in SCORES], axis=1).ravel(),
        }
        parts.append(pd.DataFrame(columns))
    return _stacked(parts, {"dataset": str, "method": str, "score": int, "n": int})


def rank_table(ratings: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """The average rank of every method among those of its data set (the paper's Fig. 10).

    The methods are ranked within (image, rater): 1 is the best, ties share the mean of their ranks. Ranks compare only
    where there are equally many, so only blocks count in which the rater has rated all of the data set's methods.
    The interval is the two-way bootstrap's, over raters and images (Owen 2007, "The pigeonhole bootstrap").

    Returns:
        dataset, method, rank, low, high (NaN with fewer than two raters or images), n (blocks ranked), left_out (blocks
        that lack a method, and so do not count).
    """
    parts = []
    for cube in score_cubes(ratings):
        rated = ~np.isnan(cube.values)
        complete = rated.all(0)
        n = complete.sum()
        ranks = _ranks(cube, complete)
        low, high = _rank_interval(ranks, complete, seed)
        columns = {
            "dataset": cube.dataset,
            "method": cube.methods,
            "rank": ranks.sum((1, 2)) / n if n else np.nan,
            "low": low,
            "high": high,
            "n": n,
            "left_out": rated.any(0).sum() - n,
        }
        parts.append(pd.DataFrame(columns))
    types = {"dataset": str, "method": str, "rank": float, "low": float, "high": float, "n": int, "left_out": int}
    return _stacked(parts, types)


def _interval(values: np.ndarray, interval: str, seed: int) -> Interval:
    match interval:
        case "raters":
            return raters_interval(values)
        case "raters+images":
            return raters_images_interval(values)
        case "bootstrap":
            return bootstrap_interval(values, seed)
        case "iid":
            return iid_interval(values)
    raise SRError(f"There is no interval {interval!r}: choose one of {', '.join(INTERVALS)}")


def _ranks(cube: ScoreCube, complete: np.ndarray) -> np.ndarray:
    """Ranks within (image, rater), of the cube's shape; zero outside the complete blocks."""
    ranks = np.zeros_like(cube.values)
    ranks[:, complete] = stats.rankdata(-cube.values[:, complete].T, axis=1).T
    return ranks


def _rank_interval(ranks: np.ndarray, complete: np.ndarray, seed: int) -> Interval:
    """ranks: (methods, raters, images), zero outside the complete blocks (raters, images)."""
    rng = np.random.default_rng(seed)
    raters = multiplicities(ranks.shape[1], RESAMPLES, rng)
    images = multiplicities(ranks.shape[2], RESAMPLES, rng)
    blocks = ((raters @ complete) * images).sum(-1)
    totals = ((raters @ ranks) * images).sum(-1)
    means = np.divide(totals, blocks, out=np.full(totals.shape, np.nan), where=blocks > 0)
    return percentile_interval(means, np.broadcast_to(two_way(complete), len(ranks)))


def _stacked(parts: list[pd.DataFrame], types: Mapping[str, type]) -> pd.DataFrame:
    table = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=list(types))
    return table[list(types)].astype(dict(types))
