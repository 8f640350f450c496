"""Mean opinion scores and warnings, against what can be worked out by hand."""

import math

import pandas as pd
import pytest

from mos_study.rater_warnings import rater_warnings
from mos_study.statistics import mos_table


def ratings(*rows: tuple) -> pd.DataFrame:
    """rows: rater, image, method, phase, score, and milliseconds (1000 without)."""
    columns = ["rater", "image", "method", "phase", "score", "visible_ms"]
    table = pd.DataFrame([(*row, 1000)[:6] for row in rows], columns=columns)
    return table.assign(dataset="Set5", repeat=(table["phase"] == "retest").astype(int))


def test_mos_and_interval_by_hand():
    """Raters' means 3, 5 and 4: mean 4, standard deviation 1, t(0.975, 2) = 4.3027, half-width 4.3027 / sqrt(3)."""
    table = mos_table(
        ratings(
            ("r1", "baby", "srgan", "main", 2),
            ("r1", "bird", "srgan", "main", 4),
            ("r2", "baby", "srgan", "main", 5),
            ("r3", "baby", "srgan", "main", 4),
            ("r3", "bird", "srgan", "main", 4),
            # None of these counts: practice, and the second showing of a stimulus.
            ("r1", "bird", "srgan", "calibration", 1),
            ("r2", "baby", "srgan", "retest", 1),
        )
    )
    (row,) = table.to_dict("records")
    assert (row["dataset"], row["method"]) == ("Set5", "srgan")
    assert (row["n"], row["raters"], row["images"]) == (5, 3, 2)
    assert row["mos"] == pytest.approx(4)
    assert row["low"] == pytest.approx(4 - 2.4841377, abs=1e-6)
    assert row["high"] == pytest.approx(4 + 2.4841377, abs=1e-6)


def test_a_row_for_each_method_and_no_interval_from_one_rater():
    table = mos_table(
        ratings(
            ("r1", "baby", "hr", "main", 5),
            ("r2", "baby", "hr", "main", 5),
            ("r1", "baby", "bicubic", "main", 2),
        )
    ).set_index("method")
    assert table.loc["hr", ["mos", "low", "high"]].tolist() == [5, 5, 5]
    assert table.loc["bicubic", "mos"] == 2
    assert math.isnan(table.loc["bicubic", "low"])
    assert math.isnan(table.loc["bicubic", "high"])


def test_without_ratings_the_table_is_empty():
    table = mos_table(ratings())
    assert list(table.columns) == ["dataset", "method", "mos", "low", "high", "n", "raters", "images"]
    assert table.empty


def test_warnings_name_the_careless_and_nobody_else():
    def sitting(rater: str, score, milliseconds: int) -> list[tuple]:
        return [(rater, f"image{n}", "srgan", "main", score(n), milliseconds) for n in range(20)]

    varied = [1, 3, 5, 2]
    table = ratings(
        *sitting("careful", lambda n: varied[n % 4], 1500),
        *sitting("same", lambda n: 3, 1500),
        *sitting("fast", lambda n: varied[n % 4], 200),
        *sitting("lost", lambda n: varied[n % 4], 1500),
        ("careful", "beacon", "hr", "calibration", 4),
        ("careful", "beacon", "nearest", "calibration", 1),
        ("lost", "beacon", "hr", "calibration", 2),
        ("lost", "beacon", "nearest", "calibration", 2),
        ("new", "image1", "srgan", "main", 3, 100),  # too few to say anything
    )
    assert rater_warnings(table, {"nearest": 1, "hr": 5}) == {
        "same": ["always the same score: 100% of 20 ratings are 3"],
        "fast": ["too fast: 100% of 20 ratings within 0.6 s"],
        "lost": ["calibration missed: rated hr as 2 in practice"],
    }
