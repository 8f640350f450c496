"""Tests of pairs of methods, and of all at once: worked by hand, published, and against scipy and plain resampling."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from mos_study.statistics.intervals import RESAMPLES, multiplicities
from mos_study.statistics.omnibus import friedman_table, nemenyi_table
from mos_study.statistics.pairs import UNITS, ZEROS, pair_table
from sr.errors import SRError


def ratings(scores: dict[str, np.ndarray | list], dataset: str = "Set5") -> pd.DataFrame:
    """scores: per method, a row per rater and a column per image; NaN where not rated."""
    rows = [
        (f"r{rater:02}", f"image{image:02}", method, score)
        for method, values in scores.items()
        for (rater, image), score in np.ndenumerate(np.array(values, float))
        if not np.isnan(score)
    ]
    table = pd.DataFrame(rows, columns=["rater", "image", "method", "score"])
    return table.assign(dataset=dataset, phase="main", repeat=0)


def random_scores(seed: int, raters: int, images: int, methods: str = "ab", missing: float = 0.0) -> dict:
    rng = np.random.default_rng(seed)
    scores = {method: rng.integers(1, 6, (raters, images)).astype(float) for method in methods}
    for values in scores.values():
        values[rng.random(values.shape) < missing] = np.nan
    return scores


def biserial(differences: np.ndarray, zeros: str) -> float:
    """Kerby's formula, word for word."""
    if zeros == "wilcox":
        differences = differences[differences != 0]
    ranks = stats.rankdata(np.abs(differences))
    plus, minus = ranks[differences > 0].sum(), ranks[differences < 0].sum()
    total = ranks.sum() if zeros == "zsplit" else plus + minus
    return (plus - minus) / total if total else 0.0


def test_darwins_maize():
    """Fisher (1935), The Design of Experiments, chapter 3; the test's figures are in the manual of scipy's wilcoxon."""
    differences = np.array([[6, 8, 14, 16, 23, 24, 28, 29, 41, -48, 49, 56, 60, -67, 75]])
    (pair,) = pair_table(ratings({"a": differences, "b": np.zeros((1, 15))})).to_dict("records")
    assert (pair["a"], pair["b"], pair["n"], pair["left_out"]) == ("a", "b", 15, 0)
    assert pair["statistic"] == 24
    assert pair["p"] == pytest.approx(0.041259765625)
    assert pair["effect"] == pytest.approx((96 - 24) / 120)
    assert pair["verdict"] == "a is rated higher than b"


@pytest.mark.parametrize(
    ("zeros", "statistic", "effect"),
    [
        ("pratt", 4, (5 - 4) / 9),  # ranks 1 (dropped), 2.5, 2.5, -4
        ("wilcox", 3, 0),  # ranks 1.5, 1.5, -3
        ("zsplit", 4.5, (5.5 - 4.5) / 10),  # ranks 1 (half to either side), 2.5, 2.5, -4
    ],
)
def test_zeros_by_hand(zeros, statistic, effect):
    table = pair_table(ratings({"a": [[3, 4, 4, 2]], "b": [[3, 3, 3, 4]]}), zeros=zeros)
    assert table.loc[0, ["statistic", "effect"]].tolist() == pytest.approx([statistic, effect])
    assert table.loc[0, "n"] == 4
    assert table.loc[0, "difference"] == 0


@pytest.mark.parametrize("zeros", ZEROS)
@pytest.mark.parametrize("n", [2, 7, 14, 51])
def test_p_is_that_of_scipy(zeros, n):
    scores = random_scores(n, 1, n)
    differences = (scores["a"] - scores["b"])[0]
    expected = stats.wilcoxon(differences, zero_method=zeros)
    (pair,) = pair_table(ratings(scores), zeros=zeros).to_dict("records")
    assert pair["statistic"] == pytest.approx(expected.statistic)
    assert pair["p"] == pytest.approx(expected.pvalue)
    assert pair["effect"] == pytest.approx(biserial(differences, zeros))


