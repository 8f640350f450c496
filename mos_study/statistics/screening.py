"""Rules that find raters whose ratings may say little. Each names the rater and the reason; none removes anything."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mos_study.statistics.reliability import retest_pairs
from mos_study.statistics.subjects import stimulus_scores

BT500_OUTSIDE_SHARE = 0.05  # of a rater's ratings; more are too many
BT500_ONE_SIDED = 0.3  # less of them to one side is inconsistency, more is only a shifted scale
NO_SPREAD = 1e-9  # grades; below are rounding errors of scores that are fractions
CALIBRATION_SCORES: Mapping[str, int] = {"nearest": 1, "hr": 5}  # with which the calibration's pictures are shown
FAR_FROM_SCALE = 2  # grades between a practice picture's rating and the score it was shown with
SAME_SCORE_SHARE = 0.95  # of a rater's ratings without practice
TOO_FAST_MS = 600  # too short for a look and a decision
TOO_FAST_SHARE = 0.2  # of a rater's ratings without practice
ENOUGH_RATINGS = 10  # fewer say nothing about a rater; the same for pairs of ratings
FAR_FROM_FIRST = 2  # grades between the ratings of the two showings
FAR_FROM_FIRST_SHARE = 1 / 3  # of a rater's pairs; scores drawn at random differ so much in 12 of 25


@dataclass(frozen=True)
class Flag:
    """rule: the rule's name in `RULES`. reason: a sentence with the figures."""

    rater: str
    rule: str
    reason: str


def bt500(ratings: pd.DataFrame) -> list[Flag]:
    """Screening by kurtosis: ITU-R BT.500-13 (2012), Annex 2, section 2.3.1.

    For each stimulus of the main part the raters' scores have a mean, a standard deviation and a kurtosis; between 2
    and 4 the scores count as normal and the limits are 2 standard deviations from the mean, otherwise sqrt(20). A
    rater's P scores at or above the upper and Q at or below the lower limits reject him or her if P + Q is more than
    5 % of the ratings and |P - Q| / (P + Q) less than 0.3: far off, and not to one side.

    A stimulus on which all agree has no limits and adds nothing to P and Q. With P + Q = 0 a rater is kept. Ratings
    are those the rater has given, where not everybody has rated everything. The standard applies the rule once, not
    again to the remaining raters.
    """
    scores, raters = stimulus_scores(ratings)
    counts = (~np.isnan(scores)).sum(axis=1, keepdims=True)
    away = scores - np.nansum(scores, axis=1, keepdims=True) / counts
    second, fourth = (np.nansum(away**power, axis=1, keepdims=True) / counts for power in (2, 4))
    spread = np.sqrt(second) > NO_SPREAD
    deviation = np.sqrt(second * counts / np.where(counts > 1, counts - 1, np.nan))  # of a sample: ddof 1
    kurtosis = fourth / np.where(spread, second**2, np.nan)
    limit = np.where((kurtosis >= 2) & (kurtosis <= 4), 2, np.sqrt(20)) * np.where(spread, deviation, np.nan)
    above, below = (away >= limit).sum(axis=0), (away <= -limit).sum(axis=0)
    outside, rated = above + below, (~np.isnan(scores)).sum(axis=0)
    found = (outside > BT500_OUTSIDE_SHARE * rated) & (np.abs(above - below) < BT500_ONE_SIDED * outside)
    return [
        Flag(
            raters[place],
            "bt500",
            f"far from the other raters: {outside[place] / rated[place]:.1%} of {rated[place]} ratings outside the"
            f" limits of BT.500, {above[place]} above and {below[place]} below",
        )
        for place in np.flatnonzero(found)
    ]


