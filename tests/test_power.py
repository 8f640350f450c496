"""Power by simulation, against closed forms and scipy's test."""

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, stats

from mos_study.artificial import INCONSISTENCY_SHAPE, Spreads, latent_mean
from mos_study.paper import PAPER_MOS
from mos_study.power import power_curve, power_table, smallest, wilcoxon_p
from sr.errors import SRError

NOISE_ALONE = Spreads(bias=0, inconsistency=0.7, image=0, stimulus=0)


@pytest.mark.parametrize("shape", [(20, 5), (10, 8), (1, 12), (20, 51), (20, 300)])
def test_the_test_is_scipys(shape):
    rows = np.random.default_rng(0).integers(-3, 5, shape)
    expected = [stats.wilcoxon(row.astype(float), zero_method="pratt").pvalue for row in rows]
    np.testing.assert_allclose(wilcoxon_p(rows), expected, rtol=1e-12)
    assert wilcoxon_p(np.zeros(shape, int)).tolist() == [1] * shape[0]


def test_power_of_the_smallest_study_by_hand():
    """Of six differences all must have one sign for p < 0.05: 2 / 64. One with a zero has 2 / 32 at best."""
    low, high = (latent_mean(mean, NOISE_ALONE) for mean in (2.5, 3.7))

    def larger(a: float, b: float, sd: float) -> float:
        """P(score of a > score of b) for a rater with this noise."""
        edges = np.array([-np.inf, 1.5, 2.5, 3.5, 4.5, np.inf])
        of_a, of_b = (np.diff(stats.norm.cdf(edges, mean, sd)) for mean in (a, b))
        return float((of_a * (np.cumsum(of_b) - of_b)).sum())

    def six(a: float, b: float) -> float:
        noise = stats.gamma(INCONSISTENCY_SHAPE, scale=0.7 / INCONSISTENCY_SHAPE)
        return integrate.quad(lambda sd: noise.pdf(sd) * larger(a, b, sd) ** 6, 0.05, 3)[0]

    table = power_curve(1.2, 2.5, [1], [6], studies=4000, spreads=NOISE_ALONE)
    (row,) = table.to_dict("records")
    assert 0.15 < six(high, low) < 0.6
    assert row["power"] == pytest.approx(six(high, low), abs=4 * 0.5 / np.sqrt(4000))
    assert row["low"] < six(high, low) < row["high"]
    assert row["false_positives"] == pytest.approx(2 * six(low, low), abs=0.004)


def test_wilsons_interval_by_hand():
    """k of n = 100 at z = 1.96: centre (k + z^2/2) / (n + z^2)."""
    (row,) = power_curve(0.5, 3, [10], [10], studies=100).to_dict("records")
    k, z = round(100 * row["power"]), stats.norm.ppf(0.975)
    assert 0 < k < 100
    assert (row["low"] + row["high"]) / 2 == pytest.approx((k + z**2 / 2) / (100 + z**2))


@pytest.mark.parametrize("unit", ["rating", "rater"])
def test_false_positives_come_from_effects_of_image_and_method(unit):
    def rate(**spreads: float) -> float:
        table = power_curve(0.2, 3, [40], [8], studies=500, unit=unit, spreads=Spreads(**spreads))
        return table["false_positives"].item()

    assert 0.02 < rate(stimulus=0) < 0.085
    assert rate(stimulus=0.2) > 0.15


def test_images_as_units_keep_the_error_rate_and_need_more_images():
    table = power_curve(0.2, 3, [40], [5, 20, 80], studies=500, unit="image").set_index("images")
    assert table.loc[5, "power"] == 0  # 2 / 32 is the least p of five differences
    assert table["false_positives"].max() < 0.085
    assert table.loc[20, "power"] + 0.2 < table.loc[80, "power"]


def test_more_of_everything_tells_more():
    table = power_curve(0.2, 3, [4, 12, 30], [5, 40], studies=200)
    power = table.pivot(index="raters", columns="images", values="power")
    assert (power.diff().dropna() > 0).all(axis=None)
    assert (power[5] < power[40]).all()
    larger = power_curve(0.4, 3, [4, 12, 30], [5, 40], studies=200)
    assert (larger["power"] > table["power"]).all()
    assert table.equals(power_curve(0.2, 3, [4, 12, 30], [5, 40], studies=200))
    assert not table.equals(power_curve(0.2, 3, [4, 12, 30], [5, 40], studies=200, seed=1))


def test_the_smallest_study_stays_above_the_target():
    table = pd.DataFrame({"raters": [5, 10, 20, 40] * 3, "images": [5] * 4 + [14] * 4 + [100] * 4})
    table["power"] = [0.1, 0.2, 0.3, 0.4, 0.8, 0.7, 0.8, 0.9, 0.85, 0.9, 1, 1]
    found = smallest(table.sample(frac=1, random_state=0), 0.8)
    assert dict(zip(found["images"], found["raters"], strict=True)) == {14: 20, 100: 5}


def test_the_answer_in_words():
    table, words = power_table(studies=30, progress=False)
    assert list(table.columns) == ["raters", "images", "unit", "power", "low", "high", "false_positives"]
    mean = np.mean([means["srresnet"] for means in PAPER_MOS.values()])
    assert f"tell srgan from srresnet ({mean:.2f}) by 0.2 at p < 0.05 with 80% power" in words
    assert "with 5 images not even 60 raters are enough" in words
    (needed,) = smallest(table, 0.8).query("images == 100").to_dict("records")
    assert f"with 100 images {needed['raters']} raters ({needed['power']:.0%} [" in words
    worst = table["false_positives"].max()
    assert f"to {worst:.0%} of the studies (every rating counted as independent), where 5% are meant" in words


def test_an_honest_test_is_not_accused():
    assert "; 5% are meant." in power_table(studies=30, unit="image", progress=False)[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"effect": 0}, "must be above 0"),
        ({"effect": 2.5}, "True means of 2.88 and 5.38 cannot"),
        ({"unit": "session"}, "unit 'session' is unknown: expected one of rating, image, rater"),
        ({"studies": 0}, "must each be 1 or more"),
        ({"target": 80}, "target power is 80, but must be between 0 and 1"),
    ],
)
def test_questions_without_an_answer(arguments, message):
    with pytest.raises(SRError, match=message):
        power_table(**arguments)
