"""Biases and inconsistencies of raters, against a standard's example and what can be worked out by hand."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mos_study.statistics.subjects import alternating_projection, bias_removal, rater_table, remove_bias

NONE = np.nan


def simulated(stimuli: int, raters: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Scores, and the qualities, biases and inconsistencies that made them."""
    rng = np.random.default_rng(seed)
    quality, bias = rng.uniform(1, 5, stimuli), rng.normal(0, 0.4, raters)
    inconsistency = rng.uniform(0.3, 1.2, raters)
    noise = rng.normal(size=(stimuli, raters)) * inconsistency
    return quality[:, None] + bias + noise, quality, bias - bias.mean(), inconsistency


def table(*rows: tuple) -> pd.DataFrame:
    """rows: rater, dataset, image, phase, score."""
    return pd.DataFrame(rows, columns=["rater", "dataset", "image", "phase", "score"]).assign(method="srgan")


@pytest.mark.data
def test_the_example_of_p910_is_met(sr_data: Path):
    scores = np.genfromtxt(sr_data / "mos" / "p910_sample.csv", delimiter=",")
    assert np.isnan(scores).sum() == 1
    expected = json.loads((sr_data / "mos" / "p910_sample_expected.json").read_text())
    model = alternating_projection(scores)
    assert model.converged
    np.testing.assert_allclose(model.quality, expected["mos_j"], rtol=0, atol=1e-8)
    np.testing.assert_allclose(model.quality_se, expected["sos_j"], rtol=0, atol=1e-8)
    np.testing.assert_allclose(model.bias, expected["bias_i"], rtol=0, atol=1e-8)
    np.testing.assert_allclose(model.inconsistency, expected["inconsistency_i"], rtol=0, atol=1e-8)


def test_projection_by_hand():
    """Two who are as inconsistent as each other: qualities are plain means, residuals +-0.5 and +-0.5."""
    model = alternating_projection(np.array([[1.0, 3.0], [3.0, 3.0], [2.0, 4.0], [4.0, 4.0]]))
    # Biases -0.5 and 0.5; without them 1.5 2.5, 3.5 2.5, 2.5 3.5, 4.5 3.5.
    np.testing.assert_allclose(model.bias, [-0.5, 0.5], atol=1e-9)
    np.testing.assert_allclose(model.quality, [2, 3, 3, 4], atol=1e-9)
    np.testing.assert_allclose(model.inconsistency, [0.5, 0.5], atol=1e-9)
    np.testing.assert_allclose(model.quality_se, 0.5 / np.sqrt(2), atol=1e-9)
    np.testing.assert_allclose(model.bias_se, 0.25, atol=1e-9)
    np.testing.assert_allclose(model.inconsistency_se, 0.5 / np.sqrt(8), atol=1e-9)


def test_the_inconsistent_count_less():
    rng = np.random.default_rng(5)
    quality = rng.uniform(1, 5, 200)
    scores = quality[:, None] + rng.normal(size=(200, 8)) * np.array([0.2, 0.2, 0.2, 0.2, 2, 2, 2, 2])
    model = alternating_projection(scores)
    error, plain = model.quality - quality, scores.mean(axis=1) - quality
    assert np.std(error) < 0.2
    assert np.std(plain) > 0.4


@pytest.mark.parametrize("share", [1.0, 0.5])
def test_what_made_the_scores_comes_back_within_its_standard_errors(share: float):
    scores, quality, bias, inconsistency = simulated(300, 40, seed=1)
    scores[np.random.default_rng(2).random(scores.shape) > share] = NONE
    model = alternating_projection(scores)
    assert model.converged
    shift = np.mean(model.quality - quality)  # the biases' mean is the scale's, not the raters'
    for found, error, truth in (
        (model.quality - shift, model.quality_se, quality),
        (model.bias, model.bias_se, bias),
    ):
        z = (found - truth) / error
        assert 0.7 < np.sqrt(np.mean(z**2)) < 1.3
        assert abs(np.mean(z)) < 0.6
    # A likelihood's variance is a little too small: it counts no degrees of freedom for the qualities.
    z = (model.inconsistency - inconsistency) / model.inconsistency_se
    assert np.sqrt(np.mean(z**2)) < 1.8
    assert -1.2 < np.mean(z) < 0.2
    assert np.mean(np.abs(model.inconsistency / inconsistency - 1)) < 0.12


def test_nobody_rated_it_or_somebody_rated_nothing():
    scores, *_ = simulated(20, 6, seed=3)
    whole = alternating_projection(scores)
    wider = np.full((21, 7), NONE)
    wider[:20, :6] = scores
    model = alternating_projection(wider)
    assert np.isnan([model.quality[20], model.quality_se[20], model.bias[6], model.inconsistency[6]]).all()
    np.testing.assert_allclose(model.quality[:20], whole.quality)
    np.testing.assert_allclose(model.bias[:6], whole.bias)
    assert np.isnan(alternating_projection(np.full((2, 3), NONE)).quality).all()