def calibration_failed(ratings: pd.DataFrame, scores: Mapping[str, int] = CALIBRATION_SCORES) -> list[Flag]:
    """Raters who in practice rated a picture FAR_FROM_SCALE grades or more from the score it was shown with.

    scores: the scores with which the calibration's pictures are shown, by method.
    """
    practice = ratings[ratings["phase"] == "calibration"]
    shown = practice["method"].astype(str).map(dict(scores)).astype(float)
    far = practice[(practice["score"] - shown).abs() >= FAR_FROM_SCALE]
    flags = []
    for rater, rows in far.groupby("rater", observed=True):
        missed = ", ".join(f"{row.method} as {row.score:g}" for row in rows.itertuples())
        flags.append(Flag(str(rater), "calibration", f"calibration missed: rated {missed} in practice"))
    return flags


def constant(ratings: pd.DataFrame) -> list[Flag]:
    """Raters of whose ratings SAME_SCORE_SHARE or more are one score."""
    shown = _enough(ratings)
    counts = shown.groupby(["rater", "score"], observed=True).size().rename("n").reset_index()
    most = counts.sort_values("n", kind="stable").drop_duplicates("rater", keep="last").sort_values("rater")
    most = most.assign(total=most["rater"].map(counts.groupby("rater", observed=True)["n"].sum()))
    return [
        Flag(
            str(row.rater),
            "constant",
            f"always the same score: {row.n / row.total:.0%} of {row.total} ratings are {row.score:g}",
        )
        for row in most.itertuples()
        if row.n >= SAME_SCORE_SHARE * row.total
    ]


def too_fast(ratings: pd.DataFrame) -> list[Flag]:
    """Raters of whose ratings more than TOO_FAST_SHARE came in less than TOO_FAST_MS; nobody without `visible_ms`."""
    if "visible_ms" not in ratings:
        return []
    timed = _enough(ratings[ratings["visible_ms"].notna()])
    fast = (timed["visible_ms"] < TOO_FAST_MS).groupby(timed["rater"], observed=True).agg(["mean", "size"])
    return [
        Flag(
            str(row.Index),
            "fast",
            f"too fast: {row.mean:.0%} of {row.size} ratings within {TOO_FAST_MS / 1000:g} s",
        )
        for row in fast.itertuples()
        if row.mean > TOO_FAST_SHARE
    ]


def retest_disagreement(ratings: pd.DataFrame) -> list[Flag]:
    """Raters whose ratings of the two showings differ by FAR_FROM_FIRST grades or more in FAR_FROM_FIRST_SHARE of them.

    Of an artificial rater with a noise of 0.7 grades, about one pair in eight differs so much.
    """
    pairs = retest_pairs(ratings)
    far = (pairs["second"] - pairs["first"]).abs() >= FAR_FROM_FIRST - NO_SPREAD
    shares = far.groupby(pairs["rater"], observed=True).agg(["mean", "sum", "size"])
    return [
        Flag(
            str(row.Index),
            "retest",
            f"contradicts the first rating: {row.sum} of {row.size} pictures rated {FAR_FROM_FIRST} or more grades"
            " apart when shown again",
        )
        for row in shares.itertuples()
        if row.size >= ENOUGH_RATINGS and row.mean >= FAR_FROM_FIRST_SHARE
    ]


RULES: dict[str, Callable[[pd.DataFrame], list[Flag]]] = {
    "bt500": bt500,
    "calibration": calibration_failed,
    "constant": constant,
    "fast": too_fast,
    "retest": retest_disagreement,
}


def screen(ratings: pd.DataFrame, rules: Iterable[str] = tuple(RULES)) -> list[Flag]:
    """What the rules find, rule by rule. Their limits are for scores as given: screen before biases are removed."""
    return [flag for rule in rules for flag in RULES[rule](ratings)]


def without(ratings: pd.DataFrame, flags: Iterable[Flag]) -> pd.DataFrame:
    """The ratings of the raters without a flag; `ratings` stays as it is."""
    return ratings[~ratings["rater"].isin({flag.rater for flag in flags})]


def _enough(ratings: pd.DataFrame) -> pd.DataFrame:
    """The ratings without practice, of raters who have given ENOUGH_RATINGS."""
    shown = ratings[ratings["phase"] != "calibration"]
    counts = shown.groupby("rater", observed=True).size()
    return shown[shown["rater"].isin(counts.index[counts >= ENOUGH_RATINGS])]
