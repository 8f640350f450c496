"""Agreement of raters, against published examples, other packages and what made the scores."""

import math

import krippendorff
import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.inter_rater import cohens_kappa

from mos_study.statistics.components import bootstrapped_components, components
from mos_study.statistics.reliability import icc, krippendorff_alpha, reliability, retest, sos, sos_a

NONE = np.nan
# Shrout and Fleiss (1979), Table 2: six targets, four judges.
SHROUT_FLEISS = np.array([[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]], float)
# Krippendorff (2011), section C: twelve units, four observers.
KRIPPENDORFF = np.array(
    [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, NONE, NONE, NONE],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, NONE, 3],
        [NONE, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, NONE],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, NONE],
    ]
).T


def simulated(stimuli: int, raters: int, rng: np.random.Generator, share: float = 1.0) -> np.ndarray:
    """Variances 1 of stimuli, 0.25 of raters and 0.75 of the rest; an ICC(2,1) of 0.5."""
    scores = rng.normal(0, 1, (stimuli, 1)) + rng.normal(0, 0.5, raters)
    scores = scores + rng.normal(0, math.sqrt(0.75), scores.shape)
    return np.where(rng.random(scores.shape) < share, scores, NONE)


def table(rows: list[tuple]) -> pd.DataFrame:
    """rows: rater, dataset, image, method, phase, score."""
    ratings = pd.DataFrame(rows, columns=["rater", "dataset", "image", "method", "phase", "score"])
    return ratings.assign(repeat=(ratings["phase"] == "retest").astype(int))


def test_icc_of_shrout_and_fleiss():
    """Their Table 4 has .29 and .62; the intervals are those that R's package psych gives for the same data."""
    found = icc(SHROUT_FLEISS)
    assert round(found.icc2_1, 2) == 0.29
    assert round(found.icc2_k, 2) == 0.62
    assert found.icc2_1_ci == pytest.approx((0.019, 0.761), abs=5e-4)
    assert found.icc2_k_ci == pytest.approx((0.071, 0.927), abs=5e-4)
    assert (found.k, found.interval) == (4, "McGraw & Wong")


def test_components_are_those_of_the_analysis_of_variance():
    """Mean squares of Shrout and Fleiss's Table 3: targets 11.24, judges 32.49, residual 1.02."""
    found = components(SHROUT_FLEISS)
    assert found.residual == pytest.approx(1.02, abs=0.005)
    assert 4 * found.stimuli + found.residual == pytest.approx(11.24, abs=0.005)
    assert 6 * found.raters + found.residual == pytest.approx(32.49, abs=0.005)


def test_components_with_gaps_by_hand():
    """Half squared differences: (3 - 1)^2 / 2 of one stimulus, (5 - 1)^2 / 2 of one rater, (5 - 3)^2 / 2 of neither."""
    found = components(np.array([[1.0, 3.0], [5.0, NONE]]))
    assert (found.stimuli, found.raters, found.residual) == pytest.approx((0, -6, 8))


@pytest.mark.parametrize("share", [1.0, 0.3])
def test_components_are_unbiased(share: float):
    rng = np.random.default_rng(0)
    found = [components(simulated(30, 12, rng, share)) for _ in range(1000)]
    means = [np.mean([getattr(one, name) for one in found]) for name in ("stimuli", "raters", "residual")]
    assert means == pytest.approx([1, 0.25, 0.75], abs=0.04)


def test_a_resample_is_the_study_with_copies_that_are_no_pairs():
    """By the definition, pair by pair, for one resample that draws some twice and some never."""
    scores = simulated(5, 4, np.random.default_rng(1), share=0.8)
    found = bootstrapped_components(scores, np.random.default_rng(2), 1)
    again = np.random.default_rng(2)
    stimuli, raters = (np.repeat(range(n), again.multinomial(n, np.full(n, 1 / n), 1)[0]) for n in scores.shape)
    halves: dict[tuple[bool, bool], list[float]] = {(False, True): [], (True, False): [], (True, True): []}
    cells = [(row, column, s, r) for row, s in enumerate(stimuli) for column, r in enumerate(raters)]
    for row, column, s, r in cells:
        for other_row, other_column, other_s, other_r in cells:
            copies = (row != other_row and s == other_s) or (column != other_column and r == other_r)
            half = (scores[s, r] - scores[other_s, other_r]) ** 2 / 2
            if not copies and (row, column) != (other_row, other_column) and not np.isnan(half):
                halves[row != other_row, column != other_column].append(half)
    one_stimulus, one_rater, neither = (np.mean(half) for half in halves.values())
    assert found.stimuli[0] == pytest.approx(neither - one_stimulus)
    assert found.raters[0] == pytest.approx(neither - one_rater)
    assert found.residual[0] == pytest.approx(one_stimulus + one_rater - neither)