def test_units_by_hand():
    """Rater 0 differs by 2, 0 and -; rater 1 by 1, - and 1; rater 2 has rated nothing but one image of b."""
    nan = np.nan
    table = ratings(
        {
            "a": [[5, 3, 4], [4, 2, 3], [nan, nan, nan]],
            "b": [[3, 3, nan], [3, nan, 2], [1, nan, nan]],
        }
    )
    found = {unit: pair_table(table, unit).loc[0] for unit in UNITS}
    assert {unit: (pair["n"], pair["left_out"]) for unit, pair in found.items()} == {
        "rating": (4, 3),
        "image": (3, 0),
        "rater": (2, 1),
    }
    assert found["rating"]["difference"] == pytest.approx((2 + 0 + 1 + 1) / 4)
    assert found["image"]["difference"] == pytest.approx((1.5 + 0 + 1) / 3)
    assert found["rater"]["difference"] == pytest.approx((1 + 1) / 2)
    assert [found[unit]["unit"] for unit in UNITS] == list(UNITS)
    # Ranks, zero dropped after Pratt: 2.5, 2.5, 4 of ratings; 2, 3 of images; 1.5, 1.5 of raters: none is negative.
    assert {unit: pair["effect"] for unit, pair in found.items()} == dict.fromkeys(UNITS, 1)


@pytest.mark.parametrize(("unit", "zeros"), list(product(UNITS, ZEROS)))
def test_intervals_are_those_of_raters_and_images_drawn_anew(unit, zeros):
    """So many ratings are missing that some draws have none; they do not count."""
    scores = random_scores(7, 6, 5, missing=0.5)
    differences = scores["a"] - scores["b"]
    rng = np.random.default_rng(11)
    raters, images = multiplicities(6, RESAMPLES, rng), multiplicities(5, RESAMPLES, rng)
    effects = []
    for of_raters, of_images in zip(raters.astype(int), images.astype(int), strict=True):
        drawn = np.repeat(np.repeat(differences, of_raters, axis=0), of_images, axis=1)
        if unit != "rating":
            drawn = pd.DataFrame(drawn).mean(axis=0 if unit == "image" else 1).round(9).to_numpy()
        known = drawn[~np.isnan(drawn)]
        if len(known):
            effects.append(biserial(known, zeros))
    assert 900 < len(effects) < RESAMPLES

    (pair,) = pair_table(ratings(scores), unit, zeros, seed=11).to_dict("records")
    assert pair["effect_low"] < pair["effect"] < pair["effect_high"]
    ends = pair["effect_low"], pair["effect_high"]
    assert ends == pytest.approx(tuple(np.quantile(effects, (0.025, 0.975))), abs=1e-9)


def test_the_interval_reaches_to_an_effect_at_the_end_of_the_scale():
    """Images drawn anew scatter raters' means so much that hardly a draw is as clear as the ratings themselves."""
    rng = np.random.default_rng(1)
    b = rng.integers(1, 5, (300, 20))
    a = b + rng.integers(-1, 2, b.shape) + (rng.random(b.shape) < 0.4)
    pair = pair_table(ratings({"a": a, "b": b}), "rater").loc[0]
    assert 0.9 < pair["effect"] < 1
    assert pair["effect_low"] < 0.9
    assert pair["effect_high"] == pair["effect"]


def test_no_interval_from_one_rater_or_one_image():
    for shape in ((1, 20), (20, 1)):
        pair = pair_table(ratings(random_scores(1, *shape))).loc[0]
        assert pair[["effect_low", "effect_high"]].isna().all()
        assert not np.isnan(pair["effect"])


def test_the_seed_decides_on_intervals_alone():
    table = ratings(random_scores(2, 8, 6))
    first, other = pair_table(table, seed=0), pair_table(table, seed=1)
    pd.testing.assert_frame_equal(first, pair_table(table))
    ends = ["effect_low", "effect_high"]
    assert not first[ends].equals(other[ends])
    pd.testing.assert_frame_equal(first.drop(columns=ends), other.drop(columns=ends))


def test_swapped_names_swap_the_direction_alone():
    scores = random_scores(3, 8, 6)
    for unit in UNITS:
        pair = pair_table(ratings(scores), unit).loc[0]
        swapped = pair_table(ratings({"a": scores["b"], "b": scores["a"]}), unit).loc[0]
        assert swapped[["statistic", "p"]].tolist() == pair[["statistic", "p"]].tolist()
        turned = swapped[["difference", "effect", "effect_high", "effect_low"]].to_numpy(float)
        np.testing.assert_allclose(-turned, pair[["difference", "effect", "effect_low", "effect_high"]].to_numpy(float))


