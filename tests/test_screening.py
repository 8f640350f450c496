"""The rules that find careless raters, each on ratings made for it."""

import numpy as np
import pandas as pd
import pytest

from mos_study.statistics.screening import (
    RULES,
    Flag,
    bt500,
    calibration_failed,
    constant,
    retest_disagreement,
    screen,
    too_fast,
    without,
)


def table(scores: np.ndarray, phase: str = "main", dataset: str = "Set5", method: str = "srgan") -> pd.DataFrame:
    """A row per rating of a matrix with a row per image and a column per rater (r00, r01, ...); NaN is none."""
    rows = [
        (f"r{rater:02}", dataset, f"image{image:03}", method, phase, int(phase == "retest"), score)
        for (image, rater), score in np.ndenumerate(scores)
        if not np.isnan(score)
    ]
    return pd.DataFrame(rows, columns=["rater", "dataset", "image", "method", "phase", "repeat", "score"])


def flagged(flags: list[Flag]) -> list[str]:
    return [flag.rater for flag in flags]


def around(raters: int, images: int) -> np.ndarray:
    """Scores 2, 3 and 4 in turn, so that each image has the same: mean 3, kurtosis 1.5 or a little more."""
    return 2.0 + (np.arange(images)[:, None] + np.arange(raters)) % 3


def erratic(images: int) -> np.ndarray:
    """16 raters between 2 and 4 (r00 to r15), and one who is at the ends of the scale by turns (r16)."""
    ends = np.where(np.arange(images) % 2, 5.0, 1.0)[:, None]
    return np.column_stack([np.tile([2.0] * 4 + [3.0] * 8 + [4.0] * 4, (images, 1)), ends])


def test_bt500_by_hand():
    """Scores 2 x 4, 3 x 8, 4 x 4 and 5 or 1: second moment 0.692, fourth 1.248, so the kurtosis is 2.61.

    Twice the standard deviation, 0.857, is 1.715. The score 5 or 1 is 1.882 from the mean, no other more than 1.118.
    """
    (flag,) = bt500(table(erratic(20)))
    assert (flag.rater, flag.rule) == ("r16", "bt500")
    assert "100.0% of 20 ratings" in flag.reason
    assert "10 above and 10 below" in flag.reason


def test_bt500_keeps_whom_it_finds_to_one_side():
    """|P - Q| / (P + Q): 14 above and 6 below are 0.4, which is a shifted scale; 12 and 8 are 0.2."""
    scores = erratic(20)
    scores[:, 16] = np.where(np.arange(20) < 14, 5, 1)
    assert bt500(table(scores)) == []
    scores[:, 16] = np.where(np.arange(20) < 12, 5, 1)
    assert flagged(bt500(table(scores))) == ["r16"]


@pytest.mark.parametrize(("images", "found"), [(40, []), (39, ["r16"])])
def test_bt500_rejects_above_five_percent_only(images: int, found: list[str]):
    """Two of 40 ratings are 5 %, which is not more; two of 39 are."""
    scores = erratic(images)
    scores[2:, 16] = 3
    assert flagged(bt500(table(scores))) == found


def test_bt500_has_wider_limits_where_scores_are_not_normal():
    """102 scores of 3, a 1 and a 5 have a kurtosis of 52: limits are sqrt(20) * 0.279 = 1.25 from the mean.

    So 1 and 5 are outside. With a 2 and a 4 besides, they are inside, though twice the standard deviation is 0.62.
    """
    images = 20
    scores = np.full((images, 104), 3.0)
    scores[:, 100] = np.where(np.arange(images) % 2, 5, 1)
    scores[:, 101] = 6 - scores[:, 100]
    assert flagged(bt500(table(scores))) == ["r100", "r101"]
    scores[:, 102] = np.where(np.arange(images) % 2, 4, 2)
    scores[:, 103] = 6 - scores[:, 102]
    assert flagged(bt500(table(scores))) == ["r100", "r101"]


def test_bt500_takes_the_standard_deviation_of_a_sample():
    """1 x 4, 2 and 4 have a kurtosis of 3.4; the 4 is 2.33 from the mean.

    That is inside of twice the standard deviation of a sample (2.42), but not of twice the root mean square (2.21).
    """
    scores = np.tile([1.0, 1, 1, 1, 2, 4], (20, 1))
    scores[1::2] = 6 - scores[1::2]
    assert bt500(table(scores)) == []


def test_bt500_keeps_everybody_where_all_agree():
    """A limit at the mean itself would reject all: at or above, at or below, on both sides alike."""
    unanimous = np.tile([[1.0], [5.0]], (10, 8))
    assert bt500(table(unanimous)) == []
    # Fractions whose mean is not met exactly.
    assert bt500(table(unanimous + 0.1)) == []


def test_bt500_finds_the_same_among_images_on_which_all_agree():
    both = np.vstack([erratic(20), np.ones((20, 17))])
    (flag,) = bt500(table(both))
    assert "50.0% of 40 ratings" in flag.reason


def test_bt500_counts_the_ratings_that_there_are():
    """The erratic has rated 15 of 40 images; of all 40, his 2 outside would not be more than 5 %."""
    scores = erratic(40)
    scores[2:15, 16] = 3
    scores[15:, 16] = np.nan
    (flag,) = bt500(table(scores))
    assert "13.3% of 15 ratings" in flag.reason
    assert "1 above and 1 below" in flag.reason