@pytest.mark.parametrize(("share", "interval"), [(1.0, "McGraw & Wong"), (0.5, "bootstrap")])
def test_icc_intervals_contain_the_truth(share: float, interval: str):
    rng = np.random.default_rng(3)
    found = [icc(simulated(60, 26, rng, share), seed, resamples=300) for seed in range(300)]
    assert {one.interval for one in found} == {interval}
    assert np.mean([one.icc2_1 for one in found]) == pytest.approx(0.5, abs=0.02)
    assert 0.9 <= np.mean([one.icc2_1_ci[0] <= 0.5 <= one.icc2_1_ci[1] for one in found]) <= 0.985


def test_icc_of_the_mean_is_the_correlation_of_means():
    """Of k raters: the squared correlation of the stimuli's means with what is behind them."""
    rng = np.random.default_rng(4)
    stimuli = rng.normal(0, 1, (20000, 1))
    scores = stimuli + rng.normal(0, 1, (20000, 5))
    found = icc(scores)
    assert found.icc2_k == pytest.approx(5 / 6, abs=0.01)
    assert found.icc2_k == pytest.approx(np.corrcoef(stimuli[:, 0], scores.mean(axis=1))[0, 1] ** 2, abs=0.01)


def test_the_bootstrap_is_seeded():
    scores = simulated(30, 8, np.random.default_rng(5), share=0.7)
    assert icc(scores, seed=1) == icc(scores, seed=1)
    assert icc(scores, seed=1).icc2_1_ci != icc(scores, seed=2).icc2_1_ci


def test_with_gaps_k_is_the_harmonic_mean():
    scores = simulated(40, 6, np.random.default_rng(6))
    scores[:20, 2:] = NONE
    assert icc(scores).k == pytest.approx(3)  # of 2 and 6


@pytest.mark.parametrize(
    "scores",
    [
        np.empty((0, 0)),
        np.full((3, 3), NONE),
        np.array([[1.0], [2], [4]]),
        np.array([[1.0, 2, 4]]),
        np.full((4, 4), 3.0),
        np.array([[1.0, NONE], [NONE, 2]]),
    ],
)
def test_agreement_that_ratings_do_not_tell(scores: np.ndarray):
    found = icc(scores)
    assert np.isnan([found.icc2_1, found.icc2_k, *found.icc2_1_ci, *found.icc2_k_ci]).all()


def test_perfect_agreement():
    scores = np.tile(np.array([[1.0], [3], [5]]), 4)
    found = icc(scores)
    assert (found.icc2_1, found.icc2_k) == (1, 1)
    assert (found.icc2_1_ci, found.icc2_k_ci) == ((1, 1), (1, 1))
    assert krippendorff_alpha(scores, "ordinal") == krippendorff_alpha(scores, "interval") == 1


def test_krippendorffs_example():
    assert krippendorff_alpha(KRIPPENDORFF, "ordinal") == pytest.approx(0.815, abs=5e-4)
    assert krippendorff_alpha(KRIPPENDORFF, "interval") == pytest.approx(0.849, abs=5e-4)


@pytest.mark.parametrize("level", ["ordinal", "interval"])
@pytest.mark.parametrize("decimals", [0, 1])
def test_alpha_is_that_of_the_package(level: str, decimals: int):
    scores = np.round(3 + simulated(40, 7, np.random.default_rng(7), share=0.4), decimals)
    expected = krippendorff.alpha(scores.T, level_of_measurement=level)
    assert krippendorff_alpha(scores, level) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("scores", [np.full((3, 3), 2.0), np.array([[1.0, NONE], [NONE, 2]]), np.empty((0, 0))])
def test_alpha_that_is_not_defined(scores: np.ndarray):
    assert math.isnan(krippendorff_alpha(scores, "interval"))


def test_sos_by_hand():
    """Means 2, 3 and 4 have -x^2 + 6 x - 5 = 3, 4 and 3; the variances 2, 2 and 0: a = (6 + 8) / (9 + 16 + 9)."""
    scores = np.array([[1, 3, NONE], [2, 4, NONE], [4, 4, NONE], [NONE, NONE, 5]])
    assert sos_a(scores) == pytest.approx(14 / 34)
    assert math.isnan(sos_a(np.array([[1.0, 1], [5, 5]])))


def test_sos_of_its_own_law():
    """A score of 1 + 4 * Binomial(1, p) has the mean 1 + 4 p and the largest variance there is, of a = 1."""
    rng = np.random.default_rng(8)
    scores = np.where(rng.random((300, 400)) < rng.random((300, 1)), 5.0, 1.0)
    assert sos_a(scores) == pytest.approx(1, abs=0.01)


