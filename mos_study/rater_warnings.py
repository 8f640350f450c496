"""What makes a rater's ratings look careless. A warning excludes nobody; it says whom to ask."""

from collections.abc import Mapping

import pandas as pd

SAME_SCORE_SHARE = 0.95  # of a rater's ratings in the main part
TOO_FAST_MS = 600  # too short for a look and a decision
TOO_FAST_SHARE = 0.2  # of a rater's ratings in the main part
ENOUGH_RATINGS = 10  # fewer say nothing about a rater
FAR_FROM_SCALE = 2  # grades between a practice picture's rating and the score it was shown with


def rater_warnings(ratings: pd.DataFrame, calibration_scores: Mapping[str, int]) -> dict[str, list[str]]:
    """Sentences about the raters that need a look; a rater without any is not there.

    Args:
        ratings: the columns rater, method, phase, score, visible_ms.
        calibration_scores: the scores with which the calibration's pictures were shown, by method.
    """
    found = {}
    for rater, mine in ratings.groupby("rater"):
        practice = mine[mine["phase"] == "calibration"]
        rest = mine[mine["phase"] != "calibration"]
        sentences = [_calibration_missed(practice, calibration_scores)]
        if len(rest) >= ENOUGH_RATINGS:
            sentences += [_same_score(rest["score"]), _too_fast(rest["visible_ms"])]
        if sentences := [sentence for sentence in sentences if sentence]:
            found[str(rater)] = sentences
    return found


def _calibration_missed(practice: pd.DataFrame, scores: Mapping[str, int]) -> str:
    shown = practice["method"].map(dict(scores))
    far = practice[(practice["score"] - shown).abs() >= FAR_FROM_SCALE]
    if far.empty:
        return ""
    pairs = ", ".join(f"{method} as {score}" for method, score in zip(far["method"], far["score"], strict=True))
    return f"calibration missed: rated {pairs} in practice"


def _same_score(scores: pd.Series) -> str:
    counts = scores.value_counts()
    share = counts.iloc[0] / len(scores)
    if share < SAME_SCORE_SHARE:
        return ""
    return f"always the same score: {share:.0%} of {len(scores)} ratings are {counts.index[0]}"


def _too_fast(visible_ms: pd.Series) -> str:
    share = (visible_ms < TOO_FAST_MS).mean()
    if share <= TOO_FAST_SHARE:
        return ""
    return f"too fast: {share:.0%} of {len(visible_ms)} ratings within {TOO_FAST_MS / 1000:g} s"