def test_bt500_looks_at_the_main_part_of_all_data_sets():
    parts = [table(erratic(10)), table(erratic(10), dataset="Set14"), table(around(17, 30), "retest")]
    (flag,) = bt500(pd.concat(parts))
    assert "100.0% of 20 ratings" in flag.reason


def test_calibration():
    practice = pd.concat(
        [
            table(np.array([[1.0, 3, 2]]), "calibration", "<calibration>", "nearest"),
            table(np.array([[5.0, 3, 4]]), "calibration", "<calibration>", "hr"),
        ]
    )
    (flag,) = calibration_failed(practice)
    assert flag == Flag("r01", "calibration", "calibration missed: rated nearest as 3, hr as 3 in practice")
    assert flagged(calibration_failed(practice, {"nearest": 3, "hr": 5})) == ["r00", "r01"]
    # A method without a known score says nothing.
    assert calibration_failed(practice, {"bicubic": 1}) == []


def test_always_the_same_score():
    scores = around(4, 40)
    scores[:, 1] = 4
    scores[:, 2] = np.where(np.arange(40) < 38, 2, 5)  # 95 %
    scores[:, 3] = np.where(np.arange(40) < 37, 2, 5)
    flags = constant(table(scores))
    assert [(flag.rater, flag.reason) for flag in flags] == [
        ("r01", "always the same score: 100% of 40 ratings are 4"),
        ("r02", "always the same score: 95% of 40 ratings are 2"),
    ]
    assert constant(table(np.full((9, 1), 3.0))) == []  # too few ratings


def test_too_fast():
    ratings = table(around(4, 20))
    number, rater = ratings.groupby("rater").cumcount(), ratings["rater"]
    ratings["visible_ms"] = 1500.0
    ratings.loc[(rater == "r01") & (number < 5), "visible_ms"] = 599
    ratings.loc[(rater == "r02") & (number < 4), "visible_ms"] = 599  # 20 %: not more
    ratings.loc[(rater == "r03") & (number >= 9), "visible_ms"] = None  # too few times are known
    ratings.loc[(rater == "r03") & (number < 9), "visible_ms"] = 1
    assert too_fast(ratings) == [Flag("r01", "fast", "too fast: 25% of 20 ratings within 0.6 s")]
    assert too_fast(ratings.drop(columns="visible_ms")) == []


def test_retest_disagreement():
    first = around(4, 12)
    again = first.copy()
    again[:4, 1] += np.where(first[:4, 1] < 3, 2, -2)
    again[:3, 2] += np.where(first[:3, 2] < 3, 2, -2)
    again[:, 3] += np.where(first[:, 3] < 3, 1, -1)
    (flag,) = retest_disagreement(pd.concat([table(first), table(again, "retest")]))
    assert (flag.rater, flag.rule) == ("r01", "retest")
    assert flag.reason.startswith("contradicts the first rating: 4 of 12 pictures")
    few = pd.concat([table(first), table(again[:9], "retest")])
    assert retest_disagreement(few) == []


def test_retest_tells_random_raters_from_honest_ones():
    """Honest: noise of 0.7 grades. Random: scores drawn without looking. 50 raters of each, 30 pictures shown again."""
    rng = np.random.default_rng(0)
    quality = rng.uniform(1.5, 4.5, (30, 1))
    honest = [np.clip(np.rint(quality + rng.normal(0, 0.7, (30, 50))), 1, 5) for _ in range(2)]
    random = [rng.integers(1, 6, (30, 50)).astype(float) for _ in range(2)]
    first, again = (np.column_stack(both) for both in zip(honest, random, strict=True))
    found = flagged(retest_disagreement(pd.concat([table(first), table(again, "retest")])))
    assert sum(rater < "r50" for rater in found) <= 1
    assert sum(rater >= "r50" for rater in found) >= 45


@pytest.mark.parametrize("kind", ["str", "category"])
def test_screen_names_the_rule_and_changes_nothing(kind: str):
    scores = np.column_stack([around(16, 20), np.full(20, 3.0)])
    practice = table(np.array([[1.0, 5.0]]), "calibration", "<calibration>", "nearest")
    columns = dict.fromkeys(("rater", "dataset", "image", "method", "phase"), kind)
    ratings = pd.concat([table(scores), practice]).astype(columns)
    before = ratings.copy()
    flags = screen(ratings)
    assert [(flag.rater, flag.rule) for flag in flags] == [("r01", "calibration"), ("r16", "constant")]
    assert {flag.rule for flag in flags} <= set(RULES)
    assert flagged(screen(ratings, ["constant", "fast"])) == ["r16"]
    kept = without(ratings, flags)
    assert sorted(kept["rater"].unique()) == sorted({f"r{n:02}" for n in range(16)} - {"r01"})
    pd.testing.assert_frame_equal(ratings, before)
    pd.testing.assert_frame_equal(without(ratings, []), before)


def test_nothing_to_screen():
    assert screen(table(np.empty((0, 0))).assign(visible_ms=[])) == []