@pytest.mark.parametrize("unit", UNITS)
def test_biases_of_raters_change_nothing(unit):
    """They cancel in differences, up to rounding that must not break ties."""
    table = ratings(random_scores(5, 9, 7, "abc", missing=0.2))
    biases = dict(zip(sorted(table["rater"].unique()), np.random.default_rng(0).normal(0, 0.4, 9), strict=True))
    shifted = table.assign(score=table["score"] - table["rater"].map(biases))
    pd.testing.assert_frame_equal(pair_table(shifted, unit), pair_table(table, unit))


def test_holm_by_hand():
    """The least p times the number of pairs, the next times one fewer, and so on; never less than the one before."""
    scores = random_scores(6, 10, 8, "abcd")
    scores["d"] = np.minimum(scores["d"] + 1, 5)
    table = pd.concat([ratings(scores), ratings(random_scores(7, 4, 4), "Set14")])
    found = pair_table(table)
    assert found["dataset"].tolist() == ["Set14", *["Set5"] * 6]
    assert found.loc[0, "p_holm"] == found.loc[0, "p"]
    of_set5 = found[1:].sort_values("p")
    stepped = np.maximum.accumulate(of_set5["p"].to_numpy() * np.arange(6, 0, -1)).clip(max=1)
    np.testing.assert_allclose(of_set5["p_holm"], stepped)
    assert 0 < (found["p"] < 0.05).sum() < 7


def test_verdicts():
    """a - b is 1 for six raters, p = 2 / 2^6; three pairs make it 0.094. c is once above a and once below."""
    a = np.array([[3], [4], [3], [4], [3], [4]])
    c = a + np.array([[1], [-1]] * 3)
    table = pair_table(ratings({"a": a, "b": a - 1, "c": c}))
    assert table.set_index(["a", "b"])["p"].to_dict() == {
        ("a", "b"): pytest.approx(1 / 32),
        ("a", "c"): 1,
        ("b", "c"): pytest.approx(1 / 4),
    }
    assert table["verdict"].tolist() == [
        "no difference found after Holm's correction; without it, a is rated higher than b",
        "no difference found",
        "no difference found",
    ]
    assert pair_table(ratings({"a": a - 1, "b": a})).loc[0, "verdict"] == "b is rated higher than a"


@pytest.mark.parametrize("zeros", ZEROS)
@pytest.mark.parametrize("n", [1, 30])
def test_without_any_difference_p_is_1(n, zeros):
    scores = random_scores(8, n, 2)["a"]
    for unit in ("rating", "rater"):
        pair = pair_table(ratings({"a": scores, "b": scores}), unit, zeros).loc[0]
        assert pair[["p", "p_holm", "effect", "difference"]].tolist() == [1, 1, 0, 0]
        assert pair["verdict"] == "no difference found"


def test_methods_never_rated_together_are_said_to_be():
    scores = random_scores(9, 6, 6, "abc")
    scores["a"][:3], scores["b"][3:] = np.nan, np.nan
    table = pair_table(ratings(scores)).set_index(["a", "b"])
    apart = table.loc[("a", "b")]
    assert (apart["n"], apart["left_out"], apart["verdict"]) == (0, 36, "never rated together")
    numbers = ["difference", "statistic", "p", "p_holm", "effect", "effect_low", "effect_high"]
    assert apart[numbers].isna().all()
    others = table.drop(index=("a", "b"))
    assert others["n"].tolist() == [18, 18]
    assert others["p_holm"].max() == min(1, max(others["p"].max(), 2 * others["p"].min()))


def test_only_the_main_part_counts_and_categories_are_as_strings():
    table = ratings(random_scores(10, 5, 5, "abc"))
    practice = table.assign(phase="calibration", dataset="<calibration>", score=1)
    again = table[:4].assign(phase="retest", repeat=1, score=1)
    every = pd.concat([table, practice, again])
    every = every.astype(dict.fromkeys(["rater", "dataset", "image", "method", "phase"], "category"))
    for made in (pair_table, friedman_table, nemenyi_table):
        pd.testing.assert_frame_equal(made(every), made(table))


def test_without_pairs_there_are_columns_and_no_row():
    for scores in ({}, {"a": [[1, 2]]}):
        for made, columns in ((pair_table, 14), (friedman_table, 7), (nemenyi_table, 6)):
            assert made(ratings(scores)).shape == (0, columns)