def pilot(first: list[int], second: list[int], kind: str = "str") -> pd.DataFrame:
    """Two raters and half of the pairs each, with ratings besides that were given once."""
    names = [(f"r{place % 2}", "BSD100", f"image{place // 2}", "srresnet") for place in range(len(first))]
    rows = [(*name, "main", score) for name, score in zip(names, first, strict=True)]
    rows += [(*name, "retest", score) for name, score in zip(names, second, strict=True)]
    rows += [("r0", "BSD100", "image0", "hr", "main", 5), ("r2", "BSD100", "image0", "srresnet", "main", 1)]
    columns = dict.fromkeys(("rater", "dataset", "image", "method", "phase"), kind)
    return table(rows).astype(columns)


@pytest.mark.parametrize("kind", ["str", "category"])
def test_retest_by_hand(kind: str):
    """Quadratic weights: kappa = 1 - mean (a - b)^2 / mean of that for all pairs of a first and a second rating.

    Differences 1, 0, 0, 0, -2, 1, 0, 0: their squares have the mean 6 / 8.
    """
    first, second = [1, 2, 3, 4, 5, 1, 5, 3], [2, 2, 3, 4, 3, 2, 5, 3]
    chance = np.mean((np.array(first)[:, None] - np.array(second)) ** 2)
    found = retest(pilot(first, second, kind))
    assert (found["n"], found["raters"], found["unit"]) == (8, 2, "rating")
    assert found["kappa"] == pytest.approx(1 - 0.75 / chance)
    assert found["mean_difference"] == 0
    # Ranks with the five zeros: 1 and 1 have 6.5, 2 has 8: sums 13 and 8.
    assert found["statistic"] == 8
    assert found["p"] > 0.5
    ranks = pd.Series(first).rank(), pd.Series(second).rank()
    assert found["spearman"] == pytest.approx(np.corrcoef(*ranks)[0, 1])


def test_retest_that_drifts():
    rng = np.random.default_rng(9)
    first = rng.integers(1, 5, 100)
    found = retest(pilot(first.tolist(), (first + (rng.random(100) < 0.4)).tolist()))
    assert found["mean_difference"] == pytest.approx(0.4, abs=0.15)
    assert found["p"] < 1e-6


def test_kappa_is_that_of_the_package():
    rng = np.random.default_rng(10)
    first = rng.integers(1, 6, 60)
    second = np.clip(first + rng.integers(-1, 3, 60), 1, 5)
    counts = pd.crosstab(pd.Categorical(first, range(1, 6)), pd.Categorical(second, range(1, 6)), dropna=False)
    expected = cohens_kappa(counts, wt="quadratic", return_results=False)
    assert retest(pilot(first.tolist(), second.tolist()))["kappa"] == pytest.approx(expected)


def test_retest_with_nothing_to_tell():
    assert retest(pilot([], [])) is None
    same = retest(pilot([3, 3, 3], [3, 3, 3]))
    assert (same["kappa"], same["spearman"]) == (None, None)
    assert (same["statistic"], same["p"], same["mean_difference"]) == (0, 1, 0)


def study(scores: np.ndarray) -> pd.DataFrame:
    """Half of the stimuli in each of two data sets."""
    return table(
        [
            (f"r{rater}", ("Set5", "Set14")[stimulus % 2], f"image{stimulus}", "srgan", "main", score)
            for (stimulus, rater), score in np.ndenumerate(scores)
            if not np.isnan(score)
        ]
    )


def test_all_of_it():
    found = reliability(study(SHROUT_FLEISS))
    assert found["icc2_1"] == pytest.approx(icc(SHROUT_FLEISS).icc2_1)
    assert found["icc2_k_ci"] == pytest.approx(list(icc(SHROUT_FLEISS).icc2_k_ci))
    assert found["icc_interval"] == "McGraw & Wong"
    assert found["krippendorff_ordinal"] == pytest.approx(krippendorff_alpha(SHROUT_FLEISS, "ordinal"))
    assert found["krippendorff_interval"] == pytest.approx(krippendorff_alpha(SHROUT_FLEISS, "interval"))
    assert found["sos_a"] == pytest.approx(sos(study(SHROUT_FLEISS)))
    assert (found["stimuli"], found["raters"], found["missing"], found["retest"]) == (6, 4, 0, None)


def test_all_of_it_with_gaps():
    found = reliability(study(KRIPPENDORFF))
    assert (found["stimuli"], found["raters"], found["missing"]) == (12, 4, 7)
    assert found["icc_interval"] == "bootstrap"
    assert found["icc2_1_ci"][0] < found["icc2_1"] < found["icc2_1_ci"][1]
    assert found["krippendorff_ordinal"] == pytest.approx(0.815, abs=5e-4)


@pytest.mark.parametrize("scores", [np.array([[1.0], [2], [4]]), np.empty((0, 0))])
def test_with_one_rater_or_none_there_are_no_figures(scores: np.ndarray):
    found = reliability(study(scores))
    names = ("icc2_1", "icc2_k", "krippendorff_ordinal", "krippendorff_interval", "sos_a", "retest")
    assert [found[name] for name in names] == [None] * 6
    assert found["icc2_1_ci"] == found["icc2_k_ci"] == [None, None]
