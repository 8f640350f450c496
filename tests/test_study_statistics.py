"""Mean opinion scores, ranks and warnings, against what can be worked out by hand."""

import math

import numpy as np
import pandas as pd
import pytest

from mos_study.rater_warnings import rater_warnings
from mos_study.statistics.mos import INTERVALS, image_table, mos_table, rank_table, score_counts
from sr.errors import SRError


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


@pytest.mark.parametrize(
    ("table", "columns"),
    [
        (mos_table, ["dataset", "method", "mos", "low", "high", "n", "raters", "images"]),
        (image_table, ["dataset", "image", "method", "mos", "sd", "n"]),
        (score_counts, ["dataset", "method", "score", "n"]),
        (rank_table, ["dataset", "method", "rank", "low", "high", "n", "left_out"]),
    ],
)
def test_without_ratings_the_table_is_empty(table, columns):
    made = table(ratings())
    assert list(made.columns) == columns
    assert made.empty


def test_an_interval_for_each_choice():
    """Raters' means 2, 2 and 3.5, images' means 2 and 3; see tests/test_intervals.py for the figures."""
    table = ratings(
        *(
            (f"r{rater}", f"image{image}", "srgan", "main", score)
            for rater, scores in enumerate([(1, 3), (2, 2), (3, 4)])
            for image, score in enumerate(scores)
        )
    )
    ends = {name: mos_table(table, name).loc[0, ["low", "high"]].to_numpy(float) for name in INTERVALS}
    assert all(low < 2.5 < high for low, high in ends.values())
    widths = {name: high - low for name, (low, high) in ends.items()}
    assert widths["raters"] == pytest.approx(2 * 4.3026527 * math.sqrt(1.5 / 6))
    assert widths["raters+images"] > widths["raters"] > widths["iid"]
    assert widths["iid"] == pytest.approx(2 * 1.959964 * math.sqrt(1.1 / 6))
    with pytest.raises(SRError, match="no interval 'normal': choose one of raters, raters\\+images, bootstrap, iid"):
        mos_table(table, "normal")


def test_categories_give_the_same_tables_as_strings():
    plain = random_ratings()
    names = ["rater", "dataset", "image", "method", "phase"]
    categories = plain.astype(dict.fromkeys(names, "category"))
    categories = categories.assign(method=categories["method"].cat.add_categories("never rated"))
    for table in (mos_table, image_table, score_counts, rank_table):
        pd.testing.assert_frame_equal(table(categories), table(plain))


def test_every_stimulus_has_its_mean_and_spread():
    table = image_table(
        ratings(
            ("r1", "baby", "srgan", "main", 2),
            ("r2", "baby", "srgan", "main", 5),
            ("r3", "baby", "srgan", "main", 5),
            ("r1", "baby", "hr", "main", 5),
            ("r1", "bird", "srgan", "main", 3),
            ("r1", "bird", "srgan", "retest", 1),
        )
    )
    assert table[["image", "method", "mos", "n"]].to_numpy().tolist() == [
        ["baby", "hr", 5, 1],
        ["baby", "srgan", 4, 3],
        ["bird", "srgan", 3, 1],
    ]
    assert table["sd"].tolist() == pytest.approx([math.nan, math.sqrt(3), math.nan], nan_ok=True)


def test_scores_never_given_are_counted_as_well():
    table = ratings(
        ("r1", "baby", "srgan", "main", 2),
        ("r2", "baby", "srgan", "main", 5),
        ("r1", "bird", "srgan", "main", 5),
        ("r1", "bird", "hr", "main", 4),
        ("r1", "bird", "hr", "calibration", 5),
    )
    counts = score_counts(table).set_index(["method", "score"])["n"]
    assert counts["hr"].to_dict() == {1: 0, 2: 0, 3: 0, 4: 1, 5: 0}
    assert counts["srgan"].to_dict() == {1: 0, 2: 1, 3: 0, 4: 0, 5: 2}
    # Without the raters' bias: 2.7 is nearest to 3, and 5.7 to 5.
    shifted = score_counts(table.assign(score=table["score"] + 0.7)).set_index(["method", "score"])["n"]
    assert shifted["srgan"].to_dict() == {1: 0, 2: 0, 3: 1, 4: 0, 5: 2}


def test_ranks_are_within_a_rater_and_an_image():
    """Ranks 3 2 1, then 2.5 2.5 1, then 2 2 2; the last block lacks a method."""
    methods = ("bicubic", "srcnn", "srgan")
    blocks = {
        ("r1", "baby"): (1, 3, 5),
        ("r1", "bird"): (2, 2, 5),
        ("r2", "baby"): (1, 1, 1),
        ("r2", "bird"): (3, 4),
    }
    table = rank_table(
        ratings(
            *(
                (*block, method, "main", score)
                for block, scores in blocks.items()
                for method, score in zip(methods, scores, strict=False)
            )
        )
    )
    assert table["method"].tolist() == list(methods)
    assert table["rank"].tolist() == pytest.approx([2.5, 6.5 / 3, 4 / 3])
    assert table["n"].tolist() == [3, 3, 3]
    assert table["left_out"].tolist() == [1, 1, 1]


def test_methods_never_rated_together_have_no_rank():
    table = rank_table(ratings(("r1", "baby", "hr", "main", 5), ("r2", "baby", "srgan", "main", 4)))
    assert table[["n", "left_out"]].to_numpy().tolist() == [[0, 2], [0, 2]]
    assert table[["rank", "low", "high"]].isna().all(axis=None)


def test_intervals_of_ranks_are_those_of_raters_and_images_drawn_anew():
    table = random_ratings()
    found = rank_table(table)
    pd.testing.assert_frame_equal(found, rank_table(table, seed=0))
    assert not found.equals(rank_table(table, seed=1))

    blocks = table.pivot(index=["rater", "image"], columns="method", values="score")
    ranks = blocks.rank(axis=1, ascending=False).to_numpy().reshape(9, 7, 3)
    rng = np.random.default_rng(5)
    raters, images = rng.integers(9, size=(5000, 9, 1)), rng.integers(7, size=(5000, 1, 7))
    ends = np.quantile(ranks[raters, images].mean(axis=(1, 2)), (0.025, 0.975), axis=0)
    np.testing.assert_allclose(found[["low", "high"]].T, ends, atol=0.05)


def random_ratings() -> pd.DataFrame:
    """Nine raters, seven images, three methods."""
    rng = np.random.default_rng(3)
    return ratings(
        *(
            (f"r{rater}", f"image{image}", method, "main", score)
            for rater in range(9)
            for image in range(7)
            for method, score in zip(("a", "b", "c"), rng.integers(1, 6, 3), strict=True)
        )
    )


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