def test_a_single_rating_does_not_rule_its_stimulus():
    """Its residual is 0; the plain inverse of that variance would be the weight of all others together."""
    scores, *_ = simulated(50, 6, seed=4)
    more = np.column_stack([scores, np.full(50, NONE)])
    more[0, 6] = scores[0].mean() + 3
    model, without = alternating_projection(more), alternating_projection(scores)
    assert model.converged
    assert model.quality[0] - model.quality[1:].mean() == pytest.approx(
        without.quality[0] - without.quality[1:].mean(), abs=1e-3
    )
    assert np.isnan([model.inconsistency[6], model.bias_se[6]]).all()
    assert model.bias[6] - model.bias[:6].mean() == pytest.approx(more[0, 6] - without.quality[0], abs=1e-3)


def test_bias_removal_by_hand():
    """Means of the stimuli 2, 3 and 4: rater 1 is 1 below, rater 2 is 1 above (on the two that he has rated)."""
    found = bias_removal(np.array([[1, 3], [2, 4], [4, NONE], [NONE, NONE]]))
    np.testing.assert_allclose(found.bias, [-2 / 3, 1])
    np.testing.assert_allclose(found.scores, [[5 / 3, 2], [8 / 3, 3], [14 / 3, NONE], [NONE, NONE]])
    np.testing.assert_allclose(found.mos, [11 / 6, 17 / 6, 14 / 3, NONE])


def test_bias_removal_takes_biases_out_and_leaves_the_scores_means():
    scores, *_ = simulated(100, 10, seed=6)
    found = bias_removal(scores)
    np.testing.assert_allclose(bias_removal(found.scores).bias, 0, atol=1e-12)
    np.testing.assert_allclose(found.mos, scores.mean(axis=1))
    assert np.mean(found.scores.std(axis=1)) < np.mean(scores.std(axis=1))


@pytest.mark.parametrize("kind", [str, "category"])
def test_biases_of_a_table_leave_every_phase(kind):
    ratings = table(
        ("r1", "Set5", "baby", "main", 1),
        ("r2", "Set5", "baby", "main", 3),
        ("r1", "Set14", "lenna", "main", 2),
        ("r2", "Set14", "lenna", "main", 4),
        ("r2", "Set14", "lenna", "retest", 5),
        ("r1", "<calibration>", "beacon", "calibration", 1),
        ("r3", "<calibration>", "beacon", "calibration", 2),
    ).astype({"rater": kind, "dataset": kind, "image": kind, "method": kind})
    unbiased = remove_bias(ratings)
    assert unbiased["score"].tolist() == [2, 2, 3, 3, 4, 2, 2]
    assert ratings["score"].tolist() == [1, 3, 2, 4, 5, 1, 2]
    assert list(unbiased.columns) == list(ratings.columns)


def test_rater_table():
    ratings = table(
        *(
            (rater, dataset, f"image{number}", "main", score)
            for rater, scores in {"low": (1, 2, 1, 3), "high": (3, 4, 3, 5)}.items()
            for number, (dataset, score) in enumerate(zip(("Set5", "Set5", "Set14", "Set14"), scores, strict=True))
        ),
        ("high", "Set5", "image0", "retest", 1),
        ("new", "<calibration>", "beacon", "calibration", 1),
    )
    found = rater_table(ratings).set_index("rater")
    assert list(found.index) == ["high", "low"]
    assert list(found.columns) == ["n", "mean", "bias", "bias_se", "inconsistency", "inconsistency_se"]
    assert found.loc["high", ["n", "mean", "bias"]].tolist() == pytest.approx([4, 3.75, 1])
    assert found.loc["low", ["n", "mean", "bias"]].tolist() == pytest.approx([4, 1.75, -1])
    assert found["inconsistency"].tolist() == pytest.approx([0, 0], abs=1e-9)


def test_without_main_ratings_there_is_an_empty_table():
    found = rater_table(table(("r1", "<calibration>", "beacon", "calibration", 1)))
    assert list(found.columns) == ["rater", "n", "mean", "bias", "bias_se", "inconsistency", "inconsistency_se"]
    assert found.empty


def test_a_model_that_does_not_converge_is_not_shown():
    """Three ratings each: some bias follows its rater's ratings closely enough for a weight without end."""
    rng = np.random.default_rng(0)
    rows = [
        (f"r{rater:02}", "Set5", f"image{image}", "main", int(rng.integers(1, 6)))
        for rater in range(40)
        for image in rng.choice(50, 3, replace=False)
    ]
    found = rater_table(table(*rows))
    assert found[["bias", "bias_se", "inconsistency", "inconsistency_se"]].isna().all(axis=None)
    assert found[["n", "mean"]].notna().all(axis=None)