def test_unknown_choices_name_the_known():
    table = ratings(random_scores(0, 2, 2, "abc"))
    with pytest.raises(SRError, match="no pairing unit 'method': choose one of rating, image, rater"):
        pair_table(table, "method")
    with pytest.raises(SRError, match="no pairing unit 'method': choose one of rating, image, rater"):
        friedman_table(table, "method")
    with pytest.raises(SRError, match="no way with zeros 'drop': choose one of pratt, wilcox, zsplit"):
        pair_table(table, zeros="drop")


# Demšar (2006), "Statistical comparisons of classifiers over multiple data sets", table 6: AUC of C4.5, C4.5+m, C4.5+cf
# and C4.5+m+cf, here the methods, on 14 data sets, here the raters. On the last but one (voting) the table's ranks tell
# the last two methods apart, its three decimals do not: hence .9751.
DEMSAR = """
.763 .768 .771 .798   .599 .591 .590 .569   .954 .971 .968 .967   .628 .661 .654 .657   .882 .888 .886 .898
.936 .931 .916 .931   .661 .668 .609 .685   .583 .583 .563 .625   .775 .838 .866 .875   1    1    1    1
.940 .962 .965 .962   .619 .666 .614 .669   .972 .981 .9751 .975   .957 .978 .946 .970
"""


def test_demsars_example():
    """Section 3.2.2: average ranks 3.143, 2.000, 2.893, 1.964; critical differences 1.25 (p = .05) and 1.12 (.10)."""
    values = np.array(DEMSAR.split(), float).reshape(14, 4)
    table = ratings({name: values[:, [i]] for i, name in enumerate(("c45", "c45+m", "c45+cf", "c45+m+cf"))})
    pairs = nemenyi_table(table)
    ranks = dict(zip(pairs["a"], pairs["rank_a"], strict=True)) | dict(zip(pairs["b"], pairs["rank_b"], strict=True))
    expected = {"c45": 3.143, "c45+m": 2.000, "c45+cf": 2.893, "c45+m+cf": 1.964}
    assert ranks == pytest.approx(expected, abs=5e-4)

    found = pairs.set_index(["a", "b"])["p"]
    assert 0.05 < found["c45", "c45+m"] < 0.10  # 1.143 apart
    assert 0.05 < found["c45", "c45+m+cf"] < 0.10  # 1.179 apart
    assert found.drop([("c45", "c45+m"), ("c45", "c45+m+cf")]).min() > 0.10

    (overall,) = friedman_table(table).to_dict("records")
    assert (overall["methods"], overall["n"], overall["left_out"]) == (4, 14, 0)
    # The paper's 9.28 is without the correction for ties.
    counts = [np.unique(row, return_counts=True)[1] for row in values]
    ties = sum((count**3 - count).sum() for count in counts)
    assert overall["statistic"] * (1 - ties / (14 * (4**3 - 4))) == pytest.approx(9.28, abs=0.01)


@pytest.mark.parametrize("unit", UNITS)
def test_friedman_is_that_of_scipy_on_complete_blocks(unit):
    scores = random_scores(12, 9, 8, "abcd", missing=0.1)
    scores["a"][0] = np.nan  # no complete block of rater 0
    values = np.stack(list(scores.values()))
    complete = ~np.isnan(values).any(axis=0)
    used = np.where(complete, values, np.nan)
    blocks, units = {
        "rating": (values[:, complete], 72),
        "image": (np.nanmean(used, axis=1), 8),
        "rater": (np.nanmean(used[:, 1:], axis=2), 9),
    }[unit]
    expected = stats.friedmanchisquare(*blocks)
    (row,) = friedman_table(ratings(scores), unit).to_dict("records")
    assert (row["n"], row["left_out"]) == (blocks.shape[1], units - blocks.shape[1])
    assert (row["statistic"], row["p"]) == pytest.approx((expected.statistic, expected.pvalue))


def test_friedman_where_nothing_differs_or_nothing_is_complete():
    same = random_scores(13, 4, 4)["a"]
    (row,) = friedman_table(ratings(dict.fromkeys("abc", same))).to_dict("records")
    assert (row["statistic"], row["p"]) == (0, 1)

    scores = random_scores(13, 4, 4, "abc")
    scores["a"][:2], scores["b"][2:] = np.nan, np.nan
    (row,) = friedman_table(ratings(scores)).to_dict("records")
    assert (row["n"], row["left_out"]) == (0, 16)
    assert np.isnan([row["statistic"], row["p"]]).all()
    assert nemenyi_table(ratings(scores))[["rank_a", "rank_b", "p"]].isna().all(axis=None)
